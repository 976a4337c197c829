//! The tables `anomalies` and `watermarks`: what was found in events, and how far the events are.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use logistics_domain::anomaly::{Anomaly, Kind};
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

/// An anomaly, and where it was found.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Found {
    pub(crate) account_id: String,
    pub(crate) shipment_id: Uuid,
    pub(crate) seq: i64,
    pub(crate) occurred_at: DateTime<Utc>,
    pub(crate) anomaly: Anomaly,
}

/// Which anomalies are asked for.
#[derive(Clone, Copy, Debug)]
pub struct Filter<'a> {
    pub account_id: &'a str,
    pub shipment_id: Option<Uuid>,
    pub kind: Option<Kind>,
    pub limit: u16,
}

/// Keeps what was found. An event that is projected anew finds the same.
pub(crate) async fn save(connection: &mut PgConnection, found: &[Found]) -> Result<(), sqlx::Error> {
    if found.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "INSERT INTO anomalies (account_id, shipment_id, seq, kind, severity, explanation, occurred_at)
         SELECT * FROM unnest($1::text[], $2::uuid[], $3::bigint[], $4::text[], $5::double precision[], $6::text[],
                              $7::timestamptz[])
         ON CONFLICT DO NOTHING",
    )
    .bind(column(found, |one| one.account_id.as_str()))
    .bind(column(found, |one| one.shipment_id))
    .bind(column(found, |one| one.seq))
    .bind(column(found, |one| one.anomaly.kind.as_str()))
    .bind(column(found, |one| one.anomaly.severity))
    .bind(column(found, |one| one.anomaly.text.as_str()))
    .bind(column(found, |one| one.occurred_at))
    .execute(connection)
    .await
    .map(drop)
}

fn column<'a, T>(found: &'a [Found], value_of: impl Fn(&'a Found) -> T) -> Vec<T> {
    found.iter().map(value_of).collect()
}

#[derive(sqlx::FromRow)]
struct Row {
    shipment_id: Uuid,
    seq: i64,
    kind: String,
    severity: f64,
    explanation: String,
    occurred_at: DateTime<Utc>,
}

/// What was found in events, newest first.
pub(crate) async fn list(pool: &PgPool, filter: Filter<'_>) -> Result<Vec<Found>, sqlx::Error> {
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT shipment_id, seq, kind, severity, explanation, occurred_at FROM anomalies
         WHERE account_id = $1 AND ($2::uuid IS NULL OR shipment_id = $2) AND ($3::text IS NULL OR kind = $3)
         ORDER BY occurred_at DESC, shipment_id, seq LIMIT $4",
    )
    .bind(filter.account_id)
    .bind(filter.shipment_id)
    .bind(filter.kind.map(Kind::as_str))
    .bind(i64::from(filter.limit))
    .fetch_all(pool)
    .await?;
    let found = |row: Row| {
        Some(Found {
            account_id: filter.account_id.to_owned(),
            shipment_id: row.shipment_id,
            seq: row.seq,
            occurred_at: row.occurred_at,
            anomaly: Anomaly {
                // A later release may have written a kind that this one does not know.
                kind: Kind::from_name(&row.kind)?,
                severity: row.severity,
                text: row.explanation,
            },
        })
    };
    Ok(rows.into_iter().filter_map(found).collect())
}

/// Moves the watermarks of accounts on, in the order of their names for all who do so.
pub(crate) async fn advance(
    connection: &mut PgConnection,
    reached: &BTreeMap<String, DateTime<Utc>>,
) -> Result<(), sqlx::Error> {
    if reached.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "INSERT INTO watermarks (account_id, reached)
         SELECT * FROM unnest($1::text[], $2::timestamptz[]) AS row (account_id, reached) ORDER BY account_id
         ON CONFLICT (account_id) DO UPDATE SET reached = greatest(watermarks.reached, excluded.reached)",
    )
    .bind(reached.keys().collect::<Vec<_>>())
    .bind(reached.values().collect::<Vec<_>>())
    .execute(connection)
    .await
    .map(drop)
}
