//! Writes to the event log as a relay does, and as none would: in any order, twice, with any bytes.

use std::time::Duration;

use anyhow::{Context as _, Result};
use futures::future::try_join_all;
use logistics_chassis::codec::{Codec, Event};
use logistics_schemas::headers;
use logistics_schemas::topics::Topic;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::{ClientConfig, message::ToBytes};
use uuid::Uuid;

use crate::Log;

const TIMEOUT: Duration = Duration::from_secs(30);

/// A record to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeedRecord {
    /// The topic.
    pub topic: Topic,
    /// Key.
    pub key: Option<Vec<u8>>,
    /// Value.
    pub value: Vec<u8>,
    /// Headers.
    pub headers: Vec<(String, Vec<u8>)>,
}

impl FeedRecord {
    /// The record of an event, as a service writes it. The event's id follows from its place, so that the same event
    /// always has the same.
    pub fn of<E: Event>(codec: &Codec, event: &E) -> Result<Self> {
        let id = Uuid::new_v5(&event.shipment_id(), &event.seq().to_be_bytes());
        let header = |header: headers::Header, value: String| (header.name.to_owned(), value.into_bytes());
        Ok(Self {
            topic: E::TOPIC,
            key: Some(event.key().into_bytes()),
            value: codec.encode(event)?.bytes,
            headers: vec![
                header(headers::ID, id.to_string()),
                header(headers::TYPE, E::TOPIC.event_type()),
                header(headers::SEQUENCE, event.seq().to_string()),
            ],
        })
    }
}

impl Log {
    /// Writes records in this order, and waits until the log has them.
    pub async fn write(&self, records: &[FeedRecord]) -> Result<()> {
        let producer: FutureProducer = ClientConfig::new()
            .set("bootstrap.servers", &self.bootstrap_servers)
            .set("partitioner", logistics_chassis::kafka::PARTITIONER)
            .set("enable.idempotence", "true")
            .create()?;
        let mut sent = Vec::with_capacity(records.len());
        for record in records {
            let topic = record.topic.full_name(&self.topic_prefix);
            let mut headers = OwnedHeaders::new();
            for (key, value) in &record.headers {
                headers = headers.insert(Header {
                    key,
                    value: Some(value),
                });
            }
            let mut message: FutureRecord<'_, [u8], [u8]> = FutureRecord::to(&topic)
                .payload(record.value.to_bytes())
                .headers(headers);
            if let Some(key) = &record.key {
                message = message.key(key);
            }
            let queued = producer.send_result(message).map_err(|(error, _)| error)?;
            sent.push(async move {
                queued
                    .await
                    .context("the producer ended")?
                    .map_err(|(error, _)| anyhow::Error::from(error))
            });
        }
        tokio::time::timeout(TIMEOUT, try_join_all(sent))
            .await
            .context("the log does not take records")??;
        Ok(())
    }
}

/// A stream of numbers that look random and are the same in each run.
#[derive(Clone, Debug)]
pub struct Numbers(u64);

impl Numbers {
    /// The stream of this seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound.max(1)
    }

    /// The same elements in another order.
    pub fn shuffle<T>(&mut self, all: &mut [T]) {
        for last in (1..all.len()).rev() {
            let other = usize::try_from(self.below(last as u64 + 1)).unwrap_or_default();
            all.swap(last, other);
        }
    }
}
