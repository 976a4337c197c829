//! Kinds that a cluster has only when somebody installed their definition. Each definition is watched by its name, so that
//! a kind is used as soon as it is there, and let go when it is not there any more.

use std::pin::pin;
use std::sync::{Arc, PoisonError};

use futures::StreamExt;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::core::PartialObjectMeta;
use kube::{Api, Client};
use kube_runtime::WatchStreamExt;
use kube_runtime::watcher::{self, Event, watcher};
use tokio::task::JoinSet;
use tracing::{debug, info};

use super::{Scope, Sources, watch_children};
use crate::backend::Trigger;
use crate::child::ChildKind;
use crate::retry_after;
use crate::telemetry::Health;

/// Follows whether the cluster has a kind; never ends. `every` wakes all platforms.
pub(crate) async fn follow(
    client: Client,
    scope: Scope,
    kind: ChildKind,
    sources: Arc<Sources>,
    trigger: Trigger,
    every: impl Fn() + Send,
) {
    let definitions: Api<PartialObjectMeta<CustomResourceDefinition>> = Api::all(client.clone());
    let resource = kind.resource();
    let name = format!("{}.{}", resource.plural, resource.group);
    let config = watcher::Config::default().fields(&format!("metadata.name={name}"));
    let mut events = pin!(watcher(definitions, config).default_backoff());
    let mut watches = JoinSet::new();
    let mut listed = false;
    while let Some(event) = events.next().await {
        let present = match event {
            Ok(Event::Init) => {
                listed = false;
                continue;
            }
            Ok(Event::InitApply(_)) => {
                listed = true;
                continue;
            }
            Ok(Event::InitDone) => listed,
            Ok(Event::Apply(_)) => true,
            Ok(Event::Delete(_)) => false,
            Err(error) => {
                // Without the right to read definitions, the kind is not used.
                debug!(%name, %error, "the definition cannot be watched, it is tried again");
                if let Some(pause) = retry_after::of_watch(&error) {
                    tokio::time::sleep(pause).await;
                }
                continue;
            }
        };
        if present != watches.is_empty() {
            continue;
        }
        if present {
            info!(kind = kind.name(), "the cluster has the optional kind now");
            // Its health is not the operator's: nothing waits for it but its own children.
            let health = Arc::new(Health::default());
            for area in scope.areas() {
                let (client, sources) = (client.clone(), sources.clone());
                watches.spawn(watch_children(
                    client,
                    area,
                    kind,
                    sources,
                    trigger.clone(),
                    health.clone(),
                ));
            }
        } else {
            info!(
                kind = kind.name(),
                "the cluster does not have the optional kind any more"
            );
            watches.shutdown().await;
            for area in scope.areas() {
                sources.cache.list_begins(kind, &area);
                sources.cache.list_ends(kind, &area);
            }
        }
        let mut optional = sources.optional.lock().unwrap_or_else(PoisonError::into_inner);
        if present {
            optional.insert(kind);
        } else {
            optional.remove(&kind);
        }
        drop(optional);
        every();
    }
}
