//! The definition of the custom resource: what it refuses, and what it fills in.

use anyhow::Result;
use kube::api::PostParams;
use logistics_operator::api::{self, LogisticsPlatform};
use serde_json::{Value, json};

use crate::support::Site;

/// The API server's limit for an object is 1.5 MB, and clients print what they read.
const MOST_BYTES: usize = 200_000;

#[test]
fn the_files_are_current_and_small() {
    let current = api::to_yaml().unwrap();
    let remedy = "run: logistics-operator crd > crds/logisticsplatforms.yaml";
    for file in [
        "crds/logisticsplatforms.yaml",
        "charts/logistics-operator/crds/logisticsplatforms.yaml",
    ] {
        let path = format!("{}/../{file}", env!("CARGO_MANIFEST_DIR"));
        assert!(
            std::fs::read_to_string(path).unwrap() == current,
            "{file} is not current; {remedy}"
        );
    }
    assert!(serde_json::to_string(&api::definition()).unwrap().len() < MOST_BYTES);
}

/// Every text, number and list has a bound, and every field a description: `kubectl explain` is the reference.
#[test]
fn every_field_is_bounded_and_described() {
    let definition = serde_json::to_value(api::definition()).unwrap();
    let schema = &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"];
    let mut wrong = Vec::new();
    walk("spec", schema, &mut wrong);
    assert!(wrong.is_empty(), "{wrong:#?}");
}

