//! Events as records: CloudEvents in binary mode, the value in Avro or, while its schema has no id yet, in JSON.

use std::sync::Arc;

use chrono::{DateTime, SecondsFormat, Utc};
use logistics_schemas::topics::Topic;
use uuid::Uuid;

use crate::codec::{Codec, EncodeError, Event};
use crate::outbox::Record;
use crate::service::Chassis;
use crate::telemetry::propagation;

/// `ce_id`: the event's id, the same on every delivery.
pub const ID: &str = "ce_id";
/// `ce_type`, see [`type_of`].
pub const TYPE: &str = "ce_type";
/// `ce_time`: when it was recorded.
pub const TIME: &str = "ce_time";
/// `ce_sequence`: position among the shipment's events.
pub const SEQUENCE: &str = "ce_sequence";
/// `content-type` of the value.
pub const CONTENT_TYPE: &str = "content-type";

/// `ce_type` of the events of a topic, for example `logistics.shipment.created`.
#[must_use]
pub fn type_of(topic: &Topic) -> String {
    format!("logistics.{}", topic.name)
}

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
        Self {
            codec,
            source: chassis.process.event_source(),
            topic_prefix: chassis.config.kafka.topic_prefix.clone(),
        }
    }

    /// The record of `event`, which carries on the current trace.
    pub fn record<E: Event>(&self, id: Uuid, time: DateTime<Utc>, event: &E) -> Result<Record, EncodeError> {
        let key = event.shipment_id().to_string();
        let encoded = self.codec.encode(event)?;
        let mut headers: Vec<(String, Vec<u8>)> = [
            ("ce_specversion", "1.0".to_owned()),
            (ID, id.to_string()),
            ("ce_source", self.source.clone()),
            (TYPE, type_of(&E::TOPIC)),
            (TIME, time.to_rfc3339_opts(SecondsFormat::Micros, true)),
            ("ce_partitionkey", key.clone()),
            (SEQUENCE, event.seq().to_string()),
            (CONTENT_TYPE, encoded.encoding.content_type().to_owned()),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.into_bytes()))
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
