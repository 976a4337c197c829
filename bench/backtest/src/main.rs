//! Replays a year of real flights through the models of the analytics service, and says how good they are.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context as _, Result};
use bench_backtest::report::Report;
use bench_backtest::{plot, replay};
use clap::{Parser, ValueEnum};
use dev_flights::legs;

/// Replays a year of real flights through the models of the analytics service, and says how good they are.
#[derive(Parser)]
#[command(
    name = "bench-backtest",
    version,
    after_help = "Examples:\n  make backtest\n  cargo run --release -p bench-backtest -- --plot target/eta.svg -o json\n\n\
                  Exit codes: 0 measured, 1 failed, 2 wrong arguments. A target that is missed is no failure."
)]
struct Arguments {
    /// Folder with the flights' files [default: the pinned package, fetched if needed].
    #[arg(long, value_name = "FOLDER")]
    data: Option<PathBuf>,
    /// Where the plot is written, as SVG.
    #[arg(long, value_name = "FILE", default_value = "docs/eta.svg")]
    plot: PathBuf,
    /// Spreads lanes over as many owners that know nothing of each other; the service has one for each account.
    #[arg(long, value_name = "NUMBER", default_value = "1")]
    owners: NonZeroUsize,
    /// How the figures are printed; progress goes to standard error.
    #[arg(short, long, value_enum, default_value_t = Output::Table)]
    output: Output,
}

#[derive(Clone, Copy, ValueEnum)]
enum Output {
    Table,
    Json,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let data = match arguments.data {
        Some(data) => data,
        None => dev_tools::install(&[dev_tools::Tool::Flights])?.flights_data(),
    };
    let legs = legs::all_legs(&data)?;
    eprintln!("• {} flight legs of 2013", legs.len());
    let start = Instant::now();
    let flown = replay::replay(&legs, arguments.owners);
    let seconds = start.elapsed().as_secs_f64();
    eprintln!(
        "• {} arrivals foretold and learned in {seconds:.1} s",
        flown.len()
    );
    let report = Report::of(legs.len(), &flown);
    plot::write(&arguments.plot, &flown)
        .with_context(|| format!("--plot {}: write it", arguments.plot.display()))?;
    eprintln!("• plot: {}", arguments.plot.display());
    match arguments.output {
        Output::Table => print!("{report}"),
        Output::Json => println!("{}", serde_json::to_string_pretty(&report)?),
    }
    Ok(())
}
