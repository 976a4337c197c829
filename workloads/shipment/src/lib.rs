//! The shipment service: takes orders and scans, and is the only writer of shipments.
