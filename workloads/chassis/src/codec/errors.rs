//! Why events cannot be written or read.

use super::bounded::Unbounded;
use super::registry::RegistryError;
use super::wire::WireError;

/// Why a service cannot read or write events at all.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// One of our own schemas is no Avro.
    #[error("topic {topic}: its schema is no valid Avro: {source}")]
    Schema {
        /// The topic.
        topic: &'static str,
        /// Why not.
        source: Box<apache_avro::Error>,
    },
    /// A schema that was given is no Avro.
    #[error(transparent)]
    Writer(#[from] DecodeError),
    /// The configuration of the registry is wrong.
    #[error(transparent)]
    Registry(#[from] RegistryError),
}

/// Why an event could not be written.
#[derive(Debug, thiserror::Error)]
pub enum EncodeError {
    /// The codec was not made for this topic.
    #[error("topic {0} is not among those this service writes")]
    UnknownTopic(&'static str),
    /// The value does not fit the schema.
    #[error("an event of topic {topic} does not fit its schema: {source}")]
    Avro {
        /// The topic.
        topic: &'static str,
        /// Why not.
        source: Box<apache_avro::Error>,
    },
    /// The value cannot be written as JSON.
    #[error("an event of topic {topic} is no JSON: {source}")]
    Json {
        /// The topic.
        topic: &'static str,
        /// Why not.
        source: serde_json::Error,
    },
    /// The value is too long.
    #[error(transparent)]
    Wire(#[from] WireError),
}

/// Why an event could not be read.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// Not in the registry's wire format.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// The id of the writer's schema is unknown.
    #[error("the value names schema {id}, which the schema registry does not have")]
    UnknownSchema {
        /// The id.
        id: u32,
    },
    /// The writer's schema cannot be resolved, or the datum is broken.
    #[error("schema {id}: the value is no event of topic {topic}: {source}")]
    Avro {
        /// The id of the writer's schema.
        id: u32,
        /// The topic.
        topic: &'static str,
        /// Why not.
        source: Box<apache_avro::Error>,
    },
    /// The writer's schema is one that nobody should read by.
    #[error("schema {id} is not followed: {source}")]
    Unbounded {
        /// The id of the writer's schema.
        id: u32,
        /// Why not.
        source: Unbounded,
    },
    /// The datum ends within the event.
    #[error("schema {id}: the value ends before the event does")]
    CutOff {
        /// The id of the writer's schema.
        id: u32,
    },
    /// Bytes are left over: the value was written with another schema than it names.
    #[error("schema {id}: {left} bytes follow the event")]
    TrailingBytes {
        /// The id of the writer's schema.
        id: u32,
        /// How many bytes.
        left: usize,
    },
    /// JSON, but no event.
    #[error("the JSON value is no event of topic {topic}: {source}")]
    Json {
        /// The topic.
        topic: &'static str,
        /// Why not.
        source: serde_json::Error,
    },
    /// The registry did not answer: try again.
    #[error(transparent)]
    Registry(RegistryError),
}

impl DecodeError {
    /// Whether the same bytes may be readable later.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::Registry(_))
    }

    /// A short name of the kind of error, for headers and metrics.
    #[must_use]
    pub const fn class(&self) -> &'static str {
        match self {
            Self::Wire(_) => "wire_format",
            Self::UnknownSchema { .. } => "unknown_schema",
            Self::Avro { .. } => "schema_mismatch",
            Self::Unbounded { .. } => "unbounded_schema",
            Self::CutOff { .. } => "cut_off",
            Self::TrailingBytes { .. } => "trailing_bytes",
            Self::Json { .. } => "json_mismatch",
            Self::Registry(_) => "registry",
        }
    }
}
