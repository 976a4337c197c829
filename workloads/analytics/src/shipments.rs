//! The table `shipments`: each with its newest assessment.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use logistics_domain::eta::Estimate;
use logistics_domain::journey::{Assessment, Journey};
use logistics_domain::risk::{Reason, Risk};
use logistics_domain::status::Status;
use sqlx::postgres::PgRow;
use sqlx::types::Json;
use sqlx::{FromRow, PgConnection, PgPool, Row as _};
use uuid::Uuid;

use crate::histories::Keys;

/// A shipment.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Shipment {
    pub(crate) id: Uuid,
    pub(crate) account_id: String,
    pub(crate) carrier: String,
    pub(crate) origin: String,
    pub(crate) destination: String,
    pub(crate) journey: Journey,
    /// Position of the event on which the assessment rests.
    pub(crate) seq: i64,
    pub(crate) assessment: Assessment,
}

impl Shipment {
    /// The histories it belongs to.
    pub(crate) fn keys(&self) -> Keys {
        Keys::new(&self.account_id, &self.carrier, &self.origin, &self.destination)
    }
}

/// The shipments with these ids.
pub(crate) async fn load(
    connection: &mut PgConnection,
    ids: &[Uuid],
) -> Result<HashMap<Uuid, Shipment>, sqlx::Error> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let rows: Vec<Shipment> = sqlx::query_as("SELECT * FROM shipments WHERE shipment_id = ANY ($1)")
        .bind(ids)
        .fetch_all(connection)
        .await?;
    Ok(rows.into_iter().map(|shipment| (shipment.id, shipment)).collect())
}

/// One shipment of an account.
pub(crate) async fn get(pool: &PgPool, id: Uuid, account_id: &str) -> Result<Option<Shipment>, sqlx::Error> {
    sqlx::query_as("SELECT * FROM shipments WHERE shipment_id = $1 AND account_id = $2")
        .bind(id)
        .bind(account_id)
        .fetch_optional(pool)
        .await
}

/// Writes shipments, new ones and changed ones.
pub(crate) async fn save(connection: &mut PgConnection, rows: &[&Shipment]) -> Result<(), sqlx::Error> {
    if rows.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "INSERT INTO shipments (shipment_id, account_id, carrier, origin, destination, planned_departure,
                                promised_arrival, departed_at, arrived_at, at_creation, in_transit, seq, risk, reasons,
                                estimated_arrival, earliest_arrival, latest_arrival, status, status_since)
         SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::timestamptz[],
                              $7::timestamptz[], $8::timestamptz[], $9::timestamptz[], $10::jsonb[], $11::jsonb[],
                              $12::bigint[], $13::double precision[], $14::jsonb[], $15::timestamptz[],
                              $16::timestamptz[], $17::timestamptz[], $18::text[], $19::timestamptz[])
         ON CONFLICT (shipment_id) DO UPDATE
         SET departed_at = excluded.departed_at, arrived_at = excluded.arrived_at, in_transit = excluded.in_transit,
             seq = excluded.seq, risk = excluded.risk, reasons = excluded.reasons,
             estimated_arrival = excluded.estimated_arrival, earliest_arrival = excluded.earliest_arrival,
             latest_arrival = excluded.latest_arrival, status = excluded.status,
             status_since = excluded.status_since",
    )
    .bind(column(rows, |row| row.id))
    .bind(column(rows, |row| row.account_id.as_str()))
    .bind(column(rows, |row| row.carrier.as_str()))
    .bind(column(rows, |row| row.origin.as_str()))
    .bind(column(rows, |row| row.destination.as_str()))
    .bind(column(rows, |row| row.journey.planned_departure))
    .bind(column(rows, |row| row.journey.promised_arrival))
    .bind(column(rows, |row| row.journey.departed))
    .bind(column(rows, |row| row.journey.arrived))
    .bind(column(rows, |row| row.journey.at_creation.map(Json)))
    .bind(column(rows, |row| row.journey.in_transit.map(Json)))
    .bind(column(rows, |row| row.seq))
    .bind(column(rows, |row| row.assessment.risk.probability))
    .bind(column(rows, |row| Json(&row.assessment.risk.reasons)))
    .bind(column(rows, |row| row.assessment.estimated))
    .bind(column(rows, |row| row.assessment.earliest))
    .bind(column(rows, |row| row.assessment.latest))
    .bind(column(rows, |row| row.journey.status.map(Status::as_str)))
    .bind(column(rows, |row| row.journey.status_since))
    .execute(connection)
    .await
    .map(drop)
}

/// One column of many rows.
fn column<'a, T>(rows: &'a [&'a Shipment], value_of: impl Fn(&'a Shipment) -> T) -> Vec<T> {
    rows.iter().map(|row| value_of(row)).collect()
}

impl FromRow<'_, PgRow> for Shipment {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let estimate = |name: &str| -> Result<Option<Estimate>, sqlx::Error> {
            Ok(row
                .try_get::<Option<Json<Estimate>>, _>(name)?
                .map(|estimate| estimate.0))
        };
        let time = |name: &str| row.try_get::<DateTime<Utc>, _>(name);
        Ok(Self {
            id: row.try_get("shipment_id")?,
            account_id: row.try_get("account_id")?,
            carrier: row.try_get("carrier")?,
            origin: row.try_get("origin")?,
            destination: row.try_get("destination")?,
            journey: Journey {
                planned_departure: time("planned_departure")?,
                promised_arrival: time("promised_arrival")?,
                departed: row.try_get("departed_at")?,
                arrived: row.try_get("arrived_at")?,
                at_creation: estimate("at_creation")?,
                in_transit: estimate("in_transit")?,
                status: row
                    .try_get::<Option<String>, _>("status")?
                    .and_then(|status| status.parse().ok()),
                status_since: row.try_get("status_since")?,
            },
            seq: row.try_get("seq")?,
            assessment: Assessment {
                risk: Risk {
                    probability: row.try_get("risk")?,
                    reasons: row.try_get::<Json<Vec<Reason>>, _>("reasons")?.0,
                },
                estimated: time("estimated_arrival")?,
                earliest: time("earliest_arrival")?,
                latest: time("latest_arrival")?,
            },
        })
    }
}
