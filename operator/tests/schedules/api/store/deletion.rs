//! Deletions, and the garbage collector.

use std::sync::Arc;

use serde_json::Value;

use super::{Key, Store, TIME};
use crate::api::answer::Refusal;

/// What is wanted of a deletion.
#[derive(Clone, Debug, Default)]
pub(crate) struct Deletion {
    /// The object that is meant.
    pub uid: Option<String>,
    /// Whether it stays until its dependants are gone.
    pub foreground: bool,
}

impl Store {
    /// Deletes an object; returns it when it waits for its finalizers.
    pub(crate) fn delete(&self, key: &Key, deletion: &Deletion) -> Result<Option<Arc<Value>>, Refusal> {
        let kind = self
            .kind(&key.plural)
            .ok_or_else(|| Refusal::not_found(&key.plural, &key.name))?;
        let mut state = self.lock();
        let Some(former) = state.objects.get(key).cloned() else {
            return Err(Refusal::not_found(&key.plural, &key.name));
        };
        if deletion.uid.is_some() && deletion.uid.as_deref() != former.object["metadata"]["uid"].as_str() {
            let why = "Precondition failed: UID in precondition";
            return Err(Refusal::conflict(&key.plural, &key.name, why));
        }
        let mut object = Value::clone(&former.object);
        let meta = &mut object["metadata"];
        if deletion.foreground && meta["deletionTimestamp"].is_null() {
            let mut finalizers = meta["finalizers"].as_array().cloned().unwrap_or_default();
            finalizers.push("foregroundDeletion".into());
            meta["finalizers"] = finalizers.into();
        }
        if meta["deletionTimestamp"].is_null() {
            meta["deletionTimestamp"] = TIME.into();
            meta["deletionGracePeriodSeconds"] = 0.into();
            if let Some(generation) = meta["generation"].as_u64() {
                meta["generation"] = (generation + 1).into();
            }
        }
        self.commit(&mut state, kind, key, object, former.managers);
        Ok(state.objects.get(key).map(|stored| stored.object.clone()))
    }

    /// Deletes what has lost its owner, and ends the deletions that wait for dependants; tells whether anything was done.
    pub(crate) fn collect_garbage(&self) -> bool {
        let (orphans, waiting) = {
            let state = self.lock();
            // Dependants of one that is deleted in the foreground go first.
            let in_foreground = |object: &Value| {
                let finalizers = object["metadata"]["finalizers"].as_array();
                finalizers.is_some_and(|list| list.iter().any(|name| name == "foregroundDeletion"))
            };
            let owning = state.objects.values().filter(|s| !in_foreground(&s.object));
            let uids: Vec<_> = owning
                .filter_map(|s| s.object["metadata"]["uid"].as_str())
                .collect();
            let owners = |object: &Value| {
                object["metadata"]["ownerReferences"]
                    .as_array()
                    .cloned()
                    .unwrap_or_default()
            };
            let lost = |object: &Value| {
                let owners = owners(object);
                let lives = |owner: &Value| owner["uid"].as_str().is_some_and(|uid| uids.contains(&uid));
                !owners.is_empty() && !owners.iter().any(lives)
            };
            let keys = |wanted: &dyn Fn(&Value) -> bool| -> Vec<Key> {
                let found = state.objects.iter().filter(|(_, stored)| wanted(&stored.object));
                found.map(|(key, _)| key.clone()).collect()
            };
            let waits = |object: &Value| {
                let uid = &object["metadata"]["uid"];
                in_foreground(object)
                    && !state
                        .objects
                        .values()
                        .any(|s| owners(&s.object).iter().any(|owner| owner["uid"] == *uid))
            };
            (keys(&lost), keys(&waits))
        };
        let mut done = false;
        for key in orphans {
            let gone = self
                .get(&key)
                .is_some_and(|object| object["metadata"]["deletionTimestamp"].is_null());
            done |= gone && self.delete(&key, &Deletion::default()).is_ok();
        }
        for key in waiting {
            let freed = self.replace("garbage-collector", &key, false, |live| {
                let mut object = live.clone();
                let finalizers = object["metadata"]["finalizers"].as_array_mut();
                if let Some(finalizers) = finalizers {
                    finalizers.retain(|name| name != "foregroundDeletion");
                }
                Ok(object)
            });
            done |= freed.is_ok();
        }
        done
    }
}
