//! What all children have in common.

use std::collections::BTreeMap;

use kube::Resource;
use serde_json::{Map, Value, json};

use super::Context;
use crate::api::LogisticsPlatform;
use crate::child::{Child, ChildId, ChildKind};

/// A child: common metadata, and the kind's own fields.
pub(super) fn child(
    context: Context<'_>,
    kind: ChildKind,
    name: String,
    labels: &BTreeMap<String, String>,
    fields: Value,
) -> Child {
    let mut object = json!({
        "apiVersion": kind.api_version(),
        "kind": kind.name(),
        "metadata": {
            "name": name,
            "namespace": context.valid.identity.namespace,
            "labels": labels,
            "ownerReferences": [{
                "apiVersion": LogisticsPlatform::api_version(&()),
                "kind": LogisticsPlatform::kind(&()),
                "name": context.valid.identity.name,
                "uid": context.valid.uid,
                "controller": true,
                "blockOwnerDeletion": true,
            }],
        },
    });
    if let (Some(object), Value::Object(fields)) = (object.as_object_mut(), fields) {
        merge(object, fields);
    }
    Child {
        id: ChildId::new(kind, name),
        object,
    }
}

/// Adds fields to an object, into nested objects too.
fn merge(into: &mut Map<String, Value>, from: Map<String, Value>) {
    for (key, value) in from {
        match (into.get_mut(&key), value) {
            (Some(Value::Object(inner)), Value::Object(more)) => merge(inner, more),
            (_, value) => {
                into.insert(key, value);
            }
        }
    }
}
