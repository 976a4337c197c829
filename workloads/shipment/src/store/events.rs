//! The table `shipment_events`.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use logistics_chassis::codec::{Location, ProofOfDelivery};
use logistics_chassis::writes::Writes;
use logistics_domain::delay::DelayReason;
use sqlx::{FromRow, PgConnection};
use uuid::Uuid;

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

pub(super) fn insert(writes: &mut Writes, rows: &[Change]) {
    writes
        .insert("shipment_events", rows)
        .column("shipment_id", |row| row.shipment.id)
        .column("seq", |row| row.event.seq)
        .column("event_id", |row| row.event.id)
        .column("reported", |row| row.event.reported.as_str())
        .column("classifier", |row| row.event.classifier.as_str())
        .column("disposition", |row| row.event.disposition.as_str())
        .column("occurred_at", |row| row.event.occurred_at)
        .column("recorded_at", |row| row.event.recorded_at)
        .column("location_code", |row| {
            row.event.location.as_ref().map(|place| place.code.as_str())
        })
        .column("location_facility", |row| {
            row.event.location.as_ref().map(|place| place.facility.as_str())
        })
        .column("reason", |row| row.event.reason.as_str())
        .column("actor", |row| row.event.actor.as_str())
        .column("kind", |row| row.event.kind.as_str())
        .column("retracts", |row| row.event.retracts)
        .column("notice", |row| row.event.notice.map(DelayReason::as_str))
        .column("proof_signer", |row| {
            row.event.proof.as_ref().map(|proof| proof.signer.as_str())
        })
        .column("proof_image_ref", |row| {
            row.event.proof.as_ref().map(|proof| proof.image_ref.as_str())
        })
        .column("proof_signature_ref", |row| {
            row.event.proof.as_ref().map(|proof| proof.signature_ref.as_str())
        })
        .column("assignee", |row| row.event.assignee.as_str())
        .end();
}
