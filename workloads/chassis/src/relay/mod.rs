//! Sends what is in the outbox to the event log, and deletes it when the log has it.
//!
//! A relay claims shards, not rows: one relay per shard at a time. Within an aggregate, rows are sent in the order in
//! which they were written, pipelined; after an error the shard starts again at its lowest unsent row. So the log has
//! each record at least once, and the first occurrences of an aggregate's records are in order and without a gap. That
//! holds even when two relays believe to own a shard: each by itself sends in order from a row that is in the log, or
//! is the first that is not. The claim saves work; the order does not rest on it.

mod by_rows;
mod claims;
mod metrics;
mod pause;
mod send;
mod shards;

use std::collections::BTreeSet;
use std::time::Duration;

use logistics_schemas::config::Kafka;
use rdkafka::error::KafkaError;
use rdkafka::producer::{FutureProducer, Producer as _};
use sqlx::PgPool;
use sqlx::postgres::PgListener;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use self::claims::Claims;
use self::metrics::RelayMetrics;
use self::pause::Pauses;
use self::send::{Outcome, Row};
use crate::credential::CredentialError;
use crate::outbox::Waker;
use crate::service::{Chassis, TaskError};
use crate::{broken, kafka};

/// Rows sent at one time.
const BATCH: i64 = 1_000;
/// How often a relay looks by itself: commits wake it, in this process at once and in others by a notification.
const POLL: Duration = Duration::from_millis(500);
/// How often shards are shared anew.
const REBALANCE: Duration = Duration::from_secs(2);
/// Pauses after errors.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));
/// The PostgreSQL channel on which relays wake each other; followed by the schema's name.
const CHANNEL: &str = "outbox_";

/// The relay of one service.
pub struct Relay {
    pool: PgPool,
    kafka: Kafka,
    client_id: String,
    waker: Waker,
    metrics: RelayMetrics,
    channel: String,
}

/// Starts the relay of a service; the waker is for those who append to the outbox.
pub fn start(chassis: &mut Chassis) -> Waker {
    let waker = Waker::default();
    let relay = Relay {
        pool: chassis.pool.clone(),
        kafka: chassis.config.kafka.clone(),
        client_id: format!("{}/{}", chassis.process.service_name(), chassis.process.instance),
        waker: waker.clone(),
        metrics: RelayMetrics::new(&chassis.metrics),
        channel: format!("{CHANNEL}{}", chassis.workload()),
    };
    let stop = chassis.shutdown.drained();
    chassis.spawn("relay", async move { relay.run(stop).await });
    waker
}

/// What a session knows of its shards.
struct Session {
    producer: FutureProducer,
    claims: Claims,
    pauses: Pauses,
}

