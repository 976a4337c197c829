//! Reads a configuration file: file < environment < flags.
//!
//! The file's form is that of [`logistics_schemas::config`]; its path comes from the flag `--config` or from
//! [`CONFIG_VARIABLE`]. Flags and variables that overrule single values are those of [`Overrides`].

mod check;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use logistics_schemas::Workload;
use logistics_schemas::config::{LogLevel, MigrateConfig, ServiceConfig};
use serde::de::DeserializeOwned;

use check::{check_database, check_service, invalid};

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

#[cfg(test)]
mod tests;
