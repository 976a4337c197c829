use logistics_schemas::Workload;
use serde_json::json;

use super::{Action, plan};
use crate::child::ChildKind;
use crate::fixture::{self, Cluster};
use crate::names::{COMPONENT, Names};

fn changes(cluster: &Cluster) -> Vec<String> {
    let (_, desired) = cluster.decide(&fixture::valid());
    plan(&desired, &cluster.observed)
        .children
        .iter()
        .map(ToString::to_string)
        .collect()
}

#[test]
fn a_running_platform_needs_nothing() {
    let cluster = Cluster::running(&fixture::valid());
    let (release, desired) = cluster.decide(&fixture::valid());
    assert!(release.settled());
    let plan = plan(&desired, &cluster.observed);
    assert!(plan.is_empty(), "{:?}", plan.children);
    assert_eq!(desired.children.len(), cluster.observed.children.len());
}

/// Deleting any child makes it come back, and nothing else change.
#[test]
fn every_deleted_child_is_made_again() {
    let running = Cluster::running(&fixture::valid());
    for id in running.observed.children.keys() {
        let mut cluster = Cluster::running(&fixture::valid());
        cluster.observed.children.remove(id);
        cluster.fresh = crate::credential::Credentials::fixed("second");
        let made = changes(&cluster);
        assert_eq!(made.first(), Some(&format!("create {id}")), "{made:?}");
        // A lost credential is a new one, and the migration sets it.
        let follow_up = if id.kind == ChildKind::Secret { 3 } else { 1 };
        assert_eq!(made.len(), follow_up, "{id}: {made:?}");
    }
}

/// An edited label of any child is brought back, and nothing else changes.
#[test]
fn every_edited_child_is_repaired() {
    let running = Cluster::running(&fixture::valid());
    for id in running.observed.children.keys() {
        let mut cluster = Cluster::running(&fixture::valid());
        cluster.edit(id.kind, &id.name, |object| {
            object["metadata"]["labels"]["app.kubernetes.io/name"] = json!("other");
        });
        assert_eq!(
            changes(&cluster),
            [format!("update {id} (metadata.labels.app.kubernetes.io/name)")]
        );
    }
}

#[test]
fn a_scaled_deployment_is_brought_back() {
    let mut cluster = Cluster::running(&fixture::valid());
    let name = cluster.names(ChildKind::Deployment).remove(0);
    cluster.edit(ChildKind::Deployment, &name, |object| {
        object["spec"]["replicas"] = json!(7);
    });
    assert_eq!(
        changes(&cluster),
        [format!("update Deployment {name} (spec.replicas)")]
    );
}

#[test]
fn an_edited_password_makes_a_new_one_and_a_migration() {
    let valid = fixture::valid();
    let mut cluster = Cluster::running(&valid);
    let name = Names(&valid.identity).credentials(Workload::Shipment);
    cluster.edit(ChildKind::Secret, &name, |object| {
        object["data"]["password"] = json!("aGFja2Vk");
    });
    cluster.fresh = crate::credential::Credentials::fixed("second");
    let made = changes(&cluster);
    assert_eq!(made.len(), 3, "{made:?}");
    assert!(made[0].starts_with("update Secret acme-shipment-db"), "{made:?}");
    assert!(made[1].starts_with("create Job acme-migrate-"), "{made:?}");
    assert!(made[2].starts_with("delete Job acme-migrate-"), "{made:?}");
}

#[test]
fn an_immutable_child_is_made_again() {
    let mut cluster = Cluster::running(&fixture::valid());
    let config = cluster
        .observed
        .of_kind(ChildKind::ConfigMap)
        .next()
        .unwrap()
        .id
        .clone();
    cluster.edit(ChildKind::ConfigMap, &config.name, |object| {
        object["data"]["config.yaml"] = json!("x");
    });
    let (_, desired) = cluster.decide(&fixture::valid());
    let plan = plan(&desired, &cluster.observed);
    assert_eq!(plan.children.len(), 1);
    assert!(matches!(plan.children[0].action, Action::Delete { .. }));
}

#[test]
fn a_deployment_with_another_selector_is_blocked() {
    let mut cluster = Cluster::running(&fixture::valid());
    let name = cluster.names(ChildKind::Deployment).remove(0);
    cluster.edit(ChildKind::Deployment, &name, |object| {
        object["spec"]["selector"]["matchLabels"]["x"] = json!("y");
    });
    let (_, desired) = cluster.decide(&fixture::valid());
    let plan = plan(&desired, &cluster.observed);
    assert!(plan.children.is_empty());
    assert_eq!(plan.blocked[0].reason, "ImmutableField");
    assert!(plan.blocked[0].message.contains("delete the Deployment"));
}

#[test]
fn what_is_being_deleted_is_waited_for() {
    let mut cluster = Cluster::running(&fixture::valid());
    cluster.edit(ChildKind::Service, "acme-shipment", |object| {
        object["metadata"]["deletionTimestamp"] = json!("2026-01-02T03:04:05Z");
    });
    assert_eq!(changes(&cluster), Vec::<String>::new());
}

/// A new operator renders pods otherwise; the frozen template is used, so nothing changes.
#[test]
fn a_new_renderer_restarts_nothing() {
    let valid = fixture::valid();
    let mut cluster = Cluster::running(&valid);
    for kind in [ChildKind::ControllerRevision, ChildKind::Deployment] {
        for name in cluster.names(kind) {
            let pointer = if kind == ChildKind::Deployment {
                "/spec/template"
            } else {
                "/data/template"
            };
            cluster.edit(kind, &name, |object| {
                let template = object.pointer_mut(pointer).unwrap();
                // As an older operator may have rendered it.
                template["spec"]["terminationGracePeriodSeconds"] = json!(17);
                template["spec"]["containers"][0]["env"] = json!([{"name": "OLD", "value": "1"}]);
                template["metadata"]["labels"]["older"] = json!("yes");
            });
        }
    }
    assert_eq!(changes(&cluster), Vec::<String>::new());
}

#[test]
fn only_the_newest_revisions_are_kept() {
    let mut valid = fixture::valid();
    let mut cluster = Cluster::running(&valid);
    for release in 1..=8 {
        valid.version = format!("1.{release}.0");
        cluster.step(&valid);
        cluster.migrate();
        cluster.step(&valid);
        cluster.start();
        cluster.step(&valid);
        cluster.step(&valid);
    }
    let (release, desired) = cluster.decide(&valid);
    assert!(release.settled());
    assert!(plan(&desired, &cluster.observed).is_empty());
    for workload in Workload::ALL {
        let of_workload = |kind| {
            let label = |live: &&crate::child::Live| live.label(COMPONENT) == Some(workload.name());
            cluster.observed.of_kind(kind).filter(label).count()
        };
        assert_eq!(
            of_workload(ChildKind::ControllerRevision),
            crate::desire::HISTORY + 1
        );
        assert_eq!(of_workload(ChildKind::Deployment), 1);
        assert_eq!(of_workload(ChildKind::Service), 3);
    }
}