/// Why a session of the relay ended.
#[derive(Debug, thiserror::Error)]
enum SessionError {
    #[error("database: {0}")]
    Database(#[from] sqlx::Error),
    #[error("kafka: {0}")]
    Kafka(#[from] KafkaError),
    #[error(transparent)]
    Credential(#[from] CredentialError),
    #[error("kafka: the batch was not sent: {0}")]
    Unsent(send::SendError),
}

impl Relay {
    /// Relays until `stop`, then sends what is left and ends. Never ends by an error: it tries again.
    async fn run(self, stop: CancellationToken) -> Result<(), TaskError> {
        let mut pause = BACKOFF.0;
        while !stop.is_cancelled() {
            let begin = Instant::now();
            let Err(error) = self.session(&stop).await else {
                break;
            };
            self.metrics.failed();
            tracing::warn!(%error, "the relay starts anew");
            if begin.elapsed() > BACKOFF.1 {
                pause = BACKOFF.0;
            }
            let _ = stop.run_until_cancelled(tokio::time::sleep(pause)).await;
            pause = (pause * 2).min(BACKOFF.1);
        }
        Ok(())
    }

    /// Relays with one producer and one database session.
    async fn session(&self, stop: &CancellationToken) -> Result<(), SessionError> {
        let producer = kafka::producer_config(&self.kafka, &self.client_id)?.create()?;
        let mut listener = PgListener::connect_with(&self.pool).await?;
        listener.ignore_pool_close_event(true);
        listener.listen(&self.channel).await?;
        let mut session = Session {
            producer,
            claims: Claims::join(&self.pool).await?,
            pauses: Pauses::default(),
        };
        let producer = session.producer.clone();
        let ended = tokio::select! {
            ended = self.rounds(&mut session, &mut listener, stop) => ended,
            never = kafka::follow_credentials(&self.kafka, producer.client()) => match never {},
        };
        self.metrics.shards(0);
        session.claims.leave().await;
        ended
    }

    async fn rounds(
        &self,
        session: &mut Session,
        listener: &mut PgListener,
        stop: &CancellationToken,
    ) -> Result<(), SessionError> {
        let mut rebalanced: Option<Instant> = None;
        loop {
            if rebalanced.is_none_or(|at| at.elapsed() >= REBALANCE) {
                session.claims.rebalance().await?;
                self.measure(&session.claims).await?;
                rebalanced = Some(Instant::now());
            }
            let found = self.round(session).await?;
            if !found && stop.is_cancelled() {
                return Ok(());
            }
            if !found {
                self.wait(listener, &session.claims, stop).await?;
            }
        }
    }

    async fn measure(&self, claims: &Claims) -> Result<(), SessionError> {
        let lag: Option<f64> = sqlx::query_scalar(
            "SELECT extract(epoch FROM clock_timestamp() - created_at)::float8
             FROM outbox WHERE shard = ANY ($1) ORDER BY position LIMIT 1",
        )
        .bind(claims.owned())
        .fetch_optional(&self.pool)
        .await?;
        self.metrics.lag(lag.unwrap_or_default());
        self.metrics.shards(claims.owned().len());
        Ok(())
    }

    /// Waits until there may be something to send.
    async fn wait(
        &self,
        listener: &mut PgListener,
        claims: &Claims,
        stop: &CancellationToken,
    ) -> Result<(), SessionError> {
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(POLL) => {}
            () = self.waker.0.notified() => {
                // Part of what was committed here belongs to others. Outside of the transaction: a notification
                // in it would make commits queue behind each other.
                if !claims.alone() {
                    sqlx::query("SELECT pg_notify($1, '')").bind(&self.channel).execute(&self.pool).await?;
                }
            }
            notified = listener.try_recv() => {
                notified?;
                while listener.next_buffered().is_some() {}
            }
        }
        Ok(())
    }

    /// Sends one batch of the claimed shards; says whether there was anything.
    async fn round(&self, session: &mut Session) -> Result<bool, SessionError> {
        if broken::CLAIM_ROWS {
            return by_rows::round(&self.pool, &session.producer).await;
        }
        let shards = session.pauses.awake(&session.claims.owned(), Instant::now());
        let rows: Vec<Row> = sqlx::query_as(
            "SELECT position, shard, id, aggregate_id, topic, key, payload, headers
             FROM outbox WHERE shard = ANY ($1) ORDER BY position LIMIT $2",
        )
        .bind(shards)
        .bind(BATCH)
        .fetch_all(&self.pool)
        .await?;
        if rows.is_empty() {
            return Ok(false);
        }
        let Outcome { sent, unsent, error } = send::send(&session.producer, &rows).await;
        self.forget(&mut session.claims, &rows, &sent).await?;
        for at in sent {
            session.pauses.sent(rows[at].shard);
        }
        let resting: BTreeSet<i16> = unsent.iter().map(|at| rows[*at].shard).collect();
        for shard in resting {
            session.pauses.failed(shard, Instant::now());
        }
        match error {
            None => Ok(true),
            // A producer that has lost its order, or cannot reach the brokers, is of no more use.
            Some(error) if matches!(error, send::SendError::Silence) || is_fatal(&session.producer) => {
                Err(SessionError::Unsent(error))
            }
            Some(error) => {
                self.metrics.failed();
                tracing::warn!(%error, unsent = unsent.len(), "records are sent again");
                Ok(true)
            }
        }
    }

    /// Deletes what the log has.
    async fn forget(&self, claims: &mut Claims, rows: &[Row], sent: &[usize]) -> Result<(), sqlx::Error> {
        if sent.is_empty() {
            return Ok(());
        }
        claims
            .forget(sent.iter().map(|at| rows[*at].position).collect())
            .await?;
        for at in sent {
            self.metrics.sent(&rows[*at].topic);
        }
        Ok(())
    }
}

fn is_fatal(producer: &FutureProducer) -> bool {
    use rdkafka::producer::Producer as _;

    producer.client().fatal_error().is_some()
}
