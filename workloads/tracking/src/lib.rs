//! The tracking service: projects shipment events into timelines.
