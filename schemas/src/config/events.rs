//! The event log, and the registry of what is in it.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{Credentials, Tls};

/// The Kafka cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Kafka {
    /// Comma-separated `host:port`.
    pub bootstrap_servers: String,
    /// How the brokers are verified.
    pub tls: Tls,
    /// How the service says who it is; `None` for brokers that ask nobody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sasl: Option<Sasl>,
    /// Put before each topic's name.
    pub topic_prefix: String,
    /// The service's consumer group.
    pub group_id: String,
}

/// How a client of Kafka says who it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Sasl {
    /// How the password is shown to be known.
    pub mechanism: SaslMechanism,
    /// File with the user's name; read again when it changes.
    pub username_file: PathBuf,
    /// File with the user's password; read again when it changes.
    pub password_file: PathBuf,
}

/// How a client of Kafka shows that it knows a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum SaslMechanism {
    /// By a challenge: the password itself is not sent.
    #[serde(rename = "SCRAM-SHA-512")]
    ScramSha512,
    /// The same with a shorter digest.
    #[serde(rename = "SCRAM-SHA-256")]
    ScramSha256,
    /// The password is sent, so that only TLS keeps it secret.
    #[serde(rename = "PLAIN")]
    Plain,
}

impl SaslMechanism {
    /// The name as it is registered.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ScramSha512 => "SCRAM-SHA-512",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::Plain => "PLAIN",
        }
    }
}

/// A schema registry with the Confluent API.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SchemaRegistry {
    /// Base URL, before `/subjects`.
    pub url: String,
    /// How the registry is verified.
    pub tls: Tls,
    /// Who asks, by HTTP's basic authentication; `None` for a registry that asks nobody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials: Option<Credentials>,
    /// How events are written; they are read in every encoding at any time. Default: Avro.
    #[serde(default, skip_serializing_if = "Encoding::is_default")]
    pub encoding: Encoding,
}

/// How events are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Encoding {
    /// Avro in the registry's wire format.
    #[default]
    Avro,
    /// JSON.
    Json,
}

impl Encoding {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}
