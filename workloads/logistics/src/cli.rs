//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use logistics_chassis::config::{
    CONFIG_VARIABLE, LOG_LEVEL_VARIABLE, Overrides, STREAM_MAX_SECONDS_VARIABLE,
};
use logistics_schemas::config::LogLevel;

const AFTER_HELP: &str = "\
Example:
  logistics shipment --config /etc/logistics/config/config.yaml

A value is taken from the flag, else from the environment, else from the file.

Environment:
  LOGISTICS_CONFIG              the configuration file
  LOGISTICS_LOG_LEVEL           instead of logLevel
  LOGISTICS_STREAM_MAX_SECONDS  instead of streams.maxSeconds (tracking)
  LOGISTICS_REVISION            the revision on spans, logs and metrics
  POD_NAME                      the instance on spans and in Kafka's client id

Exit codes:
  0   stopped as asked, or the configuration is right
  1   failed while running; standard error says why
  64  the command line or the configuration is wrong
  70  a mistake in the program; standard error has a report";

/// The services of a logistics platform, and the migration of its database.
#[derive(Debug, Parser)]
#[command(name = "logistics", version, after_help = AFTER_HELP, subcommand_required = true, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to run.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Takes orders and scans; the only writer of shipments.
    #[command(after_help = "Example:\n  logistics shipment --config config.yaml --check-config")]
    Shipment(Service),
    /// Answers where a shipment is and what happened to it.
    #[command(after_help = "Example:\n  logistics tracking --config config.yaml --check-config")]
    Tracking(Tracking),
    /// Scores risk and estimates arrival.
    #[command(after_help = "Example:\n  logistics analytics --config config.yaml --check-config")]
    Analytics(Service),
    /// Brings the database into the form that the services need: schemas, tables, roles. May be repeated.
    #[command(after_help = "Example:\n  logistics migrate --config migrate.yaml")]
    Migrate(Common),
}

/// Flags of all subcommands.
#[derive(Debug, Args)]
pub(crate) struct Common {
    /// The configuration file, YAML.
    #[arg(long, env = CONFIG_VARIABLE, value_name = "FILE")]
    pub(crate) config: PathBuf,
    /// Read and check the configuration, and stop.
    #[arg(long)]
    pub(crate) check_config: bool,
    /// Lowest level that is logged, instead of the file's.
    #[arg(long, env = LOG_LEVEL_VARIABLE, value_name = "LEVEL")]
    log_level: Option<Level>,
}

/// Flags of the services.
#[derive(Debug, Args)]
pub(crate) struct Service {
    #[command(flatten)]
    pub(crate) common: Common,
    /// Where gRPC is served, instead of the file's.
    #[arg(long, value_name = "ADDRESS:PORT")]
    grpc_listen: Option<SocketAddr>,
    /// Where probes and metrics are served, instead of the file's.
    #[arg(long, value_name = "ADDRESS:PORT")]
    admin_listen: Option<SocketAddr>,
}

/// Flags of the tracking service.
#[derive(Debug, Args)]
pub(crate) struct Tracking {
    #[command(flatten)]
    pub(crate) service: Service,
    /// Seconds after which a live stream ends, so that its client opens it again, instead of the file's.
    #[arg(long, env = STREAM_MAX_SECONDS_VARIABLE, value_name = "SECONDS")]
    stream_max_seconds: Option<u32>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Level {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

impl Common {
    /// What the flags and the environment say.
    pub(crate) fn overrides(&self) -> Overrides {
        Overrides {
            log_level: self.log_level.map(|level| match level {
                Level::Error => LogLevel::Error,
                Level::Warn => LogLevel::Warn,
                Level::Info => LogLevel::Info,
                Level::Debug => LogLevel::Debug,
                Level::Trace => LogLevel::Trace,
            }),
            ..Overrides::default()
        }
    }
}

impl Service {
    /// What the flags and the environment say.
    pub(crate) fn overrides(&self) -> Overrides {
        Overrides {
            grpc_listen: self.grpc_listen,
            admin_listen: self.admin_listen,
            ..self.common.overrides()
        }
    }
}

impl Tracking {
    /// What the flags and the environment say.
    pub(crate) fn overrides(&self) -> Overrides {
        Overrides {
            stream_max_seconds: self.stream_max_seconds,
            ..self.service.overrides()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        use clap::CommandFactory as _;

        Cli::command().debug_assert();
    }

    #[test]
    fn the_help_names_what_the_chassis_reads() {
        for name in [
            CONFIG_VARIABLE,
            LOG_LEVEL_VARIABLE,
            STREAM_MAX_SECONDS_VARIABLE,
            logistics_chassis::config::REVISION_VARIABLE,
        ] {
            assert!(AFTER_HELP.contains(name), "{name}");
        }
    }
}
