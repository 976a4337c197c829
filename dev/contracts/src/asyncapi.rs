//! `docs/asyncapi.yaml`: the topics as `AsyncAPI` 3.1 with Kafka bindings.

use anyhow::{Context as _, Result};
use logistics_schemas::Workload;
use logistics_schemas::headers::{AVRO, DEAD_LETTER, EVENT, Form, Header, TYPE};
use logistics_schemas::topics::{self, Key, Topic};
use serde_norway::{Mapping, Value};

use crate::defaults::Defaults;

const HEAD: &str = "# Written by `make contracts` from the topics, headers and Avro schemas in schemas/; changes here are lost.\n";
const SCHEMA_FORMAT: &str = "application/vnd.apache.avro+json;version=1.9.0";
const BINDING: &str = "0.5.0";
const INTRODUCTION: &str = "\
What the services of a LogisticsPlatform write to Kafka. The platform decides the servers and the topics' prefix \
(`spec.kafka`), the number of partitions and replicas and the retention (`spec.kafka.topics`; the defaults are shown); the \
operator creates the topics and registers the schemas.

Delivery is at least once. The first occurrence of each `ce_id` of a shipment is in the order of `ce_sequence`, and in the shipment's \
own topics together without gaps; drop what you have seen. Keys are spread by `murmur2_random`, as Java's clients do. Values are Avro behind the registry's \
wire format: a zero byte and the schema's id in four bytes. A service that the registry has never told an id writes JSON with the same \
fields and `content-type: application/json` until it answers; readers take both.

A dead letter has the key, the value and the headers that its record came with, and more headers that say why it could not be \
applied; the schema is that of its topic, which it may break: that may be why it is here.

Schemas change only as `x-compatibility` allows.";

/// The document.
pub fn document() -> Result<String> {
    let defaults = Defaults::read()?;
    let mut channels = Mapping::new();
    let mut operations = Mapping::new();
    let mut messages = Mapping::new();
    for topic in topics::ALL {
        let name = identifier(&topic);
        channels.insert(name.clone().into(), channel(&topic, &defaults)?);
        messages.insert(name.into(), message(&topic, &defaults)?);
        for (action, workloads) in [("send", topic.writers), ("receive", topic.readers)] {
            for workload in workloads {
                let (name, operation) = operation(&topic, action, *workload);
                operations.insert(name.into(), operation);
            }
        }
    }
    let document = map([
        ("asyncapi", "3.1.0".into()),
        ("id", "urn:logistics-platform:events".into()),
        ("info", info()),
        ("defaultContentType", AVRO.into()),
        ("servers", servers()),
        ("channels", channels.into()),
        ("operations", operations.into()),
        ("components", map([("messages", messages.into())])),
    ]);
    Ok(format!("{HEAD}{}", serde_norway::to_string(&document)?))
}

fn info() -> Value {
    let tag =
        |name: &str, description: &str| map([("name", name.into()), ("description", description.into())]);
    map([
        ("title", "Logistics platform: events".into()),
        ("version", env!("CARGO_PKG_VERSION").into()),
        ("description", INTRODUCTION.into()),
        (
            "license",
            map([
                ("name", "Apache-2.0".into()),
                ("url", "https://www.apache.org/licenses/LICENSE-2.0".into()),
            ]),
        ),
        (
            "tags",
            Value::Sequence(vec![
                tag("events", "What happened to shipments, and what follows from it"),
                tag("dead-letters", "Records that a service could not apply"),
            ]),
        ),
    ])
}

