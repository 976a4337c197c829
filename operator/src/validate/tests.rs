use serde_json::{Value, json};

use super::validate;
use crate::api::{
    Autoscaling, CaRef, LogisticsPlatform, NetworkPolicyMode, Otlp, Prometheus, Quantity, ResourceList,
    Resources, SaslMechanism, Tls, TlsMode, Untyped,
};
use crate::fixture;

type Edit = fn(&mut LogisticsPlatform);

#[test]
fn the_sample_is_valid_and_complete() {
    let valid = fixture::valid();
    assert_eq!(valid.kafka.retention.as_secs(), 168 * 3600);
    assert_eq!(valid.kafka.resync.as_secs(), 30);
    assert_eq!(valid.kafka.partitions, 6);
    assert_eq!(valid.database.port, 5432);
    for workload in logistics_schemas::Workload::ALL {
        assert_eq!(valid.workload(workload).version, valid.version, "{workload}");
    }
}

/// Each edit makes exactly one thing wrong, in the field that is named.
#[test]
#[expect(clippy::too_many_lines, reason = "a table: one row for each rule")]
fn every_error_names_its_field() {
    let cases: [(&str, Edit); 44] = [
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
        ("spec.kafka.sasl.mechanism", |p| {
            p.spec.kafka.tls = Tls {
                mode: TlsMode::Disabled,
                ca_config_map_ref: None,
            };
            p.spec.kafka.sasl = Some(fixture::sasl(SaslMechanism::Plain, "kafka"));
        }),
        ("spec.kafka.sasl.credentials.secretRef.name", |p| {
            p.spec.kafka.sasl = Some(fixture::sasl(SaslMechanism::ScramSha512, "A b"));
        }),
        ("spec.schemaRegistry.tls.mode", |p| {
            p.spec.schema_registry.url = "http://registry/".into();
            p.spec.schema_registry.tls = Tls {
                mode: TlsMode::Disabled,
                ca_config_map_ref: None,
            };
            p.spec.schema_registry.credentials = Some(fixture::credentials("registry"));
        }),
        ("spec.schemaRegistry.credentials.secretRef.name", |p| {
            p.spec.schema_registry.credentials = Some(fixture::credentials("A b"));
        }),
        ("spec.database.host", |p| {
            p.spec.database.host = "postgres://x".into();
        }),
        ("spec.database.port", |p| p.spec.database.port = 70_000),
        ("spec.database.name", |p| p.spec.database.name = String::new()),
        ("spec.cache.redis.host", |p| {
            p.spec.cache = Some(fixture::cache("redis://x", 6379));
        }),
        ("spec.cache.redis.port", |p| {
            p.spec.cache = Some(fixture::cache("redis", 0));
        }),
        ("spec.cache.redis.tls.caConfigMapRef", |p| {
            let mut cache = fixture::cache("redis", 6379);
            cache.redis.tls = p.spec.kafka.tls.clone();
            cache.redis.tls.mode = TlsMode::Disabled;
            p.spec.cache = Some(cache);
        }),
        ("spec.cache.redis.credentials.secretRef.name", |p| {
            let mut cache = fixture::cache("redis", 6379);
            if let Some(credentials) = &mut cache.redis.credentials {
                credentials.secret_ref.name = "A b".into();
            }
            p.spec.cache = Some(cache);
        }),
        ("spec.auth.issuer", |p| p.spec.auth.issuer = "issuer".into()),
        ("spec.auth.jwks.configMapRef.key", |p| {
            p.spec.auth.jwks.config_map_ref.key = "a/b".into();
        }),
        ("spec.workloads.shipment.version", |p| {
            p.spec.workloads.shipment.version = Some("a b".into());
        }),
        ("spec.workloads.shipment.disruption.maxUnavailable", |p| {
            p.spec.workloads.shipment.disruption.max_unavailable = 0;
        }),
        ("spec.workloads.tracking.autoscaling.maxReplicas", |p| {
            scale(p, 4, 3, None);
        }),
        ("spec.workloads.tracking.autoscaling.minReplicas", |p| {
            scale(p, 0, 3, None);
        }),
        ("spec.workloads.tracking.autoscaling.cpu", |p| {
            scale(p, 1, 3, Some(0));
        }),
        ("spec.workloads.tracking.autoscaling.cpu", |p| {
            scale(p, 1, 3, Some(50));
            p.spec.workloads.tracking.resources = Resources::default();
        }),
        ("spec.workloads.shipment.podTemplate.kind", |p| {
            overlay(p, json!({"kind": "Pod"}));
        }),
        (
            "spec.workloads.shipment.podTemplate.metadata.labels[app.kubernetes.io/instance]",
            |p| {
                overlay(
                    p,
                    json!({"metadata": {"labels": {"app.kubernetes.io/instance": "x"}}}),
                );
            },
        ),
        ("spec.workloads.shipment.podTemplate.metadata.name", |p| {
            overlay(p, json!({"metadata": {"name": "x"}}));
        }),
        (
            "spec.workloads.shipment.podTemplate.spec.serviceAccountName",
            |p| {
                overlay(p, json!({"spec": {"serviceAccountName": "admin"}}));
            },
        ),
        (
            "spec.workloads.shipment.podTemplate.spec.containers[0].name",
            |p| {
                overlay(p, json!({"spec": {"containers": [{"image": "x"}]}}));
            },
        ),
        ("spec.networkPolicy.from[0].podSelektor", |p| {
            p.spec.network_policy.from = vec![untyped(json!({"podSelektor": {}}))];
        }),
        ("spec.networkPolicy.from", |p| {
            p.spec.network_policy.mode = NetworkPolicyMode::Disabled;
            p.spec.network_policy.from = vec![untyped(json!({"podSelector": {}}))];
        }),
        ("spec.observability.prometheus.labels", |p| {
            let labels = [("a b".to_owned(), "c".to_owned())].into();
            p.spec.observability.prometheus = Some(Prometheus {
                interval: "30s".into(),
                labels,
            });
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

fn untyped(value: Value) -> Untyped {
    serde_json::from_value(value).unwrap()
}

fn overlay(platform: &mut LogisticsPlatform, template: Value) {
    platform.spec.workloads.shipment.pod_template = Some(untyped(template));
}

fn scale(platform: &mut LogisticsPlatform, min_replicas: i32, max_replicas: i32, cpu: Option<i32>) {
    platform.spec.workloads.tracking.autoscaling = Some(Autoscaling {
        min_replicas,
        max_replicas,
        cpu,
        memory: None,
        behavior: None,
    });
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
