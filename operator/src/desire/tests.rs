//! What the sample becomes, as text to be read: `tests/golden/`, one file for each kind.

use serde_json::Value;

use crate::child::ChildKind;
use crate::fixture::{self, Cluster};
use crate::validate::ValidPlatform;

/// All objects of a kind as YAML documents.
fn documents(valid: &ValidPlatform, kind: ChildKind) -> String {
    let (_, desired) = Cluster::running(valid).decide(valid);
    let objects = desired.children.into_iter().filter(|child| child.id.kind == kind);
    objects
        .map(|child| serde_norway::to_string(&child.object).unwrap())
        .collect::<Vec<_>>()
        .join("---\n")
}

fn golden(name: &str, kind: ChildKind) {
    golden_of(&fixture::valid(), name, kind);
}

fn golden_of(valid: &ValidPlatform, name: &str, kind: ChildKind) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../../tests/golden");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, documents(valid, kind)));
}

#[test]
fn service_accounts() {
    golden("service-accounts", ChildKind::ServiceAccount);
}

#[test]
fn secrets() {
    golden("secrets", ChildKind::Secret);
}

#[test]
fn config_maps() {
    golden("config-maps", ChildKind::ConfigMap);
}

#[test]
fn jobs() {
    golden("jobs", ChildKind::Job);
}

#[test]
fn deployments() {
    golden("deployments", ChildKind::Deployment);
}

#[test]
fn services() {
    golden("services", ChildKind::Service);
}

#[test]
fn network_policies() {
    golden("network-policies", ChildKind::NetworkPolicy);
}

#[test]
fn disruption_budgets() {
    golden("disruption-budgets", ChildKind::PodDisruptionBudget);
}

/// The sample with every optional field: what these fields become.
#[test]
fn everything() {
    let valid = fixture::everything();
    for (name, kind) in [
        ("everything-deployments", ChildKind::Deployment),
        ("everything-autoscalers", ChildKind::HorizontalPodAutoscaler),
        ("everything-network-policies", ChildKind::NetworkPolicy),
        ("everything-disruption-budgets", ChildKind::PodDisruptionBudget),
        ("everything-pod-monitors", ChildKind::PodMonitor),
    ] {
        golden_of(&valid, name, kind);
    }
}

/// A selector never changes in a Deployment's life, so nothing that a user writes may come near it.
#[test]
fn selectors_fit_their_pods() {
    let valid = fixture::everything();
    let (_, desired) = Cluster::running(&valid).decide(&valid);
    for child in desired
        .children
        .iter()
        .filter(|child| child.id.kind == ChildKind::Deployment)
    {
        let selector = child.object["spec"]["selector"]["matchLabels"]
            .as_object()
            .unwrap();
        let labels = &child.object["spec"]["template"]["metadata"]["labels"];
        assert!(
            selector.iter().all(|(key, value)| labels[key] == *value),
            "{}",
            child.id
        );
    }
}

/// The file that a service reads is what the operator writes: the same types, and no field lost on the way.
#[test]
fn the_configuration_can_be_read_by_a_service() {
    let valid = fixture::valid();
    let (_, desired) = Cluster::running(&valid).decide(&valid);
    let configs = desired
        .children
        .iter()
        .filter(|child| child.id.kind == ChildKind::ConfigMap);
    let (mut services, mut migrations) = (0, 0);
    for config in configs {
        let text = config.object["data"]["config.yaml"].as_str().unwrap();
        if config.id.name.contains("migrate") {
            let read: logistics_schemas::config::MigrateConfig = serde_norway::from_str(text).unwrap();
            assert_eq!(read.roles.len(), 3);
            migrations += 1;
        } else {
            let read: logistics_schemas::config::ServiceConfig = serde_norway::from_str(text).unwrap();
            assert_eq!(read.kafka.group_id, format!("logistics.acme.{}", read.workload));
            services += 1;
        }
    }
    assert_eq!((services, migrations), (3, 1));
}

/// Tracking alone knows the cache, and finds the files that its configuration names where its pods mount them.
#[test]
fn the_cache_is_that_of_tracking() {
    let valid = fixture::everything();
    let (_, desired) = Cluster::running(&valid).decide(&valid);
    let mut caches = Vec::new();
    for child in &desired.children {
        let text = child.object["data"]["config.yaml"].as_str().unwrap_or_default();
        let read = serde_norway::from_str::<logistics_schemas::config::ServiceConfig>(text);
        if let Ok(config) = read {
            caches.extend(config.cache.map(|cache| (config.workload, cache.redis)));
        }
    }
    let [(workload, redis)] = caches.as_slice() else {
        panic!("{caches:?}")
    };
    assert_eq!(*workload, logistics_schemas::Workload::Tracking);
    let deployments = desired
        .children
        .iter()
        .filter(|child| child.id.kind == ChildKind::Deployment)
        .map(|child| child.object.to_string());
    let files = redis.credentials.as_ref().unwrap();
    for file in [&files.password_file, redis.tls.ca_file.as_ref().unwrap()] {
        let mount = format!("\"mountPath\":\"{}\"", file.parent().unwrap().display());
        let mounting = deployments.clone().filter(|text| text.contains(&mount));
        assert_eq!(mounting.count(), 1, "{mount}");
    }
}

