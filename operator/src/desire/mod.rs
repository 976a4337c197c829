//! The third step: a valid platform becomes the complete desired state. Pure and infallible, one file per kind.

mod autoscaler;
mod config_map;
mod controller_revision;
mod deployment;
mod disruption_budget;
mod migrate_job;
mod network_policy;
mod object;
mod offline;
mod overlay;
mod pod;
mod pod_monitor;
mod secret;
mod service;
mod service_account;

use std::collections::BTreeSet;

pub use controller_revision::HISTORY;
use logistics_schemas::Workload;
pub use offline::offline;

use crate::backend::{kafka, registry};
use crate::child::{Child, ChildId, ChildKind};
use crate::credential::Credentials;
use crate::names::{COMPONENT, Names};
use crate::observe::Observed;
use crate::release::Release;
use crate::validate::ValidPlatform;

/// Everything that should exist.
#[derive(Clone, Debug)]
pub struct Desired {
    /// Kubernetes objects, in the order in which they are made.
    pub children: Vec<Child>,
    /// Objects that stay as they are: they belong to a running revision whose frozen template is lost.
    pub retain: BTreeSet<ChildId>,
    /// Topics.
    pub topics: Vec<kafka::Topic>,
    /// Subjects with their schemas.
    pub subjects: Vec<registry::Subject>,
}

/// What a kind's file needs to know.
#[derive(Clone, Copy)]
struct Context<'a> {
    valid: &'a ValidPlatform,
    names: Names<'a>,
    observed: &'a Observed,
    release: &'a Release,
    credentials: &'a Credentials,
}

/// Computes the desired state.
#[must_use]
pub fn desire(
    valid: &ValidPlatform,
    observed: &Observed,
    release: &Release,
    credentials: &Credentials,
) -> Desired {
    let context = Context {
        valid,
        names: Names(&valid.identity),
        observed,
        release,
        credentials,
    };
    let mut children = service_account::service_accounts(context);
    children.extend(secret::secrets(context));
    let migration = migrate_job::migration(context);
    let mut revisions = Vec::new();
    let mut retain = BTreeSet::new();
    for workload in Workload::ALL {
        revisions.extend(controller_revision::revisions(context, workload));
        retain.extend(retained(context, workload));
    }
    children.extend(migration.config_map);
    children.extend(
        revisions
            .iter()
            .map(|revision| config_map::of_service(context, revision)),
    );
    children.extend(
        revisions
            .iter()
            .map(|revision| controller_revision::child(context, revision)),
    );
    children.extend(network_policy::policies(context));
    children.extend(migration.job);
    let running: Vec<_> = revisions.iter().filter(|revision| revision.runs).collect();
    children.extend(
        running
            .iter()
            .map(|revision| service::of_revision(context, revision)),
    );
    children.extend(
        running
            .iter()
            .map(|revision| deployment::deployment(context, revision)),
    );
    children.extend(
        running
            .iter()
            .filter_map(|revision| autoscaler::autoscaler(context, revision)),
    );
    for workload in Workload::ALL {
        children.extend(service::of_workload(context, workload));
        children.push(disruption_budget::budget(context, workload));
    }
    children.extend(pod_monitor::pod_monitor(context));
    // The same configuration in two revisions is one object.
    let mut seen = BTreeSet::new();
    children.retain(|child| seen.insert(child.id.clone()));
    Desired {
        children,
        retain,
        topics: kafka::wanted(valid),
        subjects: registry::wanted(valid),
    }
}

/// Objects of running revisions that have no frozen template any more.
fn retained(context: Context<'_>, workload: Workload) -> Vec<ChildId> {
    let Some(release) = context.release.workloads.get(&workload) else {
        return Vec::new();
    };
    let lost = release.run.iter().filter(|revision| {
        **revision != release.target && controller_revision::frozen(context, workload, revision).is_none()
    });
    let mut ids = Vec::new();
    for revision in lost {
        let name = context.names.revision(workload, revision);
        ids.push(ChildId::new(ChildKind::Deployment, name.clone()));
        ids.push(ChildId::new(ChildKind::Service, name));
        let configs = context.observed.of_kind(ChildKind::ConfigMap);
        ids.extend(
            configs
                .filter(|c| c.label(COMPONENT) == Some(workload.name()))
                .map(|c| c.id.clone()),
        );
    }
    ids
}

#[cfg(test)]
mod tests;
