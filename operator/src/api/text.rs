//! Text types that need a schema of their own.

use std::borrow::Cow;

use kube::core::Message;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize};

/// The message of a rule: field, offending value, remedy. The API server by itself shows only the value's type.
///
/// `value` is the CEL expression of the value, a string.
pub(super) fn told(field: &str, value: &str, remedy: &str) -> Message {
    // CEL and Rust write strings alike.
    let (before, after) = (format!("{field}: \""), format!("\" {remedy}"));
    Message::Expression(format!("{before:?} + {value} + {after:?}"))
}

/// A Kubernetes quantity such as `250m`, `1`, `64Mi`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Quantity(pub String);

impl<'de> Deserialize<'de> for Quantity {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Form {
            Text(String),
            Integer(i64),
        }
        Ok(Self(match Form::deserialize(deserializer)? {
            Form::Text(text) => text,
            Form::Integer(number) => number.to_string(),
        }))
    }
}

impl JsonSchema for Quantity {
    fn schema_name() -> Cow<'static, str> {
        "Quantity".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "x-kubernetes-int-or-string": true,
            "maxLength": 20,
            "x-kubernetes-validations": [{
                "rule": "string(self).matches('^[0-9]{1,15}([.][0-9]{1,3})?(m|k|M|G|T|Ki|Mi|Gi|Ti)?$')",
                "messageExpression": "'\"' + string(self) + '\" is not an amount; write for example 250m or 256Mi'",
            }],
        })
    }
}

/// An object whose fields are Kubernetes' own. It is kept as it is, so that fields of later versions survive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Untyped(pub serde_json::Map<String, serde_json::Value>);

impl JsonSchema for Untyped {
    fn schema_name() -> Cow<'static, str> {
        "Untyped".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "object", "x-kubernetes-preserve-unknown-fields": true})
    }
}