fn walk(path: &str, schema: &Value, wrong: &mut Vec<String>) {
    let has = |name: &str| schema.get(name).is_some();
    let bounded = match schema["type"].as_str() {
        Some("string") => has("maxLength") || has("enum"),
        Some("integer" | "number") => has("minimum") && has("maximum"),
        Some("array") => has("maxItems"),
        _ => true,
    };
    if !bounded {
        wrong.push(format!("{path} has no bound"));
    }
    for (name, inner) in schema["properties"].as_object().into_iter().flatten() {
        if inner.get("description").is_none() {
            wrong.push(format!("{path}.{name} has no description"));
        }
        walk(&format!("{path}.{name}"), inner, wrong);
    }
    if let Some(items) = schema.get("items") {
        walk(&format!("{path}[]"), items, wrong);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn defaults_are_filled_in() -> Result<()> {
    let site = Site::new("defaults").await?;
    let platform = site.create(&minimal()).await?;
    let spec = serde_json::to_value(&platform.spec)?;
    let cases = [
        ("/image/repository", json!("localhost/logistics")),
        ("/image/pullPolicy", json!("IfNotPresent")),
        ("/workloads/tracking/replicas", json!(2)),
        ("/workloads/tracking/resources/limits/memory", json!("256Mi")),
        ("/kafka/tls/mode", json!("Verify")),
        ("/kafka/topics/partitions", json!(6)),
        ("/kafka/topics/replicationFactor", json!(3)),
        ("/kafka/topics/retention", json!("168h")),
        ("/kafka/resync", json!("30s")),
        ("/schemaRegistry/compatibility", json!("BACKWARD")),
        ("/database/port", json!(5432)),
        ("/auth/jwks/configMapRef/key", json!("jwks.json")),
        ("/observability/logLevel", json!("info")),
    ];
    for (pointer, expected) in cases {
        assert_eq!(spec.pointer(pointer), Some(&expected), "{pointer}");
    }
    Ok(())
}

/// The smallest platform that is accepted.
fn minimal() -> Value {
    json!({
        "apiVersion": "logistics-platform.io/v1alpha1",
        "kind": "LogisticsPlatform",
        "metadata": {"name": "acme"},
        "spec": {
            "version": "0.1.0",
            "kafka": {"bootstrapServers": "kafka:9093"},
            "schemaRegistry": {"url": "https://registry"},
            "database": {"host": "postgres", "name": "acme", "credentials": {"secretRef": {"name": "acme-db"}}},
            "auth": {
                "issuer": "https://issuer.example.org", "audience": "logistics",
                "jwks": {"configMapRef": {"name": "acme-jwks"}},
            },
        },
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_refused_with_a_remedy() -> Result<()> {
    let site = Site::new("refused").await?;
    let long = "a".repeat(41);
    let cases: [(&str, Value, &str); 26] = [
        ("/metadata/name", json!(long), "choose a shorter name"),
        ("/metadata/name", json!("a.b"), "must start with a letter"),
        ("/metadata/name", json!("1a"), "must start with a letter"),
        ("/spec/version", json!("v 1"), "is not an image tag; use letters"),
        (
            "/spec/image",
            json!({"repository": "https://x/y"}),
            "leave out the scheme",
        ),
        (
            "/spec/image",
            json!({"pullPolicy": "Sometimes"}),
            "supported values: \"Always\"",
        ),
        (
            "/spec/workloads",
            json!({"shipment": {"replicas": 0}}),
            "greater than or equal to 1",
        ),
        (
            "/spec/workloads",
            json!({"shipment": {"replicas": 101}}),
            "less than or equal to 100",
        ),
        (
            "/spec/workloads",
            json!({"shipment": {"resources": {"limits": {"memory": "much"}}}}),
            "should match",
        ),
        (
            "/spec/kafka/bootstrapServers",
            json!("kafka"),
            "is not a list of host:port; write for example",
        ),
        (
            "/spec/kafka/bootstrapServers",
            json!("ssl://kafka:9093"),
            "is not a list of host:port",
        ),
        (
            "/spec/kafka/topicPrefix",
            json!("a/b"),
            "holds a character that Kafka refuses",
        ),
        (
            "/spec/kafka/topics",
            json!({"partitions": 0}),
            "greater than or equal to 1",
        ),
        (
            "/spec/kafka/topics",
            json!({"replicationFactor": 11}),
            "less than or equal to 10",
        ),
        (
            "/spec/kafka/topics",
            json!({"retention": "1m"}),
            "is not between 1h and 87600h; write for example 168h",
        ),
        ("/spec/kafka/topics", json!({"retention": "7d"}), "should match"),
        (
            "/spec/kafka/resync",
            json!("1s"),
            "is not between 5s and 1h; write for example 30s",
        ),
        ("/spec/kafka/tls", json!({"mode": "Maybe"}), "supported values"),
        (
            "/spec/kafka/tls",
            json!({"mode": "Disabled", "caConfigMapRef": {"name": "ca"}}),
            "remove it, or set mode to Verify",
        ),
        (
            "/spec/schemaRegistry/url",
            json!("http://registry"),
            "use https:// with tls.mode Verify",
        ),
        (
            "/spec/schemaRegistry/url",
            json!("registry:8080"),
            "is not a plain http(s) URL",
        ),
        (
            "/spec/schemaRegistry/compatibility",
            json!("SOMETIMES"),
            "supported values",
        ),
        (
            "/spec/database/host",
            json!("postgres://x"),
            "leave out scheme and port",
        ),
        ("/spec/database/name", json!("a b"), "is not a database name"),
        (
            "/spec/auth/issuer",
            json!("issuer"),
            "write the issuer exactly as in the tokens' iss claim",
        ),
        (
            "/spec/observability",
            json!({"otlp": {"endpoint": "collector:4317"}}),
            "write for example http://collector.observability.svc:4317",
        ),
    ];
    let dry_run = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    let api: kube::Api<kube::core::DynamicObject> = kube::Api::namespaced_with(
        site.client.clone(),
        &site.namespace,
        &kube::api::ApiResource::erase::<LogisticsPlatform>(&()),
    );
    for (pointer, value, expected) in cases {
        let mut platform = minimal();
        let (parent, field) = pointer.rsplit_once('/').unwrap();
        platform.pointer_mut(parent).unwrap()[field] = value.clone();
        let created = api.create(&dry_run, &serde_json::from_value(platform)?).await;
        let message = match created {
            Err(kube::Error::Api(status)) => status.message,
            other => panic!("{pointer} {value} is accepted: {other:?}"),
        };
        assert!(message.contains(expected), "{pointer} {value}: {message}");
    }
    Ok(())
}
