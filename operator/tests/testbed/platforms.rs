//! Platforms to begin with.
#![allow(dead_code, reason = "each test binary uses some of them")]

use anyhow::Result;
use logistics_operator::validate::{ValidPlatform, validate};
use serde_json::{Value, json};

/// The smallest platform that is valid.
pub(crate) fn smallest(name: &str) -> Value {
    json!({
        "apiVersion": "logistics-platform.io/v1alpha1",
        "kind": "LogisticsPlatform",
        "metadata": {"name": name},
        "spec": {
            "version": "0.1.0",
            "kafka": {"bootstrapServers": "kafka:9093"},
            "schemaRegistry": {"url": "https://registry/apis/ccompat/v7"},
            "database": {"host": "postgres", "name": "acme", "credentials": {"secretRef": {"name": "acme-db"}}},
            "auth": {
                "issuer": "https://issuer.example",
                "audience": "logistics",
                "jwks": {"configMapRef": {"name": "acme-jwks"}},
            },
        },
    })
}

/// A platform in which every field is set, none to its default.
pub(crate) fn full(name: &str) -> Value {
    let tls = json!({"mode": "Verify", "caConfigMapRef": {"name": "backing-ca", "key": "root.pem"}});
    let workload = |replicas: i32| {
        json!({
            "replicas": replicas,
            "resources": {
                "requests": {"cpu": "0.5", "memory": "128Mi"},
                "limits": {"cpu": 2, "memory": "1Gi"},
            },
            "disruption": {"maxUnavailable": 2},
            "version": "1.2.2",
            "autoscaling": {
                "minReplicas": 3, "maxReplicas": 9, "cpu": 60, "memory": 90,
                "behavior": {"scaleDown": {"stabilizationWindowSeconds": 60}},
            },
            "podTemplate": {
                "metadata": {"annotations": {"a": "b"}},
                "spec": {"priorityClassName": "high", "nodeSelector": {"disk": "ssd"}},
            },
        })
    };
    json!({
        "apiVersion": "logistics-platform.io/v1alpha1",
        "kind": "LogisticsPlatform",
        "metadata": {"name": name},
        "spec": {
            "version": "1.2.3-rc.1",
            "image": {
                "repository": "registry.example:5000/team/logistics",
                "pullPolicy": "Always",
                "pullSecrets": [{"name": "pull"}],
            },
            "workloads": {"shipment": workload(1), "tracking": workload(3), "analytics": workload(100)},
            "kafka": {
                "bootstrapServers": "kafka-0.kafka:9093,kafka-1.kafka:9093",
                "tls": tls,
                "sasl": {"mechanism": "PLAIN", "credentials": {"secretRef": {"name": "kafka"}}},
                "topicPrefix": "acme.",
                "topics": {"partitions": 12, "replicationFactor": 2, "retention": "36h30m"},
                "resync": "1m30s",
            },
            "schemaRegistry": {
                "url": "https://registry:8081",
                "tls": tls,
                "credentials": {"secretRef": {"name": "registry"}},
                "compatibility": "FULL_TRANSITIVE",
                "encoding": "Json",
            },
            "database": {
                "host": "10.0.0.7",
                "port": 6432,
                "name": "acme_eu",
                "tls": tls,
                "credentials": {"secretRef": {"name": "owner"}},
            },
            "cache": {"redis": {
                "host": "redis.example",
                "port": 6380,
                "tls": tls,
                "credentials": {"secretRef": {"name": "cache"}},
            }},
            "auth": {
                "issuer": "https://issuer.example/realms/acme",
                "audience": "api",
                "jwks": {"configMapRef": {"name": "keys", "key": "keys.json"}},
            },
            "observability": {
                "otlp": {"endpoint": "http://10.0.0.8:4317", "samplingRatio": 0.25},
                "logLevel": "debug",
                "prometheus": {"interval": "15s", "labels": {"release": "prometheus"}},
            },
            "networkPolicy": {
                "mode": "Enabled",
                "from": [{"namespaceSelector": {"matchLabels": {"team": "a"}}}],
                "egress": {"also": [{"to": [{"ipBlock": {"cidr": "192.0.2.0/24"}}]}]},
            },
            "suspend": true,
            "adopt": true,
            "deletionPolicy": "Delete",
        },
    })
}

/// Changes an object as a JSON merge patch does (RFC 7396).
pub(crate) fn merge(object: &mut Value, patch: &Value) {
    let Value::Object(fields) = patch else {
        *object = patch.clone();
        return;
    };
    if !object.is_object() {
        *object = json!({});
    }
    for (name, change) in fields {
        if change.is_null() {
            object.as_object_mut().map(|object| object.remove(name));
        } else {
            merge(&mut object[name.as_str()], change);
        }
    }
}

/// The smallest platform with some changes, validated.
pub(crate) fn valid(changes: &[&Value]) -> Result<ValidPlatform> {
    let mut object = smallest("acme");
    for change in changes {
        merge(&mut object, change);
    }
    Ok(validate(&serde_json::from_value(object)?)?)
}
