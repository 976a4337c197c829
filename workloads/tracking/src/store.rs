//! The tables of the service.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use logistics_chassis::codec::Location;
use logistics_chassis::errors::ServiceError;
use logistics_domain::status::{Classifier, Disposition, Status};
use sqlx::postgres::PgRow;
use sqlx::{FromRow, PgConnection, PgPool, Row as _};
use uuid::Uuid;

/// A shipment as the log tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shipment {
    pub(crate) id: Uuid,
    pub(crate) account_id: String,
    pub(crate) carrier: String,
    pub(crate) tracking_number: String,
    pub(crate) origin: Location,
    pub(crate) destination: Location,
    pub(crate) planned_departure: DateTime<Utc>,
    pub(crate) promised_arrival: DateTime<Utc>,
    pub(crate) status: Status,
}

/// One event of a timeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) event_id: Uuid,
    pub(crate) shipment_id: Uuid,
    pub(crate) seq: i64,
    pub(crate) reported: Status,
    pub(crate) classifier: Classifier,
    pub(crate) disposition: Disposition,
    pub(crate) occurred_at: DateTime<Utc>,
    pub(crate) recorded_at: DateTime<Utc>,
    pub(crate) location: Option<Location>,
    pub(crate) reason: String,
    pub(crate) actor: String,
}

/// One column of many rows.
fn column<'a, R, T>(rows: &'a [R], value_of: impl Fn(&'a R) -> T) -> Vec<T> {
    rows.iter().map(value_of).collect()
}

pub(crate) async fn insert_shipments(
    connection: &mut PgConnection,
    rows: &[Shipment],
) -> Result<(), sqlx::Error> {
    if rows.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "INSERT INTO shipments (shipment_id, account_id, carrier, tracking_number, origin_code, origin_facility,
                                destination_code, destination_facility, planned_departure, promised_arrival, status)
         SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[],
                              $8::text[], $9::timestamptz[], $10::timestamptz[], $11::text[])",
    )
    .bind(column(rows, |row| row.id))
    .bind(column(rows, |row| row.account_id.as_str()))
    .bind(column(rows, |row| row.carrier.as_str()))
    .bind(column(rows, |row| row.tracking_number.as_str()))
    .bind(column(rows, |row| row.origin.code.as_str()))
    .bind(column(rows, |row| row.origin.facility.as_str()))
    .bind(column(rows, |row| row.destination.code.as_str()))
    .bind(column(rows, |row| row.destination.facility.as_str()))
    .bind(column(rows, |row| row.planned_departure))
    .bind(column(rows, |row| row.promised_arrival))
    .bind(column(rows, |row| row.status.as_str()))
    .execute(connection)
    .await
    .map(drop)
}

pub(crate) async fn insert_entries(connection: &mut PgConnection, rows: &[Entry]) -> Result<(), sqlx::Error> {
    if rows.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "INSERT INTO timeline (shipment_id, seq, event_id, reported, classifier, disposition, occurred_at,
                               recorded_at, location_code, location_facility, reason, actor)
         SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::uuid[], $4::text[], $5::text[], $6::text[],
                              $7::timestamptz[], $8::timestamptz[], $9::text[], $10::text[], $11::text[], $12::text[])",
    )
    .bind(column(rows, |row| row.shipment_id))
    .bind(column(rows, |row| row.seq))
    .bind(column(rows, |row| row.event_id))
    .bind(column(rows, |row| row.reported.as_str()))
    .bind(column(rows, |row| row.classifier.as_str()))
    .bind(column(rows, |row| row.disposition.as_str()))
    .bind(column(rows, |row| row.occurred_at))
    .bind(column(rows, |row| row.recorded_at))
    .bind(column(rows, |row| row.location.as_ref().map(|location| location.code.as_str())))
    .bind(column(rows, |row| row.location.as_ref().map(|location| location.facility.as_str())))
    .bind(column(rows, |row| row.reason.as_str()))
    .bind(column(rows, |row| row.actor.as_str()))
    .execute(connection)
    .await
    .map(drop)
}

