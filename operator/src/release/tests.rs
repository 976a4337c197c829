use std::sync::Arc;

use logistics_schemas::Workload;
use serde_json::json;

use super::{Migration, RETRY_AFTER};
use crate::backend::Reading;
use crate::child::ChildKind;
use crate::fixture::{self, Cluster};
use crate::names::{Names, REVISION};
use crate::validate::ValidPlatform;

fn next() -> ValidPlatform {
    fixture::valid_at("0.2.0")
}

fn selected(cluster: &Cluster, valid: &ValidPlatform, workload: Workload) -> String {
    let apex = cluster
        .observed
        .child(ChildKind::Service, &Names(&valid.identity).workload(workload))
        .unwrap();
    apex.object["spec"]["selector"][REVISION]
        .as_str()
        .unwrap()
        .to_owned()
}

#[test]
fn nothing_starts_before_its_needs_are_there() {
    let valid = fixture::valid();
    let mut cluster = Cluster::empty();
    cluster.observed.missing = vec!["spec.x: Secret y is not there".into()];
    cluster.step(&valid);
    assert!(cluster.names(ChildKind::Job).is_empty());
    cluster.observed.missing.clear();
    cluster.step(&valid);
    assert!(cluster.names(ChildKind::Job).is_empty(), "topics are missing");
    cluster.observed.kafka = Reading::Seen(Arc::new(fixture::topics(&valid)));
    cluster.step(&valid);
    assert!(cluster.names(ChildKind::Job).is_empty(), "subjects are missing");
    cluster.observed.registry = Reading::Seen(Arc::new(fixture::subjects(&valid)));
    cluster.step(&valid);
    assert_eq!(cluster.names(ChildKind::Job).len(), 1);
    cluster.step(&valid);
    assert!(
        cluster.names(ChildKind::Deployment).is_empty(),
        "the database is not migrated"
    );
    cluster.migrate();
    cluster.step(&valid);
    assert_eq!(cluster.names(ChildKind::Deployment).len(), 3);
}

#[test]
fn a_release_moves_calls_when_all_new_pods_are_available_and_then_removes_the_old() {
    let old = fixture::valid();
    let new = next();
    let mut cluster = Cluster::running(&old);
    let before = selected(&cluster, &old, Workload::Shipment);
    cluster.step(&new);
    assert_eq!(
        cluster.names(ChildKind::Deployment).len(),
        3,
        "the migration comes first"
    );
    cluster.migrate();
    cluster.step(&new);
    assert_eq!(cluster.names(ChildKind::Deployment).len(), 6);
    assert_eq!(
        selected(&cluster, &new, Workload::Shipment),
        before,
        "new pods are not available yet"
    );
    cluster.start();
    let slow = Names(&new.identity).revision(
        Workload::Tracking,
        cluster.decide(&new).0.revisions.of(Workload::Tracking),
    );
    cluster.edit(ChildKind::Deployment, &slow, |object| {
        object["status"]["availableReplicas"] = json!(1);
    });
    cluster.step(&new);
    assert_eq!(
        selected(&cluster, &new, Workload::Shipment),
        before,
        "one workload is not available yet"
    );
    cluster.start();
    cluster.step(&new);
    assert_ne!(selected(&cluster, &new, Workload::Shipment), before);
    assert_eq!(
        cluster.names(ChildKind::Deployment).len(),
        6,
        "the old goes after calls have moved"
    );
    cluster.step(&new);
    assert_eq!(cluster.names(ChildKind::Deployment).len(), 3);
    assert!(cluster.decide(&new).0.settled());
}

#[test]
fn what_runs_stays_when_everything_else_is_away() {
    let valid = fixture::valid();
    let mut cluster = Cluster::running(&valid);
    cluster.observed.kafka = fixture::away();
    cluster.observed.registry = Reading::Pending;
    cluster.observed.missing = vec!["gone".into()];
    let before = cluster.names(ChildKind::Deployment);
    cluster.step(&valid);
    assert_eq!(cluster.names(ChildKind::Deployment), before);
    assert!(cluster.decide(&valid).0.settled());
}

