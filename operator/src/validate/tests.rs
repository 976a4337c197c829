use super::validate;
use crate::api::{CaRef, LogisticsPlatform, Otlp, Quantity, ResourceList, Resources, TlsMode};
use crate::fixture;

type Edit = fn(&mut LogisticsPlatform);

#[test]
fn the_sample_is_valid_and_complete() {
    let valid = fixture::valid();
    assert_eq!(valid.kafka.retention.as_secs(), 168 * 3600);
    assert_eq!(valid.kafka.resync.as_secs(), 30);
    assert_eq!(valid.kafka.partitions, 6);
    assert_eq!(valid.database.port, 5432);
    assert_eq!(valid.workloads.len(), 3);
}

/// Each edit makes exactly one thing wrong, in the field that is named.
#[test]
fn every_error_names_its_field() {
    let cases: [(&str, Edit); 22] = [
        ("metadata.name", |p| p.metadata.name = Some("Acme".into())),
        ("metadata.name", |p| p.metadata.name = Some("a".repeat(41))),
        ("spec.version", |p| p.spec.version = "v 1".into()),
        ("spec.version", |p| p.spec.version = String::new()),
        ("spec.image.repository", |p| {
            p.spec.image.repository = "https://host/x".into();
        }),
        ("spec.workloads.shipment.replicas", |p| {
            p.spec.workloads.shipment.replicas = 0;
        }),
        ("spec.workloads.tracking.resources.requests.memory", |p| {
            p.spec.workloads.tracking.resources = resources("512Mi", "256Mi");
        }),
        ("spec.workloads.analytics.resources.limits.memory", |p| {
            p.spec.workloads.analytics.resources = resources("1Mi", "much");
        }),
        ("spec.kafka.bootstrapServers", |p| {
            p.spec.kafka.bootstrap_servers = "kafka".into();
        }),
        ("spec.kafka.topicPrefix", |p| {
            p.spec.kafka.topic_prefix = "a/b".into();
        }),
        ("spec.kafka.topics.partitions", |p| {
            p.spec.kafka.topics.partitions = 0;
        }),
        ("spec.kafka.topics.replicationFactor", |p| {
            p.spec.kafka.topics.replication_factor = 11;
        }),
        ("spec.kafka.topics.retention", |p| {
            p.spec.kafka.topics.retention = "1d".into();
        }),
        ("spec.kafka.resync", |p| p.spec.kafka.resync = "1s".into()),
        ("spec.kafka.tls.caConfigMapRef", |p| {
            p.spec.kafka.tls.mode = TlsMode::Disabled;
        }),
        ("spec.schemaRegistry.url", |p| {
            p.spec.schema_registry.url = "http://registry/".into();
        }),
        ("spec.database.host", |p| {
            p.spec.database.host = "postgres://x".into();
        }),
        ("spec.database.port", |p| p.spec.database.port = 70_000),
        ("spec.database.name", |p| p.spec.database.name = String::new()),
        ("spec.auth.issuer", |p| p.spec.auth.issuer = "issuer".into()),
        ("spec.auth.jwks.configMapRef.key", |p| {
            p.spec.auth.jwks.config_map_ref.key = "a/b".into();
        }),
        ("spec.observability.otlp.samplingRatio", |p| {
            p.spec.observability.otlp = Some(Otlp {
                endpoint: "http://c:4317".into(),
                sampling_ratio: 2.0,
            });
        }),
    ];
    for (field, edit) in cases {
        let mut platform = fixture::platform();
        edit(&mut platform);
        let errors = validate(&platform).expect_err(field).0;
        let fields: Vec<_> = errors.iter().map(|error| error.field.as_str()).collect();
        assert_eq!(fields, [field], "{errors:?}");
        assert!(errors.iter().all(|error| !error.remedy.is_empty()));
    }
}

fn resources(request: &str, limit: &str) -> Resources {
    let memory = |text: &str| {
        Some(ResourceList {
            cpu: None,
            memory: Some(Quantity(text.into())),
        })
    };
    Resources {
        requests: memory(request),
        limits: memory(limit),
    }
}

#[test]
fn all_errors_are_reported_at_once() {
    let mut platform = fixture::platform();
    platform.spec.version = "not a tag".into();
    platform.spec.kafka.resync = "never".into();
    platform.spec.database.tls.ca_config_map_ref = Some(CaRef {
        name: "A B".into(),
        key: "ca.crt".into(),
    });
    let error = validate(&platform).unwrap_err();
    assert_eq!(error.0.len(), 3);
    let text = error.to_string();
    assert!(
        text.contains("spec.version: \"not a tag\" is not an image tag"),
        "{text}"
    );
    assert!(
        text.contains("spec.kafka.resync: \"never\" is not a duration"),
        "{text}"
    );
}
