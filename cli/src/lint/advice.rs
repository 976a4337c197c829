//! What is legal but seldom wanted.

use logistics_operator::api::{
    DeletionPolicy, LogLevel, LogisticsPlatform, LogisticsPlatformSpec, PullPolicy, TlsMode, WorkloadSpec,
};
use serde_json::{Value, json};

use super::finding::Finding;

/// Warnings about a platform that deserves no error.
pub(super) fn check(platform: &LogisticsPlatform) -> Vec<Finding> {
    let spec = &platform.spec;
    let mut advice = Advice::default();
    advice.connections(spec);
    for (name, workload) in [
        ("shipment", &spec.workloads.shipment),
        ("tracking", &spec.workloads.tracking),
        ("analytics", &spec.workloads.analytics),
    ] {
        advice.workload(name, workload, spec.kafka.topics.partitions);
    }
    advice.data(spec);
    advice.release(spec);
    advice.0
}

#[derive(Default)]
struct Advice(Vec<Finding>);

impl Advice {
    fn warn(&mut self, field: &str, value: impl Into<Value>, message: &str) {
        self.0.push(Finding::warning(field, &value.into(), message));
    }

    fn connections(&mut self, spec: &LogisticsPlatformSpec) {
        for (field, tls) in [
            ("spec.kafka.tls.mode", &spec.kafka.tls),
            ("spec.schemaRegistry.tls.mode", &spec.schema_registry.tls),
            ("spec.database.tls.mode", &spec.database.tls),
        ] {
            if tls.mode == TlsMode::Disabled {
                let message =
                    "sends everything in plain text; use Verify wherever the server has a certificate";
                self.warn(field, "Disabled", message);
            }
        }
        if spec.auth.issuer.starts_with("http://") {
            let message = "is not https; whoever is in between can pose as the issuer";
            self.warn("spec.auth.issuer", spec.auth.issuer.as_str(), message);
        }
    }

    fn workload(&mut self, name: &str, workload: &WorkloadSpec, partitions: i32) {
        let field = |rest: &str| format!("spec.workloads.{name}.{rest}");
        // An autoscaler's bounds stand in for the number.
        let (least, most) = match &workload.autoscaling {
            Some(bounds) => (
                ("autoscaling.minReplicas", bounds.min_replicas),
                ("autoscaling.maxReplicas", bounds.max_replicas),
            ),
            None => (("replicas", workload.replicas), ("replicas", workload.replicas)),
        };
        if least.1 == 1 {
            let message = "is a single pod: an eviction or a drained node stops the workload; use 2 or more";
            self.warn(&field(least.0), 1, message);
        }
        if name != "shipment" && most.1 > partitions {
            let message = format!(
                "pods for {partitions} partitions: the others read nothing; raise spec.kafka.topics.partitions before the topics exist"
            );
            self.warn(&field(most.0), most.1, &message);
        }
        let limits = workload.resources.limits.as_ref();
        if limits.is_none_or(|limits| limits.memory.is_none()) {
            let message = "is not set: one pod can take a node's memory; write for example 256Mi";
            self.warn(&field("resources.limits.memory"), Value::Null, message);
        }
    }

    fn data(&mut self, spec: &LogisticsPlatformSpec) {
        if spec.kafka.topics.replication_factor == 1 {
            let message = "is a single copy: a broker that is away stops the events, and one that is lost loses them; use 3";
            self.warn("spec.kafka.topics.replicationFactor", 1, message);
        }
        if spec.deletion_policy == DeletionPolicy::Delete {
            let message = "takes the topics with their records along when the platform is deleted; use Retain to keep them";
            self.warn("spec.deletionPolicy", "Delete", message);
        }
    }

    fn release(&mut self, spec: &LogisticsPlatformSpec) {
        if spec.suspend {
            let message = "leaves everything as it is, also what breaks; set it to false when you are done";
            self.warn("spec.suspend", true, message);
        }
        if spec.version == "latest" {
            let message =
                "can be another release at each pull, so that pods of one revision differ; name a release";
            self.warn("spec.version", "latest", message);
        }
        if spec.image.pull_policy == PullPolicy::Never {
            let message = "runs only where the image was loaded into every node by hand";
            self.warn("spec.image.pullPolicy", "Never", message);
        }
        let level = spec.observability.log_level;
        if matches!(level, LogLevel::Debug | LogLevel::Trace) {
            let message =
                "costs time on every call; use it while you look for something, then go back to info";
            self.warn("spec.observability.logLevel", json!(level), message);
        }
    }
}
