//! Shipments that nothing is heard of: a question to the present state, not to an event.

use chrono::{DateTime, TimeDelta, Utc};
use logistics_domain::anomaly::{self, Kind};
use logistics_domain::status::Status;
use sqlx::PgPool;
use uuid::Uuid;

use crate::anomalies::{Filter, Found};

/// How long one waits at least for what is due.
const GRACE: TimeDelta = TimeDelta::hours(1);

#[derive(sqlx::FromRow)]
struct Row {
    shipment_id: Uuid,
    seq: i64,
    status: String,
    due: DateTime<Utc>,
    watermark: DateTime<Utc>,
}

/// The account's silent shipments, longest overdue first: those that should have left, and those that should have arrived,
/// before the newest event that is known of the account's shipments.
pub(crate) async fn list(pool: &PgPool, filter: Filter<'_>) -> Result<Vec<Found>, sqlx::Error> {
    if filter.kind.is_some_and(|kind| kind != Kind::Silence) {
        return Ok(Vec::new());
    }
    let terminal = Status::ALL.into_iter().filter(|status| status.is_terminal());
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT * FROM (
             SELECT shipment_id, seq, status, watermarks.reached AS watermark,
                    CASE WHEN departed_at IS NULL THEN planned_departure ELSE latest_arrival END AS due
             FROM shipments JOIN watermarks USING (account_id)
             WHERE account_id = $1 AND ($2::uuid IS NULL OR shipment_id = $2)
               AND arrived_at IS NULL AND status IS NOT NULL AND status <> ALL ($3)
         ) AS expected
         WHERE due < watermark - $4::interval
         ORDER BY due, shipment_id LIMIT $5",
    )
    .bind(filter.account_id)
    .bind(filter.shipment_id)
    .bind(terminal.map(Status::as_str).collect::<Vec<_>>())
    .bind(sqlx::postgres::types::PgInterval {
        months: 0,
        days: 0,
        microseconds: GRACE.num_microseconds().unwrap_or_default(),
    })
    .bind(i64::from(filter.limit))
    .fetch_all(pool)
    .await?;
    let found = |row: Row| {
        let anomaly = anomaly::silence(row.status.parse().ok()?, row.due, GRACE, row.watermark)?;
        Some(Found {
            account_id: filter.account_id.to_owned(),
            shipment_id: row.shipment_id,
            seq: row.seq,
            occurred_at: row.due,
            anomaly,
        })
    };
    Ok(rows.into_iter().filter_map(found).collect())
}
