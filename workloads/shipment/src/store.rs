//! Shipments in PostgreSQL.

mod events;

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use logistics_chassis::codec::Location;
use logistics_chassis::errors::ServiceError;
use logistics_chassis::writes::Writes;
use logistics_domain::delay::DelayReason;
use logistics_domain::ledger::State;
use logistics_domain::number::{self, Window};
use logistics_domain::status::Status;
use sqlx::{FromRow, PgConnection, PgPool};
use uuid::Uuid;

use crate::model::{Change, Order, Shipment};
use crate::request::{Page, Wanted};

pub(crate) use events::histories;

/// Most shipments with one number that are looked at, the newest first: a carrier has not given it out more often within
/// the time that anybody asks for.
const HOLDERS: i64 = 100;

#[derive(FromRow)]
struct Row {
    shipment_id: Uuid,
    account_id: String,
    created_by: String,
    carrier: String,
    tracking_number: String,
    origin_code: String,
    origin_facility: String,
    destination_code: String,
    destination_facility: String,
    planned_departure: DateTime<Utc>,
    promised_arrival: DateTime<Utc>,
    status: String,
    newest_applied: Option<DateTime<Utc>>,
    before_exception: Option<String>,
    newest_seen: Option<DateTime<Utc>>,
    delay: Option<String>,
    assignee: String,
    seq: i64,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl TryFrom<Row> for Shipment {
    type Error = sqlx::Error;

    fn try_from(row: Row) -> Result<Self, sqlx::Error> {
        let unknown = |error| sqlx::Error::Decode(Box::new(error));
        Ok(Self {
            id: row.shipment_id,
            account_id: row.account_id,
            created_by: row.created_by,
            order: Order {
                carrier: row.carrier,
                tracking_number: row.tracking_number,
                origin: Location {
                    code: row.origin_code,
                    facility: row.origin_facility,
                },
                destination: Location {
                    code: row.destination_code,
                    facility: row.destination_facility,
                },
                planned_departure: row.planned_departure,
                promised_arrival: row.promised_arrival,
            },
            state: State {
                status: row.status.parse().map_err(unknown)?,
                newest_applied: row.newest_applied,
                // A replica of the last release keeps only one of them.
                newest_seen: row.newest_seen.max(row.newest_applied),
                before_exception: row
                    .before_exception
                    .map(|name| name.parse())
                    .transpose()
                    .map_err(unknown)?,
                delay: row.delay.map(|name| name.parse()).transpose().map_err(unknown)?,
            },
            assignee: row.assignee,
            seq: row.seq,
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
    }
}

/// Reads a shipment of the account.
pub(crate) async fn get(pool: &PgPool, id: Uuid, account_id: &str) -> Result<Shipment, ServiceError> {
    let row: Option<Row> =
        sqlx::query_as("SELECT * FROM shipments WHERE shipment_id = $1 AND account_id = $2")
            .bind(id)
            .bind(account_id)
            .fetch_optional(pool)
            .await?;
    Ok(row.ok_or_else(|| not_found(id))?.try_into()?)
}

/// Finds the shipment of the account that has a carrier's number at a time.
pub(crate) async fn find(pool: &PgPool, wanted: &Wanted, account_id: &str) -> Result<Shipment, ServiceError> {
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT * FROM shipments WHERE account_id = $1 AND tracking_number = $2 AND carrier = $3
         ORDER BY shipment_id DESC LIMIT $4",
    )
    .bind(account_id)
    .bind(&wanted.tracking_number)
    .bind(&wanted.carrier)
    .bind(HOLDERS)
    .fetch_all(pool)
    .await?;
    let mut shipments = rows
        .into_iter()
        .rev()
        .map(Shipment::try_from)
        .collect::<Result<Vec<_>, _>>()?;
    let windows: Vec<Window> = shipments.iter().map(Shipment::window).collect();
    let holder = number::holder(&windows, wanted.at);
    holder
        .map(|at| shipments.swap_remove(at))
        .ok_or_else(|| ServiceError::NotFound {
            what: "shipment with number",
            id: format!("{} {}", wanted.carrier, wanted.tracking_number),
        })
}

/// Reads shipments, each with the account that it has to be of, and locks them until the transaction ends: their next
/// `seq` is the caller's. What does not exist in the account is left out.
pub(crate) async fn lock(
    connection: &mut PgConnection,
    wanted: &[(Uuid, &str)],
) -> Result<HashMap<Uuid, Shipment>, sqlx::Error> {
    if wanted.is_empty() {
        return Ok(HashMap::new());
    }
    // In one order by all who lock, so that two of them never wait for each other.
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT * FROM shipments WHERE shipment_id = ANY ($1)
             AND (shipment_id, account_id) IN (SELECT * FROM unnest($1::uuid[], $2::text[]))
         ORDER BY shipment_id FOR NO KEY UPDATE",
    )
    .bind(wanted.iter().map(|(id, _)| *id).collect::<Vec<_>>())
    .bind(wanted.iter().map(|(_, account)| *account).collect::<Vec<_>>())
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|row| Ok((row.shipment_id, Shipment::try_from(row)?)))
        .collect()
}

