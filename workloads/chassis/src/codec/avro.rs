//! Typed events to Avro and back. A reader resolves the writer's schema to its own, so either side may be newer.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use apache_avro::Schema;
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::writer::datum::GenericDatumWriter;
use logistics_schemas::config::SchemaRegistry;
use logistics_schemas::topics::Topic;

use super::event::Event;
use super::registry::{Registry, RegistryError};
use super::wire::{self, WireError};

/// Pauses between questions to a registry that is not there, or not yet filled.
const RETRY: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(5));
/// Most writers' schemas that are kept; each is a version of one of the platform's few subjects.
const MAX_WRITERS: usize = 256;

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
    /// Bytes are left over: the value was written with another schema than it names.
    #[error("schema {id}: {left} bytes follow the event")]
    TrailingBytes {
        /// The id of the writer's schema.
        id: u32,
        /// How many bytes.
        left: usize,
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
            Self::TrailingBytes { .. } => "trailing_bytes",
            Self::Registry(_) => "registry",
        }
    }
}

/// Encodes and decodes the events of some topics.
#[derive(Debug)]
pub struct Codec {
    registry: Registry,
    topics: HashMap<&'static str, Registered>,
    writers: RwLock<HashMap<u32, Arc<Schema>>>,
}

/// One of our own schemas.
#[derive(Debug)]
struct Registered {
    id: u32,
    schema: Arc<Schema>,
}

impl Codec {
    /// Looks the ids of these topics' schemas up, and waits until the registry has them all: the operator registers
    /// them before it starts a service, but a registry may be away.
    pub async fn connect(
        config: &SchemaRegistry,
        topic_prefix: &str,
        topics: &[Topic],
    ) -> Result<Self, StartError> {
        let registry = Registry::new(config)?;
        let mut registered = HashMap::new();
        for topic in topics {
            let (Some(text), Some(subject)) = (topic.schema, topic.subject(topic_prefix)) else {
                continue;
            };
            let schema = Schema::parse_str(text).map_err(|source| StartError::Schema {
                topic: topic.name,
                source: Box::new(source),
            })?;
            let id = wait_for_id(&registry, &subject, text).await;
            let schema = Arc::new(schema);
            registered.insert(topic.name, Registered { id, schema });
        }
        let writers = registered
            .values()
            .map(|one| (one.id, Arc::clone(&one.schema)))
            .collect();
        Ok(Self {
            registry,
            topics: registered,
            writers: RwLock::new(writers),
        })
    }

    /// The record's value.
    pub fn encode<E: Event>(&self, event: &E) -> Result<Vec<u8>, EncodeError> {
        let topic = E::TOPIC.name;
        let registered = self.topics.get(topic).ok_or(EncodeError::UnknownTopic(topic))?;
        let datum = encode_datum(&registered.schema, event).map_err(|source| EncodeError::Avro {
            topic,
            source: Box::new(source),
        })?;
        Ok(wire::frame(registered.id, &datum)?)
    }

    /// The event in a record's value, whatever version of the schema it was written with.
    pub async fn decode<E: Event>(&self, value: &[u8]) -> Result<E, DecodeError> {
        let (id, mut datum) = wire::unframe(value)?;
        let writer = self.writer(id).await?;
        let mismatch = |source| DecodeError::Avro {
            id,
            topic: E::TOPIC.name,
            source: Box::new(source),
        };
        let reader = self.topics.get(E::TOPIC.name).map_or(&writer, |own| &own.schema);
        let event = decode_datum(&writer, reader, &mut datum).map_err(mismatch)?;
        if datum.is_empty() {
            Ok(event)
        } else {
            Err(DecodeError::TrailingBytes {
                id,
                left: datum.len(),
            })
        }
    }

    async fn writer(&self, id: u32) -> Result<Arc<Schema>, DecodeError> {
        let known = self
            .writers
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&id)
            .cloned();
        if let Some(schema) = known {
            return Ok(schema);
        }
        let text = self.registry.schema_of(id).await.map_err(|error| match error {
            RegistryError::NotFound { .. } => DecodeError::UnknownSchema { id },
            other => DecodeError::Registry(other),
        })?;
        let schema = Schema::parse_str(&text).map_err(|source| DecodeError::Avro {
            id,
            topic: "(schema)",
            source: Box::new(source),
        })?;
        let schema = Arc::new(schema);
        let mut writers = self.writers.write().unwrap_or_else(PoisonError::into_inner);
        if writers.len() < MAX_WRITERS {
            writers.insert(id, Arc::clone(&schema));
        }
        Ok(schema)
    }
}

async fn wait_for_id(registry: &Registry, subject: &str, schema: &str) -> u32 {
    let mut pause = RETRY.0;
    loop {
        match registry.id_of(subject, schema).await {
            Ok(id) => return id,
            Err(error) => tracing::warn!(subject, %error, retry_in = ?pause, "waiting for the event schema"),
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(RETRY.1);
    }
}

fn encode_datum<E: Event>(schema: &Schema, event: &E) -> Result<Vec<u8>, apache_avro::Error> {
    GenericDatumWriter::builder(schema)
        .build()?
        .write_ser_to_vec(event)
}

fn decode_datum<E: Event>(
    writer: &Schema,
    reader: &Schema,
    datum: &mut &[u8],
) -> Result<E, apache_avro::Error> {
    let value = GenericDatumReader::builder(writer)
        .reader_schema(reader)
        .build()?
        .read_value(datum)?;
    apache_avro::from_value(&value)
}

#[cfg(test)]
mod tests;
