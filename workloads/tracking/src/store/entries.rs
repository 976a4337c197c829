//! The table `timeline`.

use chrono::{DateTime, Utc};
use logistics_chassis::codec::{Location, ProofOfDelivery};
use logistics_chassis::errors::ServiceError;
use logistics_domain::delay::DelayReason;
use logistics_domain::status::{Classifier, Disposition, Kind, Status};
use sqlx::postgres::PgRow;
use sqlx::{FromRow, PgConnection, PgPool, Row as _};
use uuid::Uuid;

use super::{column, name, optional_name};

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

pub(crate) async fn insert_entries(connection: &mut PgConnection, rows: &[Entry]) -> Result<(), sqlx::Error> {
    if rows.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "INSERT INTO timeline (shipment_id, seq, event_id, reported, classifier, disposition, occurred_at,
                               recorded_at, location_code, location_facility, reason, actor, kind, retracts, notice,
                               proof_signer, proof_image_ref, proof_signature_ref, assignee)
         SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::uuid[], $4::text[], $5::text[], $6::text[],
                              $7::timestamptz[], $8::timestamptz[], $9::text[], $10::text[], $11::text[], $12::text[],
                              $13::text[], $14::uuid[], $15::text[], $16::text[], $17::text[], $18::text[],
                              $19::text[])",
    )
    .bind(column(rows, |row| row.shipment_id))
    .bind(column(rows, |row| row.seq))
    .bind(column(rows, |row| row.event_id))
    .bind(column(rows, |row| row.reported.as_str()))
    .bind(column(rows, |row| row.classifier.as_str()))
    .bind(column(rows, |row| row.disposition.as_str()))
    .bind(column(rows, |row| row.occurred_at))
    .bind(column(rows, |row| row.recorded_at))
    .bind(column(rows, |row| row.location.as_ref().map(|location| location.code.as_str())))
    .bind(column(rows, |row| row.location.as_ref().map(|location| location.facility.as_str())))
    .bind(column(rows, |row| row.reason.as_str()))
    .bind(column(rows, |row| row.actor.as_str()))
    .bind(column(rows, |row| row.kind.as_str()))
    .bind(column(rows, |row| row.retracts))
    .bind(column(rows, |row| row.notice.map(DelayReason::as_str)))
    .bind(column(rows, |row| row.proof.as_ref().map(|proof| proof.signer.as_str())))
    .bind(column(rows, |row| row.proof.as_ref().map(|proof| proof.image_ref.as_str())))
    .bind(column(rows, |row| row.proof.as_ref().map(|proof| proof.signature_ref.as_str())))
    .bind(column(rows, |row| row.assignee.as_str()))
    .execute(connection)
    .await
    .map(drop)
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
