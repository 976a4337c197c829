//! The same request twice has one effect and one answer.
//!
//! The record is written in the transaction of the mutation: either both are there or none.

use prost::Message;
use sha2::{Digest as _, Sha256};
use sqlx::{PgConnection, PgPool};
use tonic_types::FieldViolation;

use crate::errors::ServiceError;
use crate::identity::Principal;
use crate::writes::Writes;

const TABLE: &str = "idempotency";
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

/// The first answer to a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct First {
    /// SHA-256 of the request that was answered.
    pub request_hash: Vec<u8>,
    /// The answer, encoded.
    pub response: Vec<u8>,
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

    /// The method that is called.
    #[must_use]
    pub const fn method(&self) -> &'static str {
        self.method
    }

    /// SHA-256 of the request.
    #[must_use]
    pub fn request_hash(&self) -> &[u8] {
        &self.request_hash
    }

    /// The key with what it is scoped to: account, subject, method.
    #[must_use]
    pub const fn scope(&self) -> (&str, &str, &str, &str) {
        (
            self.account_id.as_str(),
            self.subject.as_str(),
            self.method,
            self.key.as_str(),
        )
    }

    /// The answer to this request after `first` was given for its key. The same key with another request is refused.
    pub fn answer(&self, first: &First) -> Result<Vec<u8>, ServiceError> {
        if first.request_hash == self.request_hash {
            return Ok(first.response.clone());
        }
        Err(ServiceError::Invalid(vec![FieldViolation::new(
            "idempotency_key",
            "was used for another request; use a new key for a new request",
        )]))
    }
}

/// For each claim the first answer to its key, if there was one.
pub async fn replay(
    connection: &mut PgConnection,
    claims: &[&Claim],
) -> Result<Vec<Option<First>>, sqlx::Error> {
    let found: Vec<(i64, Vec<u8>, Vec<u8>)> = sqlx::query_as(
        "SELECT at, request_hash, response
         FROM unnest($1::text[], $2::text[], $3::text[], $4::text[])
              WITH ORDINALITY AS claim (account_id, subject, method, key, at)
         JOIN idempotency USING (account_id, subject, method, key)",
    )
    .bind(column(claims, |claim| &claim.account_id))
    .bind(column(claims, |claim| &claim.subject))
    .bind(column(claims, |claim| claim.method))
    .bind(column(claims, |claim| &claim.key))
    .fetch_all(connection)
    .await?;
    let mut first = vec![None; claims.len()];
    for (at, request_hash, response) in found {
        let slot = usize::try_from(at - 1).ok().and_then(|at| first.get_mut(at));
        if let Some(slot) = slot {
            *slot = Some(First {
                request_hash,
                response,
            });
        }
    }
    Ok(first)
}

/// Adds answers, each claim of another key. Writing them waits for requests with the same keys that are under way.
pub fn record(writes: &mut Writes, answers: &[(&Claim, &[u8])]) {
    // In one order by all who write, so that two of them never wait for each other.
    let mut answers = answers.to_vec();
    answers.sort_by(|(one, _), (other, _)| one.scope().cmp(&other.scope()));
    writes
        .insert(TABLE, &answers)
        .column("account_id", |(claim, _)| claim.account_id.as_str())
        .column("subject", |(claim, _)| claim.subject.as_str())
        .column("method", |(claim, _)| claim.method)
        .column("key", |(claim, _)| claim.key.as_str())
        .column("request_hash", |(claim, _)| claim.request_hash())
        .column("response", |(_, response)| *response)
        .end();
}

/// Whether writing failed because a request with the same key as one of the answers was faster: [`replay`] finds its
/// answer.
#[must_use]
pub fn overtaken(error: &sqlx::Error) -> bool {
    error
        .as_database_error()
        .is_some_and(|error| error.is_unique_violation() && error.table() == Some(TABLE))
}

fn column<'a>(claims: &[&'a Claim], field: impl Fn(&'a Claim) -> &'a str) -> Vec<&'a str> {
    claims.iter().map(|claim| field(claim)).collect()
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
