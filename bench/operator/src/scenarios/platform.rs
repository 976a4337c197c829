//! The platforms, and what they refer to.

use serde_json::{Value, json};

/// Platforms in one namespace.
const IN_NAMESPACE: usize = 10;

/// The namespace of a platform.
pub(super) fn namespace(number: usize) -> String {
    format!("team-{:03}", number / IN_NAMESPACE)
}

/// A platform's name.
pub(super) fn name(number: usize) -> String {
    format!("p-{number:04}")
}

/// The namespaces of some platforms.
pub(super) fn namespaces(platforms: usize) -> impl Iterator<Item = Value> {
    let namespace =
        |number| json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace(number)}});
    (0..platforms).step_by(IN_NAMESPACE).map(namespace)
}

/// What platforms refer to: each has a Secret of its own, and those of a namespace share the key set.
pub(super) fn references(platforms: usize) -> impl Iterator<Item = Value> {
    let secret = |number| {
        json!({
            "apiVersion": "v1", "kind": "Secret",
            "metadata": {"name": format!("{}-owner", name(number)), "namespace": namespace(number)},
            "stringData": {"username": "owner", "password": "not a real one"},
        })
    };
    let key_set = |number| {
        json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": "jwks", "namespace": namespace(number)},
            "data": {"jwks.json": "{\"keys\": []}"},
        })
    };
    let key_sets = (0..platforms).step_by(IN_NAMESPACE).map(key_set);
    (0..platforms).map(secret).chain(key_sets)
}

/// What all platforms stand on.
#[derive(Clone, Copy)]
pub(super) struct Backing<'a> {
    pub(super) bootstrap_servers: &'a str,
    pub(super) registry: &'a str,
    /// The port of PostgreSQL on loopback.
    pub(super) postgres: u16,
}

/// A platform with two pods of each workload.
pub(super) fn platform(number: usize, backing: Backing<'_>) -> Value {
    let plain = json!({"mode": "Disabled"});
    let replicas = json!({"replicas": 2});
    json!({
        "apiVersion": "logistics-platform.io/v1alpha1", "kind": "LogisticsPlatform",
        "metadata": {"name": name(number), "namespace": namespace(number)},
        "spec": {
            "version": "0.1.0",
            "image": {"repository": "registry.example.org/logistics"},
            "workloads": {"shipment": replicas, "tracking": replicas, "analytics": replicas},
            "kafka": {
                "bootstrapServers": backing.bootstrap_servers, "tls": plain,
                "topicPrefix": format!("{}.{}.", namespace(number), name(number)),
                "topics": {"replicationFactor": 1},
            },
            "schemaRegistry": {"url": backing.registry, "tls": plain},
            "database": {
                "host": "127.0.0.1", "port": backing.postgres,
                "name": name(number).replace('-', "_"), "tls": plain,
                "credentials": {"secretRef": {"name": format!("{}-owner", name(number))}},
            },
            "auth": {
                "issuer": "https://issuer.example", "audience": "logistics",
                "jwks": {"configMapRef": {"name": "jwks"}},
            },
        },
    })
}
