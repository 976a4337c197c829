//! The sequenced projection: every event of a shipment has its effect exactly once and in order, whatever the log
//! delivers.
//!
//! One transaction either applies `last_seq + 1` (and then what was waiting for it), or drops what is lower, because it
//! was applied before, or parks what is higher. A record that cannot be read or applied is parked too, and copied to
//! the dead letter topic through the outbox; the shipment's later events wait behind it, other shipments flow on.

mod batch;
mod dead_letter;
mod desk;
mod intake;
mod metrics;
mod plan;
mod redrive;
mod sql;

use std::collections::HashMap;
use std::sync::Arc;

use logistics_schemas::config::Kafka;
use logistics_schemas::topics::{self, Topic};
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use crate::codec::{Codec, DecodeError, EncodeError, ShipmentCreated, ShipmentStatusChanged};
use crate::consumer::{Consumer, Consumers, Handler, Record};
use crate::errors::is_away;
use crate::outbox::Waker;
use crate::service::{Chassis, RunError};

pub use dead_letter::send_unread;
pub use intake::{Observed, observe};
pub use metrics::ProjectionMetrics;
pub use sql::{Progress, last_seqs, progress};

/// The topics of a shipment's events: its creation, and all that follows.
pub const TOPICS: [Topic; 2] = [topics::SHIPMENT_CREATED, topics::SHIPMENT_STATUS_CHANGED];

/// An event of a shipment.
#[derive(Clone, Debug, PartialEq)]
pub enum ShipmentEvent {
    /// It was ordered.
    Created(ShipmentCreated),
    /// Something was recorded.
    StatusChanged(ShipmentStatusChanged),
}

impl ShipmentEvent {
    /// The account that the shipment belongs to.
    #[must_use]
    pub fn account_id(&self) -> &str {
        match self {
            Self::Created(event) => &event.account_id,
            Self::StatusChanged(event) => &event.account_id,
        }
    }
}

/// An event whose turn it is.
#[derive(Clone, Debug)]
pub struct Sequenced {
    /// The event's id, `ce_id`; the same on every delivery.
    pub event_id: Uuid,
    /// The shipment.
    pub shipment_id: Uuid,
    /// Position among the shipment's events.
    pub seq: i64,
    /// The event.
    pub event: ShipmentEvent,
    /// The span of its processing, a child of the trace that wrote it.
    pub span: tracing::Span,
}

/// What a service makes of events.
pub trait Projector: Send + Sync + 'static {
    /// Applies events in the caller's transaction. Those of one shipment are in order; their shipments' rows in
    /// `projected` are locked.
    fn apply(
        &self,
        connection: &mut PgConnection,
        events: &[Sequenced],
    ) -> impl Future<Output = Result<(), ApplyError>> + Send;

    /// How far these shipments' events are applied, told after the commit; also where all that came was applied before: the
    /// process may have ended between the former commit and this.
    fn committed(&self, heads: Vec<Head>) -> impl Future<Output = ()> + Send {
        let _ = heads;
        std::future::ready(())
    }
}

/// A shipment, and the position of its last event that is applied.
pub type Head = (Uuid, i64);