/// Reads a page of the account's shipments, and whether more follow.
pub(crate) async fn list(
    pool: &PgPool,
    account_id: &str,
    page: Page,
) -> Result<(Vec<Shipment>, bool), ServiceError> {
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT * FROM shipments WHERE account_id = $1 AND shipment_id > $2 ORDER BY shipment_id LIMIT $3",
    )
    .bind(account_id)
    .bind(page.after.unwrap_or(Uuid::nil()))
    .bind(i64::from(page.size) + 1)
    .fetch_all(pool)
    .await?;
    let size = usize::from(page.size);
    let more = rows.len() > size;
    let shipments = rows
        .into_iter()
        .take(size)
        .map(Shipment::try_from)
        .collect::<Result<_, sqlx::Error>>()?;
    Ok((shipments, more))
}

/// Adds changes, in order: the shipments as they are after them, and the events.
pub(crate) fn write(writes: &mut Writes, changes: &[Change]) {
    let mut created = HashMap::new();
    let mut known = HashMap::new();
    for change in changes {
        let shipment = &change.shipment;
        if change.event.seq == 1 || created.contains_key(&shipment.id) {
            created.insert(shipment.id, shipment);
        } else {
            known.insert(shipment.id, shipment);
        }
    }
    insert(writes, &created.into_values().collect::<Vec<_>>());
    update(writes, &known.into_values().collect::<Vec<_>>());
    events::insert(writes, changes);
}

fn insert(writes: &mut Writes, rows: &[&Shipment]) {
    writes
        .insert("shipments", rows)
        .column("shipment_id", |row| row.id)
        .column("account_id", |row| row.account_id.as_str())
        .column("created_by", |row| row.created_by.as_str())
        .column("carrier", |row| row.order.carrier.as_str())
        .column("tracking_number", |row| row.order.tracking_number.as_str())
        .column("origin_code", |row| row.order.origin.code.as_str())
        .column("origin_facility", |row| row.order.origin.facility.as_str())
        .column("destination_code", |row| row.order.destination.code.as_str())
        .column("destination_facility", |row| {
            row.order.destination.facility.as_str()
        })
        .column("planned_departure", |row| row.order.planned_departure)
        .column("promised_arrival", |row| row.order.promised_arrival)
        .column("status", |row| row.state.status.as_str())
        .column("newest_applied", |row| row.state.newest_applied)
        .column("before_exception", |row| {
            row.state.before_exception.map(Status::as_str)
        })
        .column("seq", |row| row.seq)
        .column("created_at", |row| row.created_at)
        .column("updated_at", |row| row.updated_at)
        .column("newest_seen", |row| row.state.newest_seen)
        .column("delay", |row| row.state.delay.map(DelayReason::as_str))
        .column("assignee", |row| row.assignee.as_str())
        .end();
}

fn update(writes: &mut Writes, rows: &[&Shipment]) {
    writes
        .update("shipments", rows)
        .column("shipment_id", |row| row.id)
        .column("status", |row| row.state.status.as_str())
        .column("newest_applied", |row| row.state.newest_applied)
        .column("before_exception", |row| {
            row.state.before_exception.map(Status::as_str)
        })
        .column("seq", |row| row.seq)
        .column("updated_at", |row| row.updated_at)
        .column("newest_seen", |row| row.state.newest_seen)
        .column("delay", |row| row.state.delay.map(DelayReason::as_str))
        .column("assignee", |row| row.assignee.as_str())
        .end();
}

/// Also for what belongs to another account: that it exists is not told.
pub(crate) fn not_found(id: Uuid) -> ServiceError {
    ServiceError::NotFound {
        what: "shipment",
        id: id.to_string(),
    }
}
