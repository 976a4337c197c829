//! Records for the event log, written in the transaction of what they tell of. The [`crate::relay`] sends them.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};
use tokio::sync::Notify;
use uuid::Uuid;

use crate::writes::Writes;

/// Records are sent by shard: one relay has a shard at a time.
pub const SHARDS: i16 = 64;

/// A record to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Id of the event.
    pub id: Uuid,
    /// What it tells of: records of one aggregate are sent in the order in which they were written. Whoever writes
    /// holds the aggregate's lock, so that there is such an order.
    pub aggregate_id: Uuid,
    /// Position among the aggregate's events.
    pub seq: i64,
    /// Full name of the topic.
    pub topic: String,
    /// Key; bytes, so that a dead letter keeps what it had.
    pub key: Option<Vec<u8>>,
    /// Value; as before.
    pub payload: Option<Vec<u8>>,
    /// Headers, in order.
    pub headers: Vec<(String, Vec<u8>)>,
}

/// The shard of an aggregate. Version 4, 5 and 7 UUIDs all end in bits that are as good as random.
#[must_use]
pub fn shard_of(aggregate_id: Uuid) -> i16 {
    i16::from(aggregate_id.as_bytes()[15]) % SHARDS
}

/// Adds records, which are numbered in this order. Once they are committed, call [`Waker::wake`].
pub fn append(writes: &mut Writes, records: &[Record]) {
    writes
        .insert("outbox", records)
        .column("id", |record| record.id)
        .column("shard", |record| shard_of(record.aggregate_id))
        .column("aggregate_id", |record| record.aggregate_id)
        .column("seq", |record| record.seq)
        .column("topic", |record| record.topic.as_str())
        .column("key", |record| record.key.as_deref())
        .column("payload", |record| record.payload.as_deref())
        .column("headers", |record| headers_to_json(&record.headers))
        .end();
}

/// Tells the relay of this process that something was committed; clones share it.
#[derive(Clone, Debug, Default)]
pub struct Waker(pub(crate) Arc<Notify>);

impl Waker {
    /// Call it after a commit. Costs next to nothing, and may be forgotten: the relay also looks by itself.
    pub fn wake(&self) {
        self.0.notify_one();
    }
}

pub(crate) fn headers_to_json(headers: &[(String, Vec<u8>)]) -> Value {
    headers
        .iter()
        .map(|(name, value)| match std::str::from_utf8(value) {
            // PostgreSQL's text cannot hold a zero byte.
            Ok(text) if !text.contains('\0') => json!([name, text]),
            _ => json!([name, null, BASE64.encode(value)]),
        })
        .collect()
}

/// The reverse of [`headers_to_json`]; what is not of its form is left out.
pub(crate) fn headers_from_json(headers: &Value) -> Vec<(String, Vec<u8>)> {
    let read = |header: &Value| {
        let name = header.get(0)?.as_str()?.to_owned();
        let value = match header.get(1)?.as_str() {
            Some(text) => text.as_bytes().to_vec(),
            None => BASE64.decode(header.get(2)?.as_str()?).ok()?,
        };
        Some((name, value))
    };
    headers
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(read)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_keep_their_bytes_and_order() {
        let headers = vec![
            ("b".to_owned(), b"text".to_vec()),
            ("a".to_owned(), vec![0xff, 0x00]),
            ("a".to_owned(), b"x\0y".to_vec()),
            ("empty".to_owned(), Vec::new()),
        ];
        assert_eq!(headers_from_json(&headers_to_json(&headers)), headers);
    }

    #[test]
    fn every_shard_is_used() {
        let mut seen = [false; SHARDS as usize];
        for _ in 0..4_000 {
            seen[usize::try_from(shard_of(Uuid::now_v7())).unwrap()] = true;
        }
        assert!(seen.iter().all(|seen| *seen));
    }
}
