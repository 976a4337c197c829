//! The watches: one for platforms, one for each kind of child. Each has its own back-off, so that one that fails slows
//! down no other.

use std::pin::pin;
use std::sync::Arc;

use futures::StreamExt;
use kube::core::{DeserializeGuard, DynamicObject};
use kube::{Api, Client, Resource, ResourceExt};
use kube_runtime::WatchStreamExt;
use kube_runtime::reflector::ObjectRef;
use kube_runtime::reflector::store::Writer;
use kube_runtime::watcher::{self, Event, watcher};
use tracing::{error, warn};

use super::Sources;
use crate::api::LogisticsPlatform;
use crate::backend::Trigger;
use crate::child::{ChildKind, Live};
use crate::names::{INSTANCE, MANAGED_BY, MANAGER};
use crate::telemetry::Health;

/// Name of the platforms' watch in [`Health`].
const PLATFORMS: &str = "LogisticsPlatform";

/// Which namespaces are watched.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    /// One namespace; `None` watches all.
    pub namespace: Option<String>,
}

/// Watches the children of a kind; never ends.
pub async fn watch_children(
    client: Client,
    scope: Scope,
    kind: ChildKind,
    sources: Arc<Sources>,
    trigger: Trigger,
    health: Arc<Health>,
) {
    let resource = kind.resource();
    let api: Api<DynamicObject> = match &scope.namespace {
        Some(namespace) => Api::namespaced_with(client, namespace, &resource),
        None => Api::all_with(client, &resource),
    };
    let config = watcher::Config::default().labels(&format!("{MANAGED_BY}={MANAGER}"));
    let mut events = pin!(watcher(api, config).default_backoff());
    while let Some(event) = events.next().await {
        match event {
            Ok(event) => {
                health.progressed(kind.name());
                let synced = matches!(event, Event::InitDone);
                for platform in take_over(&sources, kind, event) {
                    trigger(platform);
                }
                if synced {
                    health.synced(kind.name());
                }
            }
            Err(error) => {
                health.failed(kind.name());
                warn!(kind = kind.name(), %error, "watch failed, it is tried again");
            }
        }
    }
}

/// Takes an event into the cache; returns the platforms that it concerns.
fn take_over(
    sources: &Sources,
    kind: ChildKind,
    event: Event<DynamicObject>,
) -> Vec<ObjectRef<LogisticsPlatform>> {
    let cache = &sources.cache;
    let concerned: Vec<Arc<Live>> = match event {
        Event::Init => {
            cache.list_begins(kind);
            Vec::new()
        }
        Event::InitDone => cache.list_ends(kind),
        Event::Apply(object) | Event::InitApply(object) => {
            let live = Live::new(kind, object);
            // Its former state may name the platform that the object was taken from.
            let former = cache.put(Arc::clone(&live));
            former.into_iter().chain([live]).collect()
        }
        Event::Delete(object) => {
            let live = Live::new(kind, object);
            cache.gone(&live);
            vec![live]
        }
    };
    let mut platforms: Vec<_> = concerned
        .iter()
        .filter_map(|live| Some(ObjectRef::new(live.label(INSTANCE)?).within(&live.namespace)))
        .collect();
    platforms.dedup();
    platforms
}

/// Watches platforms; never ends. One that cannot be read does not end the watch: it is reported and left alone.
pub async fn watch_platforms(
    client: Client,
    scope: Scope,
    mut store: Writer<LogisticsPlatform>,
    trigger: Trigger,
    forget: impl Fn(&ObjectRef<LogisticsPlatform>) + Send,
    health: Arc<Health>,
) {
    let api: Api<DeserializeGuard<LogisticsPlatform>> = match &scope.namespace {
        Some(namespace) => Api::namespaced(client, namespace),
        None => Api::all(client),
    };
    let mut events = pin!(watcher(api, watcher::Config::default()).default_backoff());
    while let Some(event) = events.next().await {
        match event {
            Ok(event) => {
                health.progressed(PLATFORMS);
                let synced = matches!(event, Event::InitDone);
                let deleted = matches!(event, Event::Delete(_));
                let Some(event) = readable(event) else { continue };
                let platform = match &event {
                    Event::Apply(platform) | Event::InitApply(platform) | Event::Delete(platform) => {
                        Some(ObjectRef::from_obj(platform))
                    }
                    Event::Init | Event::InitDone => None,
                };
                store.apply_watcher_event(&event);
                match platform {
                    Some(platform) if deleted => forget(&platform),
                    Some(platform) => trigger(platform),
                    None => {}
                }
                if synced {
                    health.synced(PLATFORMS);
                }
            }
            Err(error) => {
                health.failed(PLATFORMS);
                warn!(kind = PLATFORMS, %error, "watch failed, it is tried again");
            }
        }
    }
}

/// Names the watches that have to deliver before the operator is ready.
pub(crate) fn expect_watches(health: &Health) {
    health.expect(PLATFORMS);
    for kind in ChildKind::ALL {
        health.expect(kind.name());
    }
}

fn readable(event: Event<DeserializeGuard<LogisticsPlatform>>) -> Option<Event<LogisticsPlatform>> {
    let read = |object: DeserializeGuard<LogisticsPlatform>| {
        let name = format!(
            "{}/{}",
            object.meta().namespace.clone().unwrap_or_default(),
            object.name_any()
        );
        let report = |error: &kube::core::error_boundary::InvalidObject| {
            let remedy = "write it again, or install the definition that `logistics-operator crd` prints";
            error!(platform = name, %error, remedy, "LogisticsPlatform cannot be read, it is left alone");
        };
        object.0.inspect_err(report).ok()
    };
    Some(match event {
        Event::Init => Event::Init,
        Event::InitDone => Event::InitDone,
        Event::Apply(object) => Event::Apply(read(object)?),
        Event::InitApply(object) => Event::InitApply(read(object)?),
        Event::Delete(object) => Event::Delete(read(object)?),
    })
}
