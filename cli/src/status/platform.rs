//! The tree of one platform. Pure.

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::ResourceExt;
use logistics_operator::names::{COMPONENT, MIGRATE};

use super::gather::Snapshot;
use super::tree::{Node, State};
use super::{pod, warnings, workload};
use crate::redact::text as redacted;

/// The workloads, in the order of the custom resource.
const WORKLOADS: [&str; 3] = ["shipment", "tracking", "analytics"];

/// What every reason means, and what can be done about it.
const CONDITIONS: &str = include_str!("../../../docs/conditions.md");

const OPERATOR: &str = "kubectl get pods -A -l app.kubernetes.io/name=logistics-operator";

/// Whether the platform is ready for its newest spec.
#[must_use]
pub fn ready(snapshot: &Snapshot) -> bool {
    let Some(status) = &snapshot.platform.status else {
        return false;
    };
    let current = status.observed_generation >= snapshot.platform.metadata.generation;
    current
        && status
            .conditions
            .iter()
            .any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

/// The tree of a platform.
#[must_use]
pub fn tree(snapshot: &Snapshot) -> Node {
    let platform = &snapshot.platform;
    let name = format!(
        "{}/{}",
        platform.namespace().unwrap_or_default(),
        platform.name_any()
    );
    let mut root = root(snapshot, name);
    let status = platform.status.clone().unwrap_or_default();
    let degraded = status
        .conditions
        .iter()
        .find(|c| c.type_ == "Degraded" && c.status == "True");
    let degraded_by = degraded.map(|condition| condition.reason.as_str());
    let concerns = status
        .conditions
        .iter()
        .filter(|condition| condition.type_ != "Ready");
    root = root.with(concerns.map(|concern| condition(concern, degraded_by)));
    root = root.with(migration(snapshot));
    root = root.with(WORKLOADS.map(|name| workload::node(snapshot, name)));
    let topics = status.topics.iter().map(|topic| {
        Node::new("Topic", &topic.name, State::Info).message(format!("{} partitions", topic.partitions))
    });
    let subjects = status.subjects.iter().map(|subject| {
        Node::new("Subject", &subject.name, State::Info)
            .message(format!("schema {}, version {}", subject.id, subject.version))
    });
    root = root.with(listed("Topics", topics.collect()));
    root = root.with(listed("Subjects", subjects.collect()));
    root = root.with(listed("Warnings", warnings::nodes(snapshot)));
    root.with(snapshot.unreadable.iter().map(|(what, why)| {
        Node::new(what, "", State::Unknown)
            .reason("NotReadable")
            .message(why)
    }))
}

fn root(snapshot: &Snapshot, name: String) -> Node {
    let platform = &snapshot.platform;
    let node = Node::new("LogisticsPlatform", name, State::Waiting);
    if platform.metadata.deletion_timestamp.is_some() {
        return node.reason("Deleting").message("is being deleted");
    }
    let Some(status) = &platform.status else {
        return node
            .reason("Unseen")
            .message("no operator has seen it yet")
            .next(format!(
                "if it stays so, see whether the operator runs: {OPERATOR}"
            ));
    };
    let Some(condition) = status
        .conditions
        .iter()
        .find(|condition| condition.type_ == "Ready")
    else {
        return node
            .reason("Unseen")
            .message("no operator has judged it yet")
            .next(OPERATOR);
    };
    if status.observed_generation < platform.metadata.generation {
        return node
            .reason("Outdated")
            .message("the operator has not yet seen the newest change of the spec")
            .next(format!(
                "if it stays so, see whether the operator runs: {OPERATOR}"
            ));
    }
    let version = status.version.as_deref().unwrap_or("none");
    let revision = status.revision.as_deref().unwrap_or("none");
    let message = format!(
        "version {version}, revision {revision}; {}",
        redacted(&condition.message)
    );
    let degraded = status
        .conditions
        .iter()
        .any(|c| c.type_ == "Degraded" && c.status == "True");
    let state = match (condition.status.as_str(), degraded) {
        ("True", false) => State::Ok,
        (_, true) => State::Wrong,
        _ => State::Waiting,
    };
    Node { state, ..node }.reason(&condition.reason).message(message)
}

fn condition(condition: &Condition, degraded_by: Option<&str>) -> Node {
    let state = match (condition.type_.as_str(), condition.status.as_str()) {
        (_, "Unknown") => State::Unknown,
        ("Progressing", "True") => State::Waiting,
        // These two are good when they are False.
        ("Progressing" | "Degraded", "False") => State::Ok,
        ("Degraded", _) => State::Wrong,
        (_, "True") => State::Ok,
        _ if degraded_by == Some(condition.reason.as_str()) => State::Wrong,
        _ => State::Waiting,
    };
    let node = Node::new("Condition", &condition.type_, state)
        .reason(&condition.reason)
        .message(redacted(&condition.message));
    match next(&condition.reason).filter(|_| !matches!(state, State::Ok)) {
        Some(next) => node.next(next),
        None => node,
    }
}

/// What docs/conditions.md says that can be done about a reason.
fn next(reason: &str) -> Option<String> {
    let row = format!("| `{reason}` |");
    let line = CONDITIONS.lines().find(|line| line.starts_with(&row))?;
    let advice = line
        .trim_end_matches([' ', '|'])
        .rsplit('|')
        .next()?
        .trim()
        .replace('`', "");
    (advice != "–").then_some(advice)
}

/// A group that is left out when it is empty.
fn listed(kind: &str, nodes: Vec<Node>) -> Option<Node> {
    if nodes.is_empty() {
        return None;
    }
    let count = nodes.len();
    let mut group = Node::group(kind, nodes);
    group.message = count.to_string();
    Some(group)
}

/// The newest migration.
fn migration(snapshot: &Snapshot) -> Option<Node> {
    let jobs = snapshot
        .jobs
        .iter()
        .filter(|job| job.labels().get(COMPONENT).is_some_and(|c| c == MIGRATE));
    let job = jobs.max_by_key(|job| job.metadata.creation_timestamp.clone().map(|time| time.0))?;
    let pods = snapshot.pods.iter().filter(|pod| {
        let owners = pod.owner_references();
        owners
            .iter()
            .any(|owner| Some(&owner.uid) == job.metadata.uid.as_ref())
    });
    let node = of_job(job);
    let unready: Vec<_> = pods.filter_map(|pod| pod::explain(pod, snapshot.now)).collect();
    Some(if node.state == State::Ok {
        node
    } else {
        node.with(unready)
    })
}

fn of_job(job: &Job) -> Node {
    let conditions = job
        .status
        .as_ref()
        .and_then(|status| status.conditions.clone())
        .unwrap_or_default();
    let is = |kind: &str| {
        conditions
            .iter()
            .find(|condition| condition.type_ == kind && condition.status == "True")
    };
    let node = |state| Node::new("Migration", format!("Job {}", job.name_any()), state);
    if is("Complete").is_some() {
        return node(State::Ok).reason("Complete");
    }
    let logs = format!(
        "kubectl logs -n {} job/{}",
        job.namespace().unwrap_or_default(),
        job.name_any()
    );
    match is("Failed") {
        Some(failed) => node(State::Wrong)
            .reason(failed.reason.clone().unwrap_or_else(|| "Failed".into()))
            .message(redacted(failed.message.as_deref().unwrap_or_default()))
            .next(logs),
        None => node(State::Waiting).reason("Running").next(logs),
    }
}

#[cfg(test)]
mod tests {
    use super::next;

    #[test]
    fn next_steps_are_those_of_the_documentation() {
        let unreachable = next("Unreachable").unwrap();
        assert!(unreachable.starts_with("Bring the backend back"), "{unreachable}");
        assert_eq!(next("Ready"), None);
        assert_eq!(next("NeverHeardOf"), None);
        for reason in logistics_operator::reason::Reason::ALL {
            assert!(
                super::CONDITIONS.contains(&format!("| `{}` |", reason.as_str())),
                "{reason:?}"
            );
        }
    }
}
