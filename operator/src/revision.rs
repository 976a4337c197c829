//! The identity of a revision: a hash of what the user asked for, never of what the operator renders from it, so that
//! a new operator does not restart anybody's pods.
//!
//! A field that is added here later must be left out of the serialisation at its default, or every revision changes;
//! a test pins the hash of the sample.

use std::collections::BTreeMap;

use logistics_schemas::config::Encoding;
use logistics_schemas::{Workload, topics};
use serde::Serialize;
use serde_json::Value;

use crate::api::{PullPolicy, Resources};
use crate::names::digest;
use crate::validate::{ValidPlatform, ValidTls};

/// The revisions that a spec asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revisions {
    /// Of each workload.
    pub workloads: BTreeMap<Workload, String>,
    /// Of the platform: the workloads, the schemas and the topics together.
    pub platform: String,
}

impl Revisions {
    /// The revision of a workload.
    #[must_use]
    pub fn of(&self, workload: Workload) -> &str {
        self.workloads.get(&workload).map_or("", String::as_str)
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WorkloadInput<'a> {
    platform: [&'a str; 2],
    workload: &'a str,
    image: String,
    pull_policy: PullPolicy,
    pull_secrets: &'a [String],
    resources: &'a Resources,
    kafka: (&'a str, Authority<'a>, &'a str),
    /// Mechanism and Secret, whose content is no part of it either.
    #[serde(skip_serializing_if = "Option::is_none")]
    sasl: Option<[&'a str; 2]>,
    registry: (&'a str, Authority<'a>),
    #[serde(skip_serializing_if = "Option::is_none")]
    registry_secret: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    encoding: Option<Encoding>,
    database: (&'a str, u16, &'a str, Authority<'a>),
    #[serde(skip_serializing_if = "Option::is_none")]
    redis: Option<(&'a str, u16, Authority<'a>, Option<&'a str>)>,
    auth: [&'a str; 4],
    #[serde(skip_serializing_if = "Option::is_none")]
    otlp: Option<(&'a str, f64)>,
    log_level: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pod_template: Option<&'a Value>,
}

/// Mode, ConfigMap, key: the content is not part of it, services read it again when it changes.
type Authority<'a> = [&'a str; 3];

fn authority(tls: &ValidTls) -> Authority<'_> {
    match tls {
        ValidTls::System => ["system", "", ""],
        ValidTls::Disabled => ["disabled", "", ""],
        ValidTls::Authority { config_map, key } => ["authority", config_map, key],
    }
}

/// The revisions that a platform asks for.
#[must_use]
pub fn revisions(valid: &ValidPlatform) -> Revisions {
    let workloads: BTreeMap<_, _> = Workload::ALL
        .into_iter()
        .map(|w| (w, workload(valid, w)))
        .collect();
    let kafka = &valid.kafka;
    let contract = format!(
        "{} {} {} {} {}",
        kafka.topic_prefix,
        kafka.partitions,
        kafka.replication_factor,
        kafka.retention.as_secs(),
        valid.registry.compatibility.as_str()
    );
    let mut parts: Vec<&str> = workloads.values().map(String::as_str).collect();
    for topic in &topics::ALL {
        parts.extend([topic.name, topic.schema.unwrap_or_default()]);
    }
    parts.push(&contract);
    let platform = digest(&parts);
    Revisions { workloads, platform }
}

fn workload(valid: &ValidPlatform, workload: Workload) -> String {
    let settings = valid.workload(workload);
    let input = WorkloadInput {
        platform: [&valid.identity.namespace, &valid.identity.name],
        workload: workload.name(),
        image: valid.image(workload),
        pull_policy: valid.image.pull_policy,
        pull_secrets: &valid.image.pull_secrets,
        resources: &settings.resources,
        kafka: (
            &valid.kafka.bootstrap_servers,
            authority(&valid.kafka.tls),
            &valid.kafka.topic_prefix,
        ),
        sasl: valid
            .kafka
            .sasl
            .as_ref()
            .map(|sasl| [sasl.mechanism.as_str(), sasl.secret.as_str()]),
        registry: (&valid.registry.url, authority(&valid.registry.tls)),
        registry_secret: valid.registry.secret.as_deref(),
        encoding: Some(valid.registry.encoding).filter(|encoding| *encoding != Encoding::default()),
        database: (
            &valid.database.host,
            valid.database.port,
            &valid.database.name,
            authority(&valid.database.tls),
        ),
        redis: valid.redis_of(workload).map(|redis| {
            (
                redis.host.as_str(),
                redis.port,
                authority(&redis.tls),
                redis.secret.as_deref(),
            )
        }),
        auth: [
            &valid.auth.issuer,
            &valid.auth.audience,
            &valid.auth.jwks_config_map,
            &valid.auth.jwks_key,
        ],
        otlp: valid
            .otlp
            .as_ref()
            .map(|otlp| (otlp.endpoint.as_str(), otlp.sampling_ratio)),
        log_level: valid.log_level.as_str(),
        pod_template: settings.pod_template.as_ref(),
    };
    digest(&[&json(&input)])
}

/// What the migration of a platform depends on, credentials included: a lost Secret makes a new Job.
#[must_use]
pub fn migration(valid: &ValidPlatform, credential_ids: &[String]) -> String {
    let database = &valid.database;
    let input = (
        [&valid.identity.namespace, &valid.identity.name],
        valid.migration_image(),
        valid.image.pull_policy,
        &valid.image.pull_secrets,
        (
            &database.host,
            database.port,
            &database.name,
            authority(&database.tls),
            &database.owner_secret,
        ),
        credential_ids,
    );
    digest(&[&json(&input)])
}

#[expect(
    clippy::expect_used,
    reason = "structs, tuples, text and finite numbers are always JSON"
)]
fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("plain data")
}

impl ValidPlatform {
    /// The image of a workload.
    #[must_use]
    pub fn image(&self, workload: Workload) -> String {
        format!(
            "{}/{workload}:{}",
            self.image.repository,
            self.workload(workload).version
        )
    }

    /// The image of the migration: it belongs to the platform's release, whatever a single workload runs.
    #[must_use]
    pub fn migration_image(&self) -> String {
        format!(
            "{}/{}:{}",
            self.image.repository,
            Workload::Shipment,
            self.version
        )
    }
}

#[cfg(test)]
mod tests;