/// Placeholders: `spec.kafka.bootstrapServers` and `spec.schemaRegistry.url` say where they are.
fn servers() -> Value {
    let variable = |default: &str, description: &str| {
        map([("default", default.into()), ("description", description.into())])
    };
    let server = map([
        ("host", "{bootstrapServer}".into()),
        ("protocol", "kafka-secure".into()),
        (
            "description",
            "The platform's Kafka cluster (`spec.kafka`), over TLS unless the platform says otherwise."
                .into(),
        ),
        (
            "variables",
            map([(
                "bootstrapServer",
                variable(
                    "kafka.example.org:9093",
                    "One of `spec.kafka.bootstrapServers` of the LogisticsPlatform.",
                ),
            )]),
        ),
        (
            "bindings",
            kafka([
                (
                    "schemaRegistryUrl",
                    "https://registry.example.org/apis/ccompat/v7".into(),
                ),
                ("schemaRegistryVendor", "confluent".into()),
            ]),
        ),
    ]);
    map([("platform", server)])
}

fn channel(topic: &Topic, defaults: &Defaults) -> Result<Value> {
    let wanted = defaults.topics.get(topic.name);
    let wanted = wanted.with_context(|| format!("the operator makes no topic {}", topic.name))?;
    let name = identifier(topic);
    let configuration = wanted.configs.iter().map(|(key, value)| {
        let value = match (key.as_str(), value.parse::<u64>()) {
            // The binding takes a list of policies here, and numbers where Kafka has numbers.
            ("cleanup.policy", _) => Value::Sequence(value.split(',').map(Value::from).collect()),
            (_, Ok(number)) => number.into(),
            (_, Err(_)) => value.as_str().into(),
        };
        (key.as_str().into(), value)
    });
    Ok(map([
        ("address", format!("{{topicPrefix}}{}", topic.name).into()),
        ("title", topic.name.into()),
        ("description", topic.meaning.into()),
        (
            "parameters",
            map([(
                "topicPrefix",
                map([
                    ("default", "".into()),
                    (
                        "description",
                        "`spec.kafka.topicPrefix` of the LogisticsPlatform.".into(),
                    ),
                ]),
            )]),
        ),
        (
            "messages",
            map([("event", reference(&format!("#/components/messages/{name}")))]),
        ),
        ("tags", tags(topic)),
        (
            "bindings",
            kafka([
                ("topic", topic.name.into()),
                ("partitions", wanted.partitions.into()),
                ("replicas", wanted.replication_factor.into()),
                ("topicConfiguration", Value::Mapping(configuration.collect())),
            ]),
        ),
    ]))
}

fn message(topic: &Topic, defaults: &Defaults) -> Result<Value> {
    // A dead letter's value is that of the topic it was read from.
    let source = topic.dead_letters_of().unwrap_or(*topic);
    let schema = source.schema;
    let schema =
        schema.with_context(|| format!("topic {} has no schema and keeps no dead letters", topic.name))?;
    let schema: Value =
        serde_norway::from_str(schema).with_context(|| format!("schema of {}", source.name))?;
    let title = schema["name"].as_str().context("a schema without name")?;
    let title = if source == *topic {
        title.to_owned()
    } else {
        format!("{title}DeadLetter")
    };
    let subject = source.subject("").unwrap_or_default();
    let compatibility = defaults.compatibility.get(&subject);
    let compatibility =
        compatibility.with_context(|| format!("the operator registers no subject {subject}"))?;
    let key = match topic.key {
        Key::Shipment => map([
            ("type", "string".into()),
            ("format", "uuid".into()),
            ("description", "The shipment's id as text.".into()),
        ]),
        Key::Account => map([
            ("type", "string".into()),
            ("description", "The account's name.".into()),
        ]),
    };
    Ok(map([
        ("name", title.clone().into()),
        ("title", title.into()),
        ("summary", topic.meaning.into()),
        ("contentType", AVRO.into()),
        ("headers", headers(topic)),
        (
            "payload",
            map([("schemaFormat", SCHEMA_FORMAT.into()), ("schema", schema)]),
        ),
        (
            "bindings",
            kafka([
                ("key", key),
                ("schemaIdLocation", "payload".into()),
                ("schemaIdPayloadEncoding", "4".into()),
                ("schemaLookupStrategy", "TopicNameStrategy".into()),
            ]),
        ),
        ("x-subject", subject.into()),
        ("x-compatibility", (*compatibility).into()),
    ]))
}

