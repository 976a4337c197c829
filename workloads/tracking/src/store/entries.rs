//! The table `timeline`.

use chrono::{DateTime, Utc};
use logistics_chassis::codec::{Location, ProofOfDelivery};
use logistics_chassis::errors::ServiceError;
use logistics_chassis::writes::Writes;
use logistics_domain::delay::DelayReason;
use logistics_domain::status::{Classifier, Disposition, Kind, Status};
use sqlx::PgPool;
use uuid::Uuid;

use super::columns::Columns;

/// One event of a timeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) event_id: Uuid,
    pub(crate) shipment_id: Uuid,
    pub(crate) seq: i64,
    pub(crate) kind: Kind,
    pub(crate) reported: Status,
    pub(crate) classifier: Classifier,
    pub(crate) disposition: Disposition,
    pub(crate) occurred_at: DateTime<Utc>,
    pub(crate) recorded_at: DateTime<Utc>,
    pub(crate) location: Option<Location>,
    pub(crate) reason: String,
    pub(crate) actor: String,
    /// Of a retraction.
    pub(crate) retracts: Option<Uuid>,
    /// Of a delay: why; `None` says that it is over.
    pub(crate) notice: Option<DelayReason>,
    /// Of a proven delivery.
    pub(crate) proof: Option<ProofOfDelivery>,
    /// Of an assignment; empty for nobody.
    pub(crate) assignee: String,
}

pub(crate) fn insert_entries(writes: &mut Writes, rows: &[Entry]) {
    writes
        .insert("timeline", rows)
        .column("shipment_id", |row| row.shipment_id)
        .column("seq", |row| row.seq)
        .column("event_id", |row| row.event_id)
        .column("reported", |row| row.reported.as_str())
        .column("classifier", |row| row.classifier.as_str())
        .column("disposition", |row| row.disposition.as_str())
        .column("occurred_at", |row| row.occurred_at)
        .column("recorded_at", |row| row.recorded_at)
        .column("location_code", |row| {
            row.location.as_ref().map(|location| location.code.as_str())
        })
        .column("location_facility", |row| {
            row.location.as_ref().map(|location| location.facility.as_str())
        })
        .column("reason", |row| row.reason.as_str())
        .column("actor", |row| row.actor.as_str())
        .column("kind", |row| row.kind.as_str())
        .column("retracts", |row| row.retracts)
        .column("notice", |row| row.notice.map(DelayReason::as_str))
        .column("proof_signer", |row| {
            row.proof.as_ref().map(|proof| proof.signer.as_str())
        })
        .column("proof_image_ref", |row| {
            row.proof.as_ref().map(|proof| proof.image_ref.as_str())
        })
        .column("proof_signature_ref", |row| {
            row.proof.as_ref().map(|proof| proof.signature_ref.as_str())
        })
        .column("assignee", |row| row.assignee.as_str())
        .end();
}

/// The columns of an entry, in the order in which [`Entry::take`] wants them.
macro_rules! entry_columns {
    () => {
        "event_id, shipment_id, seq, kind, reported, classifier, disposition, occurred_at, recorded_at, location_code, \
         location_facility, reason, actor, retracts, notice, proof_signer, proof_image_ref, proof_signature_ref, assignee"
    };
}
pub(super) use entry_columns;

/// The next events of a shipment, in order.
pub(crate) async fn entries_after(
    pool: &PgPool,
    id: Uuid,
    after: i64,
    most: i64,
) -> Result<Vec<Entry>, ServiceError> {
    let rows = sqlx::query(concat!(
        "SELECT ",
        entry_columns!(),
        " FROM timeline WHERE shipment_id = $1 AND seq > $2 ORDER BY seq LIMIT $3"
    ))
    .bind(id)
    .bind(after)
    .bind(most)
    .fetch_all(pool)
    .await?;
    let entry = |row| Entry::take(&mut Columns::of(row));
    Ok(rows.iter().map(entry).collect::<Result<_, _>>()?)
}

impl Entry {
    /// The entry that a row begins with, or goes on with.
    pub(super) fn take(columns: &mut Columns<'_>) -> Result<Self, sqlx::Error> {
        Ok(Self {
            event_id: columns.take()?,
            shipment_id: columns.take()?,
            seq: columns.take()?,
            kind: columns.name()?,
            reported: columns.name()?,
            classifier: columns.name()?,
            disposition: columns.name()?,
            occurred_at: columns.take()?,
            recorded_at: columns.take()?,
            location: location(columns)?,
            reason: columns.take()?,
            actor: columns.take()?,
            retracts: columns.take()?,
            notice: columns.optional_name()?,
            proof: proof(columns)?,
            assignee: columns.take()?,
        })
    }
}

fn location(columns: &mut Columns<'_>) -> Result<Option<Location>, sqlx::Error> {
    let (code, facility): (Option<String>, Option<String>) = (columns.take()?, columns.take()?);
    let location = |(code, facility)| Location { code, facility };
    Ok(code.zip(facility).map(location))
}

fn proof(columns: &mut Columns<'_>) -> Result<Option<ProofOfDelivery>, sqlx::Error> {
    let (signer, image_ref): (Option<String>, Option<String>) = (columns.take()?, columns.take()?);
    let signature_ref: Option<String> = columns.take()?;
    let proof = |((signer, image_ref), signature_ref)| ProofOfDelivery {
        signer,
        image_ref,
        signature_ref,
    };
    Ok(signer.zip(image_ref).zip(signature_ref).map(proof))
}
