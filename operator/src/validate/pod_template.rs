//! Checks of what is merged into a pod template. Its fields are Kubernetes' own and not known here; what is checked is that
//! it cannot break the platform: selectors, identities, the shape that the merge needs.

use serde_json::Value;

use super::Findings;
use crate::api::Untyped;
use crate::names::{COMPONENT, INSTANCE, MANAGED_BY, REVISION};

/// Most bytes of an override: the frozen template must fit into one object.
const MAX_SIZE: usize = 64 * 1024;

/// Labels by which Deployments, Services and watches find pods.
const OWN_LABELS: [&str; 4] = [INSTANCE, COMPONENT, REVISION, MANAGED_BY];

/// Fields of a pod that are the platform's own, each with the reason.
const OWN_FIELDS: [(&str, &str); 5] = [
    (
        "serviceAccountName",
        "is the platform's: each workload has an identity of its own; remove it",
    ),
    (
        "serviceAccount",
        "is the platform's: each workload has an identity of its own; remove it",
    ),
    ("restartPolicy", "cannot be changed in a Deployment; remove it"),
    ("hostname", "would be the same for all pods; remove it"),
    (
        "nodeName",
        "would bring all pods to one node; use nodeSelector or affinity",
    ),
];

pub(super) fn check(path: &str, template: &Untyped, findings: &mut Findings) -> Value {
    let value = Value::Object(template.0.clone());
    let size = value.to_string().len();
    if size > MAX_SIZE {
        findings.add(
            path,
            format!("{size} bytes"),
            format!("is larger than {MAX_SIZE} bytes; shorten it"),
        );
    }
    for key in template
        .0
        .keys()
        .filter(|key| !matches!(key.as_str(), "metadata" | "spec"))
    {
        findings.add(
            &format!("{path}.{key}"),
            key,
            "is no field of a pod template; use metadata or spec",
        );
    }
    metadata(path, &value, findings);
    spec(path, &value, findings);
    value
}

fn metadata(path: &str, template: &Value, findings: &mut Findings) {
    let Some(metadata) = object(&format!("{path}.metadata"), &template["metadata"], findings) else {
        return;
    };
    for key in metadata
        .keys()
        .filter(|key| !matches!(key.as_str(), "labels" | "annotations"))
    {
        let field = format!("{path}.metadata.{key}");
        findings.add(
            &field,
            key,
            "cannot be set for all pods; only labels and annotations can",
        );
    }
    for name in ["labels", "annotations"] {
        let field = format!("{path}.metadata.{name}");
        let Some(map) = object(&field, &template["metadata"][name], findings) else {
            continue;
        };
        for (key, value) in map {
            let field = format!("{field}[{key}]");
            if name == "labels" && OWN_LABELS.contains(&key.as_str()) {
                findings.add(
                    &field,
                    shown(value),
                    "is a label that selects the platform's pods; choose another",
                );
            } else if !value.is_string() && !value.is_null() {
                findings.add(&field, shown(value), "is not text; put it in quotes");
            }
        }
    }
}

fn spec(path: &str, template: &Value, findings: &mut Findings) {
    let Some(spec) = object(&format!("{path}.spec"), &template["spec"], findings) else {
        return;
    };
    for (key, remedy) in OWN_FIELDS {
        if let Some(value) = spec.get(key) {
            findings.add(&format!("{path}.spec.{key}"), shown(value), remedy);
        }
    }
    for list in ["containers", "initContainers", "volumes"] {
        let field = format!("{path}.spec.{list}");
        match spec.get(list) {
            None => {}
            Some(Value::Array(items)) => {
                for (index, item) in items.iter().enumerate() {
                    if item["name"].as_str().is_none_or(str::is_empty) {
                        let remedy = "has no name; items are merged by their names";
                        findings.add(&format!("{field}[{index}].name"), shown(&item["name"]), remedy);
                    }
                }
            }
            Some(other) => findings.add(&field, shown(other), "is not a list"),
        }
    }
}

fn object<'a>(
    field: &str,
    value: &'a Value,
    findings: &mut Findings,
) -> Option<&'a serde_json::Map<String, Value>> {
    match value {
        Value::Null => None,
        Value::Object(map) => Some(map),
        other => {
            findings.add(field, shown(other), "is not an object");
            None
        }
    }
}

/// A value as the user wrote it, cut to a readable length.
fn shown(value: &Value) -> String {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    text.chars().take(80).collect()
}
