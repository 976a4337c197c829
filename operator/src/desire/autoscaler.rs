//! A `HorizontalPodAutoscaler` for each revision that runs, where its workload is scaled by use. The metrics are of the
//! service's own container, so that a sidecar does not skew them.

use serde_json::{Value, json};

use super::controller_revision::Revision;
use super::{Context, object};
use crate::child::{Child, ChildKind};
use crate::names::REVISION;

pub(super) fn autoscaler(context: Context<'_>, revision: &Revision) -> Option<Child> {
    let names = context.names;
    let autoscaling = context.valid.workload(revision.workload).autoscaling.as_ref()?;
    let container = revision.workload.name();
    let metric = |(resource, target): (&str, i32)| {
        json!({
            "type": "ContainerResource",
            "containerResource": {
                "container": container, "name": resource,
                "target": {"type": "Utilization", "averageUtilization": target},
            },
        })
    };
    let targets = [("cpu", autoscaling.cpu), ("memory", autoscaling.memory)];
    let metrics: Vec<Value> = targets
        .into_iter()
        .filter_map(|(resource, target)| Some(metric((resource, target?))))
        .collect();
    let name = names.revision(revision.workload, &revision.hash);
    let mut fields = json!({
        "spec": {
            "scaleTargetRef": {
                "apiVersion": ChildKind::Deployment.api_version(), "kind": ChildKind::Deployment.name(), "name": name,
            },
            "minReplicas": autoscaling.min_replicas,
            "maxReplicas": autoscaling.max_replicas,
            "metrics": metrics,
        },
    });
    if let Some(behavior) = &autoscaling.behavior {
        fields["spec"]["behavior"] = behavior.clone();
    }
    let mut labels = names.component_labels(container);
    labels.insert(REVISION.into(), revision.hash.clone());
    Some(object::child(
        context,
        ChildKind::HorizontalPodAutoscaler,
        name,
        &labels,
        fields,
    ))
}
