//! One reader for each backend that any platform uses: it reads at an interval what all of them want to know, and wakes
//! those whose state changed or drifted. So a reconcile never waits for a backend, and one that hangs blocks nobody.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kube_runtime::reflector::ObjectRef;
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tracing::{debug, warn};

use super::{Backend, BackendError, CALL_TIMEOUT, Reading};
use crate::api::LogisticsPlatform;
use crate::jitter::jitter;
use crate::reason::Reason;
use crate::telemetry::Metrics;

/// Wakes a platform's reconcile.
pub type Trigger = Arc<dyn Fn(ObjectRef<LogisticsPlatform>) + Send + Sync>;

/// First pause after a failed read; it doubles up to the interval.
const FIRST_RETRY: Duration = Duration::from_secs(1);

/// The readers of one kind of backend.
pub struct Poller<B: Backend> {
    backend: Arc<B>,
    polls: Mutex<HashMap<B::Target, Arc<Poll<B>>>>,
    trigger: Trigger,
    metrics: Arc<Metrics>,
}

struct Poll<B: Backend> {
    target: B::Target,
    interests: Mutex<HashMap<ObjectRef<LogisticsPlatform>, Interest<B>>>,
    connection: Mutex<Option<Arc<B::Connection>>>,
    reading: Mutex<Reading<B::Seen>>,
    /// Held while the backend is read, so that a reading never replaces a newer one.
    reading_now: tokio::sync::Mutex<()>,
    wake: Notify,
    task: Mutex<Option<AbortHandle>>,
}

struct Interest<B: Backend> {
    items: Vec<B::Item>,
    interval: Duration,
    /// Whether a reading that covers the items was made.
    told: bool,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<B: Backend> Poller<B> {
    /// Readers for a backend; `trigger` wakes platforms.
    pub fn new(backend: B, trigger: Trigger, metrics: Arc<Metrics>) -> Self {
        Self {
            backend: Arc::new(backend),
            polls: Mutex::default(),
            trigger,
            metrics,
        }
    }

    /// Notes what a platform wants to know, and tells what is known. The platform is woken when that changes.
    pub fn watch(
        &self,
        platform: &ObjectRef<LogisticsPlatform>,
        target: &B::Target,
        items: Vec<B::Item>,
        interval: Duration,
    ) -> Reading<B::Seen> {
        self.leave(platform, Some(target));
        let mut polls = lock(&self.polls);
        let poll = polls.entry(target.clone()).or_insert_with(|| self.start(target));
        let mut interests = lock(&poll.interests);
        match interests.get_mut(platform) {
            Some(known) if known.items == items => {
                known.interval = interval;
                if known.told {
                    lock(&poll.reading).clone()
                } else {
                    Reading::Pending
                }
            }
            _ => {
                let told = false;
                interests.insert(
                    platform.clone(),
                    Interest {
                        items,
                        interval,
                        told,
                    },
                );
                poll.wake.notify_one();
                Reading::Pending
            }
        }
    }

    /// Forgets a platform.
    pub fn forget(&self, platform: &ObjectRef<LogisticsPlatform>) {
        self.leave(platform, None);
    }

    fn leave(&self, platform: &ObjectRef<LogisticsPlatform>, except: Option<&B::Target>) {
        lock(&self.polls).retain(|target, poll| {
            if Some(target) == except {
                return true;
            }
            let mut interests = lock(&poll.interests);
            interests.remove(platform);
            let used = !interests.is_empty();
            if !used && let Some(task) = lock(&poll.task).take() {
                task.abort();
            }
            used
        });
    }

    /// Reads a backend now, after something was changed in it.
    pub async fn refresh(&self, target: &B::Target) -> Reading<B::Seen> {
        let poll = lock(&self.polls).get(target).cloned();
        let Some(poll) = poll else { return Reading::Pending };
        let (reading, concerned) = poll.read(&self.backend).await;
        for platform in concerned {
            (self.trigger)(platform);
        }
        reading
    }

    /// Makes a change.
    ///
    /// # Errors
    /// When the backend refuses it or does not answer in time.
    pub async fn apply(&self, target: &B::Target, change: &B::Change) -> Result<(), BackendError> {
        let poll = lock(&self.polls).get(target).cloned();
        let Some(poll) = poll else { return Ok(()) };
        let connection = poll.connection(&*self.backend)?;
        match tokio::time::timeout(CALL_TIMEOUT, self.backend.apply(&connection, change)).await {
            Ok(result) => result,
            Err(_) => Err(BackendError {
                reason: Reason::Timeout,
                message: format!("{change}: no answer within {} s", CALL_TIMEOUT.as_secs()),
            }),
        }
    }

    fn start(&self, target: &B::Target) -> Arc<Poll<B>> {
        let poll = Arc::new(Poll {
            target: target.clone(),
            interests: Mutex::default(),
            connection: Mutex::default(),
            reading: Mutex::new(Reading::Pending),
            reading_now: tokio::sync::Mutex::default(),
            wake: Notify::new(),
            task: Mutex::default(),
        });
        let run = run(
            Arc::clone(&poll),
            Arc::clone(&self.backend),
            Arc::clone(&self.trigger),
            Arc::clone(&self.metrics),
        );
        *lock(&poll.task) = Some(tokio::spawn(run).abort_handle());
        poll
    }
}

impl<B: Backend> Poll<B> {
    fn connection(&self, backend: &B) -> Result<Arc<B::Connection>, BackendError> {
        let mut connection = lock(&self.connection);
        if let Some(connection) = &*connection {
            return Ok(Arc::clone(connection));
        }
        let made = Arc::new(backend.connect(&self.target)?);
        *connection = Some(Arc::clone(&made));
        Ok(made)
    }

