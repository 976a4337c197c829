//! One Deployment for each revision that runs: its frozen template, and the number of pods of today.

use serde_json::json;

use super::controller_revision::Revision;
use super::{Context, object};
use crate::child::{Child, ChildKind};
use crate::names::REVISION;

/// Seconds without progress after which Kubernetes reports a Deployment as stuck.
const PROGRESS_DEADLINE_SECONDS: u32 = 600;

pub(super) fn deployment(context: Context<'_>, revision: &Revision) -> Child {
    let names = context.names;
    let mut labels = names.component_labels(revision.workload.name());
    labels.insert(REVISION.into(), revision.hash.clone());
    labels.insert(
        "app.kubernetes.io/version".into(),
        revision.frozen.version.clone(),
    );
    let name = names.revision(revision.workload, &revision.hash);
    let mut fields = json!({
        "spec": {
            "selector": {"matchLabels": names.selector(revision.workload, &revision.hash)},
            "strategy": {
                "type": "RollingUpdate",
                "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1},
            },
            "progressDeadlineSeconds": PROGRESS_DEADLINE_SECONDS,
            // A revision's template never changes, so there is nothing to roll back to.
            "revisionHistoryLimit": 0,
            "template": revision.frozen.template,
        },
    });
    if let Some(replicas) = replicas(context, revision, &name) {
        fields["spec"]["replicas"] = replicas.into();
    }
    object::child(context, ChildKind::Deployment, name, &labels, fields)
}

/// The number of pods; `None` where it is the autoscaler's. A Deployment that is made starts as large as the one that takes
/// calls now.
fn replicas(context: Context<'_>, revision: &Revision, name: &str) -> Option<i64> {
    let settings = context.valid.workload(revision.workload);
    let Some(autoscaling) = &settings.autoscaling else {
        return Some(settings.replicas.into());
    };
    if context.observed.child(ChildKind::Deployment, name).is_some() {
        return None;
    }
    let release = context.release.workloads.get(&revision.workload)?;
    let serving = release.serving.as_ref().and_then(|serving| {
        let name = context.names.revision(revision.workload, serving);
        context.observed.child(ChildKind::Deployment, &name)
    });
    let now = serving.map_or(0, |live| live.number("/spec/replicas"));
    Some(now.clamp(autoscaling.min_replicas.into(), autoscaling.max_replicas.into()))
}
