//! The valid platform and how its general part is made.

use std::collections::BTreeMap;
use std::time::Duration;

use kube::ResourceExt;
use logistics_schemas::Workload;
use logistics_schemas::config::{Encoding, LogLevel, PlatformIdentity};

use super::kafka::{self, ValidKafka};
use super::network::{self, ValidNetworkPolicy};
use super::workload::{self, ValidWorkload, ValidWorkloads};
use super::{Findings, backing, scalar};
use crate::api::{self, Compatibility, DeletionPolicy, LogisticsPlatform, MAX_NAME_LENGTH, PullPolicy};

/// A platform in which nothing is wrong and nothing is left open.
#[derive(Clone, Debug)]
pub struct ValidPlatform {
    /// Namespace and name.
    pub identity: PlatformIdentity,
    /// The object's uid.
    pub uid: String,
    /// The object's generation.
    pub generation: i64,
    /// The image tag.
    pub version: String,
    /// Where images come from.
    pub image: ValidImage,
    /// How each workload runs.
    pub workloads: ValidWorkloads,
    /// The event backbone.
    pub kafka: ValidKafka,
    /// The schema registry.
    pub registry: ValidRegistry,
    /// The database.
    pub database: ValidDatabase,
    /// Where the tracking service keeps timelines for some seconds.
    pub redis: Option<ValidRedis>,
    /// Whose tokens are accepted.
    pub auth: ValidAuth,
    /// Where spans are sent.
    pub otlp: Option<ValidOtlp>,
    /// Lowest level that is logged.
    pub log_level: LogLevel,
    /// How Prometheus finds metrics; `None` makes no `PodMonitor`.
    pub prometheus: Option<ValidPrometheus>,
    /// Which connections pods take and make; `None` restricts nothing.
    pub network_policy: Option<ValidNetworkPolicy>,
    /// Whether everything is left as it is.
    pub suspend: bool,
    /// Whether objects that nobody controls are taken over.
    pub adopt: bool,
    /// What becomes of topics and subjects on deletion.
    pub deletion_policy: DeletionPolicy,
}

/// How Prometheus finds metrics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValidPrometheus {
    /// How often metrics are read.
    pub interval: Duration,
    /// Labels of the `PodMonitor`.
    pub labels: BTreeMap<String, String>,
}

/// Where images come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValidImage {
    /// Host and path before the workload's name.
    pub repository: String,
    /// When the kubelet pulls.
    pub pull_policy: PullPolicy,
    /// Names of Secrets with registry credentials.
    pub pull_secrets: Vec<String>,
}

/// How a server is verified.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ValidTls {
    /// TLS against the system's authorities.
    System,
    /// TLS against the PEM certificates in a ConfigMap's key.
    Authority {
        /// Name of the ConfigMap.
        config_map: String,
        /// Key in it.
        key: String,
    },
    /// Plain text.
    Disabled,
}

/// The schema registry.
#[derive(Clone, Debug)]
pub struct ValidRegistry {
    /// Base URL without a slash at its end.
    pub url: String,
    /// How the registry is verified.
    pub tls: ValidTls,
    /// Name of the Secret with the credentials; `None` for a registry that asks nobody.
    pub secret: Option<String>,
    /// Which changes are accepted.
    pub compatibility: Compatibility,
    /// How events are written.
    pub encoding: Encoding,
}

/// The database.
#[derive(Clone, Debug)]
pub struct ValidDatabase {
    /// DNS name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Name of the database.
    pub name: String,
    /// How the server is verified.
    pub tls: ValidTls,
    /// Name of the Secret with the owner's credentials.
    pub owner_secret: String,
}

/// A Redis server.
#[derive(Clone, Debug)]
pub struct ValidRedis {
    /// DNS name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// How the server is verified.
    pub tls: ValidTls,
    /// Name of the Secret with the credentials; `None` for a server that asks nobody.
    pub secret: Option<String>,
}

/// Whose tokens are accepted.
#[derive(Clone, Debug)]
pub struct ValidAuth {
    /// Required `iss`.
    pub issuer: String,
    /// Required in `aud`.
    pub audience: String,
    /// ConfigMap with the key set.
    pub jwks_config_map: String,
    /// Key in it.
    pub jwks_key: String,
}

/// Where spans are sent.
#[derive(Clone, Debug)]
pub struct ValidOtlp {
    /// URL of the receiver.
    pub endpoint: String,
    /// Share of traces that are kept.
    pub sampling_ratio: f64,
}

