//! Where answers are kept for some seconds.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::backing::{Credentials, Tls};
use super::text::told;

/// Where the tracking service keeps timelines for five seconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Cache {
    /// The server.
    pub redis: Redis,
}

/// A Redis server, 6.2 or later, or Valkey; no Redis Cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Redis {
    /// DNS name or address of the server, or of what leads to the primary.
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = Rule::new("self.matches('^[A-Za-z0-9]([A-Za-z0-9.:-]*[A-Za-z0-9])?$')")
        .message(told("spec.cache.redis.host", "self", "is not a host name; leave out scheme and port, for example redis.backing.svc")))]
    pub host: String,
    /// TCP port. Default: 6379.
    #[serde(default = "default_port")]
    #[schemars(range(min = 1, max = 65535))]
    pub port: i32,
    /// How the server is verified. Default: against the system's authorities.
    #[serde(default)]
    pub tls: Tls,
    /// Who connects; without a key `username` in the Secret it is Redis' user `default`. Default: nobody is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials: Option<Credentials>,
}

const fn default_port() -> i32 {
    6379
}
