//! What the operator costs: memory, CPU, requests and delays with many platforms, on a real API server, next to peers.
//!
//! The API server and etcd are real processes, and so is each operator that is measured. The controllers of Deployments,
//! `ReplicaSet`s and Jobs are played by this program, so that no pod has to be scheduled; Kafka, the schema registry and
//! PostgreSQL are counting servers that speak the real protocols.

mod fake;
mod measure;
mod peers;
mod play;
mod report;
mod scenarios;
mod site;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::{Parser, ValueEnum};

use report::Report;

/// Measures the operator, and its peers in the same rig.
#[derive(Parser)]
#[command(
    name = "bench-operator",
    version,
    after_help = "Examples:\n  make bench-operator\n  make bench-operator BENCH_ARGS='--platforms 50 --rest 30 --no-peers'\n  \
                  cargo run --release -p bench-operator -- --platforms 1000 -o json\n\n\
                  Exit codes: 0 measured, 1 a measurement failed, 2 wrong arguments. A target that is missed is no failure."
)]
struct Arguments {
    /// How many platforms.
    #[arg(long, default_value_t = 1000)]
    platforms: usize,
    /// Seconds at rest. Topics and subjects are read every 30 s, or more seldom where there are many.
    #[arg(long, default_value_t = 330)]
    rest: u64,
    /// How often each delay is measured.
    #[arg(long, default_value_t = 200)]
    repeat: usize,
    /// How often a start over existing platforms is measured.
    #[arg(long, default_value_t = 3)]
    starts: usize,
    /// Leaves the peers out.
    #[arg(long)]
    no_peers: bool,
    /// Measures the peers only.
    #[arg(long, conflicts_with = "no_peers")]
    only_peers: bool,
    /// Rollouts of the Argo Rollouts controller; measured at a tenth too.
    #[arg(long, default_value_t = 1000)]
    rollouts: usize,
    /// Canaries of Flagger.
    #[arg(long, default_value_t = 100)]
    canaries: usize,
    /// The operator's program. Default: the release build of this checkout.
    #[arg(long, value_name = "FILE")]
    operator: Option<PathBuf>,
    /// How the figures are printed; progress goes to standard error.
    #[arg(short, long, value_enum, default_value_t = Output::Table)]
    output: Output,
}

#[derive(Clone, Copy, ValueEnum)]
enum Output {
    Table,
    Json,
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let mut report = Report::default();
    if !arguments.only_peers {
        let operator = arguments.operator.clone().unwrap_or_else(built);
        let operator = operator.canonicalize().with_context(|| {
            let path = operator.display();
            format!("{path} is not there; `cargo build --release -p logistics-operator` makes it")
        })?;
        let sizes = scenarios::Sizes {
            platforms: arguments.platforms,
            rest: Duration::from_secs(arguments.rest),
            repeat: arguments.repeat,
            starts: arguments.starts,
        };
        scenarios::run(&operator, sizes, &mut report).await?;
    }
    if !arguments.no_peers {
        let rest = Duration::from_secs(arguments.rest.min(120));
        peers::argo::run(&[arguments.rollouts / 10, arguments.rollouts], rest, &mut report).await?;
        peers::flagger::run(arguments.canaries, rest, &mut report).await?;
    }
    match arguments.output {
        Output::Table => print!("{report}"),
        Output::Json => println!("{}", serde_json::to_string_pretty(&report)?),
    }
    Ok(())
}

fn built() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
    PathBuf::from(target).join("release/logistics-operator")
}

/// Tells how far the run is.
pub(crate) fn progress(text: impl std::fmt::Display) {
    eprintln!("• {text}");
}
