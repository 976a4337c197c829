//! Leaves out of an object what no decision reads: it would cost memory, and every change of it a reconcile.

use kube::core::DynamicObject;
use serde_json::Value;

use super::ChildKind;
use crate::names::MANAGER;

/// Where `kubectl apply` keeps a copy of the object.
pub(crate) const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Fields of a condition that change although nothing turned.
const HEARTBEATS: [&str; 3] = ["lastHeartbeatTime", "lastProbeTime", "lastUpdateTime"];

/// The fields of a kind's status that decisions read or the platform's status reports.
const fn reported(kind: ChildKind) -> &'static [&'static str] {
    match kind {
        ChildKind::ServiceAccount
        | ChildKind::Secret
        | ChildKind::ConfigMap
        | ChildKind::ControllerRevision
        | ChildKind::NetworkPolicy
        | ChildKind::Service
        | ChildKind::PodDisruptionBudget
        | ChildKind::HorizontalPodAutoscaler
        | ChildKind::PodMonitor => &[],
        ChildKind::Job => &["conditions"],
        ChildKind::Deployment => &[
            "observedGeneration",
            "updatedReplicas",
            "availableReplicas",
            "readyReplicas",
            "conditions",
        ],
    }
}

/// Leaves out of `object` what no decision reads.
pub(super) fn strip(kind: ChildKind, object: &mut DynamicObject) {
    let meta = &mut object.metadata;
    if let Some(fields) = &mut meta.managed_fields {
        fields.retain(|entry| {
            entry.manager.as_deref() == Some(MANAGER)
                && entry.operation.as_deref() == Some("Apply")
                && entry.subresource.is_none()
        });
        for entry in fields {
            entry.time = None;
        }
    }
    if let Some(annotations) = &mut meta.annotations {
        annotations.remove(LAST_APPLIED);
    }
    let Some(fields) = object.data.as_object_mut() else {
        return;
    };
    let Some(status) = fields.get_mut("status").and_then(Value::as_object_mut) else {
        return;
    };
    status.retain(|field, _| reported(kind).contains(&field.as_str()));
    let conditions = status.get_mut("conditions").and_then(Value::as_array_mut);
    for condition in conditions.into_iter().flatten().filter_map(Value::as_object_mut) {
        condition.retain(|field, _| !HEARTBEATS.contains(&field.as_str()));
    }
    if status.is_empty() {
        fields.remove("status");
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn stripped(kind: ChildKind, object: Value) -> Value {
        let mut object: DynamicObject = serde_json::from_value(object).unwrap();
        strip(kind, &mut object);
        serde_json::to_value(&object).unwrap()
    }

    #[test]
    fn a_heartbeat_changes_nothing() {
        let deployment = |heartbeat: &str, unavailable: i32| {
            let ours = json!({"manager": MANAGER, "operation": "Apply", "time": heartbeat, "fieldsV1": {"f:spec": {}}});
            let foreign = json!({"manager": "kubectl", "operation": "Update", "time": heartbeat});
            stripped(
                ChildKind::Deployment,
                json!({
                    "metadata": {"name": "a", "managedFields": [ours, foreign], "annotations": {LAST_APPLIED: heartbeat}},
                    "spec": {"replicas": 2},
                    "status": {
                        "availableReplicas": 1, "unavailableReplicas": unavailable,
                        "conditions": [{"type": "Progressing", "status": "True", "lastUpdateTime": heartbeat}],
                    },
                }),
            )
        };
        let found = deployment("2026-01-02T03:04:05Z", 1);
        assert_eq!(found, deployment("2026-01-02T03:05:05Z", 2));
        assert_eq!(found["spec"]["replicas"], 2);
        assert_eq!(
            found["status"],
            json!({"availableReplicas": 1, "conditions": [{"type": "Progressing", "status": "True"}]})
        );
        assert_eq!(
            found["metadata"]["managedFields"][0]["fieldsV1"],
            json!({"f:spec": {}})
        );
        assert_eq!(found["metadata"]["managedFields"].as_array().unwrap().len(), 1);
    }

    #[test]
    fn a_kind_whose_status_nobody_reads_has_none() {
        let service = json!({"metadata": {"name": "a"}, "status": {"loadBalancer": {"ingress": []}}});
        let found = stripped(ChildKind::Service, service);
        assert_eq!(found.get("status"), None);
    }
}
