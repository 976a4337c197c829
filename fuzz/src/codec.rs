//! A codec without a registry: it knows the platform's schemas, and what writers of other releases have had instead.

use std::sync::LazyLock;

use futures::FutureExt as _;
use logistics_chassis::codec::{Codec, DecodeError, Event};
use logistics_schemas::topics::{ANALYTICS_ASSESSED, SHIPMENT_CREATED, SHIPMENT_STATUS_CHANGED, Topic};
use serde_json::{Value, json};

const TOPICS: [Topic; 3] = [SHIPMENT_CREATED, SHIPMENT_STATUS_CHANGED, ANALYTICS_ASSESSED];

/// A schema that a value may be written with. Its id is its place in [`WRITERS`].
#[derive(Clone, Debug)]
pub(crate) struct Writer {
    pub(crate) topic: Topic,
    schema: String,
}

/// The schemas of this release, then others that ours have to read.
pub(crate) static WRITERS: LazyLock<Vec<Writer>> = LazyLock::new(|| {
    let mut writers: Vec<Writer> = TOPICS.map(own).into();
    writers.push(Writer {
        topic: SHIPMENT_STATUS_CHANGED,
        schema: include_str!("../../schemas/baseline/avro/shipment.status_changed.avsc").to_owned(),
    });
    for topic in TOPICS {
        for change in [without_defaults, with_more_fields, in_another_order, narrower] {
            writers.push(changed(topic, change));
        }
    }
    writers.push(changed(SHIPMENT_STATUS_CHANGED, |schema| {
        fields(schema).truncate(17);
    }));
    writers.push(changed(SHIPMENT_STATUS_CHANGED, |schema| {
        // A kind of event that a later release knows.
        if let Some(symbols) = schema["fields"][12]["type"]["symbols"].as_array_mut() {
            symbols.push("TRANSFER".into());
        }
    }));
    writers
});

/// The id of the first schema of this release in other words: the same values, but not known as the codec's own.
const REWORDED: u32 = 200;

/// The id under which a schema of this release stands in other words.
pub(crate) fn reworded(id: usize) -> Option<u32> {
    (id < TOPICS.len()).then_some(REWORDED + u32::try_from(id).ok()?)
}

static CODEC: LazyLock<Codec> = LazyLock::new(|| {
    let reworded =
        TOPICS.map(|topic| changed(topic, |schema| schema["doc"] = "In other words.".into()).schema);
    let schemas: Vec<(u32, &str)> = (0..)
        .zip(WRITERS.iter())
        .map(|(id, writer)| (id, writer.schema.as_str()))
        .chain((REWORDED..).zip(reworded.iter().map(String::as_str)))
        .collect();
    match Codec::offline(&TOPICS, &schemas) {
        Ok(codec) => codec,
        Err(error) => panic!("a schema of the target: {error}"),
    }
});

/// The codec.
pub(crate) fn codec() -> &'static Codec {
    &CODEC
}

/// Reads a value. Nobody is asked, so there is nothing to wait for.
pub(crate) fn decode<E: Event>(value: &[u8]) -> Result<E, DecodeError> {
    match CODEC.decode(value).now_or_never() {
        Some(read) => read,
        None => panic!("a codec without a registry waits"),
    }
}

/// Writes an event, in the encoding of the codec.
pub(crate) fn encode<E: Event>(event: &E) -> Vec<u8> {
    match CODEC.encode(event) {
        Ok(encoded) => encoded.bytes,
        Err(error) => panic!("an event cannot be written: {error}: {}", json!(event)),
    }
}

fn own(topic: Topic) -> Writer {
    Writer {
        topic,
        schema: topic.schema.unwrap_or_default().to_owned(),
    }
}

fn changed(topic: Topic, change: fn(&mut Value)) -> Writer {
    let mut schema: Value = serde_json::from_str(topic.schema.unwrap_or_default()).unwrap_or_default();
    change(&mut schema);
    Writer {
        topic,
        schema: schema.to_string(),
    }
}

fn fields(schema: &mut Value) -> &mut Vec<Value> {
    match schema["fields"].as_array_mut() {
        Some(fields) => fields,
        None => panic!("a schema without fields"),
    }
}

/// An older writer: what has a default was not there yet.
fn without_defaults(schema: &mut Value) {
    fields(schema).retain(|field| field.get("default").is_none());
}

/// A newer writer, or one that still has what is gone.
fn with_more_fields(schema: &mut Value) {
    fields(schema).insert(
        2,
        json!({"name": "channel", "type": ["null", "string"], "default": null}),
    );
    fields(schema).push(json!({"name": "tags", "type": {"type": "map", "values": "long"}, "default": {}}));
}

/// The fields of plain types come last.
fn in_another_order(schema: &mut Value) {
    fields(schema).sort_by_key(|field| field["type"].is_string() && field["type"] != "Status");
}

/// Narrower types, each of which ours can hold.
fn narrower(schema: &mut Value) {
    for field in fields(schema) {
        let narrow = match (field["name"].as_str(), &field["type"]) {
            (Some("seq"), _) => json!("int"),
            (Some("risk"), _) => json!("float"),
            (Some("actor"), _) => json!("bytes"),
            // Of what may be absent: what is always there.
            (_, Value::Array(union)) => union.get(1).cloned().unwrap_or_default(),
            _ => continue,
        };
        field["type"] = narrow;
        if let Some(field) = field.as_object_mut() {
            field.remove("default");
        }
    }
}
