//! Why a call failed.

use rdkafka::error::KafkaError;

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The client could not be made from its configuration.
    #[error("the Kafka client refuses its configuration: {0}")]
    Configuration(#[source] KafkaError),
    /// The call did not reach a broker or the broker refused it as a whole.
    #[error("{operation} failed: {reason}")]
    Call {
        /// What was tried.
        operation: &'static str,
        /// What the client says, with its last connection error.
        reason: String,
    },
    /// The brokers do not accept the credentials.
    #[error("{operation} failed: {reason}")]
    Authentication {
        /// What was tried.
        operation: &'static str,
        /// What the client says.
        reason: String,
    },
    /// There are fewer brokers than copies of each partition are wanted.
    #[error("creation of topic {topic} failed: {reason}")]
    TooFewBrokers {
        /// The topic.
        topic: String,
        /// What the broker says.
        reason: String,
    },
    /// The broker refused a topic.
    #[error("{operation} of topic {topic} failed: {reason}")]
    Topic {
        /// What was tried.
        operation: &'static str,
        /// The topic.
        topic: String,
        /// What the broker says.
        reason: String,
    },
}
