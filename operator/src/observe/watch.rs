//! The watches: one for platforms and one for each kind of child, in each namespace or in all at once. Each has its own
//! back-off, so that one that fails slows down no other.

use std::collections::HashSet;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};

use futures::StreamExt;
use kube::core::{DeserializeGuard, DynamicObject};
use kube::{Api, Client, Resource, ResourceExt};
use kube_runtime::WatchStreamExt;
use kube_runtime::reflector::ObjectRef;
use kube_runtime::reflector::store::{Store, Writer};
use kube_runtime::watcher::{self, Event, watcher};
use tracing::{error, warn};

use super::references::RefKind;
use super::{Area, Scope, Sources};
use crate::api::LogisticsPlatform;
use crate::backend::Trigger;
use crate::child::{ChildKind, LAST_APPLIED, Live};
use crate::claims::Claims;
use crate::names::{MANAGED_BY, MANAGER};
use crate::retry_after;
use crate::telemetry::Health;

/// Objects in one page of a list: a page is in memory as a whole, and of each watch one.
pub(super) const PAGE: u32 = 50;

/// Name of the platforms' watch in [`Health`].
const PLATFORMS: &str = "LogisticsPlatform";

/// Name of a watch in [`Health`].
pub(super) fn watch_name(kind: &str, area: &Area) -> String {
    match area {
        Some(namespace) => format!("{kind} in {namespace}"),
        None => kind.to_owned(),
    }
}

/// Watches the children of a kind; never ends.
pub async fn watch_children(
    client: Client,
    area: Area,
    kind: ChildKind,
    sources: Arc<Sources>,
    trigger: Trigger,
    health: Arc<Health>,
) {
    let resource = kind.resource();
    let name = watch_name(kind.name(), &area);
    let api: Api<DynamicObject> = match &area {
        Some(namespace) => Api::namespaced_with(client, namespace, &resource),
        None => Api::all_with(client, &resource),
    };
    let config = watcher::Config::default()
        .page_size(PAGE)
        .labels(&format!("{MANAGED_BY}={MANAGER}"));
    let mut events = pin!(watcher(api, config).default_backoff());
    while let Some(event) = events.next().await {
        match event {
            Ok(event) => {
                note(&health, &name, &event);
                let synced = matches!(event, Event::InitDone);
                for platform in take_over(&sources, kind, &area, event) {
                    trigger(platform);
                }
                if synced {
                    health.synced(&name);
                }
            }
            Err(error) => {
                note_failure(&health, &name, &error).await;
            }
        }
    }
}

/// An event tells that a watch is open; that a list begins tells nothing.
pub(super) fn note<K>(health: &Health, watch: &str, event: &Event<K>) {
    if !matches!(event, Event::Init) {
        health.opened(watch);
    }
}

/// Waits as long as the API server asks for; the watch's own back-off begins at the same time.
pub(super) async fn note_failure(health: &Health, watch: &str, error: &watcher::Error) {
    match error {
        // It was open until now.
        watcher::Error::WatchFailed(_) | watcher::Error::WatchError(_) => health.opened(watch),
        _ => health.failed(watch),
    }
    warn!(kind = watch, %error, "watch failed, it is tried again");
    if let Some(pause) = retry_after::of_watch(error) {
        tokio::time::sleep(pause).await;
    }
}

/// Takes an event into the cache; returns the platforms that it concerns.
fn take_over(
    sources: &Sources,
    kind: ChildKind,
    area: &Area,
    event: Event<DynamicObject>,
) -> Vec<ObjectRef<LogisticsPlatform>> {
    let cache = &sources.cache;
    match event {
        Event::Init => {
            cache.list_begins(kind, area);
            Vec::new()
        }
        Event::InitDone => cache.list_ends(kind, area),
        Event::Apply(object) | Event::InitApply(object) => cache.seen(&Live::new(kind, object)),
        Event::Delete(object) => cache.gone(&Live::new(kind, object)).into_iter().collect(),
    }
}

/// The platforms of all watches.
pub struct Platforms {
    writer: Mutex<Writer<LogisticsPlatform>>,
    reader: Store<LogisticsPlatform>,
    claims: Arc<Claims>,
}

impl Platforms {
    /// No platforms yet; what they claim is noted in `claims`.
    #[must_use]
    pub fn new(claims: Arc<Claims>) -> Self {
        let mut writer = Writer::<LogisticsPlatform>::default();
        // Whoever reads need not wait: Health tells when all lists are complete.
        writer.apply_watcher_event(&Event::Init);
        writer.apply_watcher_event(&Event::InitDone);
        Self {
            reader: writer.as_reader(),
            writer: Mutex::new(writer),
            claims,
        }
    }

