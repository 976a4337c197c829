//! Reads a configuration file: file < environment < flags.
//!
//! The file's form is that of [`logistics_schemas::config`]; its path comes from the flag `--config` or from
//! [`CONFIG_VARIABLE`]. Flags and variables that overrule single values are those of [`Overrides`].

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use logistics_schemas::Workload;
use logistics_schemas::config::{
    Cache, Database, Kafka, LogLevel, MigrateConfig, SaslMechanism, SchemaRegistry, ServiceConfig, Streams,
    Tls, TlsMode,
};
use serde::de::DeserializeOwned;

/// Names the configuration file.
pub const CONFIG_VARIABLE: &str = "LOGISTICS_CONFIG";
/// Names the revision that the process belongs to; put on every span, log line and metric.
pub const REVISION_VARIABLE: &str = "LOGISTICS_REVISION";
/// Overrules `streams.maxSeconds`.
pub const STREAM_MAX_SECONDS_VARIABLE: &str = "LOGISTICS_STREAM_MAX_SECONDS";
/// Overrules `logLevel`.
pub const LOG_LEVEL_VARIABLE: &str = "LOGISTICS_LOG_LEVEL";

/// Largest file that is read, in bytes.
const MAX_FILE: u64 = 1 << 20;

/// Why a configuration was refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("configuration file {path}: {source}; name an existing file with --config or {CONFIG_VARIABLE}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is too large to be a configuration.
    #[error("configuration file {path} has {size} bytes; at most {MAX_FILE} are read")]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size.
        size: u64,
    },
    /// The file does not have the right form.
    #[error("configuration file {path}: {source}")]
    Parse {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: serde_norway::Error,
    },
    /// A value is not allowed.
    #[error("configuration: {field}: {value:?} {remedy}")]
    Invalid {
        /// Path of the field.
        field: &'static str,
        /// What it holds.
        value: String,
        /// What would be right.
        remedy: &'static str,
    },
}

/// Values that stand above the file's: from flags, or from the environment where no flag is given.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// Instead of `logLevel`.
    pub log_level: Option<LogLevel>,
    /// Instead of `grpc.listen`.
    pub grpc_listen: Option<SocketAddr>,
    /// Instead of `admin.listen`.
    pub admin_listen: Option<SocketAddr>,
    /// Instead of `streams.maxSeconds`.
    pub stream_max_seconds: Option<u32>,
}

/// Reads the configuration of the service `workload`.
pub fn load_service(
    path: &Path,
    workload: Workload,
    overrides: &Overrides,
) -> Result<ServiceConfig, ConfigError> {
    let mut config: ServiceConfig = read(path)?;
    if let Some(level) = overrides.log_level {
        config.log_level = level;
    }
    if let Some(listen) = overrides.grpc_listen {
        config.grpc.listen = listen;
    }
    if let Some(listen) = overrides.admin_listen {
        config.admin.listen = listen;
    }
    if let Some(seconds) = overrides.stream_max_seconds {
        config.streams.max_seconds = seconds;
    }
    check_service(&config, workload)?;
    Ok(config)
}

/// Reads the configuration of the migration.
pub fn load_migrate(path: &Path, overrides: &Overrides) -> Result<MigrateConfig, ConfigError> {
    let mut config: MigrateConfig = read(path)?;
    if let Some(level) = overrides.log_level {
        config.log_level = level;
    }
    check_database(&config.database)?;
    if config.roles.is_empty() {
        return Err(invalid("roles", "[]", "needs one role per service"));
    }
    for (at, role) in config.roles.iter().enumerate() {
        if config.roles[..at]
            .iter()
            .any(|other| other.workload == role.workload)
        {
            return Err(invalid(
                "roles[].workload",
                role.workload.name(),
                "is there twice; give each service one role",
            ));
        }
    }
    Ok(config)
}

fn read<T: DeserializeOwned>(path: &Path) -> Result<T, ConfigError> {
    let read_error = |source| ConfigError::Read {
        path: path.to_owned(),
        source,
    };
    let size = std::fs::metadata(path).map_err(read_error)?.len();
    if size > MAX_FILE {
        return Err(ConfigError::TooLarge {
            path: path.to_owned(),
            size,
        });
    }
    let text = std::fs::read_to_string(path).map_err(read_error)?;
    serde_norway::from_str(&text).map_err(|source| ConfigError::Parse {
        path: path.to_owned(),
        source,
    })
}

