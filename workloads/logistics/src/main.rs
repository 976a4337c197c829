//! The logistics binary: every service and the migration, one subcommand each.

mod cli;

use std::fmt::Display;
use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser as _;
use logistics_chassis::config::{self, ConfigError, Overrides};
use logistics_chassis::migrate::{self, MigrateError};
use logistics_chassis::service::{ProcessIdentity, RunError};
use logistics_chassis::shutdown::Shutdown;
use logistics_chassis::telemetry::{Telemetry, TelemetryError};
use logistics_schemas::Workload;
use logistics_schemas::config::{MigrateConfig, ServiceConfig};

use crate::cli::{Cli, Command};

/// `EX_USAGE` of sysexits.h.
const USAGE: u8 = 64;
/// `EX_SOFTWARE` of sysexits.h.
const SOFTWARE: i32 = 70;
/// Longest wait for threads when the process ends.
const LAST_THREADS: Duration = Duration::from_secs(1);

/// Why the process failed.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Telemetry(#[from] TelemetryError),
    #[error(transparent)]
    Run(#[from] RunError),
    #[error(transparent)]
    Migrate(#[from] MigrateError),
    #[error("cannot start: {0}")]
    Start(#[from] std::io::Error),
    #[error("the migration was stopped; what it had not finished is rolled back, and may be repeated")]
    Interrupted,
}

fn main() -> ExitCode {
    report_panics();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(message) => {
            // Nothing is left to do where even this cannot be printed.
            let _ = message.print();
            return if message.use_stderr() {
                ExitCode::from(USAGE)
            } else {
                ExitCode::SUCCESS
            };
        }
    };
    match dispatch(&cli.command) {
        Ok(()) | Err(Failure::Run(RunError::Stopped)) => ExitCode::SUCCESS,
        Err(failure) => {
            say(&failure);
            match failure {
                Failure::Config(_) | Failure::Telemetry(TelemetryError::Exporter { .. }) => {
                    ExitCode::from(USAGE)
                }
                _ => ExitCode::FAILURE,
            }
        }
    }
}

fn dispatch(command: &Command) -> Result<(), Failure> {
    match command {
        Command::Shipment(flags) => serve(Workload::Shipment, &flags.common, &flags.overrides()),
        Command::Tracking(flags) => serve(Workload::Tracking, &flags.service.common, &flags.overrides()),
        Command::Analytics(flags) => serve(Workload::Analytics, &flags.common, &flags.overrides()),
        Command::Migrate(common) => {
            let config = config::load_migrate(&common.config, &common.overrides())?;
            if common.check_config {
                return Ok(());
            }
            migrate(&config)
        }
    }
}

fn serve(workload: Workload, common: &cli::Common, overrides: &Overrides) -> Result<(), Failure> {
    let config = config::load_service(&common.config, workload, overrides)?;
    if common.check_config {
        return Ok(());
    }
    let process = ProcessIdentity::from_environment(workload.name(), &config.platform);
    let (level, otlp) = (config.log_level, config.otlp.clone());
    let runtime = runtime()?;
    let telemetry = {
        let _in_runtime = runtime.enter();
        Telemetry::install(&process, level, otlp.as_ref())?
    };
    tracing::info!(version = process.version, instance = process.instance, "starting");
    let outcome = runtime.block_on(run(workload, config, process));
    telemetry.flush();
    runtime.shutdown_timeout(LAST_THREADS);
    outcome
}

async fn run(workload: Workload, config: ServiceConfig, process: ProcessIdentity) -> Result<(), Failure> {
    let shutdown = Shutdown::new();
    shutdown.on_signals()?;
    match workload {
        Workload::Shipment => logistics_shipment::run(config, process, shutdown).await?,
        Workload::Tracking => logistics_tracking::run(config, process, shutdown).await?,
        Workload::Analytics => logistics_analytics::run(config, process, shutdown).await?,
    }
    Ok(())
}

fn migrate(config: &MigrateConfig) -> Result<(), Failure> {
    let process = ProcessIdentity::from_environment("migrate", &config.platform);
    let telemetry = Telemetry::install(&process, config.log_level, None)?;
    let services = [
        &logistics_shipment::MIGRATIONS,
        &logistics_tracking::MIGRATIONS,
        &logistics_analytics::MIGRATIONS,
    ];
    let outcome = runtime()?.block_on(async {
        // The first process of a container has no default action for signals.
        let shutdown = Shutdown::new();
        shutdown.on_signals()?;
        tokio::select! {
            outcome = migrate::run(config, &services) => outcome.map_err(Failure::from),
            () = shutdown.requested().cancelled_owned() => Err(Failure::Interrupted),
        }
    });
    telemetry.flush();
    outcome
}

fn runtime() -> Result<tokio::runtime::Runtime, std::io::Error> {
    logistics_chassis::crypto::install_provider();
    tokio::runtime::Builder::new_multi_thread().enable_all().build()
}

/// A panic ends the process, with one line that says where: half of a service is no service.
fn report_panics() {
    std::panic::set_hook(Box::new(|panic| {
        say(&format_args!(
            "a mistake in the program, please report it: {panic}"
        ));
        std::process::exit(SOFTWARE);
    }));
}

/// Into the log, once there is one.
fn say(message: &dyn Display) {
    if tracing::dispatcher::has_been_set() {
        tracing::error!("{message}");
        return;
    }
    // Nothing is left to do where even this cannot be printed.
    let _ = writeln!(std::io::stderr(), "logistics: {message}");
}
