//! `kubectl-logistics`: see `kubectl logistics --help`.

use std::fmt::Display;
use std::future::Future;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use kubectl_logistics::{bundle, dlq, lint, status};

/// Something could not be done.
const FAILED: u8 = 1;

/// Wrong usage, as clap has it.
const USAGE: u8 = 2;

/// Checks, shows and examines LogisticsPlatform objects.
#[derive(Parser)]
#[command(
    name = "kubectl-logistics",
    bin_name = "kubectl logistics",
    version,
    after_help = "Example:\n  kubectl logistics lint acme.yaml && kubectl apply -f acme.yaml && kubectl logistics status --watch"
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Checks files as `kubectl apply` and the operator would, without a cluster.
    Lint(lint::Arguments),
    /// Shows platforms as trees, with the reason of whatever is not as it should be.
    Status(status::Arguments),
    /// Looks at the records that a service could not apply, and takes them up again.
    Dlq(dlq::Arguments),
    /// Gathers what a maintainer needs into one file, without secrets.
    SupportBundle(bundle::Arguments),
}

fn main() -> ExitCode {
    let code = match Cli::parse().command {
        Command::Lint(arguments) => lint::run(&arguments).unwrap_or_else(|error| fail(USAGE, error)),
        Command::Status(arguments) => ask(status::run(&arguments)),
        Command::Dlq(arguments) => ask(dlq::run(&arguments)),
        Command::SupportBundle(arguments) => ask(bundle::run(&arguments)),
    };
    ExitCode::from(code)
}

/// Runs what talks to a cluster.
fn ask<E: Display>(command: impl Future<Output = Result<u8, E>>) -> u8 {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime {
        Ok(runtime) => runtime
            .block_on(command)
            .unwrap_or_else(|error| fail(FAILED, error)),
        Err(error) => fail(FAILED, error),
    }
}

fn fail(code: u8, error: impl Display) -> u8 {
    eprintln!("error: {error}");
    code
}
