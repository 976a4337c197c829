//! What every write ends with: versions, generations, defaults, the history.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::{Entry, Key, Manager, State, Store, Stored, TIME};
use crate::api::fields::{self, Fields};
use crate::api::kinds::Kind;

impl Store {
    /// Writes an object, unless nothing is changed by it.
    pub(super) fn commit(
        &self,
        state: &mut State,
        kind: &Kind,
        key: &Key,
        mut object: Value,
        managers: BTreeMap<Manager, Fields>,
    ) -> Arc<Value> {
        let former = state.objects.get(key).cloned();
        object["apiVersion"] = kind.api_version().into();
        object["kind"] = kind.name.as_str().into();
        if former.is_none() {
            state.serial += 1;
            let meta = &mut object["metadata"];
            meta["name"] = key.name.as_str().into();
            meta["namespace"] = key.namespace.as_str().into();
            meta["uid"] = format!("00000000-0000-4000-8000-{:012}", state.serial).into();
            meta["creationTimestamp"] = TIME.into();
            if kind.has_generation() {
                meta["generation"] = 1.into();
            }
            if kind.has_status() {
                object.as_object_mut().map(|object| object.remove("status"));
            }
            defaults(kind, state.serial, &mut object);
        }
        object["metadata"]["managedFields"] = managed_fields(kind, &managers);
        if let Some(former) = &former {
            if kind.has_generation() && body(kind, &former.object) != body(kind, &object) {
                let generation = former.object["metadata"]["generation"].as_u64().unwrap_or(0);
                object["metadata"]["generation"] = (generation + 1).into();
            }
            object["metadata"]["resourceVersion"] = former.object["metadata"]["resourceVersion"].clone();
            if object == *former.object {
                return former.object.clone();
            }
        }
        state.version += 1;
        object["metadata"]["resourceVersion"] = state.version.to_string().into();
        let finalizers = object["metadata"]["finalizers"].as_array();
        let gone = !object["metadata"]["deletionTimestamp"].is_null() && finalizers.is_none_or(Vec::is_empty);
        let object = Arc::new(object);
        if gone {
            state.objects.remove(key);
        } else {
            let stored = Stored {
                object: object.clone(),
                managers,
            };
            state.objects.insert(key.clone(), stored);
        }
        let entry = Entry {
            version: state.version,
            plural: key.plural.clone(),
            namespace: key.namespace.clone(),
            before: former.map(|former| former.object),
            after: object.clone(),
            gone,
        };
        state.history.push(entry);
        self.newest.send_replace(state.version);
        if key.plural != "leases" && key.plural != "events" {
            self.work.send_replace(state.version);
        }
        object
    }
}

/// What the generation counts changes of: all but metadata and status, and of Deployments the annotations too.
fn body<'a>(kind: &Kind, object: &'a Value) -> Vec<(&'a str, &'a Value)> {
    let fields = object.as_object().into_iter().flatten();
    let fields = fields.filter(|(name, _)| *name != "metadata" && *name != "status");
    let mut body: Vec<_> = fields.map(|(name, value)| (name.as_str(), value)).collect();
    if kind.name == "Deployment" {
        body.push(("annotations", &object["metadata"]["annotations"]));
    }
    body
}

/// A few of the defaults that a real API server fills in.
fn defaults(kind: &Kind, serial: u64, object: &mut Value) {
    let mut set = |pointer: [&str; 2], value: Value| {
        let field = &mut object[pointer[0]][pointer[1]];
        if field.is_null() {
            *field = value;
        }
    };
    match kind.name.as_str() {
        "Service" => {
            set(
                ["spec", "clusterIP"],
                format!("10.0.{}.{}", serial / 250, serial % 250).into(),
            );
            set(["spec", "sessionAffinity"], "None".into());
        }
        "Deployment" => set(["spec", "replicas"], 1.into()),
        "Job" => {
            set(["spec", "completions"], 1.into());
            set(["spec", "suspend"], false.into());
        }
        "Secret" if object["type"].is_null() => object["type"] = "Opaque".into(),
        _ => {}
    }
}

fn managed_fields(kind: &Kind, managers: &BTreeMap<Manager, Fields>) -> Value {
    let entry = |((manager, operation, part), fields): (&Manager, &Fields)| {
        let mut entry = json!({
            "manager": manager, "operation": operation, "apiVersion": kind.api_version(), "time": TIME,
            "fieldsType": "FieldsV1", "fieldsV1": fields::to_json(fields),
        });
        if !part.is_empty() {
            entry["subresource"] = (*part).into();
        }
        entry
    };
    managers.iter().map(entry).collect()
}
