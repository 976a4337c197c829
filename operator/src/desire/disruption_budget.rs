//! One `PodDisruptionBudget` for each workload, over all of its revisions. Pods that are not ready are always evictable: a
//! broken release must not keep a node from being drained.

use logistics_schemas::Workload;
use serde_json::json;

use super::{Context, object};
use crate::child::{Child, ChildKind};

pub(super) fn budget(context: Context<'_>, workload: Workload) -> Child {
    let names = context.names;
    let fields = json!({
        "spec": {
            "maxUnavailable": context.valid.workload(workload).max_unavailable,
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
            "selector": {"matchLabels": names.component_selector(workload.name())},
        },
    });
    let labels = names.component_labels(workload.name());
    object::child(
        context,
        ChildKind::PodDisruptionBudget,
        names.workload(workload),
        &labels,
        fields,
    )
}
