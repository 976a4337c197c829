//! The headers of records in Kafka: CloudEvents in binary mode, the trace, and what a dead letter tells of its failure.

/// A header. Values are text in UTF-8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Its name in Kafka.
    pub name: &'static str,
    /// What it says.
    pub meaning: &'static str,
    /// What its text is.
    pub form: Form,
    /// Whether every record has it.
    pub required: bool,
}

/// What the text of a header is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// One of these texts.
    OneOf(&'static [&'static str]),
    /// Text of this format of JSON Schema, for example `uuid`.
    Format(&'static str),
    /// Text that this regular expression matches.
    Pattern(&'static str),
    /// Any text.
    Text,
}

const fn always(name: &'static str, form: Form, meaning: &'static str) -> Header {
    Header {
        name,
        meaning,
        form,
        required: true,
    }
}

const fn sometimes(name: &'static str, form: Form, meaning: &'static str) -> Header {
    Header {
        name,
        meaning,
        form,
        required: false,
    }
}

const WHOLE_NUMBER: Form = Form::Pattern("^[0-9]+$");

/// The version of `CloudEvents` that records keep to.
pub const CLOUD_EVENTS: &str = "1.0";
/// `content-type` of a value in Avro behind the registry's wire format.
pub const AVRO: &str = "application/avro";
/// `content-type` of a value in JSON: written while the registry has never told the schema's id.
pub const JSON: &str = "application/json";

/// Version of `CloudEvents`.
pub const SPEC_VERSION: Header = always(
    "ce_specversion",
    Form::OneOf(&[CLOUD_EVENTS]),
    "Version of CloudEvents.",
);
/// The event's id.
pub const ID: Header = always(
    "ce_id",
    Form::Format("uuid"),
    "The event's id, the same on every delivery and redrive.",
);
/// Who wrote the event.
pub const SOURCE: Header = always(
    "ce_source",
    Form::Pattern("^/logistics/[^/]+/[^/]+/[^/]+$"),
    "Who wrote it: /logistics/namespace/platform/service.",
);
/// What happened; see [`crate::topics::Topic::event_type`].
pub const TYPE: Header = always("ce_type", Form::Text, "What happened; one type for each topic.");
/// When it was recorded.
pub const TIME: Header = always("ce_time", Form::Format("date-time"), "When it was recorded.");
/// The record's key as text.
pub const PARTITION_KEY: Header = always("ce_partitionkey", Form::Text, "The record's key.");
/// Position among the events of the shipment.
pub const SEQUENCE: Header = always(
    "ce_sequence",
    Form::Pattern("^[1-9][0-9]*$"),
    "Position of the shipment's event that it tells of: 1 is its creation.",
);
/// How the value is encoded.
pub const CONTENT_TYPE: Header = always(
    "content-type",
    Form::OneOf(&[AVRO, JSON]),
    "How the value is encoded.",
);
/// The trace (W3C).
pub const TRACEPARENT: Header = sometimes(
    "traceparent",
    Form::Pattern("^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$"),
    "W3C trace context of the hop that wrote the record; absent outside of a trace.",
);
/// The trace's state (W3C).
pub const TRACESTATE: Header = sometimes(
    "tracestate",
    Form::Text,
    "W3C trace state, where the caller sent one.",
);

/// The headers of every event.
pub const EVENT: [Header; 10] = [
    SPEC_VERSION,
    ID,
    SOURCE,
    TYPE,
    TIME,
    PARTITION_KEY,
    SEQUENCE,
    CONTENT_TYPE,
    TRACEPARENT,
    TRACESTATE,
];

/// Of a dead letter: the topic that the record was read from, prefix included.
pub const DLQ_TOPIC: Header = always(
    "__dlq.errors.topic",
    Form::Text,
    "The topic that the record was read from, prefix included.",
);
/// Of a dead letter: the partition that the record was read from.
pub const DLQ_PARTITION: Header = always("__dlq.errors.partition", WHOLE_NUMBER, "Its partition there.");
/// Of a dead letter: the record's offset.
pub const DLQ_OFFSET: Header = always("__dlq.errors.offset", WHOLE_NUMBER, "Its offset there.");
/// Of a dead letter: the consumer group that could not apply the record.
pub const DLQ_GROUP: Header = always(
    "__dlq.errors.group",
    Form::Text,
    "The consumer group that could not apply it.",
);
/// Of a dead letter: why, for people.
pub const DLQ_MESSAGE: Header = always("__dlq.errors.message", Form::Text, "Why, for people.");
/// Of a dead letter: what kind of poison.
pub const DLQ_CLASS: Header = always(
    "__dlq.errors.class",
    Form::Text,
    "What kind of poison, for example `not_applicable`.",
);
/// Of a dead letter: how often it was tried.
pub const DLQ_ATTEMPTS: Header = always("__dlq.errors.attempts", WHOLE_NUMBER, "How often it was tried.");
/// Of a dead letter: when it failed first.
pub const DLQ_FIRST_FAILED_AT: Header = always(
    "__dlq.errors.first_failed_at",
    Form::Format("date-time"),
    "When it failed first.",
);

/// What a dead letter has beside the headers that its record came with.
pub const DEAD_LETTER: [Header; 8] = [
    DLQ_TOPIC,
    DLQ_PARTITION,
    DLQ_OFFSET,
    DLQ_GROUP,
    DLQ_MESSAGE,
    DLQ_CLASS,
    DLQ_ATTEMPTS,
    DLQ_FIRST_FAILED_AT,
];
