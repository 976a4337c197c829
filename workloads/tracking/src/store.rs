//! The tables of the service.

mod entries;

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Utc};
use logistics_chassis::codec::Location;
use logistics_chassis::errors::ServiceError;
use logistics_domain::delay::DelayReason;
use logistics_domain::status::Status;
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, FromRow, PgConnection, PgPool, Row as _};
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

/// A shipment and its events, of one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Timeline {
    pub(crate) shipment: Shipment,
    /// Position of the last event.
    pub(crate) head: i64,
    /// In order.
    pub(crate) entries: Vec<Entry>,
}

/// A shipment, and the last position that its timeline has at the same moment: events are never changed, so those up to it are
/// the timeline of that moment, whenever they are read.
#[derive(sqlx::FromRow)]
struct Headed {
    #[sqlx(flatten)]
    shipment: Shipment,
    head: i64,
}

/// Reads [`Headed`].
const HEADED: &str = "SELECT shipments.*,
    (SELECT coalesce(max(seq), 0) FROM timeline WHERE timeline.shipment_id = shipments.shipment_id) AS head
    FROM shipments";

/// The timeline of a shipment of the account.
pub(crate) async fn timeline(pool: &PgPool, id: Uuid, account_id: &str) -> Result<Timeline, ServiceError> {
    let mut connection = pool.acquire().await?;
    let sql = format!("{HEADED} WHERE shipment_id = $1 AND account_id = $2");
    let headed: Headed = sqlx::query_as(AssertSqlSafe(sql))
        .bind(id)
        .bind(account_id)
        .fetch_optional(&mut *connection)
        .await?
        .ok_or_else(|| not_found(id))?;
    let entries = sqlx::query_as("SELECT * FROM timeline WHERE shipment_id = $1 AND seq <= $2 ORDER BY seq")
        .bind(id)
        .bind(headed.head)
        .fetch_all(&mut *connection)
        .await?;
    Ok(Timeline {
        shipment: headed.shipment,
        head: headed.head,
        entries,
    })
}

/// The timelines of those of the shipments that are of the account.
pub(crate) async fn timelines(
    pool: &PgPool,
    ids: &[Uuid],
    account_id: &str,
) -> Result<Vec<Timeline>, ServiceError> {
    let sql = format!("{HEADED} WHERE shipment_id = ANY ($1) AND account_id = $2");
    let headed: Vec<Headed> = sqlx::query_as(AssertSqlSafe(sql))
        .bind(ids)
        .bind(account_id)
        .fetch_all(pool)
        .await?;
    let entries: Vec<Entry> = sqlx::query_as(
        "SELECT timeline.* FROM timeline JOIN unnest($1::uuid[], $2::bigint[]) AS row (shipment_id, head) USING (shipment_id)
         WHERE seq <= head ORDER BY shipment_id, seq",
    )
    .bind(column(&headed, |row| row.shipment.id))
    .bind(column(&headed, |row| row.head))
    .fetch_all(pool)
    .await?;
    let mut by_shipment: HashMap<Uuid, Vec<Entry>> = HashMap::new();
    for entry in entries {
        by_shipment.entry(entry.shipment_id).or_default().push(entry);
    }
    let timelines = headed.into_iter().map(|headed| Timeline {
        entries: by_shipment.remove(&headed.shipment.id).unwrap_or_default(),
        shipment: headed.shipment,
        head: headed.head,
    });
    Ok(timelines.collect())
}

/// The timeline of a shipment of whatever account, for who knows its number too.
pub(crate) async fn public_timeline(
    pool: &PgPool,
    id: Uuid,
    tracking_number: &str,
) -> Result<Timeline, ServiceError> {
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
