//! The contracts between the operator and the workloads: gRPC services, Avro events, topics and service configuration.
