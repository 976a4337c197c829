//! The events of the log as types; their fields and meaning are those of the `.avsc` files.

#![allow(missing_docs, reason = "the documentation is that of the .avsc files")]

use chrono::serde::{ts_microseconds, ts_microseconds_option};
use chrono::{DateTime, Utc};
use logistics_domain::delay::DelayReason;
use logistics_domain::eta::Estimate;
use logistics_domain::journey::Stay;
use logistics_domain::status::{Classifier, Disposition, Kind, Status};
use logistics_schemas::topics::{self, Topic};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A value of one topic.
pub trait Event: Serialize + DeserializeOwned + Send + Sync {
    /// Where it is written.
    const TOPIC: Topic;

    /// The shipment.
    fn shipment_id(&self) -> Uuid;

    /// Position among the shipment's events.
    fn seq(&self) -> i64;

    /// The record's key: records of one key are read in order. Default: the shipment.
    fn key(&self) -> String {
        self.shipment_id().to_string()
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Location {
    pub code: String,
    pub facility: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProofOfDelivery {
    pub signer: String,
    pub image_ref: String,
    pub signature_ref: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShipmentCreated {
    #[serde(with = "uuid_text")]
    pub shipment_id: Uuid,
    pub seq: i64,
    pub account_id: String,
    pub actor: String,
    pub carrier: String,
    pub tracking_number: String,
    pub origin: Location,
    pub destination: Location,
    #[serde(with = "ts_microseconds")]
    pub planned_departure: DateTime<Utc>,
    #[serde(with = "ts_microseconds")]
    pub promised_arrival: DateTime<Utc>,
    #[serde(with = "ts_microseconds")]
    pub recorded_at: DateTime<Utc>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShipmentStatusChanged {
    #[serde(with = "uuid_text")]
    pub shipment_id: Uuid,
    pub seq: i64,
    pub account_id: String,
    pub actor: String,
    pub reported: Status,
    pub status: Status,
    pub classifier: Classifier,
    pub disposition: Disposition,
    #[serde(with = "ts_microseconds")]
    pub occurred_at: DateTime<Utc>,
    #[serde(with = "ts_microseconds")]
    pub recorded_at: DateTime<Utc>,
    pub location: Option<Location>,
    pub reason: String,
    // Of here on, JSON of an older writer has no more.
    #[serde(default)]
    pub kind: Kind,
    #[serde(default, with = "optional_uuid_text")]
    pub retracts: Option<Uuid>,
    #[serde(default)]
    pub delay: Option<DelayReason>,
    #[serde(default)]
    pub notice: Option<DelayReason>,
    #[serde(default)]
    pub proof: Option<ProofOfDelivery>,
    #[serde(default)]
    pub assignee: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RiskReason {
    pub factor: String,
    pub contribution: f64,
    pub text: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ShipmentAssessed {
    #[serde(with = "uuid_text")]
    pub shipment_id: Uuid,
    pub seq: i64,
    pub account_id: String,
    pub risk: f64,
    pub reasons: Vec<RiskReason>,
    #[serde(with = "ts_microseconds")]
    pub estimated_arrival: DateTime<Utc>,
    #[serde(with = "ts_microseconds")]
    pub earliest_arrival: DateTime<Utc>,
    #[serde(with = "ts_microseconds")]
    pub latest_arrival: DateTime<Utc>,
    #[serde(with = "ts_microseconds")]
    pub assessed_at: DateTime<Utc>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Arrival {
    #[serde(with = "ts_microseconds")]
    pub planned_departure: DateTime<Utc>,
    #[serde(with = "ts_microseconds")]
    pub promised_arrival: DateTime<Utc>,
    #[serde(with = "ts_microseconds_option")]
    pub departed_at: Option<DateTime<Utc>>,
    #[serde(with = "ts_microseconds")]
    pub arrived_at: DateTime<Utc>,
    pub at_creation: Option<Estimate>,
    pub in_transit: Option<Estimate>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ShipmentObserved {
    #[serde(with = "uuid_text")]
    pub shipment_id: Uuid,
    pub seq: i64,
    pub account_id: String,
    pub carrier: String,
    pub origin: String,
    pub destination: String,
    pub stay: Option<Stay>,
    pub arrival: Option<Arrival>,
    #[serde(with = "ts_microseconds")]
    pub recorded_at: DateTime<Utc>,
}

macro_rules! event {
    ($event:ty, $topic:expr) => {
        impl Event for $event {
            const TOPIC: Topic = $topic;

            fn shipment_id(&self) -> Uuid {
                self.shipment_id
            }

            fn seq(&self) -> i64 {
                self.seq
            }
        }
    };
}

event!(ShipmentCreated, topics::SHIPMENT_CREATED);
event!(ShipmentStatusChanged, topics::SHIPMENT_STATUS_CHANGED);
event!(ShipmentAssessed, topics::ANALYTICS_ASSESSED);

impl Event for ShipmentObserved {
    const TOPIC: Topic = topics::ANALYTICS_OBSERVED;

    fn shipment_id(&self) -> Uuid {
        self.shipment_id
    }

    fn seq(&self) -> i64 {
        self.seq
    }

    fn key(&self) -> String {
        self.account_id.clone()
    }
}

/// Avro's `uuid` is text; serde would take 16 bytes, because Avro is no format for people.
mod uuid_text {
    use serde::{Deserialize as _, Deserializer, Serializer, de};
    use uuid::Uuid;

    pub(super) fn serialize<S: Serializer>(id: &Uuid, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(id.hyphenated().encode_lower(&mut Uuid::encode_buffer()))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Uuid, D::Error> {
        let text = String::deserialize(deserializer)?;
        Uuid::parse_str(&text).map_err(de::Error::custom)
    }
}

/// The same where there may be none.
mod optional_uuid_text {
    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer, de};
    use uuid::Uuid;

    #[expect(clippy::ref_option, reason = "serde hands the field over like this")]
    pub(super) fn serialize<S: Serializer>(id: &Option<Uuid>, serializer: S) -> Result<S::Ok, S::Error> {
        id.map(|id| id.to_string()).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Uuid>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        text.map(|text| Uuid::parse_str(&text).map_err(de::Error::custom))
            .transpose()
    }
}
