//! Sends a batch: all at once, then waits for all.

use std::collections::HashSet;
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use rdkafka::error::KafkaError;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord};
use serde_json::Value;
use tokio::time::{Instant, timeout_at};
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
    pub(super) shard: i16,
    pub(super) id: Uuid,
    pub(super) aggregate_id: Uuid,
    pub(super) topic: String,
    pub(super) key: Option<Vec<u8>>,
    pub(super) payload: Option<Vec<u8>>,
    pub(super) headers: Value,
}

/// What became of a batch.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// Indices of the rows that the log has, and that need not be sent again.
    pub(super) sent: Vec<usize>,
    /// Indices of the rows that must be sent again.
    pub(super) unsent: Vec<usize>,
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

/// What became of one row.
type Answer = Result<(), SendError>;

/// Hands all rows to the producer in their order, then waits for all. After an error, what follows in the same
/// aggregate counts as unsent, even if it was sent: it goes again, behind what failed.
pub(super) async fn send(producer: &FutureProducer, rows: &[Row]) -> Outcome {
    let mut answers: Vec<Option<Answer>> = Vec::with_capacity(rows.len());
    let mut deliveries = FuturesUnordered::new();
    let mut refused: HashSet<Uuid> = HashSet::new();
    for (at, row) in rows.iter().enumerate() {
        if refused.contains(&row.aggregate_id) {
            answers.push(None);
            continue;
        }
        let span = span(row);
        match producer.send_result(record(row, &span)) {
            Ok(delivery) => {
                answers.push(None);
                deliveries.push(async move { (at, delivery.instrument(span).await) });
            }
            Err((error, _)) => {
                refused.insert(row.aggregate_id);
                answers.push(Some(Err(error.into())));
            }
        }
    }
    let give_up = Instant::now() + PATIENCE;
    while let Ok(Some((at, delivery))) = timeout_at(give_up, deliveries.next()).await {
        answers[at] = Some(match delivery {
            Ok(Ok(_)) => Ok(()),
            Ok(Err((error, _))) => Err(error.into()),
            Err(_) => Err(SendError::Closed),
        });
    }
    judge(rows, answers)
}

fn judge(rows: &[Row], answers: Vec<Option<Answer>>) -> Outcome {
    let mut outcome = Outcome::default();
    let mut stuck: HashSet<Uuid> = HashSet::new();
    for (at, answer) in answers.into_iter().enumerate() {
        let aggregate = rows[at].aggregate_id;
        let error = match answer {
            Some(Ok(())) if !stuck.contains(&aggregate) => {
                outcome.sent.push(at);
                continue;
            }
            Some(Err(error)) => Some(error),
            None if !stuck.contains(&aggregate) => Some(SendError::Silence),
            _ => None,
        };
        stuck.insert(aggregate);
        outcome.unsent.push(at);
        if outcome.error.is_none() {
            outcome.error = error;
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn row(aggregate: u128) -> Row {
        Row {
            position: 0,
            shard: 0,
            id: Uuid::nil(),
            aggregate_id: Uuid::from_u128(aggregate),
            topic: "t".to_owned(),
            key: None,
            payload: None,
            headers: Value::Null,
        }
    }

    const CLOSED: Option<Answer> = Some(Err(SendError::Closed));

    #[test]
    fn what_follows_an_error_in_its_aggregate_goes_again() {
        let rows = [row(1), row(1), row(2), row(1), row(2)];
        let outcome = judge(
            &rows,
            vec![Some(Ok(())), CLOSED, Some(Ok(())), Some(Ok(())), Some(Ok(()))],
        );
        assert_eq!(outcome.sent, [0, 2, 4]);
        assert_eq!(outcome.unsent, [1, 3]);
        assert!(matches!(outcome.error, Some(SendError::Closed)));
    }

    #[test]
    fn silence_is_an_error_only_where_nothing_else_explains_it() {
        let rows = [row(1), row(1), row(2)];
        let outcome = judge(&rows, vec![CLOSED, None, Some(Ok(()))]);
        assert!(matches!(outcome.error, Some(SendError::Closed)));
        let outcome = judge(&rows, vec![Some(Ok(())), None, None]);
        assert!(matches!(outcome.error, Some(SendError::Silence)));
        assert_eq!(outcome.unsent, [1, 2]);
    }
}
