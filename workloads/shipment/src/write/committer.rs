//! Group commit: each committer takes all that waits, up to a limit, into one transaction.

use std::sync::Arc;

use logistics_chassis::cloudevents::EventWriter;
use logistics_chassis::errors::{ServiceError, is_away};
use logistics_chassis::metrics::Metrics;
use logistics_chassis::outbox::Waker;
use logistics_chassis::queue::{Queue, Serve};
use logistics_chassis::service::Chassis;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::histogram::Histogram;
use sqlx::PgPool;

use super::batch::{self, Failure, Outcome};
use super::{Job, Writer};

/// Transactions at the same time: while one is being made durable, the next is filled.
const COMMITTERS: usize = 2;
/// Most requests of a transaction: it should not take much longer than its commit.
const BATCH: usize = 256;
/// Requests that wait for a committer. More are held back where they come in, which limits them itself.
const QUEUE: usize = 1024;
/// How often a request is tried whose key another transaction keeps taking. Its answer is there the second time, unless
/// it was rolled back after all.
const TRIES: u32 = 5;

/// What the committers count.
#[derive(Clone, Debug)]
pub(crate) struct CommitMetrics {
    requests: Histogram,
    splits: Counter,
}

impl CommitMetrics {
    /// Registers them.
    pub(crate) fn register(metrics: &Metrics) -> Self {
        let own = Self {
            requests: Histogram::new([1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0]),
            splits: Counter::default(),
        };
        metrics.register(|registry| {
            registry.register(
                "logistics_commit_requests",
                "Requests that shared a transaction",
                own.requests.clone(),
            );
            registry.register(
                "logistics_commit_splits",
                "Transactions that failed and whose requests were then tried one by one",
                own.splits.clone(),
            );
        });
        own
    }
}

/// What commits the requests of a [`Writer`].
#[derive(Clone, Debug)]
pub(crate) struct Committers {
    pool: PgPool,
    waker: Waker,
    events: EventWriter,
    metrics: CommitMetrics,
}

impl Committers {
    pub(crate) const fn new(pool: PgPool, waker: Waker, events: EventWriter, metrics: CommitMetrics) -> Self {
        Self {
            pool,
            waker,
            events,
            metrics,
        }
    }

    /// Starts them. They end when no request is under way any more.
    pub(crate) fn start(self, chassis: &mut Chassis) -> Writer {
        let (sender, queue) = Queue::new(QUEUE);
        for _ in 0..COMMITTERS {
            // Who goes away meanwhile finds the answer by its key: what is under way is rolled back, or becomes durable.
            let serving = queue.clone().serve(BATCH, self.clone());
            chassis.spawn("group commit", async {
                serving.await;
                Ok(())
            });
        }
        Writer(sender)
    }

    /// One request by itself: what it fails for concerns no other.
    async fn alone(&self, job: &Job) -> Outcome {
        for _ in 0..TRIES {
            match self.commit(std::slice::from_ref(job)).await {
                Ok(outcomes) => return outcomes.into_iter().next().unwrap_or_else(|| Err(lost())),
                Err(Failure::Overtaken) => {}
                Err(Failure::Database(error)) => return Err(error.into()),
            }
        }
        Err(lost())
    }

    async fn commit(&self, jobs: &[Job]) -> Result<Vec<Outcome>, Failure> {
        let outcomes = batch::commit(&self.pool, &self.events, jobs).await?;
        self.waker.wake();
        Ok(outcomes)
    }
}

impl Serve for Committers {
    type Request = Job;
    type Answer = Outcome;

    async fn answers(&self, jobs: &[Job]) -> Vec<Outcome> {
        #[expect(clippy::cast_precision_loss, reason = "at most BATCH")]
        self.metrics.requests.observe(jobs.len() as f64);
        match self.commit(jobs).await {
            Ok(outcomes) => outcomes,
            Err(Failure::Database(error)) if is_away(&error) => {
                let error = Arc::new(error);
                let outcome = |_: &Job| Err(ServiceError::Unavailable(Arc::clone(&error)));
                jobs.iter().map(outcome).collect()
            }
            Err(_) => {
                self.metrics.splits.inc();
                let mut outcomes = Vec::with_capacity(jobs.len());
                for job in jobs {
                    outcomes.push(self.alone(job).await);
                }
                outcomes
            }
        }
    }
}

fn lost() -> ServiceError {
    ServiceError::internal("replay", "another request with the same key never ended")
}
