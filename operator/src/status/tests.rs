use std::sync::Arc;

use serde_json::json;

use super::{Facts, invalid, status};
use crate::api::PlatformStatus;
use crate::apply::Applied;
use crate::backend::{BackendError, Reading};
use crate::child::{ChildId, ChildKind};
use crate::fixture::{self, Cluster};
use crate::plan::Blocked;
use crate::reason::Reason;
use crate::validate::validate;

fn report(cluster: &Cluster, applied: &Applied, former: &PlatformStatus) -> PlatformStatus {
    let valid = fixture::valid();
    let (release, _) = cluster.decide(&valid);
    status(
        Facts {
            valid: &valid,
            observed: &cluster.observed,
            release: &release,
            applied,
        },
        former,
    )
}

fn condition(status: &PlatformStatus, kind: &str) -> (String, String, String) {
    let found = status
        .conditions
        .iter()
        .find(|condition| condition.type_ == kind)
        .unwrap();
    (found.status.clone(), found.reason.clone(), found.message.clone())
}

fn short(status: &PlatformStatus, kind: &str) -> String {
    let (value, reason, _) = condition(status, kind);
    format!("{value}/{reason}")
}

/// A server that is away is told, with the migration that cannot get on without it, and nothing else changes.
#[test]
fn a_database_that_is_away_is_told_with_the_migration() {
    let valid = fixture::valid();
    let mut cluster = Cluster::running(&valid);
    let (release, desired) = cluster.decide(&valid);
    let before = report(&cluster, &Applied::default(), &PlatformStatus::default());
    cluster.observed.postgres = fixture::away();
    let status = report(&cluster, &Applied::default(), &before);
    assert_eq!(
        condition(&status, "DatabaseReady"),
        (
            "False".into(),
            "Unreachable".into(),
            "away; pods that run are not touched".into()
        )
    );
    assert_eq!(short(&status, "Degraded"), "True/Unreachable");
    assert_eq!(short(&status, "Ready"), "False/Unreachable");
    assert_eq!(short(&status, "WorkloadsReady"), "True/Available");
    let (same, wanted) = cluster.decide(&valid);
    assert_eq!(same.settled(), release.settled());
    let objects = |desired: crate::desire::Desired| -> Vec<_> {
        desired.children.into_iter().map(|child| child.object).collect()
    };
    assert_eq!(objects(wanted), objects(desired));

    // While it is asked for the first time, after a restart, what was said goes on holding.
    cluster.observed.postgres = Reading::Pending;
    let pending = report(&cluster, &Applied::default(), &status);
    assert_eq!(
        condition(&pending, "DatabaseReady"),
        condition(&status, "DatabaseReady")
    );
    let pending = report(&cluster, &Applied::default(), &before);
    assert_eq!(short(&pending, "DatabaseReady"), "True/Migrated");

    let mut cluster = Cluster::prepared(&valid);
    cluster.step(&valid);
    cluster.observed.postgres = fixture::away();
    let (_, reason, message) = condition(
        &report(&cluster, &Applied::default(), &PlatformStatus::default()),
        "DatabaseReady",
    );
    assert_eq!(reason, "Unreachable");
    assert!(
        message.contains("away; ") && message.contains("migrates the database"),
        "{message}"
    );
    cluster.observed.postgres = Reading::Pending;
    let status = report(&cluster, &Applied::default(), &PlatformStatus::default());
    assert_eq!(short(&status, "DatabaseReady"), "False/Migrating");
}

#[test]
fn a_running_platform_is_ready() {
    let status = report(
        &Cluster::running(&fixture::valid()),
        &Applied::default(),
        &PlatformStatus::default(),
    );
    assert_eq!(short(&status, "Ready"), "True/Ready");
    assert_eq!(short(&status, "Progressing"), "False/Settled");
    assert_eq!(short(&status, "Degraded"), "False/AsExpected");
    for kind in ["KafkaReady", "SchemasReady", "DatabaseReady", "WorkloadsReady"] {
        assert_eq!(condition(&status, kind).0, "True", "{kind}");
    }
    assert_eq!(status.version.as_deref(), Some("0.1.0"));
    assert_eq!(status.workloads.len(), 3);
    assert_eq!(status.workloads[2].endpoint, "acme-shipment.logistics.svc:8080");
    assert_eq!((status.topics.len(), status.subjects.len()), (7, 4));
    assert!(
        status
            .conditions
            .iter()
            .all(|condition| condition.observed_generation == Some(1))
    );
}

