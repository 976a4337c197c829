//! What is reported: conditions and the lists of the status, from what was observed and applied. Pure.

mod concern;
mod conditions;
mod lists;
mod optional;

pub use conditions::Conditions;
use k8s_openapi::jiff::Timestamp;

use crate::api::PlatformStatus;
use crate::apply::Applied;
use crate::observe::Observed;
use crate::reason::Reason;
use crate::release::Release;
use crate::validate::{InvalidSpec, ValidPlatform};

/// All that a status is made from.
#[derive(Clone, Copy)]
pub struct Facts<'a> {
    /// The valid platform.
    pub valid: &'a ValidPlatform,
    /// What was observed, with what was read again after changes.
    pub observed: &'a Observed,
    /// The decision about revisions.
    pub release: &'a Release,
    /// What was done.
    pub applied: &'a Applied,
}

/// The status after a reconcile.
#[must_use]
pub fn status(facts: Facts<'_>, former: &PlatformStatus) -> PlatformStatus {
    let Facts {
        valid,
        observed,
        release,
        ..
    } = facts;
    let mut conditions = Conditions::new(&former.conditions, valid.generation, observed.now);
    concern::all(facts, &mut conditions);
    let settled = release.settled();
    PlatformStatus {
        observed_generation: Some(valid.generation),
        conditions: conditions.finish(),
        revision: if settled {
            Some(release.revisions.platform.clone())
        } else {
            former.revision.clone()
        },
        version: if settled {
            Some(valid.version.clone())
        } else {
            former.version.clone()
        },
        workloads: lists::workloads(facts),
        topics: lists::topics(facts, former),
        subjects: lists::subjects(facts, former),
    }
}

/// The status of a platform whose spec is invalid: what runs goes on running.
#[must_use]
pub fn invalid(
    error: &InvalidSpec,
    generation: i64,
    former: &PlatformStatus,
    now: Timestamp,
) -> PlatformStatus {
    let mut conditions = Conditions::new(&former.conditions, generation, now);
    let message = error.to_string();
    conditions.set("Ready", Some(false), Reason::InvalidSpec, &message);
    conditions.set(
        "Progressing",
        Some(false),
        Reason::InvalidSpec,
        "nothing is changed while the spec is invalid",
    );
    conditions.set("Degraded", Some(true), Reason::InvalidSpec, &message);
    PlatformStatus {
        observed_generation: Some(generation),
        conditions: conditions.finish(),
        ..former.clone()
    }
}

/// The status of a platform that is being deleted and waits.
#[must_use]
pub fn deleting(waits_for: &str, generation: i64, former: &PlatformStatus, now: Timestamp) -> PlatformStatus {
    let mut conditions = Conditions::new(&former.conditions, generation, now);
    conditions.set("Ready", Some(false), Reason::Deleting, waits_for);
    conditions.set("Progressing", Some(true), Reason::Deleting, waits_for);
    PlatformStatus {
        observed_generation: Some(generation),
        conditions: conditions.finish(),
        ..former.clone()
    }
}

/// What differs between two statuses, for the log: the conditions, and the parts that are no conditions.
#[must_use]
pub fn turns(former: Option<&PlatformStatus>, now: &PlatformStatus) -> Vec<String> {
    let former = former.cloned().unwrap_or_default();
    let mut turns: Vec<String> = now
        .conditions
        .iter()
        .filter(|condition| !former.conditions.contains(condition))
        .map(|condition| format!("{} {}: {}", condition.type_, condition.reason, condition.message))
        .collect();
    let rest = |status: &PlatformStatus| PlatformStatus {
        conditions: Vec::new(),
        ..status.clone()
    };
    if rest(&former) != rest(now) {
        turns.push("generation, release or lists".to_owned());
    }
    turns
}

#[cfg(test)]
mod tests;