/// Every service knows who connects to Kafka and who asks the registry by files, which its pods mount from the Secrets.
#[test]
fn users_of_kafka_and_the_registry_are_in_mounted_files() {
    let valid = fixture::everything();
    let (_, desired) = Cluster::running(&valid).decide(&valid);
    let of_kind = |kind| desired.children.iter().filter(move |child| child.id.kind == kind);
    let configs: Vec<logistics_schemas::config::ServiceConfig> = of_kind(ChildKind::ConfigMap)
        .filter_map(|child| serde_norway::from_str(child.object["data"]["config.yaml"].as_str()?).ok())
        .collect();
    assert_eq!(configs.len(), 3);
    for config in configs {
        let sasl = config.kafka.sasl.unwrap();
        let registry = config.schema_registry.credentials.unwrap();
        let folders = [
            (sasl.username_file, sasl.password_file, "everything-kafka"),
            (
                registry.username_file,
                registry.password_file,
                "everything-registry",
            ),
        ];
        let mut deployments = of_kind(ChildKind::Deployment);
        let component = config.workload.name();
        let pod = deployments
            .find(|child| child.object["metadata"]["labels"]["app.kubernetes.io/component"] == component)
            .map(|child| &child.object["spec"]["template"]["spec"])
            .unwrap();
        for (username, password, secret) in folders {
            let folder = username.parent().unwrap().to_string_lossy();
            assert_eq!(password, username.with_file_name("password"));
            let mounts = pod["containers"][0]["volumeMounts"].as_array().unwrap();
            let mount = mounts.iter().find(|mount| mount["mountPath"] == *folder).unwrap();
            let volumes = pod["volumes"].as_array().unwrap();
            let volume = volumes.iter().find(|it| it["name"] == mount["name"]).unwrap();
            assert_eq!(volume["secret"]["secretName"], secret, "{component}");
        }
    }
}

/// The restricted Pod Security standard, for every pod that the operator makes.
#[test]
fn pods_are_restricted() {
    let valid = fixture::valid();
    let (_, desired) = Cluster::running(&valid).decide(&valid);
    let templates = desired
        .children
        .iter()
        .filter(|c| matches!(c.id.kind, ChildKind::Deployment | ChildKind::Job));
    let mut count = 0;
    for template in templates {
        let spec = &template.object["spec"]["template"]["spec"];
        assert_eq!(spec["securityContext"]["runAsNonRoot"], true);
        assert_eq!(
            spec["securityContext"]["seccompProfile"]["type"],
            "RuntimeDefault"
        );
        assert_eq!(spec["automountServiceAccountToken"], false);
        for container in spec["containers"].as_array().unwrap() {
            let security = &container["securityContext"];
            assert_eq!(security["allowPrivilegeEscalation"], false);
            assert_eq!(security["readOnlyRootFilesystem"], true);
            assert_eq!(security["capabilities"]["drop"], serde_json::json!(["ALL"]));
        }
        count += 1;
    }
    assert_eq!(count, 4);
}

/// The owner's credentials are seen by the migration alone, and no secret is in any other kind of object.
#[test]
fn secrets_stay_where_they_belong() {
    let valid = fixture::valid();
    let cluster = Cluster::running(&valid);
    let (_, desired) = cluster.decide(&valid);
    for child in &desired.children {
        let text = child.object.to_string();
        if child.id.kind != ChildKind::Job {
            assert!(
                !text.contains("acme-db\""),
                "{} mounts the owner's credentials",
                child.id
            );
        }
        if child.id.kind != ChildKind::Secret {
            assert!(!text.contains("first-"), "{} holds a password", child.id);
        }
    }
    assert!(!format!("{:?}", cluster.fresh).contains("first-"));
}

/// Owner references let Kubernetes collect all children when the platform is deleted.
#[test]
fn every_child_names_its_platform() {
    let valid = fixture::valid();
    let (_, desired) = Cluster::running(&valid).decide(&valid);
    for child in desired.children {
        let owner: &Value = &child.object["metadata"]["ownerReferences"][0];
        assert_eq!(owner["uid"], valid.uid.as_str());
        assert_eq!(owner["controller"], true);
        assert_eq!(owner["blockOwnerDeletion"], true);
    }
}
