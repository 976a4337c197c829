//! How many pods a workload has, and how many may be away.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::text::Untyped;

/// Lets a `HorizontalPodAutoscaler` choose the number of pods, by the use of the service's own container: a sidecar does not
/// skew it. The cluster needs the metrics API (metrics-server).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Autoscaling {
    /// Least number of pods. Default: 2.
    #[serde(default = "default_min_replicas")]
    #[schemars(range(min = 1, max = 100))]
    pub min_replicas: i32,
    /// Greatest number of pods, at least minReplicas.
    #[schemars(range(min = 1, max = 100))]
    pub max_replicas: i32,
    /// Wanted use of CPU, in percent of the request. Default: 70 where memory is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub cpu: Option<i32>,
    /// Wanted use of memory, in percent of the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub memory: Option<i32>,
    /// How fast the number changes: `spec.behavior` of a `HorizontalPodAutoscaler`. Default: Kubernetes' own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub behavior: Option<Untyped>,
}

const fn default_min_replicas() -> i32 {
    2
}

/// How many pods may be away at a time by an eviction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Disruption {
    /// Most pods that may be away. Pods that are not ready are always evictable. Default: 1.
    #[serde(default = "default_max_unavailable")]
    #[schemars(range(min = 1, max = 100))]
    pub max_unavailable: i32,
}

const fn default_max_unavailable() -> i32 {
    1
}

impl Default for Disruption {
    fn default() -> Self {
        Self {
            max_unavailable: default_max_unavailable(),
        }
    }
}
