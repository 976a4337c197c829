//! The workloads: images, replicas, resources, logs and traces.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::scaling::{Autoscaling, Disruption};
use super::text::Untyped;
use super::text::told;
use super::{LocalRef, Quantity};

/// Where the images come from: `{repository}/{workload}:{version}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Image {
    /// Registry host and path before the workload's name. Default: the repository that `make images` builds into.
    #[serde(default = "default_repository")]
    #[schemars(length(min = 1, max = 200))]
    #[x_kube(validation = Rule::new("self.matches('^[a-z0-9]([a-z0-9._-]*[a-z0-9])?(:[0-9]{1,5})?(/[a-z0-9]([a-z0-9._-]*[a-z0-9])?)*$')")
        .message(told("spec.image.repository", "self", "is not an image repository; leave out the scheme, the workload and the tag, for example localhost/logistics")))]
    pub repository: String,
    /// When the kubelet pulls. Default: `IfNotPresent`.
    #[serde(default)]
    pub pull_policy: PullPolicy,
    /// Secrets with registry credentials, in the platform's namespace.
    #[serde(default)]
    #[schemars(length(max = 8))]
    pub pull_secrets: Vec<LocalRef>,
}

impl Default for Image {
    fn default() -> Self {
        Self {
            repository: default_repository(),
            pull_policy: PullPolicy::default(),
            pull_secrets: Vec::new(),
        }
    }
}

fn default_repository() -> String {
    "localhost/logistics".into()
}

/// When the kubelet pulls an image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs, reason = "the names are Kubernetes' own")]
pub enum PullPolicy {
    Always,
    #[default]
    IfNotPresent,
    Never,
}

impl PullPolicy {
    /// The value in a pod template.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Always => "Always",
            Self::IfNotPresent => "IfNotPresent",
            Self::Never => "Never",
        }
    }
}

/// How each workload runs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Workloads {
    /// Takes orders and scans; the only writer of shipments.
    #[serde(default)]
    pub shipment: WorkloadSpec,
    /// Projects shipment events into timelines.
    #[serde(default)]
    pub tracking: WorkloadSpec,
    /// Scores risk and estimates arrival.
    #[serde(default)]
    pub analytics: WorkloadSpec,
}

/// How one workload runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorkloadSpec {
    /// Release of this workload, where it differs from spec.version. Default: spec.version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128))]
    #[x_kube(validation = Rule::new("self.matches('^[A-Za-z0-9_][A-Za-z0-9._-]*$')")
        .message(told("version", "self", "is not an image tag; use letters, digits, '.', '_' and '-', for example \"0.1.0\"")))]
    pub version: Option<String>,
    /// Number of pods; without effect while autoscaling is set. Default: 2.
    #[serde(default = "default_replicas")]
    #[schemars(range(min = 1, max = 100))]
    pub replicas: i32,
    /// Lets a `HorizontalPodAutoscaler` choose the number of pods. Default: the number is replicas.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub autoscaling: Option<Autoscaling>,
    /// CPU and memory of each pod; what is given replaces the default as a whole.
    #[serde(default = "Resources::standard")]
    pub resources: Resources,
    /// How many pods an eviction, a node's drain for example, may take away at a time.
    #[serde(default)]
    pub disruption: Disruption,
    /// Merged into the workload's pod template as the last step, with Kubernetes' own fields: lists whose items have names
    /// (containers, volumes, env …) by name, other lists as a whole, null removes a field. The service's container is named
    /// after the workload.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod_template: Option<Untyped>,
}

impl Default for WorkloadSpec {
    fn default() -> Self {
        Self {
            version: None,
            replicas: default_replicas(),
            autoscaling: None,
            resources: Resources::standard(),
            disruption: Disruption::default(),
            pod_template: None,
        }
    }
}

const fn default_replicas() -> i32 {
    2
}

/// CPU and memory of a container.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Resources {
    /// What the scheduler sets aside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests: Option<ResourceList>,
    /// What the container may use at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<ResourceList>,
}

impl Resources {
    /// Small requests and a memory limit; no CPU limit, which would only add latency.
    fn standard() -> Self {
        let quantity = |text: &str| Some(Quantity(text.into()));
        Self {
            requests: Some(ResourceList {
                cpu: quantity("25m"),
                memory: quantity("64Mi"),
            }),
            limits: Some(ResourceList {
                cpu: None,
                memory: quantity("256Mi"),
            }),
        }
    }
}

/// Amounts of CPU and memory.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ResourceList {
    /// CPU in cores, for example "250m".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu: Option<Quantity>,
    /// Memory in bytes, for example "256Mi".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<Quantity>,
}

/// Logs and traces.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Observability {
    /// Where spans are sent; absent sends none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub otlp: Option<Otlp>,
    /// Lowest level that the workloads log. Default: info.
    #[serde(default)]
    pub log_level: LogLevel,
    /// A `PodMonitor` for the Prometheus Operator; absent makes none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prometheus: Option<Prometheus>,
}

/// How Prometheus finds the workloads' metrics.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Prometheus {
    /// How often metrics are read, 5s to 10m. Default: 30s.
    #[serde(default = "default_scrape_interval")]
    #[schemars(length(min = 2, max = 16))]
    #[x_kube(validation = Rule::new("self.matches('^([0-9]{1,6}(h|m|s))+$') && duration(self) >= duration('5s') && duration(self) <= duration('10m')")
        .message(told("spec.observability.prometheus.interval", "self", "is not between 5s and 10m; write for example 30s")))]
    pub interval: String,
    /// Labels by which your Prometheus selects its `PodMonitor`s, for example `release: prometheus`.
    #[serde(default)]
    #[schemars(extend("maxProperties" = 16))]
    pub labels: std::collections::BTreeMap<String, String>,
}

fn default_scrape_interval() -> String {
    "30s".into()
}

/// Where spans are sent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Otlp {
    /// URL of an OTLP/gRPC receiver, for example `http://collector.observability.svc:4317`.
    #[schemars(length(min = 1, max = 512))]
    #[x_kube(validation = Rule::new("self.matches('^https?://[^/ ]+$')")
        .message(told("spec.observability.otlp.endpoint", "self", "is not http(s)://host:port; write for example http://collector.observability.svc:4317")))]
    pub endpoint: String,
    /// Share of traces that are kept where the caller has not decided, 0 to 1. Default: 1.
    #[serde(default = "default_sampling_ratio")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub sampling_ratio: f64,
}

const fn default_sampling_ratio() -> f64 {
    1.0
}

/// Lowest level that is logged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "the names say it")]
pub enum LogLevel {
    Error,
    Warn,
    #[default]
    Info,
    Debug,
    Trace,
}
