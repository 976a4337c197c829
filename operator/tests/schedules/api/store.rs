//! The objects and their history.

mod apply;
mod commit;
mod deletion;
mod replace;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;
use tokio::sync::watch;

use super::answer::Refusal;
use super::fields::Fields;
use super::kinds::Kind;
pub(crate) use deletion::Deletion;

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
    /// The newest change of anything that controllers act upon.
    work: watch::Sender<u64>,
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
            work: watch::Sender::new(100),
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

    /// Tells when something changed that controllers act upon: no Lease, which changes all the time, and no Event.
    pub(crate) fn work(&self) -> watch::Receiver<u64> {
        self.work.subscribe()
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

    /// What of interest changed after a version, and the newest version; or a refusal when that is forgotten.
    pub(crate) fn since(
        &self,
        version: u64,
        interests: impl Fn(&Entry) -> bool,
    ) -> Result<(Vec<Entry>, u64), Refusal> {
        let state = self.lock();
        if version < state.compacted {
            return Err(Refusal::expired());
        }
        let start = state.history.partition_point(|entry| entry.version <= version);
        let changes = state.history[start..].iter();
        Ok((
            changes.filter(|entry| interests(entry)).cloned().collect(),
            state.version,
        ))
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
}

const MODIFIED: &str =
    "the object has been modified; please apply your changes to the latest version and try again";
