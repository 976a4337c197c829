//! Events as records: CloudEvents in binary mode, the value in Avro or, while its schema has no id yet, in JSON.

use std::sync::Arc;

use chrono::{DateTime, SecondsFormat, Utc};
use logistics_schemas::headers::{
    CLOUD_EVENTS, CONTENT_TYPE, ID, PARTITION_KEY, SEQUENCE, SOURCE, SPEC_VERSION, TIME, TYPE,
};
use uuid::Uuid;

use crate::codec::{Codec, EncodeError, Event};
use crate::outbox::Record;
use crate::service::Chassis;
use crate::telemetry::propagation;

/// Turns events into outbox records.
#[derive(Clone, Debug)]
pub struct EventWriter {
    codec: Arc<Codec>,
    source: String,
    topic_prefix: String,
}

impl EventWriter {
    /// One that writes in the name of this service.
    #[must_use]
    pub fn new(chassis: &Chassis, codec: Arc<Codec>) -> Self {
        let topic_prefix = chassis.config.kafka.topic_prefix.clone();
        Self::named(chassis.process.event_source(), topic_prefix, codec)
    }

    /// One that writes in the name of `source`.
    #[must_use]
    pub const fn named(source: String, topic_prefix: String, codec: Arc<Codec>) -> Self {
        Self {
            codec,
            source,
            topic_prefix,
        }
    }

    /// The record of `event`, which carries on the current trace.
    pub fn record<E: Event>(&self, id: Uuid, time: DateTime<Utc>, event: &E) -> Result<Record, EncodeError> {
        let key = event.key();
        let encoded = self.codec.encode(event)?;
        let mut headers: Vec<(String, Vec<u8>)> = [
            (SPEC_VERSION, CLOUD_EVENTS.to_owned()),
            (ID, id.to_string()),
            (SOURCE, self.source.clone()),
            (TYPE, E::TOPIC.event_type()),
            (TIME, time.to_rfc3339_opts(SecondsFormat::Micros, true)),
            (PARTITION_KEY, key.clone()),
            (SEQUENCE, event.seq().to_string()),
            (CONTENT_TYPE, encoded.encoding.content_type().to_owned()),
        ]
        .into_iter()
        .map(|(header, value)| (header.name.to_owned(), value.into_bytes()))
        .collect();
        headers.extend(
            propagation::current()
                .into_iter()
                .map(|(name, value)| (name, value.into_bytes())),
        );
        Ok(Record {
            id,
            aggregate_id: event.shipment_id(),
            seq: event.seq(),
            topic: E::TOPIC.full_name(&self.topic_prefix),
            key: Some(key.into_bytes()),
            payload: Some(encoded.bytes),
            headers,
        })
    }
}
