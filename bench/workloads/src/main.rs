//! What the workloads cost: CPU, memory and delays of durable creates and tracking reads, next to peers of the same job.
//!
//! The services are the release build, PostgreSQL (with fsync), Kafka and the schema registry are real. Whatever is
//! measured has one core for itself; the generator of the load, the database and the broker have another.

mod chain;
mod client;
mod cores;
mod creates;
mod load;
mod loops;
mod measure;
mod peers;
mod projection;
mod reads;
mod report;
mod stage;
mod statements;
mod subject;
mod visible;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::{Parser, Subcommand, ValueEnum};

use crate::cores::Cores;
use crate::peers::Peers;
use crate::report::Report;
use crate::stage::Stage;
use crate::subject::Subject;

/// Measures the workloads, and peers of the same job.
#[derive(Parser)]
#[command(
    name = "bench-workloads",
    version,
    after_help = "Examples:\n  make bench\n  make bench BENCH_ARGS='--runs 1 --seconds 2 --no-peers'\n  \
                  make bench BENCH_ARGS='--scenario creates -o json'\n\n\
                  Exit codes: 0 measured, 1 a measurement failed, 2 wrong arguments. A target that is missed is no failure."
)]
struct Arguments {
    #[command(subcommand)]
    part: Option<Part>,
    /// How often all is measured: one after the other, then all again.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// How long each load lasts.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
    /// Creates a second of the load that is the same for all.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..))]
    create_rate: u32,
    /// Reads a second of the load that is the same for all.
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..))]
    read_rate: u32,
    /// Shipments, each with five events, of which timelines are read and that are projected.
    #[arg(long, default_value_t = 4_000, value_parser = clap::value_parser!(u32).range(1..))]
    shipments: u32,
    /// What is measured. Default: all.
    #[arg(long, value_enum)]
    scenario: Vec<Scenario>,
    /// Leaves the peers out.
    #[arg(long)]
    no_peers: bool,
    /// The services' program. Default: the release build of this checkout.
    #[arg(long, value_name = "FILE")]
    logistics: Option<PathBuf>,
    /// How the figures are printed; progress goes to standard error.
    #[arg(short, long, value_enum, default_value_t = Output::Table)]
    output: Output,
}

/// Parts that need a process, and so a core, of their own.
#[derive(Subcommand)]
enum Part {
    /// The SQL of durable creates, and nothing else.
    #[command(hide = true)]
    Loop { file: PathBuf },
    /// Insert, produce, consume, commit, and nothing else.
    #[command(hide = true)]
    Chain { file: PathBuf },
}

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Scenario {
    /// Durable creates, and a bare loop with the same SQL.
    Creates,
    /// Timelines.
    Reads,
    /// From a create until it can be seen in its timeline, and a bare loop that does no more than it must.
    Visible,
    /// Events that tracking projects.
    Projection,
}

#[derive(Clone, Copy, ValueEnum)]
enum Output {
    Table,
    Json,
}

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) load: Duration,
    pub(crate) create_rate: u32,
    pub(crate) read_rate: u32,
    pub(crate) shipments: u32,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    match &arguments.part {
        Some(Part::Loop { file }) => return on_all_cores()?.block_on(loops::run(file)),
        Some(Part::Chain { file }) => return on_all_cores()?.block_on(chain::run(file)),
        None => {}
    }
    // On all cores.
    let peers = if arguments.no_peers {
        None
    } else {
        Some(Peers::ready()?)
    };
    // Before there is any thread, and any process but for those that built the peers: all that is started later stays on
    // the generator's core, unless it is told to be elsewhere.
    let cores = Cores::take()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let report = runtime.block_on(measure(&arguments, cores, peers))?;
    match arguments.output {
        Output::Table => print!("{report}"),
        Output::Json => println!("{}", serde_json::to_string_pretty(&report)?),
    }
    Ok(())
}

/// As the services do it.
fn on_all_cores() -> Result<tokio::runtime::Runtime> {
    logistics_chassis::crypto::install_provider();
    Ok(tokio::runtime::Builder::new_multi_thread().enable_all().build()?)
}

async fn measure(arguments: &Arguments, cores: Cores, peers: Option<Peers>) -> Result<Report> {
    let wanted = |scenario| arguments.scenario.is_empty() || arguments.scenario.contains(&scenario);
    let subjects = Subject::all(!arguments.no_peers);
    let plan = Plan {
        load: Duration::from_secs(arguments.seconds),
        create_rate: arguments.create_rate,
        read_rate: arguments.read_rate,
        shipments: arguments.shipments,
    };
    let logistics = arguments.logistics.clone().unwrap_or_else(built);
    let logistics = logistics.canonicalize().with_context(|| {
        let path = logistics.display();
        format!("{path} is not there; `cargo build --release -p logistics` makes it")
    })?;
    let mut report = Report::new(arguments.runs, arguments.seconds);
    let stage = Stage::start(cores, logistics, peers).await?;
    let creates = if wanted(Scenario::Creates) {
        Some(creates::Creates::prepare(&stage, &subjects).await?)
    } else {
        None
    };
    let history = if wanted(Scenario::Reads) || wanted(Scenario::Projection) {
        Some(projection::History::prepare(&stage, plan).await?)
    } else {
        None
    };
    let visible = if wanted(Scenario::Visible) {
        Some(stage.platform().await?)
    } else {
        None
    };
    for run in 1..=arguments.runs {
        progress(format!("run {run} of {}", arguments.runs));
        if let Some(creates) = &creates {
            creates.run(&stage, plan, &mut report).await?;
        }
        if let Some(history) = &history {
            history.run(&stage, &mut report).await?;
            if wanted(Scenario::Reads) {
                reads::run(&stage, history, &subjects, plan, &mut report).await?;
            }
        }
        if let Some(platform) = &visible {
            visible::run(&stage, platform, plan, &mut report).await?;
        }
    }
    Ok(report)
}

fn built() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
    PathBuf::from(target).join("release/logistics")
}

/// Tells how far the run is.
pub(crate) fn progress(text: impl std::fmt::Display) {
    eprintln!("• {text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        use clap::CommandFactory as _;

        Arguments::command().debug_assert();
    }
}
