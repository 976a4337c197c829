//! Real backing processes on loopback for tests: Kafka, PostgreSQL, schema registry, API server.
