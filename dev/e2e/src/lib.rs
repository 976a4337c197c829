//! End-to-end tests against the development cluster.
