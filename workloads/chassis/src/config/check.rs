//! What a configuration may not say.

use logistics_schemas::Workload;
use logistics_schemas::config::{
    Cache, Database, Kafka, SaslMechanism, SchemaRegistry, ServiceConfig, Streams, Tls, TlsMode,
};

use super::ConfigError;

pub(super) fn check_service(config: &ServiceConfig, workload: Workload) -> Result<(), ConfigError> {
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

pub(super) fn check_database(database: &Database) -> Result<(), ConfigError> {
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

pub(super) fn invalid(field: &'static str, value: impl Into<String>, remedy: &'static str) -> ConfigError {
    ConfigError::Invalid {
        field,
        value: value.into(),
        remedy,
    }
}
