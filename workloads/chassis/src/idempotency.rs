//! The same request twice has one effect and one answer.
//!
//! The record is written in the transaction of the mutation: either both are there or none.

use prost::Message;
use sha2::{Digest as _, Sha256};
use sqlx::{PgConnection, PgPool};
use tonic_types::FieldViolation;

use crate::errors::ServiceError;
use crate::identity::Principal;

/// How long an answer is kept, in PostgreSQL's words.
const RETENTION: &str = "7 days";
/// Records deleted in one statement.
const PURGE_BATCH: i64 = 5_000;
/// How often old records are deleted.
const PURGE_INTERVAL: std::time::Duration = std::time::Duration::from_mins(10);

/// One request that carries an idempotency key.
#[derive(Clone, Debug)]
pub struct Claim {
    account_id: String,
    subject: String,
    method: &'static str,
    key: String,
    request_hash: Vec<u8>,
}

/// Whether an answer became the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recorded {
    /// It is the first.
    First,
    /// A request with the same key was faster: roll back, and [`Claim::replay`] its answer.
    Overtaken,
}

impl Claim {
    /// What `principal` asks of `method`; the key is scoped to both.
    #[must_use]
    pub fn new(principal: &Principal, method: &'static str, key: &str, request: &impl Message) -> Self {
        Self {
            account_id: principal.account_id.clone(),
            subject: principal.subject.clone(),
            method,
            key: key.to_owned(),
            request_hash: Sha256::digest(request.encode_to_vec()).to_vec(),
        }
    }

    /// The first answer, if there was one. The same key with another request is refused.
    pub async fn replay<R: Message + Default>(
        &self,
        connection: &mut PgConnection,
    ) -> Result<Option<R>, ServiceError> {
        let found: Option<(Vec<u8>, Vec<u8>)> = sqlx::query_as(
            "SELECT request_hash, response FROM idempotency
             WHERE account_id = $1 AND subject = $2 AND method = $3 AND key = $4",
        )
        .bind(&self.account_id)
        .bind(&self.subject)
        .bind(self.method)
        .bind(&self.key)
        .fetch_optional(connection)
        .await?;
        match found {
            None => Ok(None),
            Some((hash, _)) if hash != self.request_hash => {
                Err(ServiceError::Invalid(vec![FieldViolation::new(
                    "idempotency_key",
                    "was used for another request; use a new key for a new request",
                )]))
            }
            Some((_, response)) => R::decode(response.as_slice())
                .map(Some)
                .map_err(|error| ServiceError::internal("read the first answer", error)),
        }
    }

    /// Keeps the answer. Waits for a request with the same key that is under way.
    pub async fn record(
        &self,
        connection: &mut PgConnection,
        response: &impl Message,
    ) -> Result<Recorded, ServiceError> {
        let done = sqlx::query(
            "INSERT INTO idempotency (account_id, subject, method, key, request_hash, response)
             VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING",
        )
        .bind(&self.account_id)
        .bind(&self.subject)
        .bind(self.method)
        .bind(&self.key)
        .bind(&self.request_hash)
        .bind(response.encode_to_vec())
        .execute(connection)
        .await?;
        Ok(if done.rows_affected() == 1 {
            Recorded::First
        } else {
            Recorded::Overtaken
        })
    }
}

/// Deletes old records now and then, until `stop`.
pub async fn purge(pool: PgPool, stop: tokio_util::sync::CancellationToken) {
    loop {
        match purge_batch(&pool).await {
            Ok(deleted) if deleted == PURGE_BATCH.unsigned_abs() => continue,
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, "old idempotency records stay for now"),
        }
        if stop
            .run_until_cancelled(tokio::time::sleep(PURGE_INTERVAL))
            .await
            .is_none()
        {
            return;
        }
    }
}

async fn purge_batch(pool: &PgPool) -> Result<u64, sqlx::Error> {
    sqlx::query(
        "DELETE FROM idempotency WHERE ctid = ANY (ARRAY(
             SELECT ctid FROM idempotency WHERE created_at < now() - $1::interval LIMIT $2))",
    )
    .bind(RETENTION)
    .bind(PURGE_BATCH)
    .execute(pool)
    .await
    .map(|done| done.rows_affected())
}
