//! The objects and their history.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};
use tokio::sync::watch;

use super::answer::Refusal;
use super::fields::{self, Fields};
use super::kinds::Kind;

/// Where an object is: the plural name of its kind, its namespace, its name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Key {
    /// Plural name; no two kinds here share one.
    pub plural: String,
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
}

impl std::fmt::Display for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.plural, self.name)
    }
}

/// Who manages fields: name, operation, subresource.
type Manager = (String, &'static str, &'static str);

#[derive(Clone)]
struct Stored {
    object: Arc<Value>,
    managers: BTreeMap<Manager, Fields>,
}

/// A change, as watches tell it.
#[derive(Clone)]
pub(crate) struct Entry {
    /// Its place in the history.
    pub version: u64,
    /// Kind.
    pub plural: String,
    /// Namespace.
    pub namespace: String,
    /// The object before.
    pub before: Option<Arc<Value>>,
    /// The object afterwards; of one that is gone, its last state at this version.
    pub after: Arc<Value>,
    /// Whether it is gone.
    pub gone: bool,
}

/// What is wanted of a deletion.
#[derive(Clone, Debug, Default)]
pub(crate) struct Deletion {
    /// The object that is meant.
    pub uid: Option<String>,
    /// Whether it stays until its dependants are gone.
    pub foreground: bool,
}

#[derive(Default)]
struct State {
    objects: BTreeMap<Key, Stored>,
    history: Vec<Entry>,
    version: u64,
    /// Changes up to this one are forgotten.
    compacted: u64,
    serial: u64,
    pages: BTreeMap<String, (u64, Vec<Arc<Value>>)>,
}

/// The objects of a fake cluster.
pub(crate) struct Store {
    state: Mutex<State>,
    newest: watch::Sender<u64>,
    kinds: Vec<Kind>,
}

/// Objects of a list, its version, and the token of the next page.
pub(crate) type Page = (Vec<Arc<Value>>, u64, Option<String>);

const TIME: &str = "2026-01-01T00:00:00Z";

impl Store {
    pub(crate) fn new() -> Arc<Self> {
        let state = State {
            // No object has version 1, as in a real cluster.
            version: 100,
            ..State::default()
        };
        Arc::new(Self {
            state: Mutex::new(state),
            newest: watch::Sender::new(100),
            kinds: Kind::all(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A kind by its plural name.
    pub(crate) fn kind(&self, plural: &str) -> Option<&Kind> {
        self.kinds.iter().find(|kind| kind.plural == plural)
    }

    pub(crate) fn kinds(&self) -> &[Kind] {
        &self.kinds
    }

    /// Tells when something changed.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.newest.subscribe()
    }

    pub(crate) fn version(&self) -> u64 {
        self.lock().version
    }

    pub(crate) fn get(&self, key: &Key) -> Option<Arc<Value>> {
        self.lock().objects.get(key).map(|stored| stored.object.clone())
    }

    /// All objects of a kind, in all namespaces.
    pub(crate) fn all(&self, plural: &str) -> Vec<(Key, Arc<Value>)> {
        let state = self.lock();
        let of_kind = state.objects.iter().filter(|(key, _)| key.plural == plural);
        of_kind
            .map(|(key, stored)| (key.clone(), stored.object.clone()))
            .collect()
    }

    /// Forgets the history, as etcd does every few minutes.
    pub(crate) fn compact(&self) {
        let mut state = self.lock();
        state.compacted = state.version;
        state.pages.clear();
    }

    /// What changed after a version, or a refusal when that is forgotten.
    pub(crate) fn since(&self, version: u64) -> Result<Vec<Entry>, Refusal> {
        let state = self.lock();
        if version < state.compacted {
            return Err(Refusal::expired());
        }
        let start = state.history.partition_point(|entry| entry.version <= version);
        Ok(state.history[start..].to_vec())
    }

    /// A page of a list.
    pub(crate) fn list(
        &self,
        selected: impl Fn(&Key, &Value) -> bool,
        page_size: usize,
        token: Option<&str>,
    ) -> Result<Page, Refusal> {
        let mut state = self.lock();
        let (version, mut rest) = if let Some(token) = token {
            state.pages.remove(token).ok_or_else(Refusal::expired)?
        } else {
            let all = state.objects.iter();
            let found = all.filter(|(key, stored)| selected(key, &stored.object));
            let found = found.map(|(_, stored)| stored.object.clone()).collect();
            (state.version, found)
        };
        if rest.len() <= page_size {
            return Ok((rest, version, None));
        }
        let later = rest.split_off(page_size);
        state.serial += 1;
        let token = format!("page-{}", state.serial);
        state.pages.insert(token.clone(), (version, later));
        Ok((rest, version, Some(token)))
    }

    /// Makes an object that must not exist.
    pub(crate) fn create(&self, manager: &str, key: &Key, object: Value) -> Result<Arc<Value>, Refusal> {
        let kind = self
            .kind(&key.plural)
            .ok_or_else(|| Refusal::not_found(&key.plural, &key.name))?;
        let mut state = self.lock();
        if state.objects.contains_key(key) {
            return Err(Refusal::exists(&key.plural, &key.name));
        }
        let fields = kind.schema().set_by(&object);
        let managers = [((manager.to_owned(), "Update", ""), fields)].into();
        Ok(self.commit(&mut state, kind, key, object, managers))
    }

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

    fn check(kind: &Kind, key: &Key, live: &Value, object: &Value) -> Result<(), Refusal> {
        let mut fixed = kind.immutable().to_vec();
        if kind.name == "ConfigMap" && live["immutable"] == true {
            fixed.extend(["/data", "/immutable"]);
        }
        for field in fixed {
            if live.pointer(field) != object.pointer(field) && live.pointer(field).is_some() {
                return Err(Refusal::invalid(&kind.name, &key.name, field));
            }
        }
        Ok(())
    }

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

    /// Writes an object, unless nothing is changed by it.
    fn commit(
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
        object
    }
}

const MODIFIED: &str =
    "the object has been modified; please apply your changes to the latest version and try again";

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
