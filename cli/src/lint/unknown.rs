//! Fields that the definition does not know: `kubectl apply` has them refused by strict decoding.

use serde_json::Value;

use super::finding::{Check, Finding};
use super::nearest::nearest;

/// The fields of `metadata` that the API server knows.
const METADATA: [&str; 15] = [
    "annotations",
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "finalizers",
    "generateName",
    "generation",
    "labels",
    "managedFields",
    "name",
    "namespace",
    "ownerReferences",
    "resourceVersion",
    "selfLink",
    "uid",
];

/// Takes unknown fields out of the object, and tells them.
pub(super) fn take_out(schema: &Value, object: &mut Value, findings: &mut Vec<Finding>) {
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.retain(|name, value| {
            let known = METADATA.contains(&name.as_str());
            if !known {
                findings.push(unknown(
                    &format!("metadata.{name}"),
                    name,
                    value,
                    METADATA.into_iter(),
                ));
            }
            known
        });
    }
    let Some(fields) = object.as_object_mut() else {
        return;
    };
    let properties = &schema["properties"];
    fields.retain(|name, value| {
        let known =
            matches!(name.as_str(), "apiVersion" | "kind" | "metadata") || properties.get(name).is_some();
        if !known {
            let top = ["apiVersion", "kind", "metadata", "spec"];
            findings.push(unknown(name, name, value, top.into_iter()));
        }
        known
    });
    for (name, value) in fields {
        if name != "metadata" {
            walk(name, &properties[name.as_str()], value, findings);
        }
    }
}

fn walk(path: &str, schema: &Value, value: &mut Value, findings: &mut Vec<Finding>) {
    match value {
        Value::Object(fields) => {
            let properties = schema["properties"].as_object();
            let preserves = schema["x-kubernetes-preserve-unknown-fields"] == true;
            let others = schema
                .get("additionalProperties")
                .filter(|others| others.is_object());
            let any = preserves || schema["additionalProperties"] == true;
            fields.retain(|name, value| {
                let field = format!("{path}.{name}");
                let inner = properties.and_then(|properties| properties.get(name)).or(others);
                match inner {
                    Some(inner) => walk(&field, inner, value, findings),
                    // A value of another type is told as such.
                    None if any || (properties.is_none() && schema["type"] != "object") => {}
                    None => {
                        let known = properties
                            .into_iter()
                            .flat_map(|all| all.keys())
                            .map(String::as_str);
                        findings.push(unknown(&field, name, value, known));
                        return false;
                    }
                }
                true
            });
        }
        Value::Array(items) => {
            for (index, item) in items.iter_mut().enumerate() {
                walk(&format!("{path}[{index}]"), &schema["items"], item, findings);
            }
        }
        _ => {}
    }
}

fn unknown<'a>(field: &str, name: &str, value: &Value, known: impl Iterator<Item = &'a str>) -> Finding {
    let known: Vec<_> = known.collect();
    let remedy = match nearest(name, known.iter().copied()) {
        Some(meant) => format!("did you mean {meant}?"),
        None if known.is_empty() || known.len() > 12 => "remove it".to_owned(),
        None => format!("remove it, or use one of {}", known.join(", ")),
    };
    let value = if value.is_object() || value.is_array() {
        &Value::Null
    } else {
        value
    };
    Finding::error(
        Check::Schema,
        field,
        value,
        format!("unknown field {field:?}; {remedy}"),
    )
}
