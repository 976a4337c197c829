//! One reader for each backend that any platform uses: it reads at an interval what all of them want to know, and wakes
//! those whose own items changed or drifted. So a reconcile never waits for a backend, one that hangs blocks nobody, and
//! what one platform does costs the others nothing.

mod interests;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kube_runtime::reflector::ObjectRef;
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio::time::Instant;
use tracing::{debug, warn};

use self::interests::{Interests, Which};
use super::breaker::Breaker;
use super::{Backend, BackendError, CALL_TIMEOUT, Reading};
use crate::api::LogisticsPlatform;
use crate::jitter::jitter;
use crate::leader::Permit;
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
    interests: Mutex<Interests<B>>,
    connection: Mutex<Option<Arc<B::Connection>>>,
    /// Reads that were begun: a reading never replaces one of a read that began later.
    reads: AtomicU64,
    breaker: Mutex<Breaker>,
    wake: Notify,
    task: Mutex<Option<AbortHandle>>,
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
        let (reading, sooner) = lock(&poll.interests).want(platform, items, interval);
        if sooner {
            poll.wake.notify_one();
        }
        reading
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
            let used = lock(&poll.interests).leave(platform);
            if !used && let Some(task) = lock(&poll.task).take() {
                task.abort();
                if lock(&poll.breaker).is_open() {
                    self.metrics.circuit(B::NAME, false);
                }
            }
            used
        });
    }

    /// Reads a platform's items now, after something was changed in them.
    pub async fn refresh(
        &self,
        platform: &ObjectRef<LogisticsPlatform>,
        target: &B::Target,
    ) -> Reading<B::Seen> {
        let poll = lock(&self.polls).get(target).cloned();
        let Some(poll) = poll else { return Reading::Pending };
        let read = poll.read(&self.backend, &Which::Of(platform)).await;
        for platform in read.concerned {
            (self.trigger)(platform);
        }
        lock(&poll.interests).reading(platform)
    }

    /// Makes a change, which only the operator may that leads.
    ///
    /// # Errors
    /// When the backend refuses it or does not answer in time.
    pub async fn apply(
        &self,
        target: &B::Target,
        change: &B::Change,
        permit: Permit,
    ) -> Result<(), BackendError> {
        let poll = lock(&self.polls).get(target).cloned();
        let Some(poll) = poll else { return Ok(()) };
        let connection = poll.connection(&*self.backend)?;
        if let Err(left) = lock(&poll.breaker).allow(Instant::now()) {
            return Err(BackendError {
                reason: Reason::Unreachable,
                message: format!(
                    "{change}: held back, as the last calls were not answered; one is tried again in {} s",
                    left.as_secs().max(1)
                ),
            });
        }
        let limit = permit.within(CALL_TIMEOUT);
        let result = match tokio::time::timeout(limit, self.backend.apply(&connection, change)).await {
            Ok(result) => result,
            Err(_) => Err(BackendError {
                reason: Reason::Timeout,
                message: format!("{change}: no answer within {} s", limit.as_secs()),
            }),
        };
        self.judge(&poll, result.as_ref().err());
        result
    }

    /// Opens or closes the circuit of a backend by how a call ended. A refusal is an answer.
    fn judge(&self, poll: &Poll<B>, error: Option<&BackendError>) {
        let mut breaker = lock(&poll.breaker);
        let before = breaker.is_open();
        match error.map(|error| error.reason) {
            Some(Reason::Timeout | Reason::Unreachable) => breaker.failed(Instant::now()),
            _ => breaker.answered(),
        }
        let after = breaker.is_open();
        if before != after {
            self.metrics.circuit(B::NAME, after);
        }
    }

    fn start(&self, target: &B::Target) -> Arc<Poll<B>> {
        let poll = Arc::new(Poll {
            target: target.clone(),
            interests: Mutex::default(),
            connection: Mutex::default(),
            reads: AtomicU64::default(),
            breaker: Mutex::default(),
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

/// How a read ended.
#[derive(Default)]
struct Read {
    /// How many items were read, or should have been.
    items: usize,
    error: Option<BackendError>,
    /// The platforms that it is news for, and those that drifted.
    concerned: Vec<ObjectRef<LogisticsPlatform>>,
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

    /// Reads what platforms want to know and keeps what is found: some platforms at a time, as all of it at once would
    /// take much memory for a moment.
    async fn read(&self, backend: &B, which: &Which<'_>) -> Read {
        let turn = 1 + self.reads.fetch_add(1, Ordering::Relaxed);
        let platforms = lock(&self.interests).covered(which);
        let mut read = Read::default();
        for platforms in platforms.chunks(B::BATCH) {
            let items = lock(&self.interests).items(platforms);
            let found = match read.error.clone() {
                // Whoever comes after the one that failed would wait for its time-out too.
                Some(error) => Err(error),
                None => self.observe(backend, &items).await,
            };
            let concerned = lock(&self.interests).keep(turn, &items, &found);
            read.items += items.len();
            read.concerned.extend(concerned);
            read.error = found.err();
        }
        read
    }

    async fn observe(&self, backend: &B, items: &[B::Item]) -> Result<B::Seen, BackendError> {
        let connection = self.connection(backend)?;
        let limit = 2 * CALL_TIMEOUT;
        let seen = tokio::time::timeout(limit, backend.observe(&connection, items)).await;
        seen.map_err(|_| BackendError {
            reason: Reason::Unreachable,
            message: format!("no answer within {} s", limit.as_secs()),
        })?
    }
}

/// The interval between two reads of so many items.
fn paced(interval: Duration, pace: Duration, items: usize) -> Duration {
    interval.max(pace.saturating_mul(u32::try_from(items).unwrap_or(u32::MAX)))
}

async fn run<B: Backend>(poll: Arc<Poll<B>>, backend: Arc<B>, trigger: Trigger, metrics: Arc<Metrics>) {
    let mut retry = FIRST_RETRY;
    let mut turn = 0_u64;
    let mut all = 0;
    let mut next = Instant::now();
    let mut last = next;
    loop {
        let due = next <= Instant::now();
        if due {
            last = Instant::now();
        }
        // Whoever came since the last read does not wait for the next one, and costs only a read of its own.
        let which = if due { Which::All } else { Which::Unread };
        let Read {
            items,
            error,
            concerned,
        } = poll.read(&backend, &which).await;
        if items > 0 {
            metrics.poll(B::NAME, error.is_none());
        }
        if let Some(error) = &error {
            warn!(backend = B::NAME, reason = %error.reason, %error, "backend could not be read");
        }
        for platform in concerned {
            debug!(backend = B::NAME, %platform, "backend changed");
            trigger(platform);
        }
        if due {
            all = items;
        }
        let interval = lock(&poll.interests).interval();
        let pause = if error.is_some() {
            retry.min(interval)
        } else {
            paced(interval, B::PACE, all)
        };
        if due || error.is_some() {
            // Up to a tenth less, so that backends are not read in step and the interval is still kept.
            turn += 1;
            next = Instant::now() + jitter(pause, 0.9..1.0, &(&poll.target, turn));
        }
        retry = match error {
            Some(_) => (retry * 2).min(interval.max(FIRST_RETRY)),
            None => FIRST_RETRY,
        };
        tokio::select! {
            () = tokio::time::sleep_until(next) => {}
            () = poll.wake.notified() => {
                // A shorter interval counts from the last read on, not only after the pause under way.
                let interval = lock(&poll.interests).interval();
                next = next.min(last + paced(interval, B::PACE, all));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_grows_with_what_is_read_in_it() {
        let (interval, pace) = (Duration::from_secs(30), Duration::from_millis(40));
        for (items, seconds) in [(0, 30), (300, 30), (750, 30), (3_000, 120)] {
            let paced = paced(interval, pace, items);
            assert_eq!(paced, Duration::from_secs(seconds), "{items} items");
        }
    }
}
