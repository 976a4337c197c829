//! Checks of what the platform stands on beside Kafka.

use logistics_schemas::config::Encoding;

use super::platform::{ValidAuth, ValidDatabase, ValidRedis, ValidRegistry, ValidTls};
use super::{Findings, scalar};
use crate::api;

/// The name of the Secret with credentials.
pub(super) fn secret(path: &str, credentials: &api::Credentials, findings: &mut Findings) -> String {
    let name = &credentials.secret_ref.name;
    findings.take(&format!("{path}.secretRef.name"), name, scalar::object_name(name))
}

pub(super) fn registry(registry: &api::SchemaRegistry, findings: &mut Findings) -> ValidRegistry {
    let field = "spec.schemaRegistry.url";
    let tls = tls("spec.schemaRegistry.tls", &registry.tls, findings);
    let url = scalar::url(&registry.url, "https://registry.example.org/apis/ccompat/v7");
    if url.is_ok() && registry.url.starts_with("https://") == (tls == ValidTls::Disabled) {
        let remedy = "and tls.mode disagree; use https:// with Verify, or http:// with Disabled";
        findings.add(field, &registry.url, remedy);
    }
    if registry.credentials.is_some() && tls == ValidTls::Disabled {
        findings.add(
            "spec.schemaRegistry.tls.mode",
            "Disabled",
            "would send the password of credentials as it is; use https:// with tls.mode Verify, or leave credentials out",
        );
    }
    ValidRegistry {
        url: findings
            .take(field, &registry.url, url)
            .trim_end_matches('/')
            .to_owned(),
        tls,
        secret: registry
            .credentials
            .as_ref()
            .map(|credentials| secret("spec.schemaRegistry.credentials", credentials, findings)),
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
        owner_secret: secret("spec.database.credentials", &database.credentials, findings),
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
        secret: redis
            .credentials
            .as_ref()
            .map(|credentials| secret("spec.cache.redis.credentials", credentials, findings)),
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

pub(super) fn tls(path: &str, tls: &api::Tls, findings: &mut Findings) -> ValidTls {
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
