//! Typed events to Avro and back. A reader resolves the writer's schema to its own, so either side may be newer.
//!
//! Without an id of its schema, an event is written as JSON: the log goes on while a registry is away that was never
//! asked before. Readers take both at any time.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use apache_avro::Schema;
use logistics_schemas::config::{self, SchemaRegistry};
use logistics_schemas::topics::Topic;
use sqlx::PgPool;

use super::bounded;
use super::datum::{self, Prepared, Unreadable};
use super::errors::{DecodeError, EncodeError, StartError};
use super::event::Event;
use super::lookup::{self, Lookup};
use super::metrics::{CodecMetrics, Encoding};
use super::registry::{Registry, RegistryError};
use super::seen::Seen;
use super::wire::{self, MAX_VALUE_BYTES, WireError};

/// Most writers' schemas that are kept; each is a version of one of the platform's few subjects.
const MAX_WRITERS: usize = 256;

/// A record's value, and how it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoded {
    /// The value.
    pub bytes: Vec<u8>,
    /// How it is written.
    pub encoding: Encoding,
}

/// Encodes and decodes the events of some topics; clones share what is known.
#[derive(Clone, Debug)]
pub struct Codec {
    registry: Registry,
    topics: HashMap<&'static str, Arc<Own>>,
    writers: Arc<RwLock<HashMap<u32, Arc<Writer>>>>,
    seen: Option<Seen>,
    /// Whether JSON is written though the ids are known.
    json: bool,
    metrics: CodecMetrics,
}

/// One of our own schemas.
#[derive(Debug)]
pub(super) struct Own {
    pub(super) subject: String,
    pub(super) text: &'static str,
    avro: &'static Prepared,
    id: RwLock<Option<u32>>,
}

