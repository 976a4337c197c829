//! Secrets and `ConfigMap`s that specs refer to: one watch for each object that any platform names. Of a Secret only the
//! metadata is read.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::{Stream, StreamExt};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::core::PartialObjectMeta;
use kube::{Api, Client};
use kube_runtime::WatchStreamExt;
use kube_runtime::reflector::ObjectRef;
use kube_runtime::watcher::{self, Event, watcher};
use tokio::task::AbortHandle;
use tracing::warn;

use crate::api::LogisticsPlatform;
use crate::backend::{BackendError, Trigger};
use crate::reason::Reason;
use crate::validate::{ValidPlatform, ValidTls};

/// Kind of an object that a spec refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs, reason = "the names are Kubernetes' own")]
pub enum RefKind {
    Secret,
    ConfigMap,
}

/// An object that a spec refers to, and the key that it needs of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference {
    kind: RefKind,
    namespace: String,
    name: String,
    key: Option<String>,
}

impl Reference {
    /// A key of a ConfigMap.
    #[must_use]
    pub fn config_map(namespace: &str, name: &str, key: &str) -> Self {
        Self {
            kind: RefKind::ConfigMap,
            namespace: namespace.into(),
            name: name.into(),
            key: Some(key.into()),
        }
    }

    fn secret(namespace: &str, name: &str) -> Self {
        Self {
            kind: RefKind::Secret,
            namespace: namespace.into(),
            name: name.into(),
            key: None,
        }
    }

    fn object(&self) -> Object {
        (self.kind, self.namespace.clone(), self.name.clone())
    }
}

type Object = (RefKind, String, String);

/// What a platform refers to, each with the path of its field.
pub(super) fn of(valid: &ValidPlatform) -> Vec<(Reference, &'static str)> {
    let namespace = &valid.identity.namespace;
    let owner = Reference::secret(namespace, &valid.database.owner_secret);
    let jwks = Reference::config_map(namespace, &valid.auth.jwks_config_map, &valid.auth.jwks_key);
    let mut all = vec![
        (owner, "spec.database.credentials.secretRef"),
        (jwks, "spec.auth.jwks.configMapRef"),
    ];
    let authorities = [
        (&valid.kafka.tls, "spec.kafka.tls.caConfigMapRef"),
        (&valid.registry.tls, "spec.schemaRegistry.tls.caConfigMapRef"),
        (&valid.database.tls, "spec.database.tls.caConfigMapRef"),
    ];
    for (tls, field) in authorities {
        if let ValidTls::Authority { config_map, key } = tls {
            all.push((Reference::config_map(namespace, config_map, key), field));
        }
    }
    all
}

