//! Updates.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{Key, MODIFIED, Store};
use crate::api::answer::Refusal;
use crate::api::fields::{self, Fields};

impl Store {
    /// Replaces an object, or only its status.
    pub(crate) fn replace(
        &self,
        manager: &str,
        key: &Key,
        status: bool,
        change: impl FnOnce(&Value) -> Result<Value, Refusal>,
    ) -> Result<Arc<Value>, Refusal> {
        let kind = self
            .kind(&key.plural)
            .ok_or_else(|| Refusal::not_found(&key.plural, &key.name))?;
        let mut state = self.lock();
        let Some(former) = state.objects.get(key).cloned() else {
            return Err(Refusal::not_found(&key.plural, &key.name));
        };
        let live = &former.object;
        let mut wanted = change(live)?;
        let claimed = |field: &str| wanted["metadata"][field].as_str().filter(|text| !text.is_empty());
        if claimed("uid").is_some_and(|uid| Some(uid) != live["metadata"]["uid"].as_str()) {
            return Err(Refusal::conflict(
                &key.plural,
                &key.name,
                "Precondition failed: UID in precondition",
            ));
        }
        let version = live["metadata"]["resourceVersion"].as_str();
        if claimed("resourceVersion").is_some_and(|claimed| Some(claimed) != version) {
            return Err(Refusal::conflict(&key.plural, &key.name, MODIFIED));
        }
        let mut object = if status {
            let mut object = Value::clone(live);
            object["status"] = wanted["status"].take();
            if key.plural == "logisticsplatforms" {
                // Defaults of the definition.
                for list in ["conditions", "workloads", "topics", "subjects"] {
                    let field = &mut object["status"][list];
                    if field.is_null() {
                        *field = json!([]);
                    }
                }
            }
            object
        } else {
            if kind.has_status() {
                wanted["status"] = live["status"].clone();
            }
            for field in [
                "name",
                "namespace",
                "uid",
                "creationTimestamp",
                "generation",
                "deletionTimestamp",
                "deletionGracePeriodSeconds",
            ] {
                wanted["metadata"][field] = live["metadata"][field].clone();
            }
            wanted
        };
        strip_nulls(&mut object);
        Self::check(kind, key, live, &object)?;
        let schema = kind.schema();
        let (before, after) = (schema.set_by(live), schema.set_by(&object));
        let changed = |path: &&fields::Path| fields::get(live, path) != fields::get(&object, path);
        let changed: Fields = after.iter().filter(changed).cloned().collect();
        let gone: Fields = before.difference(&after).cloned().collect();
        let mut managers = former.managers.clone();
        for theirs in managers.values_mut() {
            theirs.retain(|path| !changed.contains(path) && !gone.contains(path));
        }
        if !changed.is_empty() {
            let part = if status { "status" } else { "" };
            managers
                .entry((manager.to_owned(), "Update", part))
                .or_default()
                .extend(changed);
        }
        managers.retain(|_, fields| !fields.is_empty());
        Ok(self.commit(&mut state, kind, key, object, managers))
    }
}

fn strip_nulls(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|_, inner| !inner.is_null());
            map.values_mut().for_each(strip_nulls);
        }
        Value::Array(list) => list.iter_mut().for_each(strip_nulls),
        _ => {}
    }
}