pub(crate) async fn set_statuses(
    connection: &mut PgConnection,
    statuses: &BTreeMap<Uuid, Status>,
) -> Result<(), sqlx::Error> {
    if statuses.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "UPDATE shipments SET status = row.status FROM unnest($1::uuid[], $2::text[]) AS row (shipment_id, status)
         WHERE shipments.shipment_id = row.shipment_id AND shipments.status <> row.status",
    )
    .bind(statuses.keys().copied().collect::<Vec<_>>())
    .bind(statuses.values().map(|status| status.as_str()).collect::<Vec<_>>())
    .execute(connection)
    .await
    .map(drop)
}

/// A shipment of the account, and its events in order.
pub(crate) async fn timeline(
    pool: &PgPool,
    id: Uuid,
    account_id: &str,
) -> Result<(Shipment, Vec<Entry>), ServiceError> {
    let shipment: Shipment =
        sqlx::query_as("SELECT * FROM shipments WHERE shipment_id = $1 AND account_id = $2")
            .bind(id)
            .bind(account_id)
            .fetch_optional(pool)
            .await?
            .ok_or_else(|| ServiceError::NotFound {
                what: "shipment",
                id: id.to_string(),
            })?;
    let entries = sqlx::query_as("SELECT * FROM timeline WHERE shipment_id = $1 ORDER BY seq")
        .bind(id)
        .fetch_all(pool)
        .await?;
    Ok((shipment, entries))
}

/// The position of the last event of a shipment of the account.
pub(crate) async fn head(pool: &PgPool, id: Uuid, account_id: &str) -> Result<i64, ServiceError> {
    let head: Option<i64> = sqlx::query_scalar(
        "SELECT (SELECT coalesce(max(seq), 0) FROM timeline WHERE timeline.shipment_id = shipments.shipment_id)
         FROM shipments WHERE shipment_id = $1 AND account_id = $2",
    )
    .bind(id)
    .bind(account_id)
    .fetch_optional(pool)
    .await?;
    head.ok_or_else(|| ServiceError::NotFound {
        what: "shipment",
        id: id.to_string(),
    })
}

/// The next events of a shipment, in order.
pub(crate) async fn entries_after(
    pool: &PgPool,
    id: Uuid,
    after: i64,
    most: i64,
) -> Result<Vec<Entry>, ServiceError> {
    let entries =
        sqlx::query_as("SELECT * FROM timeline WHERE shipment_id = $1 AND seq > $2 ORDER BY seq LIMIT $3")
            .bind(id)
            .bind(after)
            .bind(most)
            .fetch_all(pool)
            .await?;
    Ok(entries)
}

/// A name of the domain in a text column.
fn name<T: std::str::FromStr<Err: std::error::Error + Send + Sync + 'static>>(
    row: &PgRow,
    column: &str,
) -> Result<T, sqlx::Error> {
    let text: &str = row.try_get(column)?;
    text.parse().map_err(|source: T::Err| sqlx::Error::ColumnDecode {
        index: column.to_owned(),
        source: source.into(),
    })
}

impl FromRow<'_, PgRow> for Shipment {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            id: row.try_get("shipment_id")?,
            account_id: row.try_get("account_id")?,
            carrier: row.try_get("carrier")?,
            tracking_number: row.try_get("tracking_number")?,
            origin: Location {
                code: row.try_get("origin_code")?,
                facility: row.try_get("origin_facility")?,
            },
            destination: Location {
                code: row.try_get("destination_code")?,
                facility: row.try_get("destination_facility")?,
            },
            planned_departure: row.try_get("planned_departure")?,
            promised_arrival: row.try_get("promised_arrival")?,
            status: name(row, "status")?,
        })
    }
}

impl FromRow<'_, PgRow> for Entry {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let code: Option<String> = row.try_get("location_code")?;
        let facility: Option<String> = row.try_get("location_facility")?;
        Ok(Self {
            event_id: row.try_get("event_id")?,
            shipment_id: row.try_get("shipment_id")?,
            seq: row.try_get("seq")?,
            reported: name(row, "reported")?,
            classifier: name(row, "classifier")?,
            disposition: name(row, "disposition")?,
            occurred_at: row.try_get("occurred_at")?,
            recorded_at: row.try_get("recorded_at")?,
            location: code
                .zip(facility)
                .map(|(code, facility)| Location { code, facility }),
            reason: row.try_get("reason")?,
            actor: row.try_get("actor")?,
        })
    }
}