#[test]
fn a_deleted_deployment_comes_back_while_kafka_is_away() {
    let valid = fixture::valid();
    let mut cluster = Cluster::running(&valid);
    let serving = cluster.names(ChildKind::Deployment);
    cluster.observed.kafka = fixture::away();
    cluster
        .observed
        .children
        .retain(|id, _| id.kind != ChildKind::Deployment);
    cluster.step(&valid);
    assert_eq!(cluster.names(ChildKind::Deployment), serving);
}

#[test]
fn a_changed_mind_returns_to_what_serves() {
    let old = fixture::valid();
    let mut cluster = Cluster::running(&old);
    let serving = cluster.names(ChildKind::Deployment);
    cluster.step(&next());
    cluster.migrate();
    cluster.step(&next());
    assert_eq!(cluster.names(ChildKind::Deployment).len(), 6);
    cluster.step(&old);
    assert_eq!(cluster.names(ChildKind::Deployment), serving);
    let newest = fixture::valid_at("0.3.0");
    cluster.step(&next());
    cluster.migrate();
    cluster.step(&next());
    cluster.step(&newest);
    let (release, _) = cluster.decide(&newest);
    assert!(
        release
            .workloads
            .values()
            .all(|w| w.run.len() == 1 && w.route == w.serving.clone().unwrap())
    );
}

#[test]
fn the_serving_revision_comes_back_from_its_frozen_template() {
    let old = fixture::valid();
    let new = next();
    let mut cluster = Cluster::running(&old);
    let serving = cluster.names(ChildKind::Deployment);
    cluster
        .observed
        .children
        .retain(|id, _| id.kind != ChildKind::Deployment);
    cluster.step(&new);
    assert_eq!(cluster.names(ChildKind::Deployment), serving);
}

#[test]
fn a_selector_edited_by_hand_is_brought_back() {
    let valid = fixture::valid();
    let mut cluster = Cluster::running(&valid);
    let before = selected(&cluster, &valid, Workload::Shipment);
    cluster.edit(ChildKind::Service, "acme-shipment", |object| {
        object["spec"]["selector"][REVISION] = json!("nonsense");
    });
    cluster.step(&valid);
    assert_eq!(selected(&cluster, &valid, Workload::Shipment), before);
}

#[test]
fn a_failed_migration_is_kept_to_be_read_and_then_tried_again() {
    let valid = fixture::valid();
    let mut cluster = Cluster::prepared(&valid);
    cluster.step(&valid);
    let job = cluster.names(ChildKind::Job).remove(0);
    cluster.edit(ChildKind::Job, &job, |object| {
        object["status"] = json!({"conditions": [{
            "type": "Failed", "status": "True", "message": "Job has reached the specified backoff limit",
            "lastTransitionTime": "2026-01-02T03:04:00Z",
        }]});
    });
    let (release, _) = cluster.decide(&valid);
    assert!(
        matches!(&release.migration, Migration::Failed { retry_in, .. } if retry_in.as_secs() == RETRY_AFTER.as_secs() - 5)
    );
    cluster.step(&valid);
    assert_eq!(cluster.names(ChildKind::Job).len(), 1);
    cluster.observed.now = cluster.observed.now.checked_add(RETRY_AFTER).unwrap();
    cluster.step(&valid);
    assert!(cluster.names(ChildKind::Job).is_empty());
    cluster.step(&valid);
    assert_eq!(cluster.names(ChildKind::Job), [job]);
}

#[test]
fn a_lost_credential_is_replaced_even_when_kafka_is_away() {
    let valid = fixture::valid();
    let mut cluster = Cluster::running(&valid);
    let jobs = cluster.names(ChildKind::Job);
    cluster.observed.kafka = fixture::away();
    cluster
        .observed
        .children
        .retain(|id, _| id.name != "acme-tracking-db");
    cluster.fresh = crate::credential::Credentials::fixed("second");
    cluster.step(&valid);
    assert_ne!(cluster.names(ChildKind::Job), jobs);
    assert_eq!(cluster.names(ChildKind::Deployment).len(), 3);
}
