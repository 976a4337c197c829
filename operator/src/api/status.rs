//! What was found and done.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What was found and done, written from what was applied.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlatformStatus {
    /// The `metadata.generation` that this status is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Ready, Progressing, Degraded, and one for each concern.
    #[serde(default)]
    #[schemars(
        length(max = 16),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"])
    )]
    pub conditions: Vec<Condition>,
    /// The platform's revision that takes calls: a hash of the three workloads', the schemas' and the topics'.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// The release that takes calls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The workloads.
    #[serde(default)]
    #[schemars(length(max = 8))]
    pub workloads: Vec<WorkloadStatus>,
    /// The topics that exist.
    #[serde(default)]
    #[schemars(length(max = 64))]
    pub topics: Vec<TopicStatus>,
    /// The subjects that are registered.
    #[serde(default)]
    #[schemars(length(max = 64))]
    pub subjects: Vec<SubjectStatus>,
}

/// One workload's revision that takes calls.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorkloadStatus {
    /// Name of the workload.
    pub name: String,
    /// The revision that takes calls.
    pub revision: String,
    /// The release of that revision.
    pub version: String,
    /// Pods that are wanted.
    pub replicas: i32,
    /// Pods that are ready.
    pub ready_replicas: i32,
    /// Where the workload is called: host and port inside the cluster.
    pub endpoint: String,
}

/// One topic.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TopicStatus {
    /// Name of the topic, prefix included.
    pub name: String,
    /// Number of partitions.
    pub partitions: i32,
}

/// One subject.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SubjectStatus {
    /// Name of the subject.
    pub name: String,
    /// Identifier of its newest schema.
    pub id: i64,
    /// Version of its newest schema.
    pub version: i64,
}
