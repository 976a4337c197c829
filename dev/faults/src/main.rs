//! `dev-faults`: see `dev-faults --help`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::{Parser, ValueEnum};
use dev_faults::{Extent, Fault, Mistake, Proof, Report, Row, Servers, run};

const BROKEN_PROMISES: u8 = 3;
/// Injections of each fault into a build that is broken on purpose: it is found out soon.
const BROKEN_TIMES: usize = 3;

const AFTER: &str = "\
Exit codes:
  0  every promise was kept, and every broken build was found out
  1  something could not be done (the message says what)
  2  wrong usage
  3  a promise was broken, or a broken build was not found out (the table says which)

Examples:
  make faults
  make faults FAULTS_ARGS='--fault broker-killed --fault relays-race --changes 2000'
  cargo run -p dev-faults -- --logistics target/debug/logistics -o json";

/// Breaks a platform in every way that it has to bear, and counts what was lost or done twice.
#[derive(Parser)]
#[command(name = "dev-faults", version, after_help = AFTER)]
struct Cli {
    /// The program with the services.
    #[arg(long, value_name = "FILE")]
    logistics: PathBuf,
    /// A build that is broken on purpose, which has to be found out; may be repeated.
    #[arg(long, value_name = "MISTAKE=FILE", value_parser = broken)]
    broken: Vec<(Mistake, PathBuf)>,
    /// A fault; may be repeated [default: all].
    #[arg(long, value_enum)]
    fault: Vec<Fault>,
    /// Changes that are acknowledged for each fault, at least.
    #[arg(long, default_value_t = 4_200, value_parser = clap::value_parser!(u32).range(100..=1_000_000))]
    changes: u32,
    /// The same for each fault of a broken build.
    #[arg(long, default_value_t = 800, value_parser = clap::value_parser!(u32).range(100..=1_000_000))]
    broken_changes: u32,
    /// Requests a second, at most.
    #[arg(long, default_value_t = 800, value_parser = clap::value_parser!(u32).range(10..=10_000))]
    rate: u32,
    /// Injections of each fault, at most.
    #[arg(long, default_value_t = 1_000)]
    times: usize,
    /// How the figures are printed; progress goes to standard error.
    #[arg(short, long, value_enum, default_value_t = Output::Table)]
    output: Output,
}

#[derive(Clone, Copy, ValueEnum)]
enum Output {
    /// For people.
    Table,
    /// For programs.
    Json,
}

fn broken(text: &str) -> Result<(Mistake, PathBuf), String> {
    let names = || {
        let names = Mistake::value_variants()
            .iter()
            .filter_map(|one| Some(one.to_possible_value()?.get_name().to_owned()));
        format!(
            "give one of {} and a file, as in claim-rows=FILE",
            names.collect::<Vec<_>>().join(", ")
        )
    };
    let (name, file) = text.split_once('=').ok_or_else(names)?;
    let mistake = Mistake::from_str(name, false).map_err(|_| names())?;
    Ok((mistake, file.into()))
}

#[tokio::main]
async fn main() -> ExitCode {
    match work(Cli::parse()).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(BROKEN_PROMISES),
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Gives whether all is as it should be.
async fn work(cli: Cli) -> Result<bool> {
    let faults = if cli.fault.is_empty() {
        Fault::value_variants()
    } else {
        &cli.fault
    };
    let extent = Extent {
        changes: usize::try_from(cli.changes)?,
        rate: cli.rate,
        most_times: cli.times,
    };
    let program = |path: &PathBuf| {
        path.canonicalize()
            .with_context(|| format!("{} is not there; `make faults` builds it", path.display()))
    };
    eprintln!("• the servers start …");
    let servers = Servers::start().await?;
    let tell = |row: &Row| eprintln!("{row}  {} s", row.seconds);
    let mut report = Report {
        rows: run(&servers, &program(&cli.logistics)?, faults, extent, tell).await?,
        ..Report::default()
    };
    let extent = Extent {
        changes: usize::try_from(cli.broken_changes)?,
        most_times: cli.times.min(BROKEN_TIMES),
        ..extent
    };
    for (mistake, path) in &cli.broken {
        eprintln!("• broken on purpose: {} …", mistake.title());
        let rows = run(&servers, &program(path)?, mistake.faults(), extent, tell).await?;
        report.broken_builds.push(Proof {
            mistake: *mistake,
            broken: rows.iter().map(|row| mistake.broken(&row.findings)).sum(),
            rows,
        });
    }
    match cli.output {
        Output::Table => print!("{report}"),
        Output::Json => println!("{}", serde_json::to_string_pretty(&report)?),
    }
    Ok(report.passed())
}