/// Each state of the outside, and what is said about it.
#[test]
fn every_wait_has_a_reason() {
    type Edit = fn(&mut Cluster, &mut Applied);
    let cases: [(Edit, &str, &str); 8] = [
        (
            |c, _| c.observed.kafka = Reading::Pending,
            "KafkaReady",
            "Unknown/Reading",
        ),
        (
            |c, _| c.observed.kafka = fixture::away(),
            "KafkaReady",
            "False/Unreachable",
        ),
        (
            |c, _| c.observed.registry = fixture::away(),
            "SchemasReady",
            "False/Unreachable",
        ),
        (
            |c, _| c.observed.kafka = Reading::Seen(Arc::default()),
            "KafkaReady",
            "False/Applying",
        ),
        (
            |_, a| {
                a.registry_error = Some(BackendError {
                    reason: Reason::IncompatibleSchema,
                    message: "x".into(),
                });
            },
            "SchemasReady",
            "False/IncompatibleSchema",
        ),
        (
            |_, a| {
                let id = ChildId::new(ChildKind::Service, "acme-shipment");
                a.failed.push(Blocked {
                    id,
                    reason: Reason::NameTaken,
                    message: "x".into(),
                });
            },
            "WorkloadsReady",
            "False/NameTaken",
        ),
        (
            |c, _| c.observed.missing.push("spec.x".into()),
            "WorkloadsReady",
            "False/ReferenceMissing",
        ),
        (
            |c, _| {
                let name = c.names(ChildKind::Deployment).remove(0);
                c.edit(ChildKind::Deployment, &name, |d| {
                    d["status"]["availableReplicas"] = json!(1);
                });
            },
            "WorkloadsReady",
            "False/Deploying",
        ),
    ];
    for (edit, kind, expected) in cases {
        let mut cluster = Cluster::running(&fixture::valid());
        let mut applied = Applied::default();
        edit(&mut cluster, &mut applied);
        let status = report(&cluster, &applied, &PlatformStatus::default());
        assert_eq!(short(&status, kind), expected);
        assert_eq!(condition(&status, "Ready").0, "False", "{kind}");
        assert_eq!(
            condition(&status, "Ready").1,
            condition(&status, kind).1,
            "{kind}"
        );
    }
}

#[test]
fn a_refused_change_says_the_remedy() {
    let mut cluster = Cluster::running(&fixture::valid());
    let mut topics = fixture::topics(&fixture::valid());
    topics.0.get_mut("shipment.created").unwrap().partitions = 3;
    cluster.observed.kafka = Reading::Seen(Arc::new(topics));
    let status = report(&cluster, &Applied::default(), &PlatformStatus::default());
    let (value, reason, message) = condition(&status, "KafkaReady");
    assert_eq!((value.as_str(), reason.as_str()), ("False", "NotSupported"));
    assert!(
        message.contains("shipment.created has 3 partitions") && message.contains("write 3"),
        "{message}"
    );
    assert_eq!(short(&status, "Degraded"), "True/NotSupported");
}

#[test]
fn a_transition_is_timed_when_the_status_changes_only() {
    let mut cluster = Cluster::running(&fixture::valid());
    let first = report(&cluster, &Applied::default(), &PlatformStatus::default());
    cluster.observed.now = "2026-01-02T04:00:00Z".parse().unwrap();
    let second = report(&cluster, &Applied::default(), &first);
    assert_eq!(first, second, "nothing changed, so nothing is written");
    cluster.observed.kafka = fixture::away();
    let third = report(&cluster, &Applied::default(), &second);
    let time = |status: &PlatformStatus, kind: &str| {
        status
            .conditions
            .iter()
            .find(|c| c.type_ == kind)
            .unwrap()
            .last_transition_time
            .clone()
    };
    assert_ne!(time(&second, "KafkaReady"), time(&third, "KafkaReady"));
    assert_eq!(time(&second, "DatabaseReady"), time(&third, "DatabaseReady"));
    assert_eq!(
        third.topics, second.topics,
        "what cannot be read is not forgotten"
    );
}

#[test]
fn an_invalid_spec_keeps_what_is_known_and_says_everything_wrong() {
    let former = report(
        &Cluster::running(&fixture::valid()),
        &Applied::default(),
        &PlatformStatus::default(),
    );
    let mut platform = fixture::platform();
    platform.spec.version = "a b".into();
    platform.spec.kafka.resync = "1s".into();
    let error = validate(&platform).unwrap_err();
    let status = invalid(&error, 2, &former, fixture::now());
    let (value, reason, message) = condition(&status, "Ready");
    assert_eq!((value.as_str(), reason.as_str()), ("False", "InvalidSpec"));
    assert!(
        message.contains("spec.version") && message.contains("spec.kafka.resync"),
        "{message}"
    );
    assert_eq!(status.observed_generation, Some(2));
    assert_eq!(
        (status.workloads, status.topics),
        (former.workloads, former.topics)
    );
}
