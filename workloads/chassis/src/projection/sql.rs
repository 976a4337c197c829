//! The statements of a projection. Each takes a whole batch.

use std::collections::{HashMap, HashSet};

use serde_json::Value;
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use super::{Place, Poison};
use crate::consumer::Record;
use crate::outbox;

/// A record in `parked`, without its bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Held {
    pub(super) seq: i64,
    pub(super) poisoned: bool,
}

/// A record to be parked.
pub(super) struct Parking<'a> {
    pub(super) record: &'a Record,
    pub(super) shipment: Option<Uuid>,
    pub(super) seq: Option<i64>,
    pub(super) poison: Option<&'a Poison>,
}

impl Parking<'_> {
    /// Topic, partition and offset: the key of `parked`.
    pub(super) fn log_place(&self) -> (String, i32, i64) {
        (
            self.record.topic.name.to_owned(),
            self.record.partition,
            self.record.offset,
        )
    }
}

/// A record in `parked`.
#[derive(Debug, sqlx::FromRow)]
pub(super) struct ParkedRecord {
    pub(super) shipment_id: Uuid,
    pub(super) seq: i64,
    pub(super) topic: String,
    pub(super) partition: i32,
    pub(super) offset: i64,
    pub(super) key: Option<Vec<u8>>,
    pub(super) value: Option<Vec<u8>>,
    pub(super) headers: Value,
}

/// Shipments whose rows are locked.
#[derive(Debug, Default)]
pub(super) struct Locked {
    /// What is applied of each.
    pub(super) last_seqs: HashMap<Uuid, i64>,
    /// Those that were known before: of the others nothing can be parked.
    pub(super) known: Vec<Uuid>,
}

/// Locks the shipments' rows, in one order for all who do so. `new` are those that most likely have none yet.
pub(super) async fn lock(
    connection: &mut PgConnection,
    sorted: &[Uuid],
    new: &[Uuid],
) -> Result<Locked, sqlx::Error> {
    let mut last_seqs: HashMap<Uuid, i64> = insert_missing(connection, new)
        .await?
        .into_iter()
        .map(|shipment| (shipment, 0))
        .collect();
    let mut known: Vec<Uuid> = sorted
        .iter()
        .filter(|shipment| !last_seqs.contains_key(*shipment))
        .copied()
        .collect();
    last_seqs.extend(lock_known(connection, &known).await?);
    // Of those whose creation is yet to come.
    let unknown: Vec<Uuid> = known
        .extract_if(.., |shipment| !last_seqs.contains_key(shipment))
        .collect();
    if !unknown.is_empty() {
        insert_missing(connection, &unknown).await?;
        // Somebody else may have been quicker.
        last_seqs.extend(lock_known(connection, &unknown).await?);
        known.extend(unknown);
    }
    Ok(Locked { last_seqs, known })
}

/// Gives those that had no row.
async fn insert_missing(connection: &mut PgConnection, sorted: &[Uuid]) -> Result<Vec<Uuid>, sqlx::Error> {
    if sorted.is_empty() {
        return Ok(Vec::new());
    }
    sqlx::query_scalar(
        "INSERT INTO projected (shipment_id) SELECT id FROM unnest($1::uuid[]) AS row (id) ORDER BY id
         ON CONFLICT DO NOTHING RETURNING shipment_id",
    )
    .bind(sorted)
    .fetch_all(connection)
    .await
}

async fn lock_known(connection: &mut PgConnection, sorted: &[Uuid]) -> Result<Vec<(Uuid, i64)>, sqlx::Error> {
    if sorted.is_empty() {
        return Ok(Vec::new());
    }
    sqlx::query_as(
        "SELECT shipment_id, last_seq FROM projected WHERE shipment_id = ANY ($1) ORDER BY shipment_id FOR UPDATE",
    )
    .bind(sorted)
    .fetch_all(connection)
    .await
}

/// What is parked of the shipments.
pub(super) async fn held(
    connection: &mut PgConnection,
    shipments: &[Uuid],
) -> Result<HashMap<Uuid, Vec<Held>>, sqlx::Error> {
    if shipments.is_empty() {
        return Ok(HashMap::new());
    }
    let rows: Vec<(Uuid, i64, bool)> = sqlx::query_as(
        "SELECT shipment_id, seq, poison_class IS NOT NULL FROM parked
         WHERE shipment_id = ANY ($1) AND seq IS NOT NULL ORDER BY shipment_id, seq",
    )
    .bind(shipments)
    .fetch_all(connection)
    .await?;
    let mut held: HashMap<Uuid, Vec<Held>> = HashMap::new();
    for (shipment, seq, poisoned) in rows {
        held.entry(shipment).or_default().push(Held { seq, poisoned });
    }
    Ok(held)
}

/// The parked records at these places.
pub(super) async fn parked_records(
    connection: &mut PgConnection,
    places: Vec<Place>,
) -> Result<Vec<ParkedRecord>, sqlx::Error> {
    if places.is_empty() {
        return Ok(Vec::new());
    }
    let (shipments, seqs): (Vec<Uuid>, Vec<i64>) = places.into_iter().unzip();
    sqlx::query_as(
        r#"SELECT shipment_id, seq, topic, partition, "offset", key, value, headers
           FROM parked JOIN unnest($1::uuid[], $2::bigint[]) AS place (shipment_id, seq) USING (shipment_id, seq)"#,
    )
    .bind(shipments)
    .bind(seqs)
    .fetch_all(connection)
    .await
}

