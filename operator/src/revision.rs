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
    registry: (&'a str, Authority<'a>),
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
        registry: (&valid.registry.url, authority(&valid.registry.tls)),
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
mod tests {
    use super::*;
    use crate::api::LogisticsPlatform;
    use crate::fixture;
    use crate::validate::validate;

    type Edit = fn(&mut LogisticsPlatform);

    fn of(edit: Edit) -> Revisions {
        let mut platform = fixture::platform();
        edit(&mut platform);
        revisions(&validate(&platform).unwrap())
    }

    /// When this fails, an upgrade of the operator would restart every pod of every platform: see the module's text.
    #[test]
    fn the_hashes_of_the_sample_are_pinned() {
        let revisions = of(|_| {});
        assert_eq!(revisions.of(Workload::Shipment), "32f2810a");
        assert_eq!(revisions.of(Workload::Tracking), "2c588d88");
        assert_eq!(revisions.of(Workload::Analytics), "a162da47");
    }

    #[test]
    fn what_changes_pods_changes_the_revision() {
        let cases: [(&str, Edit); 9] = [
            ("version", |p| p.spec.version = "0.2.0".into()),
            ("repository", |p| {
                p.spec.image.repository = "localhost/other".into();
            }),
            ("pull policy", |p| p.spec.image.pull_policy = PullPolicy::Always),
            ("topic prefix", |p| p.spec.kafka.topic_prefix = "x.".into()),
            ("authority", |p| p.spec.kafka.tls.ca_config_map_ref = None),
            ("database", |p| p.spec.database.name = "other".into()),
            ("issuer", |p| p.spec.auth.issuer = "https://other".into()),
            ("encoding", |p| {
                p.spec.schema_registry.encoding = crate::api::Encoding::Json;
            }),
            ("log level", |p| {
                p.spec.observability.log_level = crate::api::LogLevel::Debug;
            }),
        ];
        let before = of(|_| {});
        for (what, edit) in cases {
            let after = of(edit);
            for workload in Workload::ALL {
                assert_ne!(before.of(workload), after.of(workload), "{what} {workload}");
            }
            assert_ne!(before.platform, after.platform, "{what}");
        }
    }

    #[test]
    fn what_does_not_change_pods_does_not_change_their_revision() {
        let cases: [(&str, Edit, bool); 4] = [
            ("replicas", |p| p.spec.workloads.shipment.replicas = 5, false),
            ("resync", |p| p.spec.kafka.resync = "60s".into(), false),
            (
                "retention",
                |p| p.spec.kafka.topics.retention = "24h".into(),
                true,
            ),
            (
                "compatibility",
                |p| p.spec.schema_registry.compatibility = crate::api::Compatibility::Full,
                true,
            ),
        ];
        let before = of(|_| {});
        for (what, edit, platform_changes) in cases {
            let after = of(edit);
            assert_eq!(before.workloads, after.workloads, "{what}");
            assert_eq!(before.platform != after.platform, platform_changes, "{what}");
        }
    }

    #[test]
    fn resources_of_one_workload_are_its_own() {
        let before = of(|_| {});
        let after = of(|p| p.spec.workloads.tracking.resources = Resources::default());
        assert_eq!(before.of(Workload::Shipment), after.of(Workload::Shipment));
        assert_ne!(before.of(Workload::Tracking), after.of(Workload::Tracking));
    }

    #[test]
    fn a_cache_is_that_of_tracking() {
        let with = |port: i32| {
            let mut platform = fixture::platform();
            platform.spec.cache = Some(fixture::cache("redis.backing.svc", port));
            revisions(&validate(&platform).unwrap())
        };
        let (before, after) = (of(|_| {}), with(6379));
        assert_eq!(before.of(Workload::Shipment), after.of(Workload::Shipment));
        assert_eq!(before.of(Workload::Analytics), after.of(Workload::Analytics));
        assert_ne!(before.of(Workload::Tracking), after.of(Workload::Tracking));
        assert_ne!(with(6380).of(Workload::Tracking), after.of(Workload::Tracking));
    }

    #[test]
    fn a_migration_depends_on_the_credentials() {
        let valid = fixture::valid();
        assert_ne!(migration(&valid, &["a".into()]), migration(&valid, &["b".into()]));
    }
}
