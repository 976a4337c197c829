//! The table `timeline`.

use chrono::{DateTime, Utc};
use logistics_chassis::codec::{Location, ProofOfDelivery};
use logistics_chassis::errors::ServiceError;
use logistics_chassis::writes::Writes;
use logistics_domain::delay::DelayReason;
use logistics_domain::status::{Classifier, Disposition, Kind, Status};
use sqlx::postgres::PgRow;
use sqlx::{FromRow, PgPool, Row as _};
use uuid::Uuid;

use super::{name, optional_name};

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

impl FromRow<'_, PgRow> for Entry {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let code: Option<String> = row.try_get("location_code")?;
        let facility: Option<String> = row.try_get("location_facility")?;
        let text = |name: &str| row.try_get::<Option<String>, _>(name);
        let proof = text("proof_signer")?
            .zip(text("proof_image_ref")?)
            .zip(text("proof_signature_ref")?);
        Ok(Self {
            event_id: row.try_get("event_id")?,
            shipment_id: row.try_get("shipment_id")?,
            seq: row.try_get("seq")?,
            kind: name(row, "kind")?,
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
            retracts: row.try_get("retracts")?,
            notice: optional_name(row, "notice")?,
            proof: proof.map(|((signer, image_ref), signature_ref)| ProofOfDelivery {
                signer,
                image_ref,
                signature_ref,
            }),
            assignee: row.try_get("assignee")?,
        })
    }
}