/// Notes what is applied of each shipment.
pub(super) async fn advance(
    connection: &mut PgConnection,
    last_seqs: impl Iterator<Item = (Uuid, i64)>,
    accounts: &HashMap<Uuid, String>,
) -> Result<(), sqlx::Error> {
    let (shipments, last_seqs): (Vec<Uuid>, Vec<i64>) = last_seqs.unzip();
    let accounts: Vec<Option<&str>> = shipments
        .iter()
        .map(|id| accounts.get(id).map(String::as_str))
        .collect();
    sqlx::query(
        "UPDATE projected SET last_seq = row.last_seq, account_id = coalesce(projected.account_id, row.account_id)
         FROM unnest($1::uuid[], $2::bigint[], $3::text[]) AS row (shipment_id, last_seq, account_id)
         WHERE projected.shipment_id = row.shipment_id
           AND (projected.last_seq < row.last_seq OR projected.account_id IS NULL)",
    )
    .bind(shipments)
    .bind(last_seqs)
    .bind(accounts)
    .execute(connection)
    .await
    .map(drop)
}

/// Deletes parked records.
pub(super) async fn release(connection: &mut PgConnection, places: Vec<Place>) -> Result<(), sqlx::Error> {
    if places.is_empty() {
        return Ok(());
    }
    let (shipments, seqs): (Vec<Uuid>, Vec<i64>) = places.into_iter().unzip();
    sqlx::query(
        "DELETE FROM parked USING unnest($1::uuid[], $2::bigint[]) AS place (shipment_id, seq)
         WHERE parked.shipment_id = place.shipment_id AND parked.seq = place.seq",
    )
    .bind(shipments)
    .bind(seqs)
    .execute(connection)
    .await
    .map(drop)
}

/// Parks records; gives the places in the log of those that were not parked before.
pub(super) async fn park(
    connection: &mut PgConnection,
    parkings: &[Parking<'_>],
) -> Result<HashSet<(String, i32, i64)>, sqlx::Error> {
    if parkings.is_empty() {
        return Ok(HashSet::new());
    }
    let rows: Vec<(String, i32, i64)> = sqlx::query_as(
        r#"INSERT INTO parked
               (topic, partition, "offset", shipment_id, seq, key, value, headers, poison_class, poison_message)
           SELECT * FROM unnest($1::text[], $2::integer[], $3::bigint[], $4::uuid[], $5::bigint[], $6::bytea[],
                                $7::bytea[], $8::jsonb[], $9::text[], $10::text[])
           ON CONFLICT DO NOTHING
           RETURNING topic, partition, "offset""#,
    )
    .bind(parkings.iter().map(|one| one.record.topic.name).collect::<Vec<_>>())
    .bind(parkings.iter().map(|one| one.record.partition).collect::<Vec<_>>())
    .bind(parkings.iter().map(|one| one.record.offset).collect::<Vec<_>>())
    .bind(parkings.iter().map(|one| one.shipment).collect::<Vec<_>>())
    .bind(parkings.iter().map(|one| one.seq).collect::<Vec<_>>())
    .bind(parkings.iter().map(|one| one.record.key.as_deref()).collect::<Vec<_>>())
    .bind(parkings.iter().map(|one| one.record.value.as_deref()).collect::<Vec<_>>())
    .bind(parkings.iter().map(|one| outbox::headers_to_json(&one.record.headers)).collect::<Vec<_>>())
    .bind(parkings.iter().map(|one| one.poison.map(|poison| poison.class)).collect::<Vec<_>>())
    .bind(parkings.iter().map(|one| one.poison.map(|poison| poison.message.as_str())).collect::<Vec<_>>())
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().collect())
}

/// Marks a parked record as poisoned; gives it, unless it was marked before.
pub(super) async fn condemn(
    connection: &mut PgConnection,
    shipment: Uuid,
    seq: i64,
    poison: &Poison,
) -> Result<Option<ParkedRecord>, sqlx::Error> {
    sqlx::query_as(
        r#"UPDATE parked SET poison_class = $3, poison_message = $4
           WHERE shipment_id = $1 AND seq = $2 AND poison_class IS NULL
           RETURNING shipment_id, seq, topic, partition, "offset", key, value, headers"#,
    )
    .bind(shipment)
    .bind(seq)
    .bind(poison.class)
    .bind(&poison.message)
    .fetch_optional(connection)
    .await
}

/// How much of an account's events is projected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Shipments whose creation is applied.
    pub shipments: i64,
    /// Events that are applied, creations included.
    pub events: i64,
    /// Records that wait for a predecessor or for a redrive.
    pub parked: i64,
}

/// Counts what is projected for an account.
pub async fn progress(pool: &PgPool, account_id: &str) -> Result<Progress, sqlx::Error> {
    let (shipments, events, parked) = sqlx::query_as(
        "SELECT count(*) FILTER (WHERE last_seq > 0), coalesce(sum(last_seq), 0)::bigint,
                (SELECT count(*) FROM parked JOIN projected USING (shipment_id) WHERE projected.account_id = $1)
         FROM projected WHERE account_id = $1",
    )
    .bind(account_id)
    .fetch_one(pool)
    .await?;
    Ok(Progress {
        shipments,
        events,
        parked,
    })
}

/// How far these shipments' events are applied; those of which nothing is applied are left out.
pub async fn last_seqs(pool: &PgPool, shipments: &[Uuid]) -> Result<Vec<(Uuid, i64)>, sqlx::Error> {
    sqlx::query_as(
        "SELECT shipment_id, last_seq FROM projected WHERE shipment_id = ANY ($1) AND last_seq > 0",
    )
    .bind(shipments)
    .fetch_all(pool)
    .await
}