    /// All items that any platform wants to know about, and the shortest interval.
    fn wanted(&self) -> (Vec<B::Item>, Duration) {
        let interests = lock(&self.interests);
        let mut items: Vec<B::Item> = Vec::new();
        for item in interests.values().flat_map(|interest| &interest.items) {
            if !items.contains(item) {
                items.push(item.clone());
            }
        }
        let interval = interests.values().map(|interest| interest.interval).min();
        (items, interval.unwrap_or(Duration::from_mins(1)))
    }

    /// Reads the backend and keeps the reading; tells which platforms it concerns.
    async fn read(&self, backend: &B) -> (Reading<B::Seen>, Vec<ObjectRef<LogisticsPlatform>>) {
        let _turn = self.reading_now.lock().await;
        let (items, _) = self.wanted();
        let read = async {
            let connection = self.connection(backend)?;
            backend.observe(&connection, &items).await
        };
        let reading = match tokio::time::timeout(2 * CALL_TIMEOUT, read).await {
            Ok(Ok(seen)) => Reading::Seen(Arc::new(seen)),
            Ok(Err(error)) => Reading::Failed(error),
            Err(_) => Reading::Failed(BackendError {
                reason: Reason::Unreachable,
                message: format!("no answer within {} s", 2 * CALL_TIMEOUT.as_secs()),
            }),
        };
        let concerned = self.keep(&items, &reading);
        (reading, concerned)
    }

    /// Keeps a reading of some items and tells which platforms it concerns: those that it is news for, and those that
    /// drifted.
    fn keep(&self, items: &[B::Item], reading: &Reading<B::Seen>) -> Vec<ObjectRef<LogisticsPlatform>> {
        let mut interests = lock(&self.interests);
        let mut kept = lock(&self.reading);
        let news = *kept != *reading;
        kept.clone_from(reading);
        let mut concerned = Vec::new();
        for (platform, interest) in interests.iter_mut() {
            // A platform may have come, or changed its mind, while the read was under way.
            if !interest.items.iter().all(|item| items.contains(item)) {
                continue;
            }
            let drifted = match reading {
                Reading::Seen(seen) => !B::plan(&interest.items, seen).changes.is_empty(),
                _ => false,
            };
            if news || drifted || !interest.told {
                interest.told = true;
                concerned.push(platform.clone());
            }
        }
        concerned
    }
}

async fn run<B: Backend>(poll: Arc<Poll<B>>, backend: Arc<B>, trigger: Trigger, metrics: Arc<Metrics>) {
    let mut retry = FIRST_RETRY;
    let mut turn = 0_u64;
    loop {
        let (reading, concerned) = poll.read(&backend).await;
        let (_, interval) = poll.wanted();
        let failed = matches!(reading, Reading::Failed(_));
        metrics.poll(B::NAME, !failed);
        if let Reading::Failed(error) = &reading {
            warn!(backend = B::NAME, reason = %error.reason, %error, "backend could not be read");
        }
        for platform in concerned {
            debug!(backend = B::NAME, %platform, "backend changed");
            trigger(platform);
        }
        let pause = if failed { retry.min(interval) } else { interval };
        retry = if failed {
            (retry * 2).min(interval.max(FIRST_RETRY))
        } else {
            FIRST_RETRY
        };
        // Up to a tenth less, so that backends are not read in step and the interval is still kept.
        turn += 1;
        let pause = jitter(pause, 0.9..1.0, &(&poll.target, turn));
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = poll.wake.notified() => {}
        }
    }
}
