//! Which revisions run and which one takes calls: a pure decision from what was asked for and what is there.
//!
//! A new revision starts when everything it needs is there: references, topics, subjects, the migrated database. Calls
//! move to it when the new pods of all changed workloads are available; then the old pods go. Nothing that runs is
//! taken away because a backend is unreachable.

mod migration;

use std::collections::BTreeMap;

use logistics_schemas::Workload;
pub use migration::{Migration, RETRY_AFTER};

use crate::backend::Reading;
use crate::child::{ChildKind, Live};
use crate::credential::Credentials;
use crate::names::{Names, REVISION};
use crate::observe::Observed;
use crate::revision::{self, Revisions};
use crate::validate::ValidPlatform;

/// The decision.
#[derive(Clone, Debug)]
pub struct Release {
    /// The revisions that the spec asks for.
    pub revisions: Revisions,
    /// Hash of the migration's input.
    pub migration_hash: String,
    /// Whether the migration's Job should exist now.
    pub migrate: bool,
    /// How far the migration is.
    pub migration: Migration,
    /// For what new pods wait, as a sentence; `None` when nothing is missing.
    pub waits_for: Option<String>,
    /// Of each workload.
    pub workloads: BTreeMap<Workload, WorkloadRelease>,
}

/// The decision about one workload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkloadRelease {
    /// The revision that the spec asks for.
    pub target: String,
    /// The revision that takes calls now.
    pub serving: Option<String>,
    /// The revisions whose pods should run.
    pub run: Vec<String>,
    /// The revision that should take calls.
    pub route: String,
    /// Whether all pods of the target are available.
    pub available: bool,
}

impl Release {
    /// Whether every workload's target takes calls and is available.
    #[must_use]
    pub fn settled(&self) -> bool {
        self.workloads
            .values()
            .all(|w| w.available && w.serving.as_ref() == Some(&w.target))
    }
}

/// Decides.
#[must_use]
pub fn decide(valid: &ValidPlatform, observed: &Observed, credentials: &Credentials) -> Release {
    let revisions = revision::revisions(valid);
    let names = Names(&valid.identity);
    let migration_hash = revision::migration(valid, &credentials.ids());
    let job = observed.child(ChildKind::Job, &names.migrate_job(&migration_hash));
    let migration = Migration::of(job, observed.now);
    let started = |workload| is_running(observed, names, workload, revisions.of(workload));
    let all_started = Workload::ALL.into_iter().all(started);
    let prepared = preparation(valid, observed);
    let due = matches!(&migration, Migration::Failed { retry_in, .. } if !retry_in.is_positive());
    let may_migrate = observed.missing.is_empty() && (all_started || prepared.is_none());
    let migrate = (job.is_some() || may_migrate) && !due;
    let waits_for = prepared.or_else(|| migration.waits_for(&names.migrate_job(&migration_hash)));
    let mut workloads: BTreeMap<_, _> = Workload::ALL
        .into_iter()
        .map(|workload| {
            (
                workload,
                of_workload(valid, observed, &revisions, workload, waits_for.is_none()),
            )
        })
        .collect();
    route(&mut workloads);
    Release {
        revisions,
        migration_hash,
        migrate,
        migration,
        waits_for,
        workloads,
    }
}

/// What must be there before the migration of a new release.
fn preparation(valid: &ValidPlatform, observed: &Observed) -> Option<String> {
    if let Some(missing) = observed.missing.first() {
        return Some(missing.clone());
    }
    if observed.topic_owners().next().is_some() {
        return Some("a topic belongs to another platform, see the condition KafkaReady".into());
    }
    if observed.database_owner().is_some() {
        return Some("the database belongs to another platform, see the condition DatabaseReady".into());
    }
    if !observed.looked_up {
        return Some("what the spec refers to is being looked up".into());
    }
    let topics = crate::backend::kafka::wanted(valid);
    let topics_ready = matches!(&observed.kafka, Reading::Seen(seen) if topics.iter().all(|t| seen.fits(t)));
    if !topics_ready {
        return Some("the topics are not there yet, see the condition KafkaReady".into());
    }
    let subjects = crate::backend::registry::wanted(valid);
    let subjects_ready =
        matches!(&observed.registry, Reading::Seen(seen) if subjects.iter().all(|s| seen.has(s)));
    if !subjects_ready {
        return Some("the schemas are not registered yet, see the condition SchemasReady".into());
    }
    None
}

fn is_running(observed: &Observed, names: Names<'_>, workload: Workload, revision: &str) -> bool {
    observed
        .child(ChildKind::Deployment, &names.revision(workload, revision))
        .is_some()
}

/// Whether a revision runs, or can be brought back from its frozen template.
fn is_known(observed: &Observed, names: Names<'_>, workload: Workload, revision: &str) -> bool {
    is_running(observed, names, workload, revision)
        || observed
            .child(ChildKind::ControllerRevision, &names.revision(workload, revision))
            .is_some()
}

fn of_workload(
    valid: &ValidPlatform,
    observed: &Observed,
    revisions: &Revisions,
    workload: Workload,
    may_start: bool,
) -> WorkloadRelease {
    let names = Names(&valid.identity);
    let target = revisions.of(workload).to_owned();
    let serving = observed
        .child(ChildKind::Service, &names.workload(workload))
        .and_then(|apex| {
            apex.at("/spec/selector")?
                .get(REVISION)?
                .as_str()
                .map(str::to_owned)
        })
        // A selector that was edited by hand names nothing that ever ran.
        .filter(|revision| *revision == target || is_known(observed, names, workload, revision));
    let mut run = Vec::new();
    // What took calls before needs nothing new: its Deployment comes back even when a backend is away.
    let served = serving.as_ref() == Some(&target) && is_known(observed, names, workload, &target);
    if may_start || served || is_running(observed, names, workload, &target) {
        run.push(target.clone());
    }
    if let Some(serving) = serving.iter().find(|serving| **serving != target) {
        run.push(serving.clone());
    }
    let deployment = observed.child(ChildKind::Deployment, &names.revision(workload, &target));
    WorkloadRelease {
        route: serving.clone().unwrap_or_else(|| target.clone()),
        available: deployment.is_some_and(|live| is_available(live, wanted_replicas(valid, workload, live))),
        target,
        serving,
        run,
    }
}

/// Calls move for all changed workloads at once, when the pods of all of them are available.
fn route(workloads: &mut BTreeMap<Workload, WorkloadRelease>) {
    let changed = |release: &WorkloadRelease| release.serving.as_ref() != Some(&release.target);
    if workloads
        .values()
        .filter(|release| changed(release))
        .all(|release| release.available)
    {
        for release in workloads.values_mut() {
            release.route.clone_from(&release.target);
        }
    }
}

/// How many pods a Deployment should have now: an autoscaler's choice is right as it is.
#[must_use]
pub fn wanted_replicas(valid: &ValidPlatform, workload: Workload, deployment: &Live) -> i64 {
    let settings = valid.workload(workload);
    match &settings.autoscaling {
        Some(_) => deployment.number("/spec/replicas"),
        None => settings.replicas.into(),
    }
}

/// Whether all pods of a Deployment are of its newest template and available.
#[must_use]
pub fn is_available(deployment: &Live, replicas: i64) -> bool {
    deployment.number("/status/observedGeneration") >= deployment.number("/metadata/generation")
        && deployment.number("/status/updatedReplicas") >= replicas
        && deployment.number("/status/availableReplicas") >= replicas
}

#[cfg(test)]
mod tests;
