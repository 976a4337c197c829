//! What the workloads need of librdkafka that its safe wrapper lacks: headers with any name, and credentials that change.

pub mod credentials;
pub mod headers;
