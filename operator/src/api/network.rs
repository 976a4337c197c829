//! Which connections the pods take and make.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::text::Untyped;

/// Which connections the pods take and make.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NetworkPolicy {
    /// Enabled: pods take connections on the ports of gRPC and metrics only. Disabled: no `NetworkPolicy` is made.
    /// Default: Enabled.
    #[serde(default)]
    pub mode: NetworkPolicyMode,
    /// Who may call the services: peers as in `ingress.from` of a `NetworkPolicy`. Default: everybody.
    #[serde(default)]
    #[schemars(length(max = 16))]
    pub from: Vec<Untyped>,
    /// Restricts the connections that pods make to DNS, the brokers, the registry, the database and the receiver of spans, by
    /// their ports. Default: they are not restricted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub egress: Option<Egress>,
}

/// Whether `NetworkPolicy` objects are made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs, reason = "described at the field")]
pub enum NetworkPolicyMode {
    #[default]
    Enabled,
    Disabled,
}

/// What pods may connect to besides what the platform stands on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Egress {
    /// Further rules, as in `egress` of a `NetworkPolicy`: brokers that advertise other ports, a sidecar's server. Default: none.
    #[serde(default)]
    #[schemars(length(max = 16))]
    pub also: Vec<Untyped>,
}
