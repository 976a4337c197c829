//! What a platform stands on beside Kafka: the schema registry, PostgreSQL, the issuer of tokens.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::text::told;

/// Where the schemas of events are registered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.url.startsWith('https://') == (self.tls.mode == 'Verify')")
    .message(told("spec.schemaRegistry.url", "self.url", "and tls.mode disagree; use https:// with tls.mode Verify, or http:// with tls.mode Disabled"))
    .field_path(".url"))]
#[x_kube(validation = Rule::new("self.tls.mode == 'Verify' || !has(self.credentials)")
    .message(told("spec.schemaRegistry.tls.mode", "self.tls.mode", "would send the password of credentials as it is; use https:// with tls.mode Verify, or leave credentials out"))
    .field_path(".tls.mode"))]
pub struct SchemaRegistry {
    /// Base URL of a registry with the Confluent API, before `/subjects`.
    #[schemars(length(min = 1, max = 512))]
    #[x_kube(validation = Rule::new("self.matches('^https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?(/[A-Za-z0-9._/-]*)?$')")
        .message(told("spec.schemaRegistry.url", "self", "is not a plain http(s) URL; write for example https://registry.example.org/apis/ccompat/v7")))]
    pub url: String,
    /// How the registry is verified. Default: against the system's authorities.
    #[serde(default)]
    pub tls: Tls,
    /// Who asks, by HTTP's basic authentication; it needs TLS. Default: nobody is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials: Option<Credentials>,
    /// Which changes of a schema the registry accepts. Default: BACKWARD.
    #[serde(default)]
    pub compatibility: Compatibility,
    /// How events are written, from the next revision on; they are read in both encodings at any time. What is written as JSON
    /// takes more room, and no registry checks it. Default: Avro.
    #[serde(default)]
    pub encoding: Encoding,
}

/// How events are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Encoding {
    /// Avro in the registry's wire format.
    #[default]
    Avro,
    /// JSON, for consumers that have no Avro.
    Json,
}

/// Which changes of a schema a registry accepts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[allow(missing_docs, reason = "the names are the registry's own")]
pub enum Compatibility {
    #[default]
    Backward,
    BackwardTransitive,
    Forward,
    ForwardTransitive,
    Full,
    FullTransitive,
    None,
}

impl Compatibility {
    /// The value in the registry's API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Backward => "BACKWARD",
            Self::BackwardTransitive => "BACKWARD_TRANSITIVE",
            Self::Forward => "FORWARD",
            Self::ForwardTransitive => "FORWARD_TRANSITIVE",
            Self::Full => "FULL",
            Self::FullTransitive => "FULL_TRANSITIVE",
            Self::None => "NONE",
        }
    }
}

/// The PostgreSQL database of the platform.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Database {
    /// DNS name or address of the server.
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = Rule::new("self.matches('^[A-Za-z0-9]([A-Za-z0-9.:-]*[A-Za-z0-9])?$')")
        .message(told("spec.database.host", "self", "is not a host name; leave out scheme and port, for example postgres.backing.svc")))]
    pub host: String,
    /// TCP port. Default: 5432.
    #[serde(default = "default_port")]
    #[schemars(range(min = 1, max = 65535))]
    pub port: i32,
    /// Name of the database. It must exist.
    #[schemars(length(min = 1, max = 63))]
    #[x_kube(validation = Rule::new("self.matches('^[A-Za-z_][A-Za-z0-9_-]*$')")
        .message(told("spec.database.name", "self", "is not a database name; start with a letter or '_' and use letters, digits, '_' and '-'")))]
    pub name: String,
    /// How the server is verified. Default: against the system's authorities.
    #[serde(default)]
    pub tls: Tls,
    /// The database's owner, used by the migration only; each workload gets a role of its own.
    pub credentials: Credentials,
}

const fn default_port() -> i32 {
    5432
}

/// Credentials in a Secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Credentials {
    /// A Secret of type `kubernetes.io/basic-auth` (keys `username` and `password`) in the platform's namespace.
    pub secret_ref: LocalRef,
}

/// Whose tokens the workloads accept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Auth {
    /// Required claim `iss`.
    #[schemars(length(min = 1, max = 512))]
    #[x_kube(validation = Rule::new("self.matches('^https?://[^ ]+$')")
        .message(told("spec.auth.issuer", "self", "is not a URL; write the issuer exactly as in the tokens' iss claim, for example https://issuer.example.org")))]
    pub issuer: String,
    /// Required in the claim `aud`.
    #[schemars(length(min = 1, max = 256))]
    #[x_kube(validation = Rule::new("self.matches('^[^ ]+$')")
        .message(told("spec.auth.audience", "self", "holds a space; write the audience exactly as in the tokens' aud claim")))]
    pub audience: String,
    /// The issuer's public keys.
    pub jwks: Jwks,
}

/// A JSON Web Key Set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Jwks {
    /// A ConfigMap in the platform's namespace.
    pub config_map_ref: JwksRef,
}

/// Key of a ConfigMap with a JSON Web Key Set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct JwksRef {
    /// Name of the ConfigMap.
    #[schemars(
        length(min = 1, max = 253),
        regex(pattern = r"^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$")
    )]
    pub name: String,
    /// Key in the ConfigMap. Default: jwks.json.
    #[serde(default = "default_jwks_key")]
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[A-Za-z0-9_][-._A-Za-z0-9]*$"))]
    pub key: String,
}

fn default_jwks_key() -> String {
    "jwks.json".into()
}

/// How a server is verified.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.mode == 'Verify' || !has(self.caConfigMapRef)")
    .message(told("tls.caConfigMapRef", "self.caConfigMapRef.name", "has no effect with mode Disabled; remove it, or set mode to Verify"))
    .field_path(".caConfigMapRef"))]
pub struct Tls {
    /// Verify: TLS with the server's certificate and name verified. Disabled: plain text. Default: Verify.
    #[serde(default)]
    pub mode: TlsMode,
    /// The authorities to trust instead of the system's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_config_map_ref: Option<CaRef>,
}

/// Whether a connection is encrypted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs, reason = "described at the field")]
pub enum TlsMode {
    #[default]
    Verify,
    Disabled,
}

/// Key of a ConfigMap with PEM certificates.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CaRef {
    /// Name of the ConfigMap, in the platform's namespace.
    #[schemars(
        length(min = 1, max = 253),
        regex(pattern = r"^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$")
    )]
    pub name: String,
    /// Key in the ConfigMap. Default: ca.crt.
    #[serde(default = "default_ca_key")]
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[A-Za-z0-9_][-._A-Za-z0-9]*$"))]
    pub key: String,
}

fn default_ca_key() -> String {
    "ca.crt".into()
}

/// Name of an object in the platform's namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LocalRef {
    /// Name of the object.
    #[schemars(
        length(min = 1, max = 253),
        regex(pattern = r"^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$")
    )]
    pub name: String,
}
