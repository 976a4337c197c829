use logistics_schemas::Workload;
use serde_json::json;

use super::{Action, plan};
use crate::child::{ChildId, ChildKind};
use crate::fight::Fight;
use crate::fixture::{self, Cluster};
use crate::names::{COMPONENT, Names};
use crate::reason::Reason;

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

/// What a Job does cannot be changed, and with another template in it the API server would refuse the whole repair.
#[test]
fn a_repaired_job_keeps_its_template() {
    let mut cluster = Cluster::running(&fixture::valid());
    let id = cluster
        .observed
        .children
        .keys()
        .find(|id| id.kind == ChildKind::Job);
    let name = id.unwrap().name.clone();
    let template = json!({"spec": {"containers": [{"name": "migrate", "image": "of-that-time"}]}});
    cluster.edit(ChildKind::Job, &name, |object| {
        object["metadata"]["labels"]["app.kubernetes.io/name"] = json!("other");
        object["spec"]["template"] = template.clone();
    });
    let (_, desired) = cluster.decide(&fixture::valid());
    let plan = plan(&desired, &cluster.observed);
    let [change] = plan.children.as_slice() else {
        panic!("{:?}", plan.children);
    };
    let Action::Update { object, .. } = &change.action else {
        panic!("{change}");
    };
    assert_eq!(object["spec"]["template"], template);
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
    assert_eq!(plan.blocked[0].reason, Reason::ImmutableField);
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
        valid = fixture::valid_at(&format!("1.{release}.0"));
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

/// The autoscaler takes the number of pods over without a moment in which it is reset.
#[test]
fn an_autoscaler_takes_over_and_gives_back() {
    let fixed = fixture::valid();
    let mut scaled = fixed.clone();
    scaled.workloads = fixture::everything().workloads;
    let mut cluster = Cluster::running(&scaled);
    let name = cluster.deployment(&scaled, Workload::Tracking);

    // As it was made, with a number that is ours.
    cluster.own(
        ChildKind::Deployment,
        &name,
        &json!({"f:spec": {"f:replicas": {}}}),
    );
    cluster.edit(ChildKind::Deployment, &name, |live| {
        live["spec"]["replicas"] = json!(3);
    });
    let (_, desired) = cluster.decide(&scaled);
    let changes = plan(&desired, &cluster.observed).children;
    let told: Vec<_> = changes.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            format!("hand over Deployment {name} (3 pods) to its autoscaler"),
            format!("update Deployment {name} (spec.replicas)"),
        ]
    );

    // What the autoscaler, or somebody by hand, makes of it then is none of our business.
    cluster.own(ChildKind::Deployment, &name, &json!({}));
    cluster.edit(ChildKind::Deployment, &name, |live| {
        live["spec"]["replicas"] = json!(7);
    });
    let (_, desired) = cluster.decide(&scaled);
    assert!(plan(&desired, &cluster.observed).is_empty());
    assert!(
        desired
            .children
            .iter()
            .any(|c| c.id == ChildId::new(ChildKind::HorizontalPodAutoscaler, &*name))
    );

    // Without autoscaling the number is ours again, and the autoscaler goes.
    let fixed_again = fixture::fixed_tracking(&scaled);
    let (_, desired) = cluster.decide(&fixed_again);
    let told: Vec<_> = plan(&desired, &cluster.observed)
        .children
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        told,
        [
            format!("update Deployment {name} (spec.replicas)"),
            format!("delete HorizontalPodAutoscaler {name} (not wanted any more)"),
        ]
    );
}

/// What is left of a difference right after an apply is how the API server keeps it.
#[test]
fn an_accepted_difference_is_not_applied_again() {
    let valid = fixture::valid();
    let mut cluster = Cluster::running(&valid);
    let name = Names(&valid.identity).workload(Workload::Shipment);
    let id = ChildId::new(ChildKind::Service, &*name);
    cluster.edit(id.kind, &name, |live| live["spec"]["type"] = json!("NodePort"));
    let (_, desired) = cluster.decide(&valid);
    let change = plan(&desired, &cluster.observed).children.remove(0);
    let Action::Update { differences, .. } = change.action else {
        panic!("{change}");
    };
    cluster.observed.accepted.insert(id.clone(), differences);
    assert!(plan(&desired, &cluster.observed).is_empty());
    cluster.edit(id.kind, &name, |live| {
        live["spec"]["type"] = json!("LoadBalancer");
    });
    assert_eq!(
        plan(&desired, &cluster.observed).children.len(),
        1,
        "another value is another difference"
    );
}

#[test]
fn a_field_that_is_fought_for_is_left_alone_and_others_are_not() {
    let valid = fixture::valid();
    let mut cluster = Cluster::running(&valid);
    let name = Names(&valid.identity).workload(Workload::Shipment);
    let id = ChildId::new(ChildKind::Service, &*name);
    cluster.edit(id.kind, &name, |live| live["spec"]["type"] = json!("NodePort"));
    let fight = Fight {
        paths: ["spec.type".to_owned()].into(),
        opponent: Some("meddler".into()),
        hold: std::time::Duration::from_secs(30),
    };
    cluster.observed.fights.insert(id.clone(), fight);
    let (_, desired) = cluster.decide(&valid);
    let held = plan(&desired, &cluster.observed);
    assert!(held.children.is_empty());
    assert_eq!(held.blocked[0].reason, Reason::FieldFight);
    assert!(
        held.blocked[0]
            .message
            .contains("meddler keeps changing spec.type"),
        "{held:?}"
    );
    cluster.edit(id.kind, &name, |live| {
        live["metadata"]["labels"]["app.kubernetes.io/name"] = json!("x");
    });
    assert_eq!(plan(&desired, &cluster.observed).children.len(), 1);
}
