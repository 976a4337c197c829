//! Shipments, risk and arrival estimates as pure functions.
