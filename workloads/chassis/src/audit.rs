//! Who did what: leaves of the audit log, written in the transaction of the change that they tell of.

use chrono::{DateTime, Utc};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::idempotency::Claim;
use crate::identity::Principal;
use crate::writes::Writes;

/// The table; the service's role may only add to it.
pub(crate) const TABLE: &str = "audit_leaves";

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaf {
    /// Id of the event that the change led to.
    pub id: Uuid,
    /// When.
    pub recorded_at: DateTime<Utc>,
    /// What was changed.
    pub object_id: Uuid,
    account_id: String,
    subject: String,
    roles: String,
    method: &'static str,
    request_hash: Vec<u8>,
}

impl Leaf {
    /// The leaf of what `principal` did by the request of `claim`.
    #[must_use]
    pub fn new(
        principal: &Principal,
        claim: &Claim,
        id: Uuid,
        recorded_at: DateTime<Utc>,
        object_id: Uuid,
    ) -> Self {
        let roles: Vec<_> = principal.roles.iter().map(|role| role.name()).collect();
        Self {
            id,
            recorded_at,
            object_id,
            account_id: principal.account_id.clone(),
            subject: principal.subject.clone(),
            roles: roles.join(","),
            method: claim.method(),
            request_hash: claim.request_hash().to_vec(),
        }
    }
}

impl Leaf {
    /// The leaf of what somebody who runs the platform did to `place`, something that belongs to `object_id`. Who it was
    /// is as they say.
    #[must_use]
    pub fn of_operator(subject: &str, method: &'static str, place: &str, object_id: Uuid) -> Self {
        Self {
            id: Uuid::now_v7(),
            recorded_at: Utc::now(),
            object_id,
            account_id: String::new(),
            subject: subject.to_owned(),
            roles: "operator".to_owned(),
            method,
            request_hash: Sha256::digest(format!("{method} {place}")).to_vec(),
        }
    }
}

/// Adds leaves.
pub fn append(writes: &mut Writes, leaves: &[Leaf]) {
    writes
        .insert(TABLE, leaves)
        .column("id", |leaf| leaf.id)
        .column("recorded_at", |leaf| leaf.recorded_at)
        .column("account_id", |leaf| leaf.account_id.as_str())
        .column("subject", |leaf| leaf.subject.as_str())
        .column("roles", |leaf| leaf.roles.as_str())
        .column("method", |leaf| leaf.method)
        .column("object_id", |leaf| leaf.object_id)
        .column("request_hash", |leaf| leaf.request_hash.as_slice())
        .end();
}