    /// What is known, for readers.
    #[must_use]
    pub fn reader(&self) -> Store<LogisticsPlatform> {
        self.reader.clone()
    }

    /// Takes a platform over; returns the others that this concerns.
    fn put(&self, platform: LogisticsPlatform) -> Vec<ObjectRef<LogisticsPlatform>> {
        let concerned = self.claims.note(&platform);
        self.write(&Event::Apply(platform));
        concerned
    }

    /// Takes a platform out; returns the others that this concerns.
    fn remove(&self, platform: LogisticsPlatform) -> Vec<ObjectRef<LogisticsPlatform>> {
        let concerned = self.claims.forget(&ObjectRef::from_obj(&platform));
        self.write(&Event::Delete(platform));
        concerned
    }

    fn write(&self, event: &Event<LogisticsPlatform>) {
        self.writer
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .apply_watcher_event(event);
    }

    /// The platforms of an area that a complete list did not show.
    fn unlisted(
        &self,
        area: &Area,
        listed: &HashSet<ObjectRef<LogisticsPlatform>>,
    ) -> Vec<Arc<LogisticsPlatform>> {
        self.reader.state_filter(|platform| {
            let inside = area.is_none() || platform.metadata.namespace == *area;
            inside && !listed.contains(&ObjectRef::from_obj(platform))
        })
    }
}

/// Watches platforms; never ends. One that cannot be read does not end the watch: it is reported and left alone.
pub async fn watch_platforms(
    client: Client,
    area: Area,
    platforms: Arc<Platforms>,
    trigger: Trigger,
    forget: impl Fn(&ObjectRef<LogisticsPlatform>) + Send,
    health: Arc<Health>,
) {
    let name = watch_name(PLATFORMS, &area);
    let api: Api<DeserializeGuard<LogisticsPlatform>> = match &area {
        Some(namespace) => Api::namespaced(client, namespace),
        None => Api::all(client),
    };
    let mut events = pin!(watcher(api, watcher::Config::default().page_size(PAGE)).default_backoff());
    let mut listed = HashSet::new();
    while let Some(event) = events.next().await {
        let event = match event {
            Ok(event) => event,
            Err(error) => {
                note_failure(&health, &name, &error).await;
                continue;
            }
        };
        note(&health, &name, &event);
        let listing = matches!(event, Event::InitApply(_));
        let Some(event) = readable(event) else { continue };
        match event {
            Event::Init => listed.clear(),
            Event::Apply(platform) | Event::InitApply(platform) => {
                let key = ObjectRef::from_obj(&platform);
                if listing {
                    listed.insert(key.clone());
                }
                platforms.put(platform).into_iter().for_each(&*trigger);
                trigger(key);
            }
            Event::Delete(platform) => {
                let key = ObjectRef::from_obj(&platform);
                platforms.remove(platform).into_iter().for_each(&*trigger);
                forget(&key);
            }
            Event::InitDone => {
                for gone in platforms.unlisted(&area, &listed) {
                    let key = ObjectRef::from_obj(&*gone);
                    platforms.remove((*gone).clone()).into_iter().for_each(&*trigger);
                    forget(&key);
                }
                listed.clear();
                health.synced(&name);
            }
        }
    }
}

/// Names the watches that have to deliver before the operator is ready.
pub(crate) fn expect_watches(scope: &Scope, health: &Health) {
    for area in scope.areas() {
        health.expect(&watch_name(PLATFORMS, &area));
        for kind in ChildKind::ALL {
            health.expect(&watch_name(kind.name(), &area));
        }
        for kind in RefKind::ALL {
            health.expect(&watch_name(kind.watch(), &area));
        }
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
        let mut platform = object.0.inspect_err(report).ok()?;
        platform.metadata.managed_fields = None;
        if let Some(annotations) = &mut platform.metadata.annotations {
            annotations.remove(LAST_APPLIED);
        }
        Some(platform)
    };
    Some(match event {
        Event::Init => Event::Init,
        Event::InitDone => Event::InitDone,
        Event::Apply(object) => Event::Apply(read(object)?),
        Event::InitApply(object) => Event::InitApply(read(object)?),
        Event::Delete(object) => Event::Delete(read(object)?),
    })
}
