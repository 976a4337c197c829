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
    let settings = context.valid.workloads.get(&revision.workload);
    let fields = json!({
        "spec": {
            "replicas": settings.map_or(0, |settings| settings.replicas),
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
    let name = names.revision(revision.workload, &revision.hash);
    object::child(context, ChildKind::Deployment, name, &labels, fields)
}
