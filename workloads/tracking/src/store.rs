//! The tables of the service.

mod columns;
mod entries;

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use logistics_chassis::codec::Location;
use logistics_chassis::errors::ServiceError;
use logistics_chassis::writes::Writes;
use logistics_domain::delay::DelayReason;
use logistics_domain::status::Status;
use sqlx::postgres::PgRow;
use sqlx::{PgPool, Row as _};
use uuid::Uuid;

use columns::Columns;
use entries::entry_columns;
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

pub(crate) fn insert_shipments(writes: &mut Writes, rows: &[Shipment]) {
    writes
        .insert("shipments", rows)
        .column("shipment_id", |row| row.id)
        .column("account_id", |row| row.account_id.as_str())
        .column("carrier", |row| row.carrier.as_str())
        .column("tracking_number", |row| row.tracking_number.as_str())
        .column("origin_code", |row| row.origin.code.as_str())
        .column("origin_facility", |row| row.origin.facility.as_str())
        .column("destination_code", |row| row.destination.code.as_str())
        .column("destination_facility", |row| row.destination.facility.as_str())
        .column("planned_departure", |row| row.planned_departure)
        .column("promised_arrival", |row| row.promised_arrival)
        .column("status", |row| row.status.as_str())
        .column("delay", |row| row.delay.map(DelayReason::as_str))
        .end();
}

/// What the last event of a shipment says of it.
pub(crate) type Standing = (Status, Option<DelayReason>);

pub(crate) fn set_standings(writes: &mut Writes, standings: &BTreeMap<Uuid, Standing>) {
    let rows: Vec<_> = standings.iter().collect();
    writes
        .update("shipments", &rows)
        .column("shipment_id", |(id, _)| **id)
        .column("status", |(_, (status, _))| status.as_str())
        .column("delay", |(_, (_, delay))| delay.map(DelayReason::as_str))
        .end();
}

/// The columns of a shipment, in the order in which [`Shipment::take`] wants them.
macro_rules! shipment_columns {
    () => {
        "shipment_id, account_id, carrier, tracking_number, origin_code, origin_facility, destination_code, \
         destination_facility, planned_departure, promised_arrival, status, delay"
    };
}

impl Shipment {
    /// The shipment that a row goes on with.
    fn take(columns: &mut Columns<'_>) -> Result<Self, sqlx::Error> {
        Ok(Self {
            id: columns.take()?,
            account_id: columns.take()?,
            carrier: columns.take()?,
            tracking_number: columns.take()?,
            origin: place(columns)?,
            destination: place(columns)?,
            planned_departure: columns.take()?,
            promised_arrival: columns.take()?,
            status: columns.name()?,
            delay: columns.optional_name()?,
        })
    }
}

fn place(columns: &mut Columns<'_>) -> Result<Location, sqlx::Error> {
    Ok(Location {
        code: columns.take()?,
        facility: columns.take()?,
    })
}

/// A shipment and its events, of one moment: they are read by one statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Timeline {
    pub(crate) shipment: Shipment,
    /// In order, at least one: a shipment is written with its first event.
    pub(crate) entries: Vec<Entry>,
}

impl Timeline {
    /// Position of the last event.
    pub(crate) fn head(&self) -> i64 {
        self.entries.last().map_or(0, |entry| entry.seq)
    }

    /// Of the rows of one shipment, each with one of its events and the shipment.
    fn from_rows(rows: &[PgRow]) -> Result<Option<Self>, sqlx::Error> {
        let Some((first, others)) = rows.split_first() else {
            return Ok(None);
        };
        let mut columns = Columns::of(first);
        let mut entries = Vec::with_capacity(rows.len());
        entries.push(Entry::take(&mut columns)?);
        let shipment = Shipment::take(&mut columns)?;
        for row in others {
            entries.push(Entry::take(&mut Columns::of(row))?);
        }
        Ok(Some(Self { shipment, entries }))
    }
}

/// The timeline of a shipment of whatever account, for who knows its number too.
pub(crate) async fn public_timeline(
    pool: &PgPool,
    id: Uuid,
    tracking_number: &str,
) -> Result<Timeline, ServiceError> {
    let rows = sqlx::query(concat!(
        "SELECT ",
        entry_columns!(),
        ", ",
        shipment_columns!(),
        " FROM shipments JOIN timeline USING (shipment_id)
          WHERE shipment_id = $1 AND tracking_number = $2 ORDER BY seq"
    ))
    .bind(id)
    .bind(tracking_number)
    .fetch_all(pool)
    .await?;
    Timeline::from_rows(&rows)?.ok_or_else(|| not_found(id))
}

/// Which timeline is asked for: that of a shipment, if it is of the account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) shipment_id: Uuid,
    pub(crate) account_id: String,
}

/// The timelines that are asked for, each in its place.
pub(crate) async fn timelines(pool: &PgPool, asked: &[Asked]) -> Result<Vec<Option<Timeline>>, sqlx::Error> {
    let rows = sqlx::query(concat!(
        "SELECT ",
        entry_columns!(),
        ", ",
        shipment_columns!(),
        ", place
         FROM unnest($1::uuid[], $2::text[]) WITH ORDINALITY AS asked (shipment_id, account_id, place)
         JOIN shipments USING (shipment_id, account_id) JOIN timeline USING (shipment_id) ORDER BY place, seq"
    ))
    .bind(asked.iter().map(|one| one.shipment_id).collect::<Vec<_>>())
    .bind(
        asked
            .iter()
            .map(|one| one.account_id.as_str())
            .collect::<Vec<_>>(),
    )
    .fetch_all(pool)
    .await?;
    let mut timelines = vec![None; asked.len()];
    let mut rest = rows.as_slice();
    while let Some(first) = rest.first() {
        let place: i64 = first.try_get("place")?;
        let same = |row: &PgRow| row.try_get::<i64, _>("place").is_ok_and(|other| other == place);
        let (own, others) = rest.split_at(rest.iter().take_while(|row| same(row)).count());
        rest = others;
        let found = Timeline::from_rows(own)?;
        if let Some(slot) = usize::try_from(place - 1)
            .ok()
            .and_then(|at| timelines.get_mut(at))
        {
            *slot = found;
        }
    }
    Ok(timelines)
}

pub(crate) fn not_found(id: Uuid) -> ServiceError {
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
