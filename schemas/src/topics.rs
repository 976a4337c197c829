//! The Kafka topics of a platform: the operator creates them, the services write and read them.

use crate::Workload;

/// Put behind the name of a topic: where its dead letters go.
pub const DLQ_SUFFIX: &str = ".dlq";

/// One topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Topic {
    /// Name without the platform's topic prefix.
    pub name: &'static str,
    /// The Avro schema of its values; `None` where values of another topic are kept as they were (dead letters).
    pub schema: Option<&'static str>,
    /// What a record of it says.
    pub meaning: &'static str,
    /// Who writes it.
    pub writers: &'static [Workload],
    /// Who reads it by its own consumer group; none: it is there for others.
    pub readers: &'static [Workload],
}

const PROJECTIONS: &[Workload] = &[Workload::Tracking, Workload::Analytics];

/// A shipment was ordered. Key: shipment id.
pub const SHIPMENT_CREATED: Topic = Topic {
    name: "shipment.created",
    schema: Some(include_str!("../avro/shipment.created.avsc")),
    meaning: "A shipment was ordered.",
    writers: &[Workload::Shipment],
    readers: PROJECTIONS,
};

/// An event was recorded for a shipment. Key: shipment id.
pub const SHIPMENT_STATUS_CHANGED: Topic = Topic {
    name: "shipment.status_changed",
    schema: Some(include_str!("../avro/shipment.status_changed.avsc")),
    meaning: "An event was recorded for a shipment.",
    writers: &[Workload::Shipment],
    readers: PROJECTIONS,
};

/// A shipment was assessed: risk and estimated arrival. Key: shipment id.
pub const ANALYTICS_ASSESSED: Topic = Topic {
    name: "analytics.assessed",
    schema: Some(include_str!("../avro/analytics.assessed.avsc")),
    meaning: "A shipment was assessed: risk and estimated arrival.",
    writers: &[Workload::Analytics],
    readers: &[],
};

/// Records of [`SHIPMENT_CREATED`] that a consumer could not process, bytes unchanged.
pub const SHIPMENT_CREATED_DLQ: Topic = Topic {
    name: "shipment.created.dlq",
    schema: None,
    meaning: "Records of shipment.created that a consumer could not apply, keys and values unchanged.",
    writers: PROJECTIONS,
    readers: &[],
};

/// Records of [`SHIPMENT_STATUS_CHANGED`] that a consumer could not process, bytes unchanged.
pub const SHIPMENT_STATUS_CHANGED_DLQ: Topic = Topic {
    name: "shipment.status_changed.dlq",
    schema: None,
    meaning: "Records of shipment.status_changed that a consumer could not apply, keys and values unchanged.",
    writers: PROJECTIONS,
    readers: &[],
};

/// All topics of a platform.
pub const ALL: [Topic; 5] = [
    SHIPMENT_CREATED,
    SHIPMENT_STATUS_CHANGED,
    ANALYTICS_ASSESSED,
    SHIPMENT_CREATED_DLQ,
    SHIPMENT_STATUS_CHANGED_DLQ,
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
