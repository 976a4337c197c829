//! `make fuzz`: see `logistics-fuzz --help`.

mod instrumented;
mod report;
mod session;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::{Parser, ValueEnum};
use logistics_fuzz::{TARGETS, Target};

use crate::instrumented::Engine;
use crate::report::Report;

const FOUND: u8 = 3;

const AFTER: &str = "\
Exit codes:
  0  no promise was broken
  1  something could not be done (the message says what)
  2  wrong usage
  3  a promise was broken (the table says where; the input is in fuzz/findings/)

Examples:
  make fuzz FUZZ_ARGS='--seconds 60'
  make fuzz FUZZ_ARGS='--target token --target keys --seconds 600 --keep'
  FUZZ_TARGET=token target/fuzz/x86_64-unknown-linux-gnu/fuzz/engine fuzz/findings/token/crash-…   (one input again)";

/// Looks for inputs that break a promise of what takes bytes from outside: decoders, tokens, requests, rules.
#[derive(Parser)]
#[command(name = "logistics-fuzz", version, after_help = AFTER)]
struct Cli {
    /// The time of all targets together; each has the same share.
    #[arg(long, default_value_t = 600, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
    /// A target; may be repeated [default: all].
    #[arg(long, value_parser = target)]
    target: Vec<Target>,
    /// Keeps the fewest inputs that go all ways in fuzz/corpus, from where every run begins and which `make test` feeds.
    #[arg(long)]
    keep: bool,
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

fn target(name: &str) -> Result<Target, String> {
    let names = || TARGETS.map(|target| target.name).join(", ");
    Target::of_name(name).ok_or_else(|| format!("give one of {}", names()))
}

fn main() -> ExitCode {
    match work(&Cli::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(FOUND),
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Gives whether all promises were kept.
fn work(cli: &Cli) -> Result<bool> {
    let targets = if cli.target.is_empty() {
        TARGETS.as_slice()
    } else {
        &cli.target
    };
    let engine = Engine::build()?;
    let share = u64::try_from(targets.len()).map_or(1, |count| (cli.seconds / count).max(1));
    let mut report = Report::default();
    for target in targets {
        eprintln!("• {}: {share} s …", target.name);
        let row = engine
            .feed(target, Duration::from_secs(share))
            .with_context(|| format!("target {}", target.name))?;
        eprintln!("{row}");
        report.rows.push(row);
    }
    if cli.keep {
        for row in &mut report.rows {
            eprintln!("• {}: what is kept …", row.target);
            row.kept = engine
                .keep(row.target)
                .with_context(|| format!("target {}", row.target))?;
        }
    }
    match cli.output {
        Output::Table => print!("{report}"),
        Output::Json => println!("{}", serde_json::to_string_pretty(&report)?),
    }
    Ok(report.rows.iter().all(|row| row.finding.is_none()))
}
