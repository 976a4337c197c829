//! A workload with its revisions, autoscaler and disruption budget. Pure.

use std::collections::BTreeSet;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::ResourceExt;
use logistics_operator::names::{COMPONENT, REVISION};

use super::gather::Snapshot;
use super::pod;
use super::tree::{Node, State, worst};

/// The node of a workload.
pub(super) fn node(snapshot: &Snapshot, workload: &str) -> Node {
    let is_of = |labels: &std::collections::BTreeMap<String, String>| {
        labels
            .get(COMPONENT)
            .is_some_and(|component| component == workload)
    };
    let status = snapshot.platform.status.as_ref();
    let reported =
        status.and_then(|status| status.workloads.iter().find(|reported| reported.name == workload));
    let serving = reported.map(|reported| reported.revision.as_str());
    let deployments: Vec<_> = snapshot
        .deployments
        .iter()
        .filter(|d| is_of(d.labels()))
        .collect();
    let revisions: BTreeSet<&str> = deployments
        .iter()
        .filter_map(|d| label(d.labels(), REVISION))
        .collect();
    let mut children: Vec<_> = revisions
        .iter()
        .map(|revision| {
            let of_revision = deployments
                .iter()
                .filter(|d| label(d.labels(), REVISION) == Some(revision));
            let nodes = of_revision.map(|d| self::deployment(snapshot, d)).collect();
            let mut node = Node::group("Revision", nodes);
            (*revision).clone_into(&mut node.name);
            node.message = if serving == Some(revision) {
                "takes calls".into()
            } else {
                "takes no calls".into()
            };
            node
        })
        .collect();
    children.extend(
        snapshot
            .autoscalers
            .iter()
            .filter(|object| is_of(object.labels()))
            .map(autoscaler),
    );
    children.extend(
        snapshot
            .budgets
            .iter()
            .filter(|object| is_of(object.labels()))
            .map(budget),
    );
    let mut node = match reported {
        Some(reported) => Node::new("Workload", workload, worst(&children)).message(format!(
            "{} of {} pods ready, version {}, at {}",
            reported.ready_replicas, reported.replicas, reported.version, reported.endpoint
        )),
        None => Node::new("Workload", workload, State::Waiting).message("no revision takes calls yet"),
    };
    if deployments.is_empty()
        && reported.is_some()
        && !snapshot.unreadable.iter().any(|(what, _)| *what == "Deployments")
    {
        node.state = State::Wrong;
        node.next = Some("the operator makes a missing Deployment again; see whether it runs: kubectl get pods -A -l app.kubernetes.io/name=logistics-operator".into());
    }
    node.with(children)
}

fn label<'a>(labels: &'a std::collections::BTreeMap<String, String>, name: &str) -> Option<&'a str> {
    labels.get(name).map(String::as_str)
}

fn deployment(snapshot: &Snapshot, deployment: &Deployment) -> Node {
    let name = deployment.name_any();
    let wanted = deployment
        .spec
        .as_ref()
        .and_then(|spec| spec.replicas)
        .unwrap_or(1);
    let status = deployment.status.clone().unwrap_or_default();
    let ready = status.ready_replicas.unwrap_or(0);
    let stuck = status
        .conditions
        .iter()
        .flatten()
        .any(|condition| condition.reason.as_deref() == Some("ProgressDeadlineExceeded"));
    let refused =
        status.conditions.iter().flatten().find(|condition| {
            condition.type_ == "ReplicaFailure" && condition.status.as_deref_value() == "True"
        });
    let counts = format!("{ready} of {wanted} ready");
    let mut node = if let Some(refused) = refused {
        let message = refused.message.clone().unwrap_or_default();
        Node::new("Deployment", name, State::Wrong)
            .reason("ReplicaFailure")
            .message(format!("{counts}; pods cannot be made: {message}"))
            .next("ask who set that quota or admission rule, or change the spec so that it passes")
    } else if stuck {
        Node::new("Deployment", name, State::Wrong)
            .reason("ProgressDeadlineExceeded")
            .message(counts)
    } else if ready < wanted {
        Node::new("Deployment", name, State::Waiting).message(counts)
    } else {
        Node::new("Deployment", name, State::Ok).message(counts)
    };
    let selector = deployment
        .spec
        .as_ref()
        .and_then(|spec| spec.selector.match_labels.clone())
        .unwrap_or_default();
    let own = snapshot.pods.iter().filter(|pod| {
        selector
            .iter()
            .all(|(key, value)| pod.labels().get(key) == Some(value))
    });
    let unready: Vec<_> = own.filter_map(|pod| pod::explain(pod, snapshot.now)).collect();
    if node.state == State::Waiting && worst(&unready) == State::Wrong {
        node.state = State::Wrong;
    }
    node.with(unready)
}

fn autoscaler(object: &HorizontalPodAutoscaler) -> Node {
    let spec = object.spec.clone().unwrap_or_default();
    let status = object.status.clone().unwrap_or_default();
    let message = format!(
        "{} pods, wants {}, between {} and {}",
        status.current_replicas.unwrap_or(0),
        status.desired_replicas,
        spec.min_replicas.unwrap_or(1),
        spec.max_replicas
    );
    let node = Node::new("HorizontalPodAutoscaler", object.name_any(), State::Ok);
    let blind = status.conditions.iter().flatten().find(|condition| {
        condition.status == "False" && matches!(condition.type_.as_str(), "ScalingActive" | "AbleToScale")
    });
    match blind {
        Some(condition) => Node {
            state: State::Wrong,
            ..node
        }
        .reason(condition.reason.clone().unwrap_or_default())
        .message(format!(
            "{message}; {}",
            condition.message.clone().unwrap_or_default()
        ))
        .next("check that metrics-server runs: kubectl top pods"),
        None => node.message(message),
    }
}

fn budget(object: &PodDisruptionBudget) -> Node {
    let status = object.status.clone().unwrap_or_default();
    let message = format!(
        "{} of {} pods healthy, {} may be evicted now",
        status.current_healthy, status.expected_pods, status.disruptions_allowed
    );
    let node = Node::new("PodDisruptionBudget", object.name_any(), State::Ok).message(message);
    if status.expected_pods > 0 && status.disruptions_allowed == 0 {
        return Node {
            state: State::Waiting,
            ..node
        }
        .reason("NoEviction")
        .next("a node cannot be drained until more pods are ready, or the workload has more replicas");
    }
    node
}

/// Newer Kubernetes types have a condition's status as an option.
trait AsValue {
    fn as_deref_value(&self) -> &str;
}

impl AsValue for String {
    fn as_deref_value(&self) -> &str {
        self
    }
}

impl AsValue for Option<String> {
    fn as_deref_value(&self) -> &str {
        self.as_deref().unwrap_or_default()
    }
}
