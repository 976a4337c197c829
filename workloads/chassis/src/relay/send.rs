//! Sends a batch: all at once, then waits for all.

use std::collections::HashSet;
use std::time::Duration;

use futures::future::join_all;
use rdkafka::error::KafkaError;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord};
use serde_json::Value;
use tracing::Instrument as _;
use uuid::Uuid;

use crate::outbox::headers_from_json;
use crate::telemetry::propagation;

/// The producer itself never gives up. When a batch is not acknowledged for this long, the relay does: another one,
/// which may reach the brokers, gets its chance.
const PATIENCE: Duration = Duration::from_secs(30);

/// A row of the outbox.
#[derive(Clone, Debug, sqlx::FromRow)]
pub(super) struct Row {
    pub(super) position: i64,
    pub(super) id: Uuid,
    pub(super) aggregate_id: Uuid,
    pub(super) topic: String,
    pub(super) key: Option<Vec<u8>>,
    pub(super) payload: Option<Vec<u8>>,
    pub(super) headers: Value,
    /// Seconds since it was written.
    pub(super) age: f64,
}

/// What became of a batch.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// Indices of the rows that the log has, and that need not be sent again.
    pub(super) sent: Vec<usize>,
    /// The first error.
    pub(super) error: Option<SendError>,
}

/// Why a row was not sent.
#[derive(Debug, thiserror::Error)]
pub(super) enum SendError {
    #[error("{0}")]
    Kafka(#[from] KafkaError),
    #[error("no acknowledgement for {} s", PATIENCE.as_secs())]
    Silence,
    #[error("the producer was closed")]
    Closed,
}

/// Hands all rows to the producer in their order, then waits. After an error, what follows in the same aggregate
/// counts as not sent, even if it was: it goes again, behind what failed.
pub(super) async fn send(producer: &FutureProducer, rows: &[Row]) -> Outcome {
    let mut deliveries = Vec::with_capacity(rows.len());
    let mut stuck: HashSet<Uuid> = HashSet::new();
    let mut outcome = Outcome::default();
    for (at, row) in rows.iter().enumerate() {
        if stuck.contains(&row.aggregate_id) {
            continue;
        }
        let span = span(row);
        match producer.send_result(record(row, &span)) {
            Ok(delivery) => deliveries.push(async move { (at, delivery.instrument(span).await) }),
            Err((error, _)) => {
                stuck.insert(row.aggregate_id);
                outcome.error.get_or_insert(error.into());
            }
        }
    }
    let Ok(answers) = tokio::time::timeout(PATIENCE, join_all(deliveries)).await else {
        outcome.error = Some(SendError::Silence);
        return outcome;
    };
    for (at, answer) in answers {
        let aggregate = rows[at].aggregate_id;
        let error = match answer {
            Ok(Ok(_)) if stuck.contains(&aggregate) => continue,
            Ok(Ok(_)) => {
                outcome.sent.push(at);
                continue;
            }
            Ok(Err((error, _))) => error.into(),
            Err(_) => SendError::Closed,
        };
        stuck.insert(aggregate);
        outcome.error.get_or_insert(error);
    }
    outcome
}

fn record<'a>(row: &'a Row, span: &tracing::Span) -> FutureRecord<'a, [u8], [u8]> {
    let mut headers = OwnedHeaders::new();
    let stored = headers_from_json(&row.headers);
    let carried = propagation::of_span(span);
    let keep = |name: &str| carried.is_empty() || !propagation::is_trace_header(name);
    for (name, value) in stored.iter().filter(|(name, _)| keep(name)) {
        headers = headers.insert(Header {
            key: name,
            value: Some(value),
        });
    }
    for (name, value) in &carried {
        headers = headers.insert(Header {
            key: name,
            value: Some(value),
        });
    }
    let mut record = FutureRecord::to(&row.topic).headers(headers);
    record.key = row.key.as_deref();
    record.payload = row.payload.as_deref();
    record
}

/// The hop from the outbox to the log, in the trace of the request that wrote the row.
fn span(row: &Row) -> tracing::Span {
    let span = tracing::info_span!(
        "publish",
        otel.name = format!("publish {}", row.topic),
        otel.kind = "producer",
        messaging.system = "kafka",
        messaging.operation.name = "publish",
        messaging.destination.name = row.topic,
        messaging.message.id = %row.id,
    );
    let stored = headers_from_json(&row.headers);
    propagation::set_parent(&span, |name| {
        let (_, value) = stored.iter().find(|(stored, _)| stored == name)?;
        std::str::from_utf8(value).ok()
    });
    span
}
