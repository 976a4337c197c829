//! The table `shipment_events`.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use logistics_chassis::codec::{Location, ProofOfDelivery};
use logistics_domain::delay::DelayReason;
use sqlx::{FromRow, PgConnection};
use uuid::Uuid;

use super::column;
use crate::history::History;
use crate::model::{Change, Event};

#[derive(FromRow)]
struct Row {
    shipment_id: Uuid,
    seq: i64,
    event_id: Uuid,
    kind: String,
    reported: String,
    classifier: String,
    disposition: String,
    occurred_at: DateTime<Utc>,
    recorded_at: DateTime<Utc>,
    location_code: Option<String>,
    location_facility: Option<String>,
    reason: String,
    actor: String,
    retracts: Option<Uuid>,
    notice: Option<String>,
    proof_signer: Option<String>,
    proof_image_ref: Option<String>,
    proof_signature_ref: Option<String>,
    assignee: String,
}

impl TryFrom<Row> for Event {
    type Error = sqlx::Error;

    fn try_from(row: Row) -> Result<Self, sqlx::Error> {
        let unknown = |error| sqlx::Error::Decode(Box::new(error));
        let location = row.location_code.zip(row.location_facility);
        let proof = row
            .proof_signer
            .zip(row.proof_image_ref)
            .zip(row.proof_signature_ref);
        Ok(Self {
            id: row.event_id,
            seq: row.seq,
            kind: row.kind.parse().map_err(unknown)?,
            reported: row.reported.parse().map_err(unknown)?,
            classifier: row.classifier.parse().map_err(unknown)?,
            disposition: row.disposition.parse().map_err(unknown)?,
            occurred_at: row.occurred_at,
            recorded_at: row.recorded_at,
            location: location.map(|(code, facility)| Location { code, facility }),
            reason: row.reason,
            actor: row.actor,
            retracts: row.retracts,
            notice: row.notice.map(|name| name.parse()).transpose().map_err(unknown)?,
            proof: proof.map(|((signer, image_ref), signature_ref)| ProofOfDelivery {
                signer,
                image_ref,
                signature_ref,
            }),
            assignee: row.assignee,
        })
    }
}

/// All events of these shipments. Lock them before, so that nothing is added meanwhile.
pub(crate) async fn histories(
    connection: &mut PgConnection,
    shipments: &[Uuid],
) -> Result<HashMap<Uuid, History>, sqlx::Error> {
    if shipments.is_empty() {
        return Ok(HashMap::new());
    }
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT * FROM shipment_events WHERE shipment_id = ANY ($1) ORDER BY shipment_id, seq",
    )
    .bind(shipments)
    .fetch_all(connection)
    .await?;
    let mut histories: HashMap<Uuid, History> = HashMap::new();
    for row in rows {
        let history = histories.entry(row.shipment_id).or_default();
        history.push(row.try_into()?);
    }
    Ok(histories)
}

pub(super) async fn insert(connection: &mut PgConnection, rows: &[Change]) -> Result<(), sqlx::Error> {
    let place = |row: &Change| row.event.location.clone();
    let proof = |row: &Change| row.event.proof.clone();
    sqlx::query(
        "INSERT INTO shipment_events (shipment_id, seq, event_id, reported, classifier, disposition, occurred_at,
             recorded_at, location_code, location_facility, reason, actor, kind, retracts, notice, proof_signer,
             proof_image_ref, proof_signature_ref, assignee)
         SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::uuid[], $4::text[], $5::text[], $6::text[],
             $7::timestamptz[], $8::timestamptz[], $9::text[], $10::text[], $11::text[], $12::text[], $13::text[],
             $14::uuid[], $15::text[], $16::text[], $17::text[], $18::text[], $19::text[])",
    )
    .bind(column(rows, |row| row.shipment.id))
    .bind(column(rows, |row| row.event.seq))
    .bind(column(rows, |row| row.event.id))
    .bind(column(rows, |row| row.event.reported.as_str()))
    .bind(column(rows, |row| row.event.classifier.as_str()))
    .bind(column(rows, |row| row.event.disposition.as_str()))
    .bind(column(rows, |row| row.event.occurred_at))
    .bind(column(rows, |row| row.event.recorded_at))
    .bind(column(rows, |row| place(row).map(|place| place.code)))
    .bind(column(rows, |row| place(row).map(|place| place.facility)))
    .bind(column(rows, |row| row.event.reason.as_str()))
    .bind(column(rows, |row| row.event.actor.as_str()))
    .bind(column(rows, |row| row.event.kind.as_str()))
    .bind(column(rows, |row| row.event.retracts))
    .bind(column(rows, |row| row.event.notice.map(DelayReason::as_str)))
    .bind(column(rows, |row| proof(row).map(|proof| proof.signer)))
    .bind(column(rows, |row| proof(row).map(|proof| proof.image_ref)))
    .bind(column(rows, |row| proof(row).map(|proof| proof.signature_ref)))
    .bind(column(rows, |row| row.event.assignee.as_str()))
    .execute(connection)
    .await
    .map(drop)
}
