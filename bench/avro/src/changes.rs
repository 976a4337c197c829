//! Every change of a schema that the rule for our contracts allows (BACKWARD: readers of today, writers of before).

use apache_avro::types::Value;
use serde_json::{Value as Json, json};

use crate::readers::{Kind, Place, Probe};

/// What the registry would allow and we do not: `schemas/tests/avro_compatibility.rs` finds every alias.
pub(crate) const RENAMED: &str = "field renamed, alias (not allowed here)";

/// The reader's schema: a record with all that our own have.
pub(crate) fn reader() -> Json {
    json!({"type": "record", "name": "Probe", "namespace": "bench", "fields": [
        {"name": "id", "type": "string"},
        {"name": "seq", "type": "long", "default": 7},
        {"name": "share", "type": "double", "default": 0.5},
        {"name": "kind", "default": "ORDER",
         "type": {"type": "enum", "name": "Kind", "symbols": ["SCAN", "ORDER", "DELAY"], "default": "SCAN"}},
        {"name": "place", "default": {"code": "EWR", "facility": "here"},
         "type": {"type": "record", "name": "Place", "fields": [
             {"name": "code", "type": "string"}, {"name": "facility", "type": "string", "default": "gate"}]}},
        {"name": "tags", "type": {"type": "array", "items": "string"}, "default": ["a"]},
        {"name": "channel", "aliases": ["source"], "type": "string", "default": "none"},
        {"name": "note", "type": ["null", "string"], "default": null},
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-micros"}}
    ]})
}

