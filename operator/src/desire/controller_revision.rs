//! Revisions: the pod template and configuration of each are frozen when it is first made, and used as they are ever
//! after. So a new operator, which may render them otherwise, restarts nothing.

use logistics_schemas::Workload;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Context, config_map, object, pod};
use crate::child::{Child, ChildKind, Live};
use crate::names::{COMPONENT, REVISION};

/// How many revisions that do not run are kept to return to.
pub const HISTORY: usize = 5;

/// What is frozen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Frozen {
    /// The release.
    pub(super) version: String,
    /// The configuration file.
    pub(super) config: String,
    /// The pod template.
    pub(super) template: Value,
}

/// A revision that is kept.
#[derive(Clone, Debug)]
pub(super) struct Revision {
    pub(super) workload: Workload,
    /// Its hash.
    pub(super) hash: String,
    /// Its place in the order of revisions.
    pub(super) number: i64,
    /// Whether its pods should run.
    pub(super) runs: bool,
    pub(super) frozen: Frozen,
}

/// The revisions of a workload that are kept: those that run, and the newest others.
pub(super) fn revisions(context: Context<'_>, workload: Workload) -> Vec<Revision> {
    let Some(release) = context.release.workloads.get(&workload) else {
        return Vec::new();
    };
    let mut kept: Vec<Revision> = context
        .observed
        .of_kind(ChildKind::ControllerRevision)
        .filter(|live| live.label(COMPONENT) == Some(workload.name()) && !live.terminating)
        .filter_map(|live| of_live(workload, live, &release.run))
        .collect();
    kept.sort_by_key(|revision| (!revision.runs, -revision.number, revision.hash.clone()));
    let running = kept.iter().filter(|revision| revision.runs).count();
    kept.truncate(running + HISTORY);
    if release.run.contains(&release.target) && !kept.iter().any(|revision| revision.hash == release.target) {
        kept.push(Revision {
            workload,
            hash: release.target.clone(),
            number: 1 + kept.iter().map(|revision| revision.number).max().unwrap_or(0),
            runs: true,
            frozen: freeze(context, workload, &release.target),
        });
    }
    kept
}

fn of_live(workload: Workload, live: &Live, run: &[String]) -> Option<Revision> {
    let hash = live.label(REVISION)?.to_owned();
    Some(Revision {
        workload,
        number: live.number("/revision"),
        runs: run.contains(&hash),
        hash,
        frozen: read(live)?,
    })
}

/// What was frozen for a revision, if it still is.
pub(super) fn frozen(context: Context<'_>, workload: Workload, hash: &str) -> Option<Frozen> {
    read(context.observed.child(
        ChildKind::ControllerRevision,
        &context.names.revision(workload, hash),
    )?)
}

fn read(live: &Live) -> Option<Frozen> {
    serde_json::from_value(live.at("/data")?.clone()).ok()
}

fn freeze(context: Context<'_>, workload: Workload, hash: &str) -> Frozen {
    let config = config_map::service_config(context, workload);
    Frozen {
        version: context.valid.workload(workload).version.clone(),
        template: pod::service(context, workload, hash, &config),
        config,
    }
}

/// The object that keeps a revision.
pub(super) fn child(context: Context<'_>, revision: &Revision) -> Child {
    let mut labels = context.names.component_labels(revision.workload.name());
    labels.insert(REVISION.into(), revision.hash.clone());
    let fields = json!({"revision": revision.number, "data": revision.frozen});
    let name = context.names.revision(revision.workload, &revision.hash);
    object::child(context, ChildKind::ControllerRevision, name, &labels, fields)
}
