//! Runs the operator: watches, the queue of reconciles, back-off, shutdown.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::StreamExt;
use futures::channel::mpsc;
use kube::Client;
use kube_runtime::controller::{Action, Config, Error, applier};
use kube_runtime::reflector::{ObjectRef, Store};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tracing::{debug, warn};

use crate::admission::{self, Webhook};
use crate::api::LogisticsPlatform;
use crate::apply::Kubernetes;
use crate::backend::{Outside, Trigger};
use crate::child::ChildKind;
use crate::jitter::jitter;
use crate::leader::{Election, Leadership, elect};
use crate::notice::Notices;
use crate::observe::{
    Platforms, RefKind, Scope, Sources, follow_optional, watch_children, watch_platforms, watch_references,
};
use crate::reconcile::{Context, ReconcileError, reconcile};
use crate::settings::Settings;
use crate::telemetry::{Health, Metrics};

/// Platforms that are reconciled at the same time.
const CONCURRENCY: u16 = 8;

/// First pause of a platform whose reconcile failed, and the longest.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(250), Duration::from_mins(2));

/// After how long a leader that could not renew the Lease in time looks whether it still leads.
const RETRY_LEADING: Duration = Duration::from_millis(500);

/// How long changes are gathered before a reconcile.
const DEBOUNCE: Duration = Duration::from_millis(50);

/// Failures in a row, by platform.
struct Backoff {
    failures: Mutex<HashMap<ObjectRef<LogisticsPlatform>, Failures>>,
    metrics: Arc<Metrics>,
}

#[derive(Default)]
struct Failures {
    count: u32,
    /// Until when the API server asks to be left alone, whatever happens to the platform in the meantime.
    held: Option<Instant>,
}

impl Backoff {
    fn lock(&self) -> MutexGuard<'_, HashMap<ObjectRef<LogisticsPlatform>, Failures>> {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The pause after a failure.
    fn next(&self, platform: ObjectRef<LogisticsPlatform>, retry_after: Option<Duration>) -> Duration {
        let mut all = self.lock();
        let failures = all.entry(platform.clone()).or_default();
        let doubled = BACKOFF.0.saturating_mul(1 << failures.count.min(16));
        failures.count += 1;
        failures.held = retry_after.map(|asked| Instant::now() + asked);
        let pause = jitter(doubled.min(BACKOFF.1), 0.75..1.25, &(platform, failures.count));
        self.metrics.platforms_failing(all.len());
        pause.max(retry_after.unwrap_or_default())
    }

    /// How long a platform still has to wait because the API server asked for it.
    fn held(&self, platform: &ObjectRef<LogisticsPlatform>) -> Option<Duration> {
        let until = self.lock().get(platform)?.held?;
        let rest = until.saturating_duration_since(Instant::now());
        (!rest.is_zero()).then_some(rest)
    }

    fn reset(&self, platform: &ObjectRef<LogisticsPlatform>) {
        let mut all = self.lock();
        if all.remove(platform).is_some() {
            self.metrics.platforms_failing(all.len());
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
    /// How it is agreed which of several operators writes; `None` for the only one.
    pub election: Option<Election>,
    /// How platforms are checked before they are stored; `None` where they are not.
    pub webhook: Option<Webhook>,
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
            election: None,
            webhook: None,
            health: Arc::default(),
            metrics: Metrics::new(),
        }
    }
}

/// Runs until `stop` is cancelled; reconciles that are under way are finished, then the Lease is given up.
pub async fn run(parts: Parts, stop: CancellationToken) {
    let Parts {
        client,
        outside,
        scope,
        settings,
        election,
        webhook,
        health,
        metrics,
    } = parts;
    let leadership = match &election {
        Some(election) => election.leadership(metrics.clone()),
        None => Leadership::sole(metrics.clone()),
    };
    let finished = CancellationToken::new();
    let election = election.map(|election| {
        let (client, leadership, metrics) = (client.clone(), leadership.clone(), metrics.clone());
        let elect = elect(client, election, leadership, metrics, finished.clone());
        AbortOnDropHandle::new(tokio::spawn(elect))
    });
    let (queue, triggers) = mpsc::unbounded();
    let trigger: Trigger = Arc::new(move |platform| {
        // The queue is closed only while the process ends.
        let _ = queue.unbounded_send(platform);
    });
    let webhook = webhook.map(|webhook| {
        let (client, leadership, settings) = (client.clone(), leadership.clone(), settings.clone());
        let serve = admission::run(
            webhook,
            client,
            leadership,
            settings,
            metrics.clone(),
            stop.clone(),
        );
        AbortOnDropHandle::new(tokio::spawn(serve))
    });
    let context = Arc::new(Context {
        sources: Arc::new(Sources::new(client.clone(), outside, &trigger, &metrics)),
        kubernetes: Kubernetes::new(client.clone(), leadership.clone(), metrics.clone()),
        notices: Notices::new(client.clone(), leadership.clone(), metrics.clone()),
        client: client.clone(),
        leadership,
        settings,
        metrics,
        gone: Mutex::default(),
        answered: Mutex::default(),
    });
    let platforms = Arc::new(Platforms::new(context.sources.claims.clone()));
    let walks = Walks {
        backoff: Arc::new(Backoff {
            failures: Mutex::default(),
            metrics: context.metrics.clone(),
        }),
        context,
        platforms,
        health,
    };
    let mut watches = walks.watch(&client, &scope, &trigger);
    walks.run(triggers, stop).await;
    watches.shutdown().await;
    // The Lease first: another operator leads the sooner.
    finished.cancel();
    for task in [election, webhook].into_iter().flatten() {
        if let Err(error) = task.await {
            warn!(%error, "a task ended badly");
        }
    }
}