fn written() -> Vec<(String, Value)> {
    let text = |text: &str| Value::String(text.to_owned());
    let place = vec![
        ("code".to_owned(), text("IAH")),
        ("facility".to_owned(), text("C")),
    ];
    [
        ("id", text("42")),
        ("seq", Value::Long(9)),
        ("share", Value::Double(0.25)),
        ("kind", Value::Enum(2, "DELAY".to_owned())),
        ("place", Value::Record(place)),
        ("tags", Value::Array(vec![text("b"), text("c")])),
        ("channel", text("edi")),
        ("note", Value::Union(1, Box::new(text("late")))),
        ("at", Value::TimestampMicros(1_767_225_600_000_000)),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}

fn read() -> Probe {
    Probe {
        id: "42".to_owned(),
        seq: 9,
        share: 0.25,
        kind: Kind::Delay,
        place: Place {
            code: "IAH".to_owned(),
            facility: "C".to_owned(),
        },
        tags: vec!["b".to_owned(), "c".to_owned()],
        channel: "edi".to_owned(),
        note: Some("late".to_owned()),
        at: 1_767_225_600_000_000,
    }
}

pub(crate) type Fields = Vec<(String, Value)>;

/// A writer of before, and what is to be read of it.
pub(crate) struct Change {
    pub(crate) name: &'static str,
    pub(crate) schema: Json,
    pub(crate) value: Fields,
    pub(crate) right: Probe,
}

fn change(name: &'static str, change: impl FnOnce(&mut Vec<Json>, &mut Fields, &mut Probe)) -> Change {
    let (mut schema, mut value, mut right) = (reader(), written(), read());
    let mut fields = schema["fields"].as_array().cloned().unwrap_or_default();
    change(&mut fields, &mut value, &mut right);
    schema["fields"] = fields.into();
    Change {
        name,
        schema,
        value,
        right,
    }
}

/// A field that the writer did not know.
fn added(name: &'static str, field: &'static str, default: impl FnOnce(&mut Probe)) -> Change {
    change(name, |fields, value, right| {
        fields.retain(|one| one["name"] != field);
        value.retain(|(one, _)| one != field);
        default(right);
    })
}

/// A field that the writer had with another type.
fn retyped(name: &'static str, field: &'static str, kind: &Json, as_written: &Value) -> Change {
    change(name, |fields, value, _| {
        for one in fields.iter_mut().filter(|one| one["name"] == field) {
            *one = json!({"name": field, "type": kind});
        }
        for (_, value) in value.iter_mut().filter(|(one, _)| one == field) {
            *value = as_written.clone();
        }
    })
}

/// All of them.
pub(crate) fn all() -> Vec<Change> {
    let text = |text: &str| Value::String(text.to_owned());
    let symbols = |symbols: [&str; 3]| json!({"type": "enum", "name": "Kind", "symbols": symbols});
    vec![
        change("none", |_, _, _| {}),
        added("field added, default a number", "seq", |right| right.seq = 7),
        added("field added, default a symbol", "kind", |right| {
            right.kind = Kind::Order;
        }),
        added("field added, default null", "note", |right| right.note = None),
        added("field added, default a record", "place", |right| {
            right.place = Place {
                code: "EWR".to_owned(),
                facility: "here".to_owned(),
            };
        }),
        added("field added, default a list", "tags", |right| {
            right.tags = vec!["a".to_owned()];
        }),
        change("field of an inner record added", |fields, value, right| {
            fields[4]["type"]["fields"].as_array_mut().map(Vec::pop);
            value[4].1 = Value::Record(vec![("code".to_owned(), text("IAH"))]);
            "gate".clone_into(&mut right.place.facility);
        }),
        change("field removed", |fields, value, _| {
            fields.insert(1, json!({"name": "old", "type": "string", "default": ""}));
            value.insert(1, ("old".to_owned(), text("gone")));
        }),
        change("field removed, an optional record", |fields, value, _| {
            let record = json!({"type": "record", "name": "Old", "fields": [{"name": "x", "type": "long"}]});
            fields.insert(
                3,
                json!({"name": "old", "type": ["null", record], "default": null}),
            );
            let record = Value::Record(vec![("x".to_owned(), Value::Long(1))]);
            value.insert(3, ("old".to_owned(), Value::Union(1, Box::new(record))));
        }),
        change("fields in another order", |fields, value, _| {
            fields.reverse();
            value.reverse();
        }),
        change(RENAMED, |fields, value, _| {
            fields[6] = json!({"name": "source", "type": "string"});
            "source".clone_into(&mut value[6].0);
        }),
        retyped("int to long", "seq", &json!("int"), &Value::Int(9)),
        change("int to double", |fields, value, right| {
            fields[2] = json!({"name": "share", "type": "int"});
            value[2].1 = Value::Int(3);
            right.share = 3.0;
        }),
        change("long to double", |fields, value, right| {
            fields[2] = json!({"name": "share", "type": "long"});
            value[2].1 = Value::Long(3);
            right.share = 3.0;
        }),
        retyped("float to double", "share", &json!("float"), &Value::Float(0.25)),
        retyped(
            "logical type added",
            "at",
            &json!("long"),
            &Value::Long(1_767_225_600_000_000),
        ),
        retyped(
            "bytes to string",
            "id",
            &json!("bytes"),
            &Value::Bytes(b"42".to_vec()),
        ),
        retyped(
            "what was always there may be absent",
            "note",
            &json!("string"),
            &text("late"),
        ),
        retyped(
            "branches of a union in another order",
            "note",
            &json!(["string", "null"]),
            &Value::Union(0, Box::new(text("late"))),
        ),
        retyped(
            "branch of a union added",
            "note",
            &json!(["string"]),
            &Value::Union(0, Box::new(text("late"))),
        ),
        retyped(
            "symbols in another order",
            "kind",
            &symbols(["DELAY", "SCAN", "ORDER"]),
            &Value::Enum(0, "DELAY".to_owned()),
        ),
        change("symbol removed, default", |fields, value, right| {
            fields[3] = json!({"name": "kind", "type": symbols(["SCAN", "ORDER", "TRANSFER"])});
            value[3].1 = Value::Enum(2, "TRANSFER".to_owned());
            right.kind = Kind::Scan;
        }),
    ]
}
