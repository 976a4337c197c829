//! Server-side apply.

use std::sync::Arc;

use serde_json::Value;

use super::{Key, MODIFIED, Manager, Store};
use crate::api::answer::Refusal;
use crate::api::fields;

impl Store {
    /// Server-side apply; tells whether the object was made.
    pub(crate) fn apply(
        &self,
        manager: &str,
        force: bool,
        key: &Key,
        applied: &Value,
    ) -> Result<(Arc<Value>, bool), Refusal> {
        let kind = self
            .kind(&key.plural)
            .ok_or_else(|| Refusal::not_found(&key.plural, &key.name))?;
        let schema = kind.schema();
        let mut state = self.lock();
        let former = state.objects.get(key).cloned();
        let uid = applied["metadata"]["uid"].as_str();
        let version = applied["metadata"]["resourceVersion"].as_str();
        let me: Manager = (manager.to_owned(), "Apply", "");
        let fields = schema.set_by(applied);
        let Some(former) = former else {
            if uid.is_some() {
                let why =
                    "uid mismatch: the provided object specified a uid, and no existing object was found";
                return Err(Refusal::conflict(&key.plural, &key.name, why));
            }
            let mut object = applied.clone();
            if let Some(meta) = object["metadata"].as_object_mut() {
                meta.remove("resourceVersion");
            }
            let made = self.commit(&mut state, kind, key, object, [(me, fields)].into());
            return Ok((made, true));
        };
        let live = &former.object;
        if uid.is_some() && uid != live["metadata"]["uid"].as_str() {
            return Err(Refusal::invalid(&kind.name, &key.name, "metadata.uid"));
        }
        if version.is_some() && version != live["metadata"]["resourceVersion"].as_str() {
            return Err(Refusal::conflict(&key.plural, &key.name, MODIFIED));
        }
        let mut managers = former.managers.clone();
        for (other, theirs) in &mut managers {
            if *other == me {
                continue;
            }
            let differs = |path: &&fields::Path| fields::get(live, path) != fields::get(applied, path);
            let lost: Vec<_> = theirs.intersection(&fields).filter(differs).cloned().collect();
            if !lost.is_empty() && !force {
                return Err(Refusal::conflict(
                    &key.plural,
                    &key.name,
                    "conflict with another manager",
                ));
            }
            theirs.retain(|path| !lost.contains(path));
        }
        let mut object = Value::clone(live);
        let mine = managers.insert(me, fields.clone()).unwrap_or_default();
        let mut given_up: Vec<_> = mine.difference(&fields).collect();
        given_up.retain(|path| !managers.values().any(|theirs| theirs.contains(*path)));
        // The innermost fields first.
        for path in given_up.into_iter().rev() {
            fields::remove(&mut object, path);
        }
        schema.merge(&mut object, applied);
        managers.retain(|_, fields| !fields.is_empty());
        Self::check(kind, key, live, &object)?;
        Ok((self.commit(&mut state, kind, key, object, managers), false))
    }
}
