//! The tables of the service.

mod entries;

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Utc};
use logistics_chassis::codec::Location;
use logistics_chassis::errors::ServiceError;
use logistics_domain::delay::DelayReason;
use logistics_domain::status::Status;
use sqlx::postgres::PgRow;
use sqlx::{FromRow, PgConnection, PgPool, Row as _};
use uuid::Uuid;

pub(crate) use entries::{Entry, entries_after, insert_entries};

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
    /// Why it is delayed.
    pub(crate) delay: Option<DelayReason>,
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

/// What the last event of a shipment says of it.
pub(crate) type Standing = (Status, Option<DelayReason>);

pub(crate) async fn set_standings(
    connection: &mut PgConnection,
    standings: &BTreeMap<Uuid, Standing>,
) -> Result<(), sqlx::Error> {
    if standings.is_empty() {
        return Ok(());
    }
    let delays = standings
        .values()
        .map(|(_, delay)| delay.map(DelayReason::as_str));
    sqlx::query(
        "UPDATE shipments SET status = row.status, delay = row.delay
         FROM unnest($1::uuid[], $2::text[], $3::text[]) AS row (shipment_id, status, delay)
         WHERE shipments.shipment_id = row.shipment_id
             AND (shipments.status, shipments.delay) IS DISTINCT FROM (row.status, row.delay)",
    )
    .bind(standings.keys().copied().collect::<Vec<_>>())
    .bind(
        standings
            .values()
            .map(|(status, _)| status.as_str())
            .collect::<Vec<_>>(),
    )
    .bind(delays.collect::<Vec<_>>())
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
    // A shipment is written with its first event.
    let rows = sqlx::query(
        "SELECT * FROM shipments JOIN timeline USING (shipment_id)
         WHERE shipment_id = $1 AND account_id = $2 ORDER BY seq",
    )
    .bind(id)
    .bind(account_id)
    .fetch_all(pool)
    .await?;
    let shipment = Shipment::from_row(rows.first().ok_or_else(|| not_found(id))?)?;
    let entries = rows.iter().map(Entry::from_row).collect::<Result<_, _>>()?;
    Ok((shipment, entries))
}

/// Those of the shipments that are of the account, each with its events in order.
pub(crate) async fn timelines(
    pool: &PgPool,
    ids: &[Uuid],
    account_id: &str,
) -> Result<HashMap<Uuid, (Shipment, Vec<Entry>)>, ServiceError> {
    let shipments: Vec<Shipment> =
        sqlx::query_as("SELECT * FROM shipments WHERE shipment_id = ANY ($1) AND account_id = $2")
            .bind(ids)
            .bind(account_id)
            .fetch_all(pool)
            .await?;
    let found: Vec<Uuid> = shipments.iter().map(|shipment| shipment.id).collect();
    let mut timelines: HashMap<_, _> = shipments
        .into_iter()
        .map(|shipment| (shipment.id, (shipment, Vec::new())))
        .collect();
    let entries: Vec<Entry> =
        sqlx::query_as("SELECT * FROM timeline WHERE shipment_id = ANY ($1) ORDER BY shipment_id, seq")
            .bind(found)
            .fetch_all(pool)
            .await?;
    for entry in entries {
        if let Some((_, entries)) = timelines.get_mut(&entry.shipment_id) {
            entries.push(entry);
        }
    }
    Ok(timelines)
}

/// A shipment of whatever account, for who knows its number too; and its events in order.
pub(crate) async fn public_timeline(
    pool: &PgPool,
    id: Uuid,
    tracking_number: &str,
) -> Result<(Shipment, Vec<Entry>), ServiceError> {
    let account: Option<String> = sqlx::query_scalar(
        "SELECT account_id FROM shipments WHERE shipment_id = $1 AND tracking_number = $2",
    )
    .bind(id)
    .bind(tracking_number)
    .fetch_optional(pool)
    .await?;
    let account = account.ok_or_else(|| not_found(id))?;
    timeline(pool, id, &account).await
}

fn not_found(id: Uuid) -> ServiceError {
    ServiceError::NotFound {
        what: "shipment",
        id: id.to_string(),
    }
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
    head.ok_or_else(|| not_found(id))
}

/// A name of the domain in a text column.
fn name<T: std::str::FromStr<Err: std::error::Error + Send + Sync + 'static>>(
    row: &PgRow,
    column: &str,
) -> Result<T, sqlx::Error> {
    optional_name(row, column)?.ok_or_else(|| sqlx::Error::ColumnDecode {
        index: column.to_owned(),
        source: "it is NULL".into(),
    })
}

/// The same where there may be none.
fn optional_name<T: std::str::FromStr<Err: std::error::Error + Send + Sync + 'static>>(
    row: &PgRow,
    column: &str,
) -> Result<Option<T>, sqlx::Error> {
    let text: Option<&str> = row.try_get(column)?;
    text.map(str::parse)
        .transpose()
        .map_err(|source: T::Err| sqlx::Error::ColumnDecode {
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
            delay: optional_name(row, "delay")?,
        })
    }
}