/// Why events could not be applied.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// The database refused or did not answer.
    #[error("database: {0}")]
    Database(#[from] sqlx::Error),
    /// An event of our own could not be written.
    #[error(transparent)]
    Encode(#[from] EncodeError),
}

impl ApplyError {
    /// Whether the event itself is the cause, so that it will never be applied.
    fn is_of_the_event(&self) -> bool {
        match self {
            // Data exceptions (22) and violated constraints (23).
            Self::Database(sqlx::Error::Database(error)) => error
                .code()
                .is_some_and(|code| code.starts_with("22") || code.starts_with("23")),
            Self::Database(sqlx::Error::Encode(_)) | Self::Encode(_) => true,
            Self::Database(_) => false,
        }
    }
}

/// Why a batch could not be projected now.
#[derive(Debug, thiserror::Error)]
pub enum ProjectionError {
    /// The database.
    #[error("database: {0}")]
    Database(#[from] sqlx::Error),
    /// The schema registry.
    #[error(transparent)]
    Registry(DecodeError),
    /// The projector, for a reason that is not the event's.
    #[error(transparent)]
    Apply(ApplyError),
}

/// Why a record can never be applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Poison {
    class: &'static str,
    message: String,
}

impl Poison {
    /// `class` names the kind of mistake, for example `misfit`.
    // PostgreSQL's text cannot hold a zero byte, and a message may quote the record.
    pub fn new(class: &'static str, message: &impl std::fmt::Display) -> Self {
        let message = message
            .to_string()
            .chars()
            .filter(|one| *one != '\0')
            .take(1_000)
            .collect();
        Self { class, message }
    }

    /// What is wrong with it.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }
}

/// A shipment's event by its position.
type Place = (Uuid, i64);

/// Projects the records of a consumer.
pub struct Projection<P> {
    pool: PgPool,
    codec: Arc<Codec>,
    projector: P,
    group: String,
    topic_prefix: String,
    waker: Waker,
    metrics: ProjectionMetrics,
}

impl<P: Projector> Projection<P> {
    /// `kafka` says where dead letters go and who wrote them; `waker` is that of this process's relay.
    #[must_use]
    pub fn new(
        pool: PgPool,
        codec: Arc<Codec>,
        projector: P,
        kafka: &Kafka,
        waker: Waker,
        metrics: ProjectionMetrics,
    ) -> Self {
        let (group, topic_prefix) = (kafka.group_id.clone(), kafka.topic_prefix.clone());
        Self {
            pool,
            codec,
            projector,
            group,
            topic_prefix,
            waker,
            metrics,
        }
    }

    /// Projects records, all or none; known to be poisoned are those in `poisoned`. A culprit is found by applying the
    /// events one by one.
    async fn project(
        &self,
        intake: &intake::Intake<'_>,
        poisoned: &HashMap<Place, Poison>,
        one_by_one: bool,
    ) -> Result<(), Failure> {
        let mut transaction = self.pool.begin().await?;
        let done = batch::Batch {
            projection: self,
            intake,
            poisoned,
            one_by_one,
            forgiving: false,
        }
        .run(&mut transaction)
        .await?;
        transaction.commit().await?;
        self.settled(done).await;
        Ok(())
    }

    /// What follows a commit. Gives how many events were applied.
    async fn settled(&self, done: batch::Done) -> u64 {
        self.waker.wake();
        self.metrics.count(&done.counts);
        if !done.heads.is_empty() {
            self.projector.committed(done.heads).await;
        }
        done.counts.applied
    }
}

impl<P: Projector> Handler for Projection<P> {
    type Error = ProjectionError;

    async fn handle(&self, records: &[Record]) -> Result<(), ProjectionError> {
        let intake = intake::Intake::read(&self.codec, records)
            .await
            .map_err(ProjectionError::Registry)?;
        let mut poisoned = HashMap::new();
        let mut one_by_one = false;
        loop {
            match self.project(&intake, &poisoned, one_by_one).await {
                Ok(()) => return Ok(()),
                Err(Failure::Transient(error)) => return Err(error),
                Err(Failure::Somewhere) => one_by_one = true,
                Err(Failure::Poisoned(place, poison)) => {
                    tracing::error!(shipment_id = %place.0, seq = place.1, reason = %poison.message, "poisoned event");
                    poisoned.insert(place, poison);
                    one_by_one = false;
                }
            }
        }
    }
}

/// Projects shipments with this service's consumer group until the stop is asked for. `waker` is that of the service's
/// relay, which sends dead letters and what the projector writes.
///
/// # Errors
/// When the control port, where parked records are looked at, cannot be had.
pub async fn start<P: Projector>(
    chassis: &mut Chassis,
    codec: Arc<Codec>,
    projector: P,
    waker: Waker,
    consumers: &Consumers,
) -> Result<(), RunError> {
    let kafka = chassis.config.kafka.clone();
    let metrics = ProjectionMetrics::register(&chassis.metrics);
    let projection = Projection::new(chassis.pool.clone(), codec, projector, &kafka, waker, metrics);
    let projection = Arc::new(projection);
    chassis
        .serve_control(desk::routes(Arc::clone(&projection)))
        .await?;
    Consumer::of(chassis, &kafka.group_id, &TOPICS, projection, consumers).start(chassis, "projection");
    Ok(())
}

/// Why a transaction was rolled back.
enum Failure {
    /// The same may succeed later.
    Transient(ProjectionError),
    /// One of several events cannot be applied.
    Somewhere,
    /// This event cannot be applied.
    Poisoned(Place, Poison),
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        if !is_away(&error) {
            tracing::error!(%error, "the database refuses");
        }
        Self::Transient(error.into())
    }
}