/// What is not there, as sentences with a remedy; what is still being looked up is not among them.
pub(super) fn missing(wanted: &[(Reference, &'static str)], found: &Found) -> Vec<String> {
    let absent = wanted
        .iter()
        .filter(|(reference, _)| found.is_known(reference) && !found.has(reference));
    absent
        .map(|(reference, field)| format!("{field}: {}", found.explain(reference)))
        .collect()
}

#[derive(Clone, Debug, PartialEq)]
enum State {
    Unknown,
    Absent,
    /// Its keys; of a Secret none is known.
    Present(Arc<BTreeMap<String, String>>),
}

/// What is known about references.
pub struct Found(HashMap<Object, State>);

impl Found {
    fn is_known(&self, reference: &Reference) -> bool {
        !matches!(self.0.get(&reference.object()), None | Some(State::Unknown))
    }

    /// Whether everything has been looked up.
    pub(super) fn is_complete(&self) -> bool {
        !self.0.values().any(|state| *state == State::Unknown)
    }

    fn has(&self, reference: &Reference) -> bool {
        match self.0.get(&reference.object()) {
            Some(State::Present(data)) => reference.key.as_ref().is_none_or(|key| data.contains_key(key)),
            _ => false,
        }
    }

    /// The value of a ConfigMap's key.
    pub(super) fn value(&self, reference: &Reference) -> Option<String> {
        match self.0.get(&reference.object()) {
            Some(State::Present(data)) => data.get(reference.key.as_ref()?).cloned(),
            _ => None,
        }
    }

    /// Why a value cannot be read; `None` while it is being looked up.
    pub(super) fn unread(&self, reference: &Reference) -> Option<BackendError> {
        self.is_known(reference).then(|| BackendError {
            reason: Reason::ReferenceMissing,
            message: self.explain(reference),
        })
    }

    /// Why a reference cannot be used.
    pub(super) fn explain(&self, reference: &Reference) -> String {
        let Reference {
            kind,
            namespace,
            name,
            key,
        } = reference;
        match (self.0.get(&reference.object()), key) {
            (Some(State::Absent), _) => format!("{kind:?} {name} is not in namespace {namespace}; create it"),
            (Some(State::Present(_)), Some(key)) => format!("{kind:?} {name} has no key {key}; add it"),
            _ => format!("{kind:?} {name} is being looked up"),
        }
    }
}

/// The watches of all objects that platforms refer to.
pub struct References {
    client: Client,
    trigger: Trigger,
    watches: Mutex<HashMap<Object, Watch>>,
}

struct Watch {
    shared: Arc<Shared>,
    task: AbortHandle,
}

struct Shared {
    state: Mutex<State>,
    platforms: Mutex<BTreeSet<(String, String)>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl References {
    pub(super) fn new(client: Client, trigger: Trigger) -> Self {
        Self {
            client,
            trigger,
            watches: Mutex::default(),
        }
    }

    /// Notes what a platform refers to, and tells what is known. The platform is woken when that changes.
    pub fn watch(&self, platform: &ObjectRef<LogisticsPlatform>, references: &[Reference]) -> Found {
        let objects: BTreeSet<Object> = references.iter().map(Reference::object).collect();
        self.leave(platform, &objects);
        let mut watches = lock(&self.watches);
        let mut found = HashMap::new();
        for object in objects {
            let watch = watches
                .entry(object.clone())
                .or_insert_with(|| self.start(&object));
            lock(&watch.shared.platforms).insert(key(platform));
            found.insert(object, lock(&watch.shared.state).clone());
        }
        Found(found)
    }

    pub(super) fn forget(&self, platform: &ObjectRef<LogisticsPlatform>) {
        self.leave(platform, &BTreeSet::new());
    }

    fn leave(&self, platform: &ObjectRef<LogisticsPlatform>, except: &BTreeSet<Object>) {
        lock(&self.watches).retain(|object, watch| {
            if except.contains(object) {
                return true;
            }
            let mut platforms = lock(&watch.shared.platforms);
            platforms.remove(&key(platform));
            if platforms.is_empty() {
                watch.task.abort();
            }
            !platforms.is_empty()
        });
    }

    fn start(&self, (kind, namespace, name): &Object) -> Watch {
        let shared = Arc::new(Shared {
            state: Mutex::new(State::Unknown),
            platforms: Mutex::default(),
        });
        let config = watcher::Config::default().fields(&format!("metadata.name={name}"));
        let (client, trigger) = (self.client.clone(), self.trigger.clone());
        let task = match kind {
            RefKind::Secret => {
                let api: Api<PartialObjectMeta<Secret>> = Api::namespaced(client, namespace);
                tokio::spawn(follow(
                    watcher(api, config),
                    |_| BTreeMap::new(),
                    shared.clone(),
                    trigger,
                ))
            }
            RefKind::ConfigMap => {
                let api: Api<ConfigMap> = Api::namespaced(client, namespace);
                let data = |object: ConfigMap| object.data.unwrap_or_default();
                tokio::spawn(follow(watcher(api, config), data, shared.clone(), trigger))
            }
        };
        Watch {
            shared,
            task: task.abort_handle(),
        }
    }
}

fn key(platform: &ObjectRef<LogisticsPlatform>) -> (String, String) {
    (
        platform.namespace.clone().unwrap_or_default(),
        platform.name.clone(),
    )
}

async fn follow<K: Send + 'static>(
    events: impl Stream<Item = watcher::Result<Event<K>>> + Send,
    data: impl Fn(K) -> BTreeMap<String, String> + Send,
    shared: Arc<Shared>,
    trigger: Trigger,
) {
    let mut events = pin!(events.default_backoff());
    let mut listed = State::Absent;
    while let Some(event) = events.next().await {
        let state = match event {
            Ok(Event::Init) => {
                listed = State::Absent;
                continue;
            }
            Ok(Event::InitApply(object)) => {
                listed = State::Present(Arc::new(data(object)));
                continue;
            }
            Ok(Event::InitDone) => listed.clone(),
            Ok(Event::Apply(object)) => State::Present(Arc::new(data(object))),
            Ok(Event::Delete(_)) => State::Absent,
            Err(error) => {
                warn!(%error, "watch of a referenced object failed, it is tried again");
                continue;
            }
        };
        let news = std::mem::replace(&mut *lock(&shared.state), state.clone()) != state;
        if news {
            let platforms = lock(&shared.platforms).clone();
            for (namespace, name) in platforms {
                trigger(ObjectRef::new(&name).within(&namespace));
            }
        }
    }
}
