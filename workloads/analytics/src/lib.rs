//! The analytics service: scores the risk of a shipment and estimates its arrival.
