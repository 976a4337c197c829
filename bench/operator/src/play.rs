//! Plays the controllers of Deployments, `ReplicaSet`s and Jobs: what is wanted is so at once. It also sees when which
//! object changed.

use std::collections::{HashMap, HashSet};
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use anyhow::{Result, bail};
use futures::StreamExt;
use kube::api::{Api, ApiResource, Patch, PatchParams};
use kube::core::DynamicObject;
use kube::{Client, ResourceExt};
use kube_runtime::WatchStreamExt;
use kube_runtime::watcher::{Config, Event, watcher};
use serde_json::{Value, json};
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinSet;

use crate::site::PATIENCE;

/// Statuses that are written at the same time.
const WRITES: usize = 8;

/// A fixed time, so that a status is the same whenever it is written.
const TIME: &str = "2026-01-01T00:00:00Z";

/// The controllers that are played; dropping it ends them.
pub(crate) struct Player {
    seen: Arc<Seen>,
    _tasks: JoinSet<()>,
}

#[derive(Default)]
struct Seen {
    /// Pods that each Deployment wants, with the moment at which that was seen.
    replicas: Mutex<HashMap<(String, String), (i64, Instant)>>,
    changed: Notify,
    /// Objects that are there, by kind.
    deployments: AtomicUsize,
}

impl Seen {
    fn replicas(&self) -> MutexGuard<'_, HashMap<(String, String), (i64, Instant)>> {
        self.replicas.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Player {
    /// Begins to play.
    pub(crate) fn start(client: &Client) -> Self {
        let seen = Arc::new(Seen::default());
        let mut tasks = JoinSet::new();
        for (api_version, kind) in [
            ("apps/v1", "Deployment"),
            ("apps/v1", "ReplicaSet"),
            ("batch/v1", "Job"),
        ] {
            let (group, version) = api_version.split_once('/').unwrap_or_default();
            let resource = ApiResource {
                group: group.into(),
                version: version.into(),
                api_version: api_version.into(),
                kind: kind.into(),
                plural: format!("{}s", kind.to_lowercase()),
            };
            tasks.spawn(play(client.clone(), resource, Arc::clone(&seen)));
        }
        Self { seen, _tasks: tasks }
    }

    /// Deployments that are there.
    pub(crate) fn deployments(&self) -> usize {
        self.seen.deployments.load(Ordering::Relaxed)
    }

    /// Waits until a Deployment was changed, after a moment, to want so many pods; gives when the watch showed that.
    pub(crate) async fn until_replicas(
        &self,
        (namespace, name): (&str, &str),
        replicas: i64,
        after: Instant,
    ) -> Result<Instant> {
        let key = (namespace.to_owned(), name.to_owned());
        let wait = async {
            loop {
                let changed = self.seen.changed.notified();
                let known = self.seen.replicas().get(&key).copied();
                if let Some((found, since)) = known
                    && found == replicas
                    && since > after
                {
                    return since;
                }
                changed.await;
            }
        };
        match tokio::time::timeout(PATIENCE, wait).await {
            Ok(since) => Ok(since),
            Err(_) => bail!("Deployment {name} never had {replicas} pods"),
        }
    }
}

async fn play(client: Client, resource: ApiResource, seen: Arc<Seen>) {
    let api: Api<DynamicObject> = Api::all_with(client.clone(), &resource);
    let mut events = pin!(watcher(api, Config::default().page_size(100)).default_backoff());
    let writes = Arc::new(Semaphore::new(WRITES));
    let mut known = HashSet::new();
    let deployments = resource.kind == "Deployment";
    while let Some(event) = events.next().await {
        let object = match event {
            Ok(Event::Apply(object) | Event::InitApply(object)) => object,
            Ok(Event::Delete(object)) => {
                known.remove(&object.uid());
                if deployments {
                    seen.deployments.store(known.len(), Ordering::Relaxed);
                }
                continue;
            }
            Ok(_) => continue,
            Err(error) => {
                eprintln!("the played controllers: {error}");
                continue;
            }
        };
        known.insert(object.uid());
        if deployments {
            seen.deployments.store(known.len(), Ordering::Relaxed);
            let key = (object.namespace().unwrap_or_default(), object.name_any());
            let replicas = object.data["spec"]["replicas"].as_i64().unwrap_or(1);
            let mut known = seen.replicas();
            if known.get(&key).is_none_or(|(former, _)| *former != replicas) {
                known.insert(key, (replicas, Instant::now()));
                seen.changed.notify_waiters();
            }
        }
        let Some(status) = status(&resource.kind, &object) else {
            continue;
        };
        let (client, resource) = (client.clone(), resource.clone());
        let Ok(turn) = Arc::clone(&writes).acquire_owned().await else {
            return;
        };
        tokio::spawn(async move {
            if let Err(error) = report(&client, &resource, &object, &status).await {
                eprintln!("the played controllers: {error:#}");
            }
            drop(turn);
        });
    }
}

/// The status that an object's controller would write, unless it is there.
fn status(kind: &str, object: &DynamicObject) -> Option<Value> {
    if object.metadata.deletion_timestamp.is_some() {
        return None;
    }
    let found = &object.data["status"];
    let condition = |kind: &str, reason: &str| {
        json!({
            "type": kind, "status": "True", "reason": reason, "message": reason,
            "lastTransitionTime": TIME,
        })
    };
    if kind == "Job" {
        if found["succeeded"] == 1 {
            return None;
        }
        return Some(json!({
            "startTime": TIME, "completionTime": TIME, "succeeded": 1, "uncountedTerminatedPods": {},
            "conditions": [condition("SuccessCriteriaMet", "CompletionsReached"), condition("Complete", "CompletionsReached")],
        }));
    }
    let replicas = object.data["spec"]["replicas"].as_i64().unwrap_or(1);
    let counts = match kind {
        "Deployment" => [
            "replicas",
            "updatedReplicas",
            "readyReplicas",
            "availableReplicas",
        ],
        _ => [
            "replicas",
            "fullyLabeledReplicas",
            "readyReplicas",
            "availableReplicas",
        ],
    };
    let up_to_date = found["observedGeneration"].as_i64() == object.metadata.generation
        && counts
            .iter()
            .all(|count| found[count].as_i64().unwrap_or(0) == replicas);
    if up_to_date {
        return None;
    }
    let mut status = json!({"observedGeneration": object.metadata.generation});
    for count in counts {
        status[count] = replicas.into();
    }
    if kind == "Deployment" {
        status["conditions"] = json!([
            condition("Available", "MinimumReplicasAvailable"),
            condition("Progressing", "NewReplicaSetAvailable"),
        ]);
    }
    Some(status)
}

async fn report(
    client: &Client,
    resource: &ApiResource,
    object: &DynamicObject,
    status: &Value,
) -> Result<()> {
    let namespace = object.namespace().unwrap_or_default();
    let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), &namespace, resource);
    let patch = Patch::Merge(json!({"status": status}));
    let parameters = PatchParams::default();
    match api.patch_status(&object.name_any(), &parameters, &patch).await {
        // It was removed meanwhile.
        Err(kube::Error::Api(answer)) if answer.is_not_found() => Ok(()),
        Err(error) => Err(error.into()),
        Ok(_) => Ok(()),
    }
}
