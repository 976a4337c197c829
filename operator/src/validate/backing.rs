//! Checks of what the platform stands on.

use logistics_schemas::config::Encoding;

use super::platform::{ValidAuth, ValidDatabase, ValidKafka, ValidRedis, ValidRegistry, ValidTls};
use super::{Findings, scalar};
use crate::api;

pub(super) fn kafka(kafka: &api::Kafka, findings: &mut Findings) -> ValidKafka {
    let topics = &kafka.topics;
    for (field, value, max) in [
        ("spec.kafka.topics.partitions", topics.partitions, 1000),
        (
            "spec.kafka.topics.replicationFactor",
            topics.replication_factor,
            10,
        ),
    ] {
        if !(1..=max).contains(&value) {
            findings.add(field, value, format!("is not between 1 and {max}"));
        }
    }
    let prefix = scalar::text(
        &kafka.topic_prefix,
        100,
        |c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'),
        "is not a prefix of a topic's name; use at most 100 letters, digits, '.', '_' and '-', for example acme.",
    );
    let retention = scalar::duration_within(&topics.retention, ("1h", 3600), ("87600h", 87_600 * 3600));
    let resync = scalar::duration_within(&kafka.resync, ("5s", 5), ("1h", 3600));
    ValidKafka {
        bootstrap_servers: findings.take(
            "spec.kafka.bootstrapServers",
            &kafka.bootstrap_servers,
            scalar::bootstrap_servers(&kafka.bootstrap_servers),
        ),
        tls: tls("spec.kafka.tls", &kafka.tls, findings),
        topic_prefix: findings.take("spec.kafka.topicPrefix", &kafka.topic_prefix, prefix),
        partitions: topics.partitions,
        replication_factor: topics.replication_factor,
        retention: findings.take("spec.kafka.topics.retention", &topics.retention, retention),
        resync: findings.take("spec.kafka.resync", &kafka.resync, resync),
    }
}

pub(super) fn registry(registry: &api::SchemaRegistry, findings: &mut Findings) -> ValidRegistry {
    let field = "spec.schemaRegistry.url";
    let tls = tls("spec.schemaRegistry.tls", &registry.tls, findings);
    let url = scalar::url(&registry.url, "https://registry.example.org/apis/ccompat/v7");
    if url.is_ok() && registry.url.starts_with("https://") == (tls == ValidTls::Disabled) {
        let remedy = "and tls.mode disagree; use https:// with Verify, or http:// with Disabled";
        findings.add(field, &registry.url, remedy);
    }
    ValidRegistry {
        url: findings
            .take(field, &registry.url, url)
            .trim_end_matches('/')
            .to_owned(),
        tls,
        compatibility: registry.compatibility,
        encoding: match registry.encoding {
            api::Encoding::Avro => Encoding::Avro,
            api::Encoding::Json => Encoding::Json,
        },
    }
}

pub(super) fn database(database: &api::Database, findings: &mut Findings) -> ValidDatabase {
    let host = host(&database.host, "postgres.backing.svc");
    let name = scalar::text(
        &database.name,
        63,
        |c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'),
        "is not a database name; use at most 63 letters, digits, '_' and '-'",
    );
    let secret = &database.credentials.secret_ref.name;
    ValidDatabase {
        host: findings.take("spec.database.host", &database.host, host),
        port: findings.take(
            "spec.database.port",
            &database.port.to_string(),
            port(database.port),
        ),
        name: findings.take(
            "spec.database.name",
            &database.name,
            name.and_then(scalar::required),
        ),
        tls: tls("spec.database.tls", &database.tls, findings),
        owner_secret: findings.take(
            "spec.database.credentials.secretRef.name",
            secret,
            scalar::object_name(secret),
        ),
    }
}

pub(super) fn redis(redis: &api::Redis, findings: &mut Findings) -> ValidRedis {
    ValidRedis {
        host: findings.take(
            "spec.cache.redis.host",
            &redis.host,
            host(&redis.host, "redis.backing.svc"),
        ),
        port: findings.take("spec.cache.redis.port", &redis.port.to_string(), port(redis.port)),
        tls: tls("spec.cache.redis.tls", &redis.tls, findings),
        secret: redis.credentials.as_ref().map(|credentials| {
            let secret = &credentials.secret_ref.name;
            findings.take(
                "spec.cache.redis.credentials.secretRef.name",
                secret,
                scalar::object_name(secret),
            )
        }),
    }
}

fn host(host: &str, example: &str) -> Result<String, String> {
    scalar::text(
        host,
        253,
        |c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':'),
        &format!("is not a host name; leave out scheme and port, for example {example}"),
    )
    .and_then(scalar::required)
}

fn port(port: i32) -> Result<u16, String> {
    u16::try_from(port)
        .ok()
        .filter(|port| *port > 0)
        .ok_or_else(|| "is not between 1 and 65535".to_owned())
}

pub(super) fn auth(auth: &api::Auth, findings: &mut Findings) -> ValidAuth {
    let audience = scalar::text(
        &auth.audience,
        256,
        |c| !c.is_whitespace() && !c.is_control(),
        "holds a blank",
    )
    .and_then(scalar::required);
    let jwks = &auth.jwks.config_map_ref;
    ValidAuth {
        issuer: findings.take(
            "spec.auth.issuer",
            &auth.issuer,
            scalar::url(&auth.issuer, "https://issuer.example.org"),
        ),
        audience: findings.take("spec.auth.audience", &auth.audience, audience),
        jwks_config_map: findings.take(
            "spec.auth.jwks.configMapRef.name",
            &jwks.name,
            scalar::object_name(&jwks.name),
        ),
        jwks_key: findings.take(
            "spec.auth.jwks.configMapRef.key",
            &jwks.key,
            scalar::data_key(&jwks.key),
        ),
    }
}

fn tls(path: &str, tls: &api::Tls, findings: &mut Findings) -> ValidTls {
    let field = format!("{path}.caConfigMapRef");
    match (tls.mode, &tls.ca_config_map_ref) {
        (api::TlsMode::Disabled, None) => ValidTls::Disabled,
        (api::TlsMode::Disabled, Some(ca)) => {
            findings.add(
                &field,
                &ca.name,
                "has no effect with mode Disabled; remove it, or set mode to Verify",
            );
            ValidTls::Disabled
        }
        (api::TlsMode::Verify, None) => ValidTls::System,
        (api::TlsMode::Verify, Some(ca)) => ValidTls::Authority {
            config_map: findings.take(&format!("{field}.name"), &ca.name, scalar::object_name(&ca.name)),
            key: findings.take(&format!("{field}.key"), &ca.key, scalar::data_key(&ca.key)),
        },
    }
}
