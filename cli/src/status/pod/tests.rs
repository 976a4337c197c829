use serde_json::json;

use super::*;

fn explained(status: &Value) -> Option<Node> {
    let pod = json!({
        "metadata": {"name": "p", "namespace": "n", "labels": {COMPONENT: "tracking"}, "creationTimestamp": "2026-01-01T00:00:00Z"},
        "status": status,
    });
    explain(
        &serde_json::from_value(pod).unwrap(),
        "2026-01-01T01:00:00Z".parse().unwrap(),
    )
}

fn container(state: &Value, last: &Value, restarts: u32) -> Value {
    json!({"containerStatuses": [{
        "name": "tracking", "image": "host/tracking:1", "imageID": "", "ready": false, "restartCount": restarts,
        "state": state, "lastState": last,
    }]})
}

#[test]
fn a_ready_pod_is_left_out() {
    assert_eq!(
        explained(&json!({"conditions": [{"type": "Ready", "status": "True"}]})),
        None
    );
}

/// Each way to be not ready: its state, and what message and next step say.
#[test]
fn every_cause_has_a_reason_and_a_next_step() {
    let crashed = json!({"terminated": {"exitCode": 1, "reason": "Error",
        "message": "{\"level\":\"INFO\",\"fields\":{\"message\":\"starts\"}}\n{\"fields\":{\"message\":\"cannot start\",\"error\":\"postgres://u:hunter2@db: refused\"}}\n"}});
    let killed = json!({"terminated": {"exitCode": 137, "reason": "OOMKilled"}});
    let waiting = |reason: &str, message: &str| json!({"waiting": {"reason": reason, "message": message}});
    let cases = [
        (
            container(&waiting("ImagePullBackOff", "not found"), &json!({}), 0),
            State::Wrong,
            "ImagePullBackOff",
            "not found",
            "host/tracking:1 exists",
        ),
        (
            container(&waiting("CrashLoopBackOff", ""), &crashed, 4),
            State::Wrong,
            "CrashLoopBackOff",
            "started 5 times, ended with exit code 1: cannot start: postgres://",
            "kubectl logs -n n p -c tracking --previous",
        ),
        (
            container(&waiting("CrashLoopBackOff", ""), &killed, 4),
            State::Wrong,
            "CrashLoopBackOff",
            "more memory than its limit",
            "spec.workloads.tracking.resources.limits.memory",
        ),
        (
            container(
                &waiting("CreateContainerConfigError", "secret \"x\" not found"),
                &json!({}),
                0,
            ),
            State::Wrong,
            "CreateContainerConfigError",
            "secret \"x\" not found",
            "kubectl describe pod",
        ),
        (
            container(&waiting("ContainerCreating", ""), &json!({}), 0),
            State::Waiting,
            "ContainerCreating",
            "is being made",
            "kubectl describe pod",
        ),
        (
            container(&json!({"running": {}}), &crashed, 1),
            State::Waiting,
            "NotReady",
            "before that it ended with exit code 1",
            "kubectl logs -n n p -c tracking",
        ),
        (
            container(&killed, &json!({}), 0),
            State::Wrong,
            "OOMKilled",
            "more memory",
            "limits.memory",
        ),
        (
            json!({"conditions": [{"type": "PodScheduled", "status": "False", "message": "0/3 nodes: Insufficient cpu"}]}),
            State::Wrong,
            "Unschedulable",
            "Insufficient cpu",
            "spec.workloads.tracking.resources.requests",
        ),
        (
            json!({"phase": "Failed", "reason": "Evicted", "message": "low on memory"}),
            State::Wrong,
            "Evicted",
            "low on memory",
            "kubectl describe pod",
        ),
        (
            json!({}),
            State::Waiting,
            "Starting",
            "no container yet",
            "kubectl describe pod",
        ),
    ];
    for (status, state, reason, message, next) in cases {
        let node = explained(&status).unwrap();
        assert_eq!((node.state, node.reason.as_str()), (state, reason));
        assert!(node.message.contains(message), "{node:?}");
        assert!(
            node.next.as_deref().is_some_and(|found| found.contains(next)),
            "{node:?}"
        );
        assert!(!format!("{node:?}").contains("hunter2"), "{node:?}");
    }
}
