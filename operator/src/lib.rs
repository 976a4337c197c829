//! Reconciles LogisticsPlatform objects into Kubernetes, Kafka and the schema registry.
