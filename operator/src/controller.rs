//! Runs the operator: watches, the queue of reconciles, back-off, shutdown.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::StreamExt;
use futures::channel::mpsc;
use kube::Client;
use kube_runtime::controller::{Action, Config, Error, applier};
use kube_runtime::reflector::ObjectRef;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::api::LogisticsPlatform;
use crate::apply::Kubernetes;
use crate::backend::{Outside, Trigger};
use crate::child::ChildKind;
use crate::jitter::jitter;
use crate::notice::Notices;
use crate::observe::{Platforms, RefKind, Scope, Sources, watch_children, watch_platforms, watch_references};
use crate::reconcile::{Context, ReconcileError, reconcile};
use crate::settings::Settings;
use crate::telemetry::{Health, Metrics};

/// Platforms that are reconciled at the same time.
const CONCURRENCY: u16 = 8;

/// First pause of a platform whose reconcile failed, and the longest.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(250), Duration::from_mins(2));

/// How long changes are gathered before a reconcile.
const DEBOUNCE: Duration = Duration::from_millis(50);

/// Failures in a row, by platform.
struct Backoff {
    failures: Mutex<HashMap<ObjectRef<LogisticsPlatform>, u32>>,
    metrics: Arc<Metrics>,
}

impl Backoff {
    fn next(&self, platform: ObjectRef<LogisticsPlatform>) -> Duration {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        let count = failures.entry(platform.clone()).or_default();
        let pause = BACKOFF.0.saturating_mul(1 << (*count).min(16)).min(BACKOFF.1);
        *count += 1;
        let pause = jitter(pause, 0.75..1.25, &(platform, *count));
        self.metrics.platforms_failing(failures.len());
        pause
    }

    fn reset(&self, platform: &ObjectRef<LogisticsPlatform>) {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        if failures.remove(platform).is_some() {
            self.metrics.platforms_failing(failures.len());
        }
    }
}

/// What an operator is made of.
pub struct Parts {
    /// The API server, with the operator's rights.
    pub client: Client,
    /// How Kafka and the schema registry are reached.
    pub outside: Outside,
    /// Which namespaces are watched.
    pub scope: Scope,
    /// What the cluster's administrator has set.
    pub settings: Arc<Settings>,
    /// Whether the watches deliver.
    pub health: Arc<Health>,
    /// Metrics.
    pub metrics: Arc<Metrics>,
}

impl Parts {
    /// An operator for all namespaces with default settings.
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self {
            client,
            outside: Outside::default(),
            scope: Scope::default(),
            settings: Arc::default(),
            health: Arc::default(),
            metrics: Metrics::new(),
        }
    }
}

/// Runs until `stop` is cancelled; reconciles that are under way are finished.
pub async fn run(parts: Parts, stop: CancellationToken) {
    let Parts {
        client,
        outside,
        scope,
        settings,
        health,
        metrics,
    } = parts;
    let (queue, triggers) = mpsc::unbounded();
    let trigger: Trigger = Arc::new(move |platform| {
        // The queue is closed only while the process ends.
        let _ = queue.unbounded_send(platform);
    });
    let context = Arc::new(Context {
        sources: Arc::new(Sources::new(client.clone(), outside, &trigger, &metrics)),
        kubernetes: Kubernetes::new(client.clone(), metrics.clone()),
        notices: Notices::new(client.clone(), metrics.clone()),
        client: client.clone(),
        settings,
        metrics,
        written: Mutex::default(),
    });
    let backoff = Arc::new(Backoff {
        failures: Mutex::default(),
        metrics: context.metrics.clone(),
    });
    let platforms = Arc::new(Platforms::default());
    let reader = platforms.reader();
    let mut watches = JoinSet::new();
    crate::observe::expect_watches(&scope, &health);
    for area in scope.areas() {
        for kind in ChildKind::ALL {
            let (client, sources) = (client.clone(), context.sources.clone());
            let (area, trigger, health) = (area.clone(), trigger.clone(), health.clone());
            watches.spawn(watch_children(client, area, kind, sources, trigger, health));
        }
        for kind in RefKind::ALL {
            let (client, sources) = (client.clone(), context.sources.clone());
            watches.spawn(watch_references(
                client,
                area.clone(),
                kind,
                sources,
                health.clone(),
            ));
        }
        let forget = {
            let (context, backoff) = (context.clone(), backoff.clone());
            move |platform: &ObjectRef<LogisticsPlatform>| {
                context.forget(platform);
                backoff.reset(platform);
            }
        };
        let (client, platforms) = (client.clone(), platforms.clone());
        let (trigger, health) = (trigger.clone(), health.clone());
        watches.spawn(watch_platforms(client, area, platforms, trigger, forget, health));
    }

    let act = {
        let (health, backoff, reader) = (health, backoff.clone(), reader.clone());
        move |platform: Arc<LogisticsPlatform>, context: Arc<Context>| {
            let (health, backoff) = (health.clone(), backoff.clone());
            context.metrics.platforms(reader.len());
            Box::pin(async move {
                // A decision before all children are known would make what exists already.
                if !health.ready() {
                    return Ok(Action::requeue(Duration::from_millis(200)));
                }
                let key = ObjectRef::from_obj(&*platform);
                let result = reconcile(platform, context).await;
                if result.is_ok() {
                    backoff.reset(&key);
                }
                result
            })
        }
    };
    let failed = move |platform: Arc<LogisticsPlatform>, error: &ReconcileError, _: Arc<Context>| {
        let pause = backoff.next(ObjectRef::from_obj(&*platform));
        if matches!(error, ReconcileError::Stale) {
            debug!(%error, "reconciles again");
        } else {
            warn!(%error, seconds = pause.as_secs_f64(), "reconcile failed, it is tried again");
        }
        Action::requeue(pause)
    };
    let config = Config::default().concurrency(CONCURRENCY).debounce(DEBOUNCE);
    let triggers = triggers
        .map(Ok::<_, Infallible>)
        .take_until(stop.cancelled_owned());
    applier(act, failed, context.clone(), reader, triggers, config)
        .for_each(|result| {
            // Its deletion may have been missed while the watch was broken.
            if let Err(Error::ObjectNotFound(gone)) = result {
                context.forget(&ObjectRef::new(&gone.name).within(&gone.namespace.unwrap_or_default()));
            }
            std::future::ready(())
        })
        .await;
    watches.shutdown().await;
}
