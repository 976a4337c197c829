//! The watches of what there is, and the reads of what platforms name.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::StreamExt;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use k8s_openapi::{ByteString, NamespaceResourceScope};
use kube::core::PartialObjectMeta;
use kube::{Api, Client, Resource, ResourceExt};
use kube_runtime::WatchStreamExt;
use kube_runtime::reflector::ObjectRef;
use kube_runtime::watcher::{self, Event, watcher};
use serde::de::DeserializeOwned;
use tokio::sync::Semaphore;
use tracing::warn;

use super::known::{Effects, Known, Platform, Versions};
use super::{Found, Object, RefKind, Reference};
use crate::api::LogisticsPlatform;
use crate::backend::Trigger;
use crate::names::{MANAGED_BY, MANAGER};
use crate::observe::watch::{PAGE, note, note_failure, watch_name};
use crate::observe::{Area, Sources};
use crate::retry_after;
use crate::telemetry::Health;

/// Objects that are read at the same time.
const READS: usize = 4;

/// First pause after a failed read, and the longest.
const RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_mins(1));

/// Longest time that a read may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The objects that platforms refer to.
#[derive(Clone)]
pub struct References(Arc<Shared>);

struct Shared {
    client: Client,
    trigger: Trigger,
    known: Mutex<Known>,
    reads: Semaphore,
}

impl References {
    pub(in crate::observe) fn new(client: Client, trigger: Trigger) -> Self {
        Self(Arc::new(Shared {
            client,
            trigger,
            known: Mutex::default(),
            reads: Semaphore::new(READS),
        }))
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes what a platform refers to, and tells what is known. The platform is woken when that changes.
    pub fn watch(&self, platform: &ObjectRef<LogisticsPlatform>, references: &[Reference]) -> Found {
        let mut known = self.known();
        let unread = known.want(&key(platform), references);
        let objects = references.iter().map(Reference::object);
        let found = objects.map(|object| {
            let state = known.state(&object);
            (object, state)
        });
        let found = Found(found.collect());
        drop(known);
        self.read(unread);
        found
    }

    pub(in crate::observe) fn forget(&self, platform: &ObjectRef<LogisticsPlatform>) {
        self.known().forget(&key(platform));
    }

    fn act(&self, effects: Effects) {
        for (namespace, name) in &effects.wake {
            (self.0.trigger)(ObjectRef::new(name).within(namespace));
        }
        self.read(effects.read);
    }

    fn read(&self, objects: Vec<Object>) {
        for object in objects {
            let references = self.clone();
            // It ends with the read, or when nobody refers to the object any more.
            tokio::spawn(async move { references.read_one(object).await });
        }
    }

    /// Of an object there is one at a time, so that its pause is everybody's.
    async fn read_one(&self, object: Object) {
        let (kind, namespace, name) = &object;
        let mut pause = RETRY.0;
        while self.known().goes_on(&object) {
            let answer = {
                let _turn = self.0.reads.acquire().await;
                tokio::time::timeout(TIMEOUT, get(&self.0.client, &object)).await
            };
            match answer {
                Ok(Ok(found)) => {
                    let effects = self.known().read(&object, found);
                    self.act(effects);
                    return;
                }
                Ok(Err(error)) => {
                    pause = pause.max(retry_after::of(&error).unwrap_or_default());
                    warn!(
                        ?kind,
                        namespace, name, %error, "what a platform refers to could not be read, it is tried again"
                    );
                }
                Err(_) => warn!(
                    ?kind,
                    namespace, name, "no answer when what a platform refers to was read, it is tried again"
                ),
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(RETRY.1);
        }
    }
}

/// The version and the values of an object, where it is there.
async fn get(
    client: &Client,
    (kind, namespace, name): &Object,
) -> kube::Result<Option<(u64, BTreeMap<String, String>)>> {
    Ok(match kind {
        RefKind::ConfigMap => {
            let found = Api::<ConfigMap>::namespaced(client.clone(), namespace)
                .get_opt(name)
                .await?;
            found.map(|object| (version(&object), object.data.unwrap_or_default()))
        }
        RefKind::Secret => {
            let found = Api::<Secret>::namespaced(client.clone(), namespace)
                .get_opt(name)
                .await?;
            found.map(|object| (version(&object), texts(object.data.unwrap_or_default())))
        }
    })
}

/// The values that can be credentials. As in the files of a pod, a line break at the end does not count.
fn texts(data: BTreeMap<String, ByteString>) -> BTreeMap<String, String> {
    let text = |(key, ByteString(value)): (String, ByteString)| {
        let text = String::from_utf8(value).ok()?;
        let text = text.trim_end_matches(['\r', '\n']);
        (!text.is_empty()).then(|| (key, text.to_owned()))
    };
    data.into_iter().filter_map(text).collect()
}

fn key(platform: &ObjectRef<LogisticsPlatform>) -> Platform {
    (
        platform.namespace.clone().unwrap_or_default(),
        platform.name.clone(),
    )
}

fn version(object: &impl ResourceExt) -> u64 {
    let text = object.resource_version().unwrap_or_default();
    text.parse().unwrap_or(0)
}

/// Watches which objects of a kind there are that platforms could refer to; never ends.
pub(crate) async fn watch_references(
    client: Client,
    area: Area,
    kind: RefKind,
    sources: Arc<Sources>,
    health: Arc<Health>,
) {
    let references = &sources.references;
    match kind {
        RefKind::Secret => follow::<Secret>(client, &area, kind, references, &health).await,
        RefKind::ConfigMap => follow::<ConfigMap>(client, &area, kind, references, &health).await,
    }
}

async fn follow<K>(client: Client, area: &Area, kind: RefKind, references: &References, health: &Health)
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + DeserializeOwned,
    K: std::fmt::Debug + Send + 'static,
{
    let watch = watch_name(kind.watch(), area);
    let api: Api<PartialObjectMeta<K>> = match area {
        Some(namespace) => Api::namespaced(client, namespace),
        None => Api::all(client),
    };
    // What we make ourselves is watched as children.
    let config = watcher::Config::default()
        .page_size(PAGE)
        .labels(&format!("{MANAGED_BY}!={MANAGER}"));
    let mut events = pin!(watcher(api, config).default_backoff());
    let mut listed = Versions::new();
    while let Some(event) = events.next().await {
        let event = match event {
            Ok(event) => event,
            Err(error) => {
                note_failure(health, &watch, &error).await;
                continue;
            }
        };
        note(health, &watch, &event);
        let object =
            |found: &PartialObjectMeta<K>| (kind, found.namespace().unwrap_or_default(), found.name_any());
        let effects = match event {
            Event::Init => {
                listed.clear();
                continue;
            }
            Event::InitApply(found) => {
                let (_, namespace, name) = object(&found);
                listed.entry(namespace).or_default().insert(name, version(&found));
                continue;
            }
            Event::InitDone => {
                let effects = references.known().listed(kind, area, std::mem::take(&mut listed));
                health.synced(&watch);
                effects
            }
            Event::Apply(found) => references.known().changed(&object(&found), Some(version(&found))),
            Event::Delete(found) => references.known().changed(&object(&found), None),
        };
        references.act(effects);
    }
}
