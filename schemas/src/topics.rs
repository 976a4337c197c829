//! The Kafka topics of a platform: the operator creates them, the services write and read them.

use crate::Workload;

/// Put behind the name of a topic: where its dead letters go.
pub const DLQ_SUFFIX: &str = ".dlq";

/// Put behind the consumer group of the analytics service: the group of those that read [`ANALYTICS_OBSERVED`].
pub const LEARNING_GROUP_SUFFIX: &str = ".learning";

/// One topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Topic {
    /// Name without the platform's topic prefix.
    pub name: &'static str,
    /// The Avro schema of its values; `None` where values of another topic are kept as they were (dead letters).
    pub schema: Option<&'static str>,
    /// What the key of a record is.
    pub key: Key,
    /// What a record of it says.
    pub meaning: &'static str,
    /// Who writes it.
    pub writers: &'static [Workload],
    /// Who reads it by its own consumer group; none: it is there for others.
    pub readers: &'static [Workload],
}

/// What the key of a record is: records of one key are in one partition, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// The shipment's id as text.
    Shipment,
    /// The account's name.
    Account,
}

const PROJECTIONS: &[Workload] = &[Workload::Tracking, Workload::Analytics];

/// A shipment was ordered.
pub const SHIPMENT_CREATED: Topic = Topic {
    name: "shipment.created",
    schema: Some(include_str!("../avro/shipment.created.avsc")),
    key: Key::Shipment,
    meaning: "A shipment was ordered.",
    writers: &[Workload::Shipment],
    readers: PROJECTIONS,
};

/// An event was recorded for a shipment.
pub const SHIPMENT_STATUS_CHANGED: Topic = Topic {
    name: "shipment.status_changed",
    schema: Some(include_str!("../avro/shipment.status_changed.avsc")),
    key: Key::Shipment,
    meaning: "An event was recorded for a shipment.",
    writers: &[Workload::Shipment],
    readers: PROJECTIONS,
};

/// A shipment was assessed: risk and estimated arrival.
pub const ANALYTICS_ASSESSED: Topic = Topic {
    name: "analytics.assessed",
    schema: Some(include_str!("../avro/analytics.assessed.avsc")),
    key: Key::Shipment,
    meaning: "A shipment was assessed: risk and estimated arrival.",
    writers: &[Workload::Analytics],
    readers: &[],
};

/// An event of a shipment taught something of its lane: how long a status lasted, how the journey went. By account, so
/// that one consumer has all that the account's estimates rest on.
pub const ANALYTICS_OBSERVED: Topic = Topic {
    name: "analytics.observed",
    schema: Some(include_str!("../avro/analytics.observed.avsc")),
    key: Key::Account,
    meaning: "An event of a shipment taught something of its lane: how long a status lasted, how the journey went.",
    writers: &[Workload::Analytics],
    readers: &[Workload::Analytics],
};

/// Records of [`SHIPMENT_CREATED`] that a consumer could not process, bytes unchanged.
pub const SHIPMENT_CREATED_DLQ: Topic = Topic {
    name: "shipment.created.dlq",
    schema: None,
    key: Key::Shipment,
    meaning: "Records of shipment.created that a consumer could not apply, keys and values unchanged.",
    writers: PROJECTIONS,
    readers: &[],
};

/// Records of [`SHIPMENT_STATUS_CHANGED`] that a consumer could not process, bytes unchanged.
pub const SHIPMENT_STATUS_CHANGED_DLQ: Topic = Topic {
    name: "shipment.status_changed.dlq",
    schema: None,
    key: Key::Shipment,
    meaning: "Records of shipment.status_changed that a consumer could not apply, keys and values unchanged.",
    writers: PROJECTIONS,
    readers: &[],
};

/// Records of [`ANALYTICS_OBSERVED`] that nothing could be learned from, bytes unchanged.
pub const ANALYTICS_OBSERVED_DLQ: Topic = Topic {
    name: "analytics.observed.dlq",
    schema: None,
    key: Key::Account,
    meaning: "Records of analytics.observed that nothing could be learned from, keys and values unchanged.",
    writers: &[Workload::Analytics],
    readers: &[],
};

/// All topics of a platform.
pub const ALL: [Topic; 7] = [
    SHIPMENT_CREATED,
    SHIPMENT_STATUS_CHANGED,
    ANALYTICS_ASSESSED,
    ANALYTICS_OBSERVED,
    SHIPMENT_CREATED_DLQ,
    SHIPMENT_STATUS_CHANGED_DLQ,
    ANALYTICS_OBSERVED_DLQ,
];

impl Topic {
    /// The topic's name in Kafka.
    #[must_use]
    pub fn full_name(&self, prefix: &str) -> String {
        format!("{prefix}{}", self.name)
    }

    /// `ce_type` of its events, for example `logistics.shipment.created`. Dead letters keep the type they came with.
    #[must_use]
    pub fn event_type(&self) -> String {
        format!("logistics.{}", self.name.trim_end_matches(DLQ_SUFFIX))
    }

    /// The topic whose dead letters it holds, if it does.
    #[must_use]
    pub fn dead_letters_of(&self) -> Option<Self> {
        let name = self.name.strip_suffix(DLQ_SUFFIX)?;
        ALL.into_iter().find(|topic| topic.name == name)
    }

    /// The subject of its value schema in the registry (`TopicNameStrategy`), if it has one.
    #[must_use]
    pub fn subject(&self, prefix: &str) -> Option<String> {
        self.schema.map(|_| format!("{prefix}{}-value", self.name))
    }
}
