//! What a service tells of its parked records, as JSON: see `kubectl logistics dlq --help`.

use serde::{Deserialize, Serialize};

/// Header of a request that says on whose behalf it comes; it is noted in the audit log and not verified: who reaches the
/// port was let in by Kubernetes.
pub const SUBJECT_HEADER: &str = "x-subject";

/// A record that was parked instead of applied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeadLetter {
    /// The record's place in the log: `topic/partition/offset`; the topic without the platform's prefix.
    pub id: String,
    /// The shipment whose event it is; absent where the record does not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shipment_id: Option<String>,
    /// Its position among the shipment's events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seq: Option<i64>,
    /// What kind of poison; absent when it only waits for a predecessor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
    /// Why it could not be applied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// When it was parked, in RFC 3339.
    pub parked_at: String,
    /// How many records of the shipment wait behind it.
    pub waiting: i64,
}

/// A page of parked records, by place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Page {
    /// The records.
    pub items: Vec<DeadLetter>,
    /// The last one's id, when more follow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// A parked record with what it holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Content {
    /// The record.
    #[serde(flatten)]
    pub letter: DeadLetter,
    /// Its headers, in order.
    pub headers: Vec<(String, String)>,
    /// Its key; in base64 where it is no text.
    pub key: Option<String>,
    /// Its value, in base64.
    pub value: Option<String>,
}

/// What became of a redrive or a purge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Settled {
    /// The record.
    pub id: String,
    /// How many events were applied: the record's, and those that had waited for it.
    pub applied: u64,
    /// Why the record, or one that waited for it, is parked still.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// Why a request was refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// For people.
    pub error: String,
}