pub(super) fn platform(platform: &LogisticsPlatform, findings: &mut Findings) -> ValidPlatform {
    let spec = &platform.spec;
    let name = platform.name_any();
    ValidPlatform {
        identity: PlatformIdentity {
            namespace: platform.namespace().unwrap_or_default(),
            name: findings.take("metadata.name", &name, scalar::dns_label(&name, MAX_NAME_LENGTH)),
        },
        uid: platform.uid().unwrap_or_default(),
        generation: platform.meta_generation(),
        version: findings.take("spec.version", &spec.version, scalar::image_tag(&spec.version)),
        image: image(&spec.image, findings),
        workloads: ValidWorkloads::new(|name| workload::workload(name, spec, findings)),
        kafka: kafka::kafka(&spec.kafka, findings),
        registry: backing::registry(&spec.schema_registry, findings),
        database: backing::database(&spec.database, findings),
        redis: spec
            .cache
            .as_ref()
            .map(|cache| backing::redis(&cache.redis, findings)),
        auth: backing::auth(&spec.auth, findings),
        otlp: spec
            .observability
            .otlp
            .as_ref()
            .map(|otlp| self::otlp(otlp, findings)),
        log_level: log_level(spec.observability.log_level),
        prometheus: spec
            .observability
            .prometheus
            .as_ref()
            .map(|prometheus| self::prometheus(prometheus, findings)),
        network_policy: network::policy(&spec.network_policy, findings),
        suspend: spec.suspend,
        adopt: spec.adopt,
        deletion_policy: spec.deletion_policy,
    }
}

impl ValidPlatform {
    /// The Redis that a workload uses.
    #[must_use]
    pub fn redis_of(&self, workload: Workload) -> Option<&ValidRedis> {
        self.redis.as_ref().filter(|_| workload == Workload::Tracking)
    }

    /// How a workload runs.
    #[must_use]
    pub const fn workload(&self, workload: Workload) -> &ValidWorkload {
        self.workloads.get(workload)
    }
}

impl LogisticsPlatform {
    fn meta_generation(&self) -> i64 {
        self.metadata.generation.unwrap_or_default()
    }
}

fn image(image: &api::Image, findings: &mut Findings) -> ValidImage {
    let allowed =
        |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '_' | ':' | '/' | '-');
    let remedy =
        "is not an image repository; leave out scheme, workload and tag, for example localhost/logistics";
    let repository = scalar::text(&image.repository, 200, allowed, remedy).and_then(|repository| {
        let edge = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        let right = repository.starts_with(edge) && repository.ends_with(edge) && !repository.contains("//");
        right.then_some(repository).ok_or_else(|| remedy.to_owned())
    });
    ValidImage {
        repository: findings.take("spec.image.repository", &image.repository, repository),
        pull_policy: image.pull_policy,
        pull_secrets: image
            .pull_secrets
            .iter()
            .map(|secret| {
                findings.take(
                    "spec.image.pullSecrets",
                    &secret.name,
                    scalar::object_name(&secret.name),
                )
            })
            .collect(),
    }
}

fn otlp(otlp: &api::Otlp, findings: &mut Findings) -> ValidOtlp {
    let path = "spec.observability.otlp";
    if !(0.0..=1.0).contains(&otlp.sampling_ratio) {
        findings.add(
            &format!("{path}.samplingRatio"),
            otlp.sampling_ratio,
            "is not between 0 and 1",
        );
    }
    let endpoint = scalar::url(&otlp.endpoint, "http://collector.observability.svc:4317");
    ValidOtlp {
        endpoint: findings.take(&format!("{path}.endpoint"), &otlp.endpoint, endpoint),
        sampling_ratio: otlp.sampling_ratio,
    }
}

fn prometheus(prometheus: &api::Prometheus, findings: &mut Findings) -> ValidPrometheus {
    let path = "spec.observability.prometheus";
    let interval = scalar::duration_within(&prometheus.interval, ("5s", 5), ("10m", 600));
    for (key, value) in &prometheus.labels {
        for (part, checked) in [(key, scalar::label_key(key)), (value, scalar::label_value(value))] {
            findings.take(&format!("{path}.labels"), part, checked);
        }
    }
    ValidPrometheus {
        interval: findings.take(&format!("{path}.interval"), &prometheus.interval, interval),
        labels: prometheus.labels.clone(),
    }
}

const fn log_level(level: api::LogLevel) -> LogLevel {
    match level {
        api::LogLevel::Error => LogLevel::Error,
        api::LogLevel::Warn => LogLevel::Warn,
        api::LogLevel::Info => LogLevel::Info,
        api::LogLevel::Debug => LogLevel::Debug,
        api::LogLevel::Trace => LogLevel::Trace,
    }
}
