//! What a relay does that claims rows instead of shards: later rows of an aggregate overtake those that another relay
//! holds. For [`crate::broken`] only.

use rdkafka::producer::FutureProducer;
use sqlx::PgPool;

use super::SessionError;
use super::send::{self, Outcome, Row};

/// Rows claimed at one time.
const BATCH: i64 = 200;

/// Sends some rows that no other relay has claimed; says whether there was anything.
pub(super) async fn round(pool: &PgPool, producer: &FutureProducer) -> Result<bool, SessionError> {
    let mut transaction = pool.begin().await?;
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT position, shard, id, aggregate_id, topic, key, payload, headers
         FROM outbox ORDER BY position LIMIT $1 FOR UPDATE SKIP LOCKED",
    )
    .bind(BATCH)
    .fetch_all(&mut *transaction)
    .await?;
    if rows.is_empty() {
        return Ok(false);
    }
    let Outcome { sent, error, .. } = send::send(producer, &rows).await;
    let positions: Vec<i64> = sent.iter().map(|at| rows[*at].position).collect();
    sqlx::query("DELETE FROM outbox WHERE position = ANY ($1)")
        .bind(positions)
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await?;
    error.map_or(Ok(true), |error| Err(SessionError::Unsent(error)))
}
