//! The configuration file of a service: YAML, written by the operator, read at start. Secrets are never in it, only the
//! paths of the files that hold them.

mod events;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

pub use events::{Encoding, Kafka, Sasl, SaslMechanism, SchemaRegistry};
use serde::{Deserialize, Serialize};

use crate::Workload;

/// The configuration of one service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ServiceConfig {
    /// Whose service this is.
    pub platform: PlatformIdentity,
    /// Which service this is.
    pub workload: Workload,
    /// Where gRPC is served.
    pub grpc: Listener,
    /// Where `/livez`, `/readyz` and `/metrics` are served (HTTP).
    pub admin: Listener,
    /// Where parked records are looked at and taken up again (HTTP), by those services that have some. It asks nobody who
    /// they are: on any other address than the loopback, whoever reaches it may do so. Default: 127.0.0.1:9091.
    #[serde(default = "control", skip_serializing_if = "is_control")]
    pub control: Listener,
    /// The service's own schema in PostgreSQL.
    pub database: Database,
    /// The event log.
    pub kafka: Kafka,
    /// The registry of event schemas.
    pub schema_registry: SchemaRegistry,
    /// Whose tokens are accepted.
    pub auth: Auth,
    /// Where spans are sent; `None` sends none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub otlp: Option<Otlp>,
    /// Where answers are kept for some seconds; `None` keeps none. Read by the tracking service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache: Option<Cache>,
    /// Live streams; read by the tracking service.
    #[serde(default, skip_serializing_if = "Streams::is_default")]
    pub streams: Streams,
    /// Lowest level that is logged.
    pub log_level: LogLevel,
}

/// Port of [`ServiceConfig::control`].
pub const CONTROL_PORT: u16 = 9091;

/// The default of [`ServiceConfig::control`].
#[must_use]
pub fn control() -> Listener {
    Listener {
        listen: (Ipv4Addr::LOCALHOST, CONTROL_PORT).into(),
    }
}

fn is_control(listener: &Listener) -> bool {
    *listener == control()
}

/// The configuration of the migration: creates each service's schema and role.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MigrateConfig {
    /// Whose database this is.
    pub platform: PlatformIdentity,
    /// The database with its owner's credentials.
    pub database: Database,
    /// The role to make for each service.
    pub roles: Vec<ServiceRole>,
    /// Lowest level that is logged.
    pub log_level: LogLevel,
}

/// The database role of one service, which owns nothing and may use its own schema only.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ServiceRole {
    /// The service; its schema has the same name.
    pub workload: Workload,
    /// File with the role's name.
    pub username_file: PathBuf,
    /// File with the role's password.
    pub password_file: PathBuf,
}

/// Namespace and name of the `LogisticsPlatform`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PlatformIdentity {
    /// Kubernetes namespace.
    pub namespace: String,
    /// Name of the object.
    pub name: String,
}

/// A port that is served.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Listener {
    /// Address and port, for example `[::]:8080`.
    pub listen: SocketAddr,
}

/// A PostgreSQL database and the credentials for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Database {
    /// DNS name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Name of the database.
    pub name: String,
    /// How the server is verified.
    pub tls: Tls,
    /// File with the role's name; read again for each new connection.
    pub username_file: PathBuf,
    /// File with the role's password; read again for each new connection.
    pub password_file: PathBuf,
    /// Most connections at one time.
    pub max_connections: u32,
}

/// Who connects to a server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Credentials {
    /// File with the user's name; read again when it changes.
    pub username_file: PathBuf,
    /// File with the user's password; read again when it changes.
    pub password_file: PathBuf,
}

/// Where answers are kept for some seconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Cache {
    /// The server.
    pub redis: Redis,
}

/// A Redis server and the credentials for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Redis {
    /// DNS name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// How the server is verified.
    pub tls: Tls,
    /// Who connects; `None` for a server that asks nobody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials: Option<RedisCredentials>,
}

/// Who connects to a Redis server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RedisCredentials {
    /// File with the user's name; where there is none, it is Redis' `default`. Read again when it changes.
    pub username_file: PathBuf,
    /// File with the user's password; read again when it changes.
    pub password_file: PathBuf,
}

/// How a server is verified.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Tls {
    /// Verify, or plain text.
    pub mode: TlsMode,
    /// PEM file of the authorities to trust; `None` trusts the system's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
}

/// Whether a connection is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TlsMode {
    /// TLS; the server's certificate and name are verified.
    Verify,
    /// Plain text.
    Disabled,
}

/// Whose tokens are accepted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Auth {
    /// Required `iss`.
    pub issuer: String,
    /// Required in `aud`.
    pub audience: String,
    /// JSON Web Key Set; read again when the file changes.
    pub jwks_file: PathBuf,
}

/// Where spans are sent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Otlp {
    /// URL of an OTLP/gRPC receiver.
    pub endpoint: String,
    /// Share of traces that are kept where the caller has not decided, 0 to 1.
    pub sampling_ratio: f64,
}

/// Bounds of live streams in one replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Streams {
    /// Seconds after which a stream ends, so that its client opens it again, on any replica. Default 300.
    pub max_seconds: u32,
    /// Most streams at one time. Default 1000.
    pub max_open: u32,
    /// Most streams of one caller at one time. Default 20.
    pub max_open_per_caller: u32,
    /// Seconds after which the stream of a client that reads nothing ends. Default 10.
    pub slow_client_seconds: u32,
}

impl Default for Streams {
    fn default() -> Self {
        Self {
            max_seconds: 300,
            max_open: 1000,
            max_open_per_caller: 20,
            slow_client_seconds: 10,
        }
    }
}

impl Streams {
    /// Whether all bounds are the default ones.
    #[must_use]
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// Lowest level that is logged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
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

impl LogLevel {
    /// The level as a filter directive.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}
