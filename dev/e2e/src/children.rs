//! The objects that a platform consists of.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use kube::api::{DynamicObject, ListParams};
use kube::{Api, Client, ResourceExt as _};
use logistics_operator::child::ChildKind;
use logistics_operator::names;
use serde_json::{Map, Value};

use crate::stage::Site;

/// Label with the revision that an object belongs to.
pub const REVISION: &str = names::REVISION;

/// Kind and name.
pub type Id = (ChildKind, String);

/// The objects of a kind in a namespace.
#[must_use]
pub fn api(client: &Client, namespace: &str, kind: ChildKind) -> Api<DynamicObject> {
    Api::namespaced_with(client.clone(), namespace, &kind.resource())
}

/// All children of a platform.
pub async fn all(client: &Client, site: Site) -> Result<BTreeMap<Id, DynamicObject>> {
    let labels = format!(
        "{}={},{}={}",
        names::MANAGED_BY,
        names::MANAGER,
        names::INSTANCE,
        site.name
    );
    let parameters = ListParams::default().labels(&labels);
    let mut children = BTreeMap::new();
    for kind in ChildKind::ALL {
        for child in api(client, site.namespace, kind).list(&parameters).await? {
            children.insert((kind, child.name_any()), child);
        }
    }
    Ok(children)
}

/// One child of each kind, of those that are in use; of kinds that a revision and the workload have, one of each. What is
/// kept of former revisions is no longer looked after.
pub async fn one_of_each(client: &Client, site: Site) -> Result<BTreeMap<Id, DynamicObject>> {
    let children = all(client, site).await?;
    let in_use: Vec<String> = children
        .iter()
        .filter(|(id, _)| id.0 == ChildKind::Deployment)
        .map(|(id, child)| format!("{} {}", id.1, child.data))
        .collect();
    let mut chosen = BTreeMap::new();
    for kind in ChildKind::ALL {
        for of_revision in [true, false] {
            let fits = |(id, child): &(&Id, &DynamicObject)| {
                let of_former = matches!(kind, ChildKind::ControllerRevision | ChildKind::ConfigMap)
                    && !in_use.iter().any(|deployment| deployment.contains(&id.1));
                id.0 == kind && child.labels().contains_key(REVISION) == of_revision && !of_former
            };
            if let Some((id, child)) = children.iter().find(fits) {
                chosen.insert(id.clone(), child.clone());
            }
        }
    }
    let missing: Vec<_> = ChildKind::ALL
        .into_iter()
        .filter(|kind| !chosen.keys().any(|id| id.0 == *kind))
        .collect();
    ensure!(missing.is_empty(), "{site:?} has no {missing:?}");
    Ok(chosen)
}

/// The fields of a child that the operator has applied, with the values that they have now: not what the API server,
/// controllers and others have set, and not what is drawn by chance.
#[must_use]
pub fn applied(kind: ChildKind, child: &DynamicObject) -> Value {
    let ours = child.metadata.managed_fields.iter().flatten().filter(|entry| {
        entry.manager.as_deref() == Some(names::MANAGER)
            && entry.operation.as_deref() == Some("Apply")
            && entry.subresource.is_none()
    });
    let whole = serde_json::to_value(child).unwrap_or_default();
    let mut applied = Value::Null;
    for fields in ours.filter_map(|entry| entry.fields_v1.as_ref()) {
        applied = owned(&fields.0, &whole);
    }
    if kind == ChildKind::Secret {
        // A password, and the annotation that tells it.
        remove(&mut applied, "/data", "password");
        remove(&mut applied, "/metadata/annotations", names::CREDENTIAL_ID);
    }
    applied
}

fn remove(value: &mut Value, pointer: &str, key: &str) {
    if let Some(map) = value.pointer_mut(pointer).and_then(Value::as_object_mut) {
        map.remove(key);
    }
}

/// The part of a value that a set of fields names.
fn owned(fields: &Value, value: &Value) -> Value {
    let Some(fields) = fields.as_object().filter(|fields| !fields.is_empty()) else {
        return value.clone();
    };
    let mut part = Map::new();
    for (key, inner) in fields {
        if let Some(name) = key.strip_prefix("f:") {
            if let Some(value) = value.get(name) {
                part.insert(name.to_owned(), owned(inner, value));
            }
        } else if let Some(selector) = key.strip_prefix("k:")
            && let Some(item) = item(value, selector)
        {
            part.insert(selector.to_owned(), owned(inner, item));
        }
    }
    Value::Object(part)
}

/// The item of a list that a selector like `{"name":"a"}` names.
fn item<'v>(list: &'v Value, selector: &str) -> Option<&'v Value> {
    let selector: Map<String, Value> = serde_json::from_str(selector).ok()?;
    list.as_array()?
        .iter()
        .find(|item| selector.iter().all(|(key, value)| item.get(key) == Some(value)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_the_operator_applied_is_compared() {
        let child: DynamicObject = serde_json::from_value(json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": {
                "name": "a", "labels": {"ours": "1", "theirs": "2"},
                "managedFields": [
                    {"manager": "logistics-operator", "operation": "Apply", "fieldsV1": {
                        "f:metadata": {"f:labels": {"f:ours": {}}},
                        "f:spec": {"f:ports": {"k:{\"port\":1}": {".": {}, "f:port": {}}}},
                    }},
                    {"manager": "somebody", "operation": "Update", "fieldsV1": {
                        "f:metadata": {"f:labels": {"f:theirs": {}}},
                    }},
                ],
            },
            "spec": {"ports": [{"port": 2}, {"port": 1, "nodePort": 3}], "clusterIP": "10.0.0.1"},
        }))
        .expect("an object");
        let expected = json!({
            "metadata": {"labels": {"ours": "1"}}, "spec": {"ports": {"{\"port\":1}": {"port": 1}}},
        });
        assert_eq!(applied(ChildKind::Service, &child), expected);
    }
}
