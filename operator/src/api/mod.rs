//! The custom resource `LogisticsPlatform`, version `v1alpha1`.
//!
//! These types are the source of `crds/logisticsplatforms.yaml`: descriptions, defaults, bounds and rules are written
//! here only. A rule's message names the field, what is wrong and what to write instead.

#![allow(
    unreachable_pub,
    reason = "`KubeSchema` repeats each type, with its visibility, inside a function"
)]

mod backing;
mod cache;
mod crd;
mod kafka;
mod network;
mod scaling;
mod status;
mod text;
mod workloads;

pub use backing::{
    Auth, CaRef, Compatibility, Credentials, Database, Encoding, Jwks, JwksRef, LocalRef, SchemaRegistry,
    Tls, TlsMode,
};
pub use cache::{Cache, Redis};
pub use crd::{definition, to_yaml};
pub use kafka::{Kafka, Sasl, SaslMechanism, Topics};
use kube::{CustomResource, KubeSchema};
pub use network::{Egress, NetworkPolicy, NetworkPolicyMode};
pub use scaling::{Autoscaling, Disruption};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
pub use status::{PlatformStatus, SubjectStatus, TopicStatus, WorkloadStatus};
use text::told;
pub use text::{Quantity, Untyped};
pub use workloads::{
    Image, LogLevel, Observability, Otlp, Prometheus, PullPolicy, ResourceList, Resources, WorkloadSpec,
    Workloads,
};

/// API group of all kinds of this project.
pub const GROUP: &str = "logistics-platform.io";

/// Longest name of a platform: the names of its children must fit into 63 characters.
pub const MAX_NAME_LENGTH: usize = 40;

/// What a whole event-driven logistics platform should be.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "logistics-platform.io",
    version = "v1alpha1",
    kind = "LogisticsPlatform",
    plural = "logisticsplatforms",
    namespaced,
    shortname = "lp",
    category = "logistics",
    status = "PlatformStatus",
    derive = "PartialEq",
    doc = "An event-driven logistics platform: three gRPC workloads with their topics, schemas and database.",
    validation = Rule::new("self.metadata.name.size() <= 40")
        .message(told("metadata.name", "self.metadata.name", "has more than 40 characters; choose a shorter name, as names of children are made from it")),
    validation = Rule::new("self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')")
        .message(told("metadata.name", "self.metadata.name", "must start with a letter and hold only a-z, 0-9 and '-', as Services are named after it")),
    printcolumn(name = "Ready", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].status"#),
    printcolumn(name = "Version", type_ = "string", json_path = ".status.version"),
    printcolumn(name = "Revision", type_ = "string", json_path = ".status.revision"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].reason"#,
        priority = 1
    )
)]
#[serde(rename_all = "camelCase")]
pub struct LogisticsPlatformSpec {
    /// Release to run: the image tag of the three workloads, for example "0.1.0".
    #[schemars(length(min = 1, max = 128))]
    #[x_kube(validation = Rule::new("self.matches('^[A-Za-z0-9_][A-Za-z0-9._-]*$')")
        .message(told("spec.version", "self", "is not an image tag; use letters, digits, '.', '_' and '-', for example \"0.1.0\"")))]
    pub version: String,
    /// Where the images come from.
    #[serde(default)]
    pub image: Image,
    /// How each workload runs.
    #[serde(default)]
    pub workloads: Workloads,
    /// The event backbone.
    pub kafka: Kafka,
    /// Where the schemas of events are registered.
    pub schema_registry: SchemaRegistry,
    /// The PostgreSQL database of this platform; no other platform may use it.
    pub database: Database,
    /// Where timelines are kept for five seconds, so that many reads of the same ones cost the database little. Default: nowhere.
    /// The platform does not depend on it: while it is away, reads are only slower.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache: Option<Cache>,
    /// Whose tokens the workloads accept.
    pub auth: Auth,
    /// Logs, traces and metrics.
    #[serde(default)]
    pub observability: Observability,
    /// Which connections the pods take and make. A network plug-in that does not know `NetworkPolicy` ignores it.
    #[serde(default)]
    pub network_policy: NetworkPolicy,
    /// Leaves everything as it is while true: nothing is made, repaired, released or removed. Default: false.
    #[serde(default)]
    pub suspend: bool,
    /// Takes over objects of the platform's names that exist and that nobody controls. Default: false, they are reported.
    #[serde(default)]
    pub adopt: bool,
    /// What becomes of topics and subjects when the platform is deleted. The database always stays. Default: Retain.
    #[serde(default)]
    pub deletion_policy: DeletionPolicy,
}

/// What becomes of what is outside Kubernetes when a platform is deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DeletionPolicy {
    /// It stays.
    #[default]
    Retain,
    /// It is deleted too. While that is not possible, the platform waits for it, five minutes at most.
    Delete,
}
