//! Shipments in PostgreSQL.

use chrono::{DateTime, Utc};
use logistics_chassis::codec::Location;
use logistics_chassis::errors::ServiceError;
use logistics_domain::status::{State, Status};
use sqlx::{FromRow, PgConnection, PgPool};
use uuid::Uuid;

use crate::model::{Change, Order, Shipment};
use crate::request::Page;

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
    seq: i64,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl TryFrom<Row> for Shipment {
    type Error = ServiceError;

    fn try_from(row: Row) -> Result<Self, ServiceError> {
        let unknown = |error| ServiceError::internal("read a shipment's status", error);
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
                before_exception: row
                    .before_exception
                    .map(|name| name.parse())
                    .transpose()
                    .map_err(unknown)?,
            },
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
    row.ok_or_else(|| not_found(id))?.try_into()
}

/// Reads a shipment of the account and locks it until the transaction ends: its next `seq` is the caller's.
pub(crate) async fn lock(
    connection: &mut PgConnection,
    id: Uuid,
    account_id: &str,
) -> Result<Shipment, ServiceError> {
    let row: Option<Row> = sqlx::query_as(
        "SELECT * FROM shipments WHERE shipment_id = $1 AND account_id = $2 FOR NO KEY UPDATE",
    )
    .bind(id)
    .bind(account_id)
    .fetch_optional(connection)
    .await?;
    row.ok_or_else(|| not_found(id))?.try_into()
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
        .collect::<Result<_, _>>()?;
    Ok((shipments, more))
}

/// Writes a change: the shipment as it is now, and the event.
pub(crate) async fn write(connection: &mut PgConnection, change: &Change) -> Result<(), ServiceError> {
    if change.event.seq == 1 {
        insert(connection, &change.shipment).await?;
    } else {
        update(connection, &change.shipment).await?;
    }
    insert_event(connection, change).await?;
    Ok(())
}

async fn insert(connection: &mut PgConnection, shipment: &Shipment) -> Result<(), sqlx::Error> {
    let Shipment { order, state, .. } = shipment;
    sqlx::query(
        "INSERT INTO shipments (shipment_id, account_id, created_by, carrier, tracking_number, origin_code,
             origin_facility, destination_code, destination_facility, planned_departure, promised_arrival, status,
             newest_applied, before_exception, seq, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)",
    )
    .bind(shipment.id)
    .bind(&shipment.account_id)
    .bind(&shipment.created_by)
    .bind(&order.carrier)
    .bind(&order.tracking_number)
    .bind(&order.origin.code)
    .bind(&order.origin.facility)
    .bind(&order.destination.code)
    .bind(&order.destination.facility)
    .bind(order.planned_departure)
    .bind(order.promised_arrival)
    .bind(state.status.as_str())
    .bind(state.newest_applied)
    .bind(state.before_exception.map(Status::as_str))
    .bind(shipment.seq)
    .bind(shipment.created_at)
    .bind(shipment.updated_at)
    .execute(connection)
    .await
    .map(drop)
}

async fn update(connection: &mut PgConnection, shipment: &Shipment) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE shipments SET status = $2, newest_applied = $3, before_exception = $4, seq = $5, updated_at = $6
         WHERE shipment_id = $1",
    )
    .bind(shipment.id)
    .bind(shipment.state.status.as_str())
    .bind(shipment.state.newest_applied)
    .bind(shipment.state.before_exception.map(Status::as_str))
    .bind(shipment.seq)
    .bind(shipment.updated_at)
    .execute(connection)
    .await
    .map(drop)
}

async fn insert_event(connection: &mut PgConnection, change: &Change) -> Result<(), sqlx::Error> {
    let event = &change.event;
    sqlx::query(
        "INSERT INTO shipment_events (shipment_id, seq, event_id, reported, classifier, disposition, occurred_at,
             recorded_at, location_code, location_facility, reason, actor)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
    )
    .bind(change.shipment.id)
    .bind(event.seq)
    .bind(event.id)
    .bind(event.reported.as_str())
    .bind(event.classifier.as_str())
    .bind(event.disposition.as_str())
    .bind(event.occurred_at)
    .bind(event.recorded_at)
    .bind(event.location.as_ref().map(|location| location.code.as_str()))
    .bind(event.location.as_ref().map(|location| location.facility.as_str()))
    .bind(&event.reason)
    .bind(&event.actor)
    .execute(connection)
    .await
    .map(drop)
}

/// Also for what belongs to another account: that it exists is not told.
fn not_found(id: Uuid) -> ServiceError {
    ServiceError::NotFound {
        what: "shipment",
        id: id.to_string(),
    }
}
