//! Timelines that are asked for at the same time are read by one statement: most of what a read costs is its way to the database
//! and back.

use std::sync::Arc;

use futures::future::join_all;
use logistics_chassis::errors::{ServiceError, is_away};
use logistics_chassis::metrics::Metrics;
use logistics_chassis::queue::{Queue, Serve};
use logistics_chassis::service::Chassis;
use prometheus_client::metrics::histogram::Histogram;
use sqlx::PgPool;
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

use crate::store::{self, Asked, Timeline};

/// Statements at the same time: while one is under way, the next is filled.
const READERS: usize = 2;
/// Most timelines of a statement: nobody should wait long for the others.
const BATCH: usize = 64;
/// Questions that wait for a reader. More are held back where they come in, which limits them itself.
const QUEUE: usize = 1024;

type Answer = Result<Timeline, ServiceError>;
type Waiting = (Asked, oneshot::Sender<Answer>);

/// Reads timelines together with others.
#[derive(Clone, Debug)]
pub(crate) struct Gatherer(mpsc::Sender<Waiting>);

impl Gatherer {
    /// Starts its readers. They end when no request is under way any more.
    pub(crate) fn start(chassis: &mut Chassis) -> Self {
        let (sender, queue) = Queue::new(QUEUE);
        let shared = register(&chassis.metrics);
        for _ in 0..READERS {
            let reader = Reader {
                pool: chassis.pool.clone(),
                shared: shared.clone(),
            };
            let serving = queue.clone().serve(BATCH, reader);
            chassis.spawn("timelines", async {
                serving.await;
                Ok(())
            });
        }
        Self(sender)
    }

    /// The timeline of a shipment of the account, as it is at some moment after the question.
    pub(crate) async fn timeline(&self, shipment_id: Uuid, account_id: &str) -> Answer {
        let asked = Asked {
            shipment_id,
            account_id: account_id.to_owned(),
        };
        let (reply, answer) = oneshot::channel();
        // Refused only when the readers have ended, which ends the service.
        let _ = self.0.send((asked, reply)).await;
        answer
            .await
            .unwrap_or_else(|_| Err(ServiceError::internal("timeline", "its reader has ended")))
    }
}

fn register(metrics: &Metrics) -> Histogram {
    let shared = Histogram::new([1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0]);
    metrics.register(|registry| {
        registry.register(
            "logistics_timelines_read",
            "Timelines that were read by one statement",
            shared.clone(),
        );
    });
    shared
}

struct Reader {
    pool: PgPool,
    shared: Histogram,
}

impl Serve for Reader {
    type Request = Asked;
    type Answer = Answer;

    async fn answers(&self, asked: &[Asked]) -> Vec<Answer> {
        #[expect(clippy::cast_precision_loss, reason = "at most BATCH")]
        self.shared.observe(asked.len() as f64);
        match store::timelines(&self.pool, asked).await {
            Ok(found) => asked
                .iter()
                .zip(found)
                .map(|(asked, found)| told(asked, found))
                .collect(),
            Err(error) if is_away(&error) => {
                let error = Arc::new(error);
                let answer = |_: &Asked| Err(ServiceError::Unavailable(Arc::clone(&error)));
                asked.iter().map(answer).collect()
            }
            // What one fails for concerns no other.
            Err(_) => join_all(asked.iter().map(|one| self.alone(one))).await,
        }
    }
}

impl Reader {
    async fn alone(&self, asked: &Asked) -> Answer {
        let found = store::timelines(&self.pool, std::slice::from_ref(asked)).await?;
        told(asked, found.into_iter().next().flatten())
    }
}

fn told(asked: &Asked, found: Option<Timeline>) -> Answer {
    found.ok_or_else(|| store::not_found(asked.shipment_id))
}
