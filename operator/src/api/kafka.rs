//! The event backbone, its topics, and who connects to it.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::backing::{Credentials, Tls};
use super::text::told;

/// The event backbone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.sasl) || self.sasl.mechanism != 'PLAIN' || self.tls.mode == 'Verify'")
    .message(told("spec.kafka.sasl.mechanism", "self.sasl.mechanism", "sends the password as it is; set spec.kafka.tls.mode to Verify, or use SCRAM-SHA-512"))
    .field_path(".sasl.mechanism"))]
pub struct Kafka {
    /// Brokers to start from, as comma-separated `host:port`.
    #[schemars(length(min = 1, max = 1024))]
    #[x_kube(validation = Rule::new("self.matches('^[A-Za-z0-9._-]+:[0-9]{1,5}(,[A-Za-z0-9._-]+:[0-9]{1,5})*$') && self.split(',').all(server, int(server.split(':')[1]) >= 1 && int(server.split(':')[1]) <= 65535)")
        .message(told("spec.kafka.bootstrapServers", "self", "is not a list of host:port, ports 1 to 65535; write for example kafka-0.kafka:9093,kafka-1.kafka:9093")))]
    pub bootstrap_servers: String,
    /// How the brokers are verified. Default: against the system's authorities.
    #[serde(default)]
    pub tls: Tls,
    /// Who connects. Default: nobody is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sasl: Option<Sasl>,
    /// Put before each topic's name. Default: none.
    #[serde(default)]
    #[schemars(length(max = 100))]
    #[x_kube(validation = Rule::new("self.matches('^[A-Za-z0-9._-]*$')")
        .message(told("spec.kafka.topicPrefix", "self", "holds a character that Kafka refuses; use letters, digits, '.', '_' and '-', for example acme.")))]
    pub topic_prefix: String,
    /// The topics of the platform.
    #[serde(default)]
    pub topics: Topics,
    /// How often topics and subjects are compared with what they should be, 5s to 1h. Default: 30s. A registry with
    /// more than 750 subjects is read less often: it is asked fifty times a second at most.
    #[serde(default = "default_resync")]
    #[schemars(length(min = 2, max = 16))]
    #[x_kube(validation = Rule::new("self.matches('^([0-9]{1,6}(h|m|s))+$') && duration(self) >= duration('5s') && duration(self) <= duration('1h')")
        .message(told("spec.kafka.resync", "self", "is not between 5s and 1h; write for example 30s")))]
    pub resync: String,
}

fn default_resync() -> String {
    "30s".into()
}

/// The topics of the platform.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Topics {
    /// Partitions of each topic. Cannot change later: keys would move to other partitions. Default: 6.
    #[serde(default = "default_partitions")]
    #[schemars(range(min = 1, max = 1000))]
    pub partitions: i32,
    /// Copies of each partition, at most the number of brokers. Default: 3.
    #[serde(default = "default_replication_factor")]
    #[schemars(range(min = 1, max = 10))]
    pub replication_factor: i32,
    /// How long records are kept, 1h to 10 years, in hours, minutes and seconds. Default: 168h.
    #[serde(default = "default_retention")]
    #[schemars(length(min = 2, max = 16))]
    #[x_kube(validation = Rule::new("self.matches('^([0-9]{1,6}(h|m|s))+$') && duration(self) >= duration('1h') && duration(self) <= duration('87600h')")
        .message(told("spec.kafka.topics.retention", "self", "is not between 1h and 87600h; write for example 168h")))]
    pub retention: String,
}

impl Default for Topics {
    fn default() -> Self {
        Self {
            partitions: default_partitions(),
            replication_factor: default_replication_factor(),
            retention: default_retention(),
        }
    }
}

const fn default_partitions() -> i32 {
    6
}

const fn default_replication_factor() -> i32 {
    3
}

fn default_retention() -> String {
    "168h".into()
}

/// Who connects to the brokers: the operator, which makes topics and sets their configuration, and the workloads, which
/// read and write them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Sasl {
    /// How the password is shown to be known. PLAIN sends it, so it needs TLS. Default: SCRAM-SHA-512.
    #[serde(default)]
    pub mechanism: SaslMechanism,
    /// The user.
    pub credentials: Credentials,
}

/// How a password is shown to be known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs, reason = "the names are SASL's own")]
pub enum SaslMechanism {
    #[default]
    #[serde(rename = "SCRAM-SHA-512")]
    ScramSha512,
    #[serde(rename = "SCRAM-SHA-256")]
    ScramSha256,
    #[serde(rename = "PLAIN")]
    Plain,
}
