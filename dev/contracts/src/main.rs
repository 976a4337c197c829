//! Writes the generated documents, or the baseline.

use anyhow::{Context as _, Result};
use clap::{Parser, Subcommand};

/// Writes what follows from the contracts in `schemas/`.
#[derive(Debug, Parser)]
#[command(
    name = "contracts",
    after_help = "Example: cargo run -p dev-contracts -- docs"
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Write docs/asyncapi.yaml and docs/grpc.md
    #[command(after_help = "Example: make contracts")]
    Docs,
    /// At a release: make the contracts as they are now the ones that changes are compared with
    #[command(after_help = "Example: make baseline")]
    Baseline,
}

fn main() -> Result<()> {
    match Arguments::parse().command {
        Command::Docs => {
            for (path, text) in dev_contracts::documents()? {
                let file = dev_contracts::checkout().join(path);
                std::fs::write(&file, text).with_context(|| format!("cannot write {path}"))?;
                println!("{path}");
            }
            Ok(())
        }
        Command::Baseline => dev_contracts::baseline::write(),
    }
}