fn headers(topic: &Topic) -> Value {
    let inherited = topic.dead_letters_of().is_some();
    let own: &[Header] = if inherited { &DEAD_LETTER } else { &[] };
    let mut all: Vec<(Header, bool)> = Vec::new();
    // A record may be poison because of its headers: nothing is promised of those that it came with.
    all.extend(EVENT.map(|header| (header, !inherited)));
    all.extend(own.iter().map(|header| (*header, true)));
    let required = all
        .iter()
        .filter(|(header, promised)| header.required && *promised);
    let required = required.map(|(header, _)| header.name.into()).collect();
    let properties = all.iter().map(|(header, promised)| {
        let mut property = property(header, *promised);
        if *header == TYPE && *promised {
            property.insert("const".into(), topic.event_type().into());
        }
        (header.name.into(), property.into())
    });
    map([
        ("type", "object".into()),
        ("required", Value::Sequence(required)),
        ("properties", Value::Mapping(properties.collect())),
    ])
}

fn property(header: &Header, promised: bool) -> Mapping {
    let mut property = Mapping::new();
    property.insert("type".into(), "string".into());
    property.insert("description".into(), header.meaning.into());
    let (key, value) = match header.form {
        _ if !promised => return property,
        Form::OneOf([value]) => ("const", (*value).into()),
        Form::OneOf(values) => (
            "enum",
            Value::Sequence(values.iter().copied().map(Value::from).collect()),
        ),
        Form::Format(value) => ("format", value.into()),
        Form::Pattern(value) => ("pattern", value.into()),
        Form::Text => return property,
    };
    property.insert(key.into(), value);
    property
}

fn operation(topic: &Topic, action: &str, workload: Workload) -> (String, Value) {
    let channel = identifier(topic);
    let verb = if action == "send" { "writes" } else { "reads" };
    let mut fields = vec![
        ("action", action.into()),
        ("channel", reference(&format!("#/channels/{channel}"))),
        ("title", format!("{workload} {verb} {}", topic.name).into()),
        (
            "summary",
            format!("The {workload} service {verb} {}.", topic.name).into(),
        ),
        ("tags", tags(topic)),
        (
            "messages",
            Value::Sequence(vec![reference(&format!("#/channels/{channel}/messages/event"))]),
        ),
    ];
    if action == "receive" {
        let group = map([
            ("type", "string".into()),
            ("pattern", format!(r"^[^.]+\..+\.{workload}$").into()),
            (
                "description",
                "The consumer group: namespace and name of the LogisticsPlatform, and the service.".into(),
            ),
        ]);
        fields.push(("bindings", kafka([("groupId", group)])));
    }
    (format!("{workload}-{verb}-{channel}"), map(fields))
}

fn tags(topic: &Topic) -> Value {
    let tag = if topic.schema.is_some() {
        "events"
    } else {
        "dead-letters"
    };
    Value::Sequence(vec![map([("name", tag.into())])])
}

/// A topic's name as a key of the document, in which a dot would be allowed but is awkward in many tools.
fn identifier(topic: &Topic) -> String {
    topic.name.replace('.', "-")
}

fn kafka(fields: impl IntoIterator<Item = (&'static str, Value)>) -> Value {
    let version = [("bindingVersion", BINDING.into())];
    map([("kafka", map(fields.into_iter().chain(version)))])
}

fn reference(to: &str) -> Value {
    map([("$ref", to.into())])
}

/// A mapping that keeps the order of its fields.
fn map(fields: impl IntoIterator<Item = (&'static str, Value)>) -> Value {
    let fields = fields.into_iter().map(|(key, value)| (key.into(), value));
    Value::Mapping(fields.collect())
}
