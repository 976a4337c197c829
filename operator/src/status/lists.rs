//! The lists of the status: workloads, topics, subjects.

use logistics_schemas::Workload;

use super::Facts;
use crate::api::{PlatformStatus, SubjectStatus, TopicStatus, WorkloadStatus};
use crate::backend::{Reading, kafka, registry};
use crate::child::ChildKind;
use crate::names::{GRPC_PORT, Names};

/// The workloads' revisions that take calls.
pub(super) fn workloads(facts: Facts<'_>) -> Vec<WorkloadStatus> {
    Workload::ALL
        .into_iter()
        .filter_map(|workload| of_workload(facts, workload))
        .collect()
}

fn of_workload(facts: Facts<'_>, workload: Workload) -> Option<WorkloadStatus> {
    let names = Names(&facts.valid.identity);
    let revision = facts.release.workloads.get(&workload)?.serving.clone()?;
    let live = facts
        .observed
        .child(ChildKind::Deployment, &names.revision(workload, &revision))?;
    let count = |number: i64| i32::try_from(number).unwrap_or(i32::MAX);
    Some(WorkloadStatus {
        name: workload.name().into(),
        version: live.label("app.kubernetes.io/version").unwrap_or_default().into(),
        replicas: count(live.number("/spec/replicas")),
        ready_replicas: count(live.number("/status/readyReplicas")),
        endpoint: format!(
            "{}.{}.svc:{GRPC_PORT}",
            names.workload(workload),
            facts.valid.identity.namespace
        ),
        revision,
    })
}

/// The topics that exist; the former list while they cannot be read.
pub(super) fn topics(facts: Facts<'_>, former: &PlatformStatus) -> Vec<TopicStatus> {
    let Reading::Seen(seen) = &facts.observed.kafka else {
        return former.topics.clone();
    };
    let topic = |topic: kafka::Topic| {
        let found = seen.0.get(&topic.name)?;
        Some(TopicStatus {
            partitions: found.partitions,
            name: topic.name,
        })
    };
    kafka::wanted(facts.valid).into_iter().filter_map(topic).collect()
}

/// The subjects whose schema is registered; the former list while they cannot be read.
pub(super) fn subjects(facts: Facts<'_>, former: &PlatformStatus) -> Vec<SubjectStatus> {
    let Reading::Seen(seen) = &facts.observed.registry else {
        return former.subjects.clone();
    };
    let subject = |subject: registry::Subject| {
        let (id, version) = seen.0.get(&subject.name)?.registered?;
        Some(SubjectStatus {
            name: subject.name,
            id,
            version,
        })
    };
    registry::wanted(facts.valid)
        .into_iter()
        .filter_map(subject)
        .collect()
}
