//! The configuration of services and of the migration: immutable `ConfigMap`s named by their content, so that a running
//! revision never sees another's.

use std::path::PathBuf;

use logistics_schemas::Workload;
use logistics_schemas::config as file;
use serde::Serialize;
use serde_json::json;

use super::controller_revision::Revision;
use super::{Context, object};
use crate::child::{Child, ChildKind};
use crate::names::{ADMIN_PORT, GRPC_PORT, MIGRATE, path};
use crate::validate::{ValidRedis, ValidSasl, ValidTls};

/// Connections that a service opens to PostgreSQL at most.
const SERVICE_CONNECTIONS: u32 = 10;

/// Connections that the migration opens at most.
const MIGRATE_CONNECTIONS: u32 = 2;

/// The ConfigMap of a service's revision.
pub(super) fn of_service(context: Context<'_>, revision: &Revision) -> Child {
    config_map(context, revision.workload.name(), &revision.frozen.config)
}

/// A ConfigMap with a configuration file.
pub(super) fn config_map(context: Context<'_>, component: &str, text: &str) -> Child {
    let name = context.names.config(component, text);
    let fields = json!({"immutable": true, "data": {path::CONFIG_FILE: text}});
    let labels = context.names.component_labels(component);
    object::child(context, ChildKind::ConfigMap, name, &labels, fields)
}

/// The configuration file of a service.
pub(super) fn service_config(context: Context<'_>, workload: Workload) -> String {
    let valid = context.valid;
    let listen = |port| file::Listener {
        listen: (std::net::Ipv6Addr::UNSPECIFIED, port).into(),
    };
    yaml(&file::ServiceConfig {
        platform: valid.identity.clone(),
        workload,
        grpc: listen(GRPC_PORT),
        admin: listen(ADMIN_PORT),
        control: file::control(),
        database: database(context, path::DATABASE, SERVICE_CONNECTIONS),
        kafka: file::Kafka {
            bootstrap_servers: valid.kafka.bootstrap_servers.clone(),
            tls: tls(&valid.kafka.tls, Authority::Kafka),
            sasl: valid.kafka.sasl.as_ref().map(sasl),
            topic_prefix: valid.kafka.topic_prefix.clone(),
            group_id: context.names.consumer_group(workload),
        },
        schema_registry: file::SchemaRegistry {
            url: valid.registry.url.clone(),
            tls: tls(&valid.registry.tls, Authority::Registry),
            credentials: valid
                .registry
                .secret
                .as_ref()
                .map(|_| credentials(path::REGISTRY)),
            encoding: valid.registry.encoding,
        },
        auth: file::Auth {
            issuer: valid.auth.issuer.clone(),
            audience: valid.auth.audience.clone(),
            jwks_file: PathBuf::from(path::AUTH).join(&valid.auth.jwks_key),
        },
        otlp: valid.otlp.as_ref().map(|otlp| file::Otlp {
            endpoint: otlp.endpoint.clone(),
            sampling_ratio: otlp.sampling_ratio,
        }),
        cache: valid.redis_of(workload).map(cache),
        streams: file::Streams::default(),
        log_level: valid.log_level,
    })
}

/// The configuration file of the migration.
pub(super) fn migrate_config(context: Context<'_>) -> String {
    let role = |workload: Workload| {
        let folder = PathBuf::from(path::ROLES).join(workload.name());
        file::ServiceRole {
            workload,
            username_file: folder.join("username"),
            password_file: folder.join("password"),
        }
    };
    yaml(&file::MigrateConfig {
        platform: context.valid.identity.clone(),
        database: database(context, path::ADMIN, MIGRATE_CONNECTIONS),
        roles: Workload::ALL.into_iter().map(role).collect(),
        log_level: context.valid.log_level,
    })
}

/// Whose certificate authority: the name of its folder.
#[derive(Clone, Copy)]
pub(super) enum Authority {
    /// Of the brokers.
    Kafka,
    /// Of the schema registry.
    Registry,
    /// Of PostgreSQL.
    Database,
    /// Of Redis.
    Cache,
}

impl Authority {
    pub(super) const fn folder(self) -> &'static str {
        match self {
            Self::Kafka => "kafka",
            Self::Registry => "registry",
            Self::Database => "database",
            Self::Cache => "cache",
        }
    }

    pub(super) fn path(self) -> PathBuf {
        PathBuf::from(path::CA).join(self.folder())
    }
}

fn database(context: Context<'_>, credentials: &str, max_connections: u32) -> file::Database {
    let database = &context.valid.database;
    file::Database {
        host: database.host.clone(),
        port: database.port,
        name: database.name.clone(),
        tls: tls(&database.tls, Authority::Database),
        username_file: PathBuf::from(credentials).join("username"),
        password_file: PathBuf::from(credentials).join("password"),
        max_connections,
    }
}

fn sasl(sasl: &ValidSasl) -> file::Sasl {
    let file::Credentials {
        username_file,
        password_file,
    } = credentials(path::KAFKA);
    file::Sasl {
        mechanism: sasl.mechanism,
        username_file,
        password_file,
    }
}

/// The files of a Secret that is mounted in a folder.
fn credentials(folder: &str) -> file::Credentials {
    let folder = PathBuf::from(folder);
    file::Credentials {
        username_file: folder.join("username"),
        password_file: folder.join("password"),
    }
}

fn cache(redis: &ValidRedis) -> file::Cache {
    let folder = PathBuf::from(path::CACHE);
    file::Cache {
        redis: file::Redis {
            host: redis.host.clone(),
            port: redis.port,
            tls: tls(&redis.tls, Authority::Cache),
            credentials: redis.secret.as_ref().map(|_| file::RedisCredentials {
                username_file: folder.join("username"),
                password_file: folder.join("password"),
            }),
        },
    }
}

fn tls(tls: &ValidTls, authority: Authority) -> file::Tls {
    let (mode, ca_file) = match tls {
        ValidTls::Disabled => (file::TlsMode::Disabled, None),
        ValidTls::System => (file::TlsMode::Verify, None),
        ValidTls::Authority { key, .. } => (file::TlsMode::Verify, Some(authority.path().join(key))),
    };
    file::Tls { mode, ca_file }
}

#[expect(
    clippy::expect_used,
    reason = "the configuration's types hold plain data with text keys only"
)]
fn yaml(config: &impl Serialize) -> String {
    serde_norway::to_string(config).expect("plain data")
}

/// The migration's ConfigMap.
pub(super) fn of_migration(context: Context<'_>) -> Child {
    config_map(context, MIGRATE, &migrate_config(context))
}