fn check_service(config: &ServiceConfig, workload: Workload) -> Result<(), ConfigError> {
    if config.workload != workload {
        return Err(invalid(
            "workload",
            config.workload.name(),
            "is another service's; start the subcommand of that name, or give this one its own file",
        ));
    }
    if config.grpc.listen == config.admin.listen && config.grpc.listen.port() != 0 {
        return Err(invalid(
            "admin.listen",
            config.admin.listen.to_string(),
            "is grpc.listen too; give each its own port",
        ));
    }
    check_database(&config.database)?;
    if config.kafka.bootstrap_servers.trim().is_empty() {
        return Err(invalid(
            "kafka.bootstrapServers",
            "",
            "must name at least one host:port",
        ));
    }
    if config.kafka.group_id.is_empty() {
        return Err(invalid("kafka.groupId", "", "must name the consumer group"));
    }
    check_tls("kafka.tls", &config.kafka.tls)?;
    check_sasl(&config.kafka)?;
    check_registry(&config.schema_registry)?;
    for (field, value) in [
        ("auth.issuer", &config.auth.issuer),
        ("auth.audience", &config.auth.audience),
    ] {
        if value.is_empty() {
            return Err(invalid(field, "", "must be what the tokens carry"));
        }
    }
    config.cache.as_ref().map_or(Ok(()), check_cache)?;
    check_streams(&config.streams)?;
    match &config.otlp {
        Some(otlp) if !(0.0..=1.0).contains(&otlp.sampling_ratio) => Err(invalid(
            "otlp.samplingRatio",
            otlp.sampling_ratio.to_string(),
            "must be between 0 and 1",
        )),
        Some(otlp) if !otlp.endpoint.starts_with("http://") && !otlp.endpoint.starts_with("https://") => {
            Err(invalid(
                "otlp.endpoint",
                otlp.endpoint.clone(),
                "must be a URL such as http://collector:4317",
            ))
        }
        _ => Ok(()),
    }
}

fn check_cache(cache: &Cache) -> Result<(), ConfigError> {
    if cache.redis.host.is_empty() {
        return Err(invalid("cache.redis.host", "", "must not be empty"));
    }
    check_tls("cache.redis.tls", &cache.redis.tls)
}

fn check_streams(streams: &Streams) -> Result<(), ConfigError> {
    if !(1..=3600).contains(&streams.max_seconds) {
        return Err(invalid(
            "streams.maxSeconds",
            streams.max_seconds.to_string(),
            "must be between 1 and 3600",
        ));
    }
    for (field, value) in [
        ("streams.maxOpen", streams.max_open),
        ("streams.maxOpenPerCaller", streams.max_open_per_caller),
        ("streams.slowClientSeconds", streams.slow_client_seconds),
    ] {
        if value == 0 {
            return Err(invalid(field, "0", "must be at least 1"));
        }
    }
    Ok(())
}

fn check_sasl(kafka: &Kafka) -> Result<(), ConfigError> {
    match (&kafka.sasl, kafka.tls.mode) {
        (Some(sasl), TlsMode::Disabled) if sasl.mechanism == SaslMechanism::Plain => Err(invalid(
            "kafka.sasl.mechanism",
            sasl.mechanism.as_str(),
            "sends the password as it is; set kafka.tls.mode to Verify, or use SCRAM-SHA-512",
        )),
        _ => Ok(()),
    }
}

fn check_registry(registry: &SchemaRegistry) -> Result<(), ConfigError> {
    let SchemaRegistry {
        url,
        tls,
        credentials,
        ..
    } = registry;
    if let (TlsMode::Disabled, Some(files)) = (tls.mode, credentials) {
        return Err(invalid(
            "schemaRegistry.credentials",
            files.password_file.display().to_string(),
            "would be sent as they are; set schemaRegistry.tls.mode to Verify, or leave them out",
        ));
    }
    let scheme = match tls.mode {
        TlsMode::Verify => "https://",
        TlsMode::Disabled => "http://",
    };
    if !url.starts_with(scheme) {
        return Err(invalid(
            "schemaRegistry.url",
            url.as_str(),
            "must begin with https:// where schemaRegistry.tls.mode is Verify, and with http:// where it is Disabled",
        ));
    }
    check_tls("schemaRegistry.tls", tls)
}

fn check_database(database: &Database) -> Result<(), ConfigError> {
    for (field, value) in [
        ("database.host", &database.host),
        ("database.name", &database.name),
    ] {
        if value.is_empty() {
            return Err(invalid(field, "", "must not be empty"));
        }
    }
    if !(2..=1000).contains(&database.max_connections) {
        return Err(invalid(
            "database.maxConnections",
            database.max_connections.to_string(),
            "must be between 2 and 1000",
        ));
    }
    check_tls("database.tls", &database.tls)
}

fn check_tls(field: &'static str, tls: &Tls) -> Result<(), ConfigError> {
    match (&tls.mode, &tls.ca_file) {
        (TlsMode::Disabled, Some(file)) => Err(invalid(
            field,
            file.display().to_string(),
            "is a caFile, but mode is Disabled; set mode Verify or leave the file out",
        )),
        _ => Ok(()),
    }
}

fn invalid(field: &'static str, value: impl Into<String>, remedy: &'static str) -> ConfigError {
    ConfigError::Invalid {
        field,
        value: value.into(),
        remedy,
    }
}

#[cfg(test)]
mod tests;