/// The reconciles and what they share.
struct Walks {
    context: Arc<Context>,
    backoff: Arc<Backoff>,
    platforms: Arc<Platforms>,
    health: Arc<Health>,
}

impl Walks {
    /// Starts all that feeds the reconciles.
    fn watch(&self, client: &Client, scope: &Scope, trigger: &Trigger) -> JoinSet<()> {
        let mut watches = JoinSet::new();
        crate::observe::expect_watches(scope, &self.health);
        for area in scope.areas() {
            for kind in ChildKind::ALL {
                watches.spawn(watch_children(
                    client.clone(),
                    area.clone(),
                    kind,
                    self.context.sources.clone(),
                    trigger.clone(),
                    self.health.clone(),
                ));
            }
            for kind in RefKind::ALL {
                watches.spawn(watch_references(
                    client.clone(),
                    area.clone(),
                    kind,
                    self.context.sources.clone(),
                    self.health.clone(),
                ));
            }
            let (context, backoff) = (self.context.clone(), self.backoff.clone());
            let reader = self.platforms.reader();
            let forget = move |platform: &ObjectRef<LogisticsPlatform>| {
                context.metrics.platforms(reader.len());
                context.forget(platform);
                backoff.reset(platform);
            };
            watches.spawn(watch_platforms(
                client.clone(),
                area,
                self.platforms.clone(),
                trigger.clone(),
                forget,
                self.health.clone(),
            ));
        }
        for kind in ChildKind::OPTIONAL {
            let (reader, trigger) = (self.platforms.reader(), trigger.clone());
            let every = {
                let trigger = trigger.clone();
                move || {
                    for platform in reader.state() {
                        trigger(ObjectRef::from_obj(&*platform));
                    }
                }
            };
            watches.spawn(follow_optional(
                client.clone(),
                scope.clone(),
                kind,
                self.context.sources.clone(),
                trigger,
                every,
            ));
        }
        watches.spawn(follow_leadership(
            self.context.clone(),
            self.platforms.reader(),
            trigger.clone(),
        ));
        watches.spawn(self.health.clone().probe(client.clone()));
        watches
    }

    /// Reconciles what is triggered, until `stop` is cancelled and what is under way is finished.
    async fn run(
        self,
        triggers: mpsc::UnboundedReceiver<ObjectRef<LogisticsPlatform>>,
        stop: CancellationToken,
    ) {
        let Self {
            context,
            backoff,
            platforms,
            health,
        } = self;
        let reader = platforms.reader();
        let act = {
            let (backoff, reader) = (backoff.clone(), reader.clone());
            move |platform: Arc<LogisticsPlatform>, context: Arc<Context>| {
                context.metrics.platforms(reader.len());
                Box::pin(turn(platform, context, health.clone(), backoff.clone()))
            }
        };
        let failed = move |platform: Arc<LogisticsPlatform>, error: &ReconcileError, _: Arc<Context>| {
            let pause = backoff.next(ObjectRef::from_obj(&*platform), error.retry_after());
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
    }
}

/// A platform's turn: whoever leads reconciles it; the others wait until they do.
async fn turn(
    platform: Arc<LogisticsPlatform>,
    context: Arc<Context>,
    health: Arc<Health>,
    backoff: Arc<Backoff>,
) -> Result<Action, ReconcileError> {
    if !context.leadership.may_write() {
        return Ok(if context.leadership.leads() {
            Action::requeue(RETRY_LEADING)
        } else {
            Action::await_change()
        });
    }
    // A decision before all children are known would make what exists already.
    if !health.ready() {
        return Ok(Action::requeue(Duration::from_millis(200)));
    }
    let key = ObjectRef::from_obj(&*platform);
    if let Some(rest) = backoff.held(&key) {
        return Ok(Action::requeue(rest));
    }
    let result = reconcile(platform, context).await;
    if result.is_ok() {
        backoff.reset(&key);
    }
    result
}

/// On becoming the leader all platforms are reconciled. On losing it, what only a reconcile needs is let go: connections
/// to backends, and watches of what specs refer to.
async fn follow_leadership(context: Arc<Context>, platforms: Store<LogisticsPlatform>, trigger: Trigger) {
    let mut leads = context.leadership.watch();
    while leads.changed().await.is_ok() {
        let leads = *leads.borrow_and_update();
        for platform in platforms.state() {
            let platform = ObjectRef::from_obj(&*platform);
            if leads {
                trigger(platform);
            } else {
                context.sources.forget(&platform);
            }
        }
    }
}
