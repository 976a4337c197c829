//! Passwords, certificates and the token issuer of the backing services.

use anyhow::Result;
use rand::Rng;
use rand::distr::Alphanumeric;
use serde_json::{Value, json};

use crate::Cluster;
use crate::backing::Place;
use crate::pki::{self, Authority, Identity};

/// Makes the passwords, certificates and the token issuer, as objects of the cluster.
pub(crate) fn make(cluster: &Cluster, place: &Place<'_>) -> Result<String> {
    let authority = Authority::new("development backing services")?;
    let ca = &authority.identity.certificate;
    pki::write(&cluster.backing_ca(), ca)?;
    let identity = |name: &str| -> Result<Identity> {
        let node = match place {
            Place::Node(network, _) => Some(network.node_ip()),
            Place::Own { .. } => None,
        };
        let in_namespace = format!("{name}.backing");
        let service = format!("{in_namespace}.svc");
        let full = format!("{service}.cluster.local");
        let mut hosts = vec![name, &in_namespace, &service, &full, "localhost", "127.0.0.1"];
        hosts.extend(node.as_deref());
        authority.issue(&service, None, &hosts)
    };
    let (postgres, kafka, registry) = (identity("postgres")?, identity("kafka")?, identity("registry")?);
    let redis = identity("redis")?;
    let (superuser, owner, registry_password) = (password(), password(), password());
    let (cache_password, kafka_password) = (password(), password());
    let (issuer_key, jwks) = pki::issuer_keys()?;
    pki::write_private(&cluster.issuer_key(), &issuer_key)?;
    pki::write(&cluster.jwks(), &jwks.to_string())?;

    let tls =
        |identity: &Identity| json!({"tls.crt": identity.certificate, "tls.key": identity.key, "ca.crt": ca});
    // Single-user mode ends a statement at the end of its line.
    let init = format!(
        "CREATE ROLE acme LOGIN CREATEROLE PASSWORD '{owner}';\nCREATE DATABASE acme OWNER acme;\n\
         CREATE ROLE registry LOGIN PASSWORD '{registry_password}';\nCREATE DATABASE registry OWNER registry;\n"
    );
    let objects = [
        secret("backing", "postgres-tls", "Opaque", &tls(&postgres)),
        secret("backing", "registry-tls", "Opaque", &tls(&registry)),
        secret("backing", "redis-tls", "Opaque", &tls(&redis)),
        secret(
            "backing",
            "redis-config",
            "Opaque",
            &json!({"redis.conf": redis_configuration(&cache_password)}),
        ),
        secret(
            "backing",
            "kafka-tls",
            "Opaque",
            &json!({
                "keystore.pem": format!("{}{}", kafka.key, kafka.certificate), "ca.crt": ca,
            }),
        ),
        secret(
            "backing",
            "postgres-init",
            "Opaque",
            &json!({"superuser-password": superuser, "init.sql": init}),
        ),
        basic_auth("backing", "postgres-superuser", "postgres", &superuser),
        secret(
            "backing",
            "registry-config",
            "Opaque",
            &json!({
                "application.properties": registry_properties(&registry_password),
            }),
        ),
        basic_auth("logistics", "acme-db", "acme", &owner),
        basic_auth("logistics", "acme-redis", CACHE_USER, &cache_password),
        basic_auth("backing", "kafka-user", KAFKA_USER, &kafka_password),
        basic_auth("logistics", "acme-kafka", KAFKA_USER, &kafka_password),
        config_map("logistics", "backing-ca", &json!({"ca.crt": ca})),
        config_map("logistics", "acme-jwks", &json!({"jwks.json": jwks.to_string()})),
    ];
    Ok(objects.map(|object| object.to_string()).join("\n---\n"))
}

/// The user by which platforms use Kafka, where they say who they are.
const KAFKA_USER: &str = "logistics";

/// The user by which platforms use Redis.
const CACHE_USER: &str = "logistics";

/// In memory only, encrypted only, and for one user, who may do what docs/workloads.md says that a platform does.
fn redis_configuration(password: &str) -> String {
    [
        "bind * -::*",
        "port 0",
        "tls-port 6379",
        "tls-cert-file /etc/redis-tls/tls.crt",
        "tls-key-file /etc/redis-tls/tls.key",
        "tls-ca-cert-file /etc/redis-tls/ca.crt",
        "tls-auth-clients no",
        "save \"\"",
        "appendonly no",
        "dir /tmp",
        "maxmemory 64mb",
        "maxmemory-policy allkeys-lru",
        "user default off",
        &format!(
            "user {CACHE_USER} on >{password} ~logistics:* +time +mget +script|load +evalsha +getrange +set"
        ),
        "",
    ]
    .join("\n")
}

fn registry_properties(password: &str) -> String {
    let database =
        "postgres.backing.svc:5432/registry?sslmode=verify-full&sslrootcert=/etc/registry/tls/ca.crt";
    [
        "quarkus.http.host=0.0.0.0",
        "quarkus.http.insecure-requests=disabled",
        "quarkus.http.ssl-port=8443",
        "quarkus.http.ssl.certificate.files=/etc/registry/tls/tls.crt",
        "quarkus.http.ssl.certificate.key-files=/etc/registry/tls/tls.key",
        "apicurio.storage.kind=sql",
        "apicurio.storage.sql.kind=postgresql",
        &format!("apicurio.datasource.url=jdbc:postgresql://{database}"),
        "apicurio.datasource.username=registry",
        &format!("apicurio.datasource.password={password}"),
        "apicurio.datasource.jdbc.initial-size=2",
        "apicurio.datasource.jdbc.min-size=2",
        "apicurio.datasource.jdbc.max-size=10",
        "apicurio.rest.deletion.group.enabled=true",
        "apicurio.rest.deletion.artifact.enabled=true",
        "apicurio.rest.deletion.artifact-version.enabled=true",
        "",
    ]
    .join("\n")
}

fn password() -> String {
    rand::rng()
        .sample_iter(Alphanumeric)
        .take(32)
        .map(char::from)
        .collect()
}

fn secret(namespace: &str, name: &str, kind: &str, data: &Value) -> Value {
    let metadata = json!({"namespace": namespace, "name": name});
    json!({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": kind, "stringData": data})
}

fn basic_auth(namespace: &str, name: &str, username: &str, password: &str) -> Value {
    let data = json!({"username": username, "password": password});
    secret(namespace, name, "kubernetes.io/basic-auth", &data)
}

fn config_map(namespace: &str, name: &str, data: &Value) -> Value {
    let metadata = json!({"namespace": namespace, "name": name});
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_need_no_quoting_and_differ() {
        let (one, other) = (password(), password());
        assert_ne!(one, other);
        assert!(one.len() == 32 && one.chars().all(|c| c.is_ascii_alphanumeric()));
    }
}
