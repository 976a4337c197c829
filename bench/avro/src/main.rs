//! Which Avro crate reads our events rightly after every change of a schema that we allow, and at what cost.

mod changes;
mod columns;
mod cost;
mod events;
mod judge;
mod readers;
mod report;
mod subjects;
mod trees;

// The codec's own way, and the events that it is for. Not by the crate that has them: its database, broker and servers would come
// along, and all their versions be written down in a second lock file.
#[path = "../../../workloads/chassis/src/codec/datum.rs"]
mod datum;
#[path = "../../../workloads/chassis/src/codec/event.rs"]
#[allow(
    dead_code,
    unreachable_pub,
    clippy::pedantic,
    reason = "the codec uses all of it, and offers it to others; it is linted there"
)]
mod event;

use anyhow::Result;
use clap::{Parser, ValueEnum};

use crate::report::Report;

/// Which Avro crate reads our events rightly after every change of a schema that we allow, and at what cost.
#[derive(Parser)]
#[command(
    name = "bench-avro",
    version,
    after_help = "Examples:\n  make bench-avro\n  make bench-avro BENCH_ARGS='--runs 3 -o json'\n\n\
                  Exit codes: 0 measured, 1 failed, 2 wrong arguments. A crate that reads something wrongly is no failure: \
                  the table says so. That the services' own way does so is one."
)]
struct Arguments {
    /// How often all is measured: one after the other, then all again.
    #[arg(long, default_value_t = 41, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
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
    let judgements = judge::judge()?;
    eprintln!("• {} changes shown to every crate", judgements.len());
    let report = Report {
        changes: judgements,
        costs: cost::measure(arguments.runs)?,
    };
    match arguments.output {
        Output::Table => print!("{report}"),
        Output::Json => println!("{}", serde_json::to_string_pretty(&report)?),
    }
    Ok(())
}
