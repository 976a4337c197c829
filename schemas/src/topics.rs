//! The Kafka topics of a platform: the operator creates them, the services write and read them.

/// One topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Topic {
    /// Name without the platform's topic prefix.
    pub name: &'static str,
    /// The Avro schema of its values; `None` where values of another topic are kept as they were (dead letters).
    pub schema: Option<&'static str>,
}

/// A shipment was ordered. Key: shipment id.
pub const SHIPMENT_CREATED: Topic = Topic {
    name: "shipment.created",
    schema: Some(include_str!("../avro/shipment.created.avsc")),
};

/// An event was recorded for a shipment. Key: shipment id.
pub const SHIPMENT_STATUS_CHANGED: Topic = Topic {
    name: "shipment.status_changed",
    schema: Some(include_str!("../avro/shipment.status_changed.avsc")),
};

/// A shipment was assessed: risk and estimated arrival. Key: shipment id.
pub const ANALYTICS_ASSESSED: Topic = Topic {
    name: "analytics.assessed",
    schema: Some(include_str!("../avro/analytics.assessed.avsc")),
};

/// Records of [`SHIPMENT_CREATED`] that a consumer could not process, bytes unchanged.
pub const SHIPMENT_CREATED_DLQ: Topic = Topic {
    name: "shipment.created.dlq",
    schema: None,
};

/// Records of [`SHIPMENT_STATUS_CHANGED`] that a consumer could not process, bytes unchanged.
pub const SHIPMENT_STATUS_CHANGED_DLQ: Topic = Topic {
    name: "shipment.status_changed.dlq",
    schema: None,
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

    /// The subject of its value schema in the registry (`TopicNameStrategy`), if it has one.
    #[must_use]
    pub fn subject(&self, prefix: &str) -> Option<String> {
        self.schema.map(|_| format!("{prefix}{}-value", self.name))
    }
}