impl Own {
    fn id(&self) -> Option<u32> {
        *self.id.read().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The schema that a value was written with.
#[derive(Debug)]
struct Writer {
    text: String,
    /// Borrowed where it is one of our own.
    schema: Cow<'static, Schema>,
}

impl Writer {
    fn parse(id: u32, text: String) -> Result<Arc<Self>, DecodeError> {
        let schema = Schema::parse_str(&text).map_err(|source| DecodeError::Avro {
            id,
            topic: "(schema)",
            source: Box::new(source),
        })?;
        bounded::check(&schema).map_err(|source| DecodeError::Unbounded { id, source })?;
        Ok(Arc::new(Self {
            text,
            schema: Cow::Owned(schema),
        }))
    }
}

impl Codec {
    /// A codec without a memory: waits until the registry has the schemas of these topics.
    pub async fn connect(
        config: &SchemaRegistry,
        topic_prefix: &str,
        topics: &[Topic],
    ) -> Result<Self, StartError> {
        let registry = Registry::new(config)?;
        let codec = Self {
            json: config.encoding == config::Encoding::Json,
            ..Self::new(registry, topic_prefix, topics)?
        };
        for own in codec.topics.values() {
            let id = lookup::wait_for_id(&codec.registry, own).await;
            codec.learn(own, id).await;
        }
        Ok(codec)
    }

    /// A service's codec. It knows the ids that it has seen before; others it asks for, and it waits for a registry that
    /// does not have them yet: the operator registers schemas before it starts a service. For a registry that is away it
    /// waits for a few seconds only. What it still does not know then is asked for by the [`Lookup`], which is to be run.
    pub async fn open(
        config: &SchemaRegistry,
        topic_prefix: &str,
        topics: &[Topic],
        pool: PgPool,
        metrics: CodecMetrics,
    ) -> Result<(Self, Lookup), StartError> {
        let registry = Registry::new(config)?;
        let codec = Self {
            seen: Some(Seen::new(pool)),
            json: config.encoding == config::Encoding::Json,
            metrics,
            ..Self::new(registry, topic_prefix, topics)?
        };
        let deadline = lookup::grace();
        for own in codec.topics.values() {
            if let Some(id) = codec.remembered(own).await {
                codec.set(own, id);
            } else if codec.json {
                // It is needed for reading only: the lookup asks for it.
            } else if let Some(id) = lookup::first_id(&codec.registry, own, deadline).await {
                codec.learn(own, id).await;
            }
        }
        let lookup = Lookup::new(codec.clone());
        Ok((codec, lookup))
    }

    /// A codec that knows the schemas of these ids and asks no registry. Of the topics whose schema is not among them it
    /// writes JSON.
    pub fn offline(topics: &[Topic], schemas: &[(u32, &str)]) -> Result<Self, StartError> {
        let codec = Self::new(Registry::empty(), "", topics)?;
        for (id, text) in schemas {
            match codec.topics.values().find(|own| own.text == *text) {
                Some(own) => codec.set(own, *id),
                None => codec.remember(*id, Writer::parse(*id, (*text).to_owned())?),
            }
        }
        Ok(codec)
    }

    fn new(registry: Registry, topic_prefix: &str, topics: &[Topic]) -> Result<Self, StartError> {
        let mut own = HashMap::new();
        for topic in topics {
            let (Some(text), Some(subject)) = (topic.schema, topic.subject(topic_prefix)) else {
                continue;
            };
            let avro = Prepared::of(text).map_err(|source| StartError::Schema {
                topic: topic.name,
                source: Box::new(source),
            })?;
            let schema = Own {
                subject,
                text,
                avro,
                id: RwLock::default(),
            };
            own.insert(topic.name, Arc::new(schema));
        }
        Ok(Self {
            registry,
            topics: own,
            writers: Arc::default(),
            seen: None,
            json: false,
            metrics: CodecMetrics::default(),
        })
    }

    pub(super) fn registry(&self) -> &Registry {
        &self.registry
    }

    pub(super) fn own(&self) -> impl Iterator<Item = &Arc<Own>> {
        self.topics.values()
    }

    async fn remembered(&self, own: &Own) -> Option<u32> {
        self.seen.as_ref()?.id_of(&own.subject, own.text).await
    }

    /// Notes the id of one of our own schemas.
    pub(super) async fn learn(&self, own: &Own, id: u32) {
        if let Some(seen) = &self.seen {
            seen.keep(id, Some(&own.subject), own.text).await;
        }
        self.set(own, id);
    }

    fn set(&self, own: &Own, id: u32) {
        let before = own.id.write().unwrap_or_else(PoisonError::into_inner).replace(id);
        if before.is_some_and(|before| before != id) {
            tracing::warn!(
                subject = own.subject,
                id,
                "the registry has given the schema another id"
            );
        }
        let writer = Writer {
            text: own.text.to_owned(),
            schema: Cow::Borrowed(own.avro.schema),
        };
        self.remember(id, Arc::new(writer));
    }

    fn remember(&self, id: u32, writer: Arc<Writer>) {
        let mut writers = self.writers.write().unwrap_or_else(PoisonError::into_inner);
        if writers.len() < MAX_WRITERS || writers.contains_key(&id) {
            writers.insert(id, writer);
        }
    }

    /// The record's value: Avro, or JSON where the configuration says so or the schema's id was never seen.
    pub fn encode<E: Event>(&self, event: &E) -> Result<Encoded, EncodeError> {
        let topic = E::TOPIC.name;
        let own = self.topics.get(topic).ok_or(EncodeError::UnknownTopic(topic))?;
        let encoded = match own.id().filter(|_| !self.json) {
            Some(id) => {
                let datum = own.avro.encode(event).map_err(|source| EncodeError::Avro {
                    topic,
                    source: Box::new(source),
                })?;
                Encoded {
                    bytes: wire::frame(id, &datum)?,
                    encoding: Encoding::Avro,
                }
            }
            None => encode_json(event)?,
        };
        self.metrics.encoded(topic, encoded.encoding);
        Ok(encoded)
    }

    /// The event in a record's value, in JSON or in Avro of whatever version of the schema.
    pub async fn decode<E: Event>(&self, value: &[u8]) -> Result<E, DecodeError> {
        let topic = E::TOPIC.name;
        // No value in the wire format starts like this.
        if value.first() == Some(&b'{') {
            let event = decode_json(value)?;
            self.metrics.decoded(topic, Encoding::Json);
            return Ok(event);
        }
        let (id, datum) = wire::unframe(value)?;
        let writer = self.writer(id).await?;
        let event = match self.read(id, &writer, datum) {
            Ok(event) => event,
            // A registry that was made anew may have given the id to another schema since.
            Err(error) => match self.renewed(id, &writer).await {
                Some(writer) => self.read(id, &writer, datum)?,
                None => return Err(error),
            },
        };
        self.metrics.decoded(topic, Encoding::Avro);
        Ok(event)
    }

    fn read<E: Event>(&self, id: u32, writer: &Writer, datum: &[u8]) -> Result<E, DecodeError> {
        let event = match self.topics.get(E::TOPIC.name) {
            Some(own) => own.avro.decode(&writer.schema, datum),
            None => datum::resolved(&writer.schema, &writer.schema, datum),
        };
        event.map_err(|error| match error {
            Unreadable::CutOff => DecodeError::CutOff { id },
            Unreadable::Trailing(left) => DecodeError::TrailingBytes { id, left },
            Unreadable::Misfit(source) => DecodeError::Avro {
                id,
                topic: E::TOPIC.name,
                source,
            },
        })
    }

    async fn writer(&self, id: u32) -> Result<Arc<Writer>, DecodeError> {
        let known = self
            .writers
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&id)
            .cloned();
        if let Some(writer) = known {
            return Ok(writer);
        }
        if let Some(seen) = &self.seen
            && let Some(text) = seen.schema_of(id).await
        {
            let writer = Writer::parse(id, text)?;
            self.remember(id, Arc::clone(&writer));
            return Ok(writer);
        }
        let text = self.registry.schema_of(id).await.map_err(|error| match error {
            RegistryError::NotFound { .. } => DecodeError::UnknownSchema { id },
            other => DecodeError::Registry(other),
        })?;
        self.keep(id, text).await
    }

    /// The schema that the registry has under an id, where it is not `former`.
    async fn renewed(&self, id: u32, former: &Writer) -> Option<Arc<Writer>> {
        let text = self.registry.schema_of(id).await.ok()?;
        if text == former.text || Schema::parse_str(&text).is_ok_and(|schema| schema == *former.schema) {
            return None;
        }
        self.keep(id, text).await.ok()
    }

    async fn keep(&self, id: u32, text: String) -> Result<Arc<Writer>, DecodeError> {
        let writer = Writer::parse(id, text)?;
        if let Some(seen) = &self.seen {
            seen.keep(id, None, &writer.text).await;
        }
        self.remember(id, Arc::clone(&writer));
        Ok(writer)
    }
}

fn encode_json<E: Event>(event: &E) -> Result<Encoded, EncodeError> {
    let bytes = serde_json::to_vec(event).map_err(|source| EncodeError::Json {
        topic: E::TOPIC.name,
        source,
    })?;
    if bytes.len() > MAX_VALUE_BYTES {
        return Err(WireError::TooLong(bytes.len()).into());
    }
    Ok(Encoded {
        bytes,
        encoding: Encoding::Json,
    })
}

fn decode_json<E: Event>(value: &[u8]) -> Result<E, DecodeError> {
    if value.len() > MAX_VALUE_BYTES {
        return Err(WireError::TooLong(value.len()).into());
    }
    serde_json::from_slice(value).map_err(|source| DecodeError::Json {
        topic: E::TOPIC.name,
        source,
    })
}

#[cfg(test)]
mod tests;
