//! What is legal but seldom wanted.

use logistics_operator::api::{DeletionPolicy, LogLevel, LogisticsPlatform, PullPolicy, Tls, TlsMode};
use serde_json::{Value, json};

use super::finding::Finding;

/// Warnings about a platform that deserves no error.
pub(super) fn check(platform: &LogisticsPlatform) -> Vec<Finding> {
    let mut advice = Vec::new();
    let spec = &platform.spec;
    let mut warn =
        |field: &str, value: Value, message: &str| advice.push(Finding::warning(field, &value, message));
    for (field, tls) in [
        ("spec.kafka.tls.mode", &spec.kafka.tls),
        ("spec.schemaRegistry.tls.mode", &spec.schema_registry.tls),
        ("spec.database.tls.mode", &spec.database.tls),
    ] {
        if plain(tls) {
            warn(
                field,
                json!("Disabled"),
                "sends everything in plain text; use Verify wherever the server has a certificate",
            );
        }
    }
    if spec.auth.issuer.starts_with("http://") {
        warn(
            "spec.auth.issuer",
            json!(spec.auth.issuer),
            "is not https; whoever is in between can pose as the issuer",
        );
    }
    for (name, workload) in [
        ("shipment", &spec.workloads.shipment),
        ("tracking", &spec.workloads.tracking),
        ("analytics", &spec.workloads.analytics),
    ] {
        let field = format!("spec.workloads.{name}");
        // An autoscaler's bounds stand in for the number.
        let (least, most) = match &workload.autoscaling {
            Some(bounds) => (
                ("autoscaling.minReplicas", bounds.min_replicas),
                ("autoscaling.maxReplicas", bounds.max_replicas),
            ),
            None => (("replicas", workload.replicas), ("replicas", workload.replicas)),
        };
        if least.1 == 1 {
            warn(
                &format!("{field}.{}", least.0),
                json!(1),
                "is a single pod: an eviction or a drained node stops the workload; use 2 or more",
            );
        }
        if name != "shipment" && most.1 > spec.kafka.topics.partitions {
            let partitions = spec.kafka.topics.partitions;
            let message = format!(
                "pods for {partitions} partitions: the others read nothing; raise spec.kafka.topics.partitions before the topics exist"
            );
            warn(&format!("{field}.{}", most.0), json!(most.1), &message);
        }
        if workload
            .resources
            .limits
            .as_ref()
            .is_none_or(|limits| limits.memory.is_none())
        {
            warn(
                &format!("{field}.resources.limits.memory"),
                Value::Null,
                "is not set: one pod can take a node's memory; write for example 256Mi",
            );
        }
    }
    if spec.kafka.topics.replication_factor == 1 {
        warn(
            "spec.kafka.topics.replicationFactor",
            json!(1),
            "is a single copy: a broker that is away stops the events, and one that is lost loses them; use 3",
        );
    }
    if spec.suspend {
        warn(
            "spec.suspend",
            json!(true),
            "leaves everything as it is, also what breaks; set it to false when you are done",
        );
    }
    if spec.deletion_policy == DeletionPolicy::Delete {
        warn(
            "spec.deletionPolicy",
            json!("Delete"),
            "takes the topics with their records along when the platform is deleted; use Retain to keep them",
        );
    }
    if spec.version == "latest" {
        warn(
            "spec.version",
            json!("latest"),
            "can be another release at each pull, so that pods of one revision differ; name a release",
        );
    }
    if spec.image.pull_policy == PullPolicy::Never {
        warn(
            "spec.image.pullPolicy",
            json!("Never"),
            "runs only where the image was loaded into every node by hand",
        );
    }
    if matches!(spec.observability.log_level, LogLevel::Debug | LogLevel::Trace) {
        warn(
            "spec.observability.logLevel",
            json!(spec.observability.log_level),
            "costs time on every call; use it while you look for something, then go back to info",
        );
    }
    advice
}

fn plain(tls: &Tls) -> bool {
    tls.mode == TlsMode::Disabled
}
