//! The tables, as docs/benchmarks-workloads.md shows them.

use std::fmt;

use serde::Serialize;

use crate::cost::{Cost, Outcome, Spread};
use crate::judge::{Judgement, Verdict};
use crate::readers::READERS;

#[derive(Clone, Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) changes: Vec<Judgement>,
    pub(crate) costs: Vec<Cost>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let row = |cells: &mut dyn Iterator<Item = &'static str>| cells.collect::<Vec<_>>().join(" | ");
        let names = row(&mut READERS.iter().map(|reader| reader.name));
        writeln!(f, "| change of the schema | {names} |")?;
        writeln!(f, "|---|{}", "---|".repeat(READERS.len()))?;
        for Judgement { change, crates } in &self.changes {
            let marks = row(&mut crates.iter().map(|given| match given.verdict {
                Verdict::Right => "yes",
                Verdict::Refused => "no: refused",
                Verdict::Wrong => "**no: wrong**",
            }));
            writeln!(f, "| {change} | {marks} |")?;
        }
        let licences = row(&mut READERS.iter().map(|reader| reader.licence));
        writeln!(f, "| *licence* | {licences} |")?;
        writeln!(
            f,
            "\n| task | by | nanoseconds | of the first |\n|---|---|---|---|"
        )?;
        for Cost { task, by, outcome } in &self.costs {
            match outcome {
                Outcome::Measured(figures) => {
                    let Spread {
                        lowest,
                        median,
                        highest,
                    } = figures.nanoseconds;
                    write!(f, "| {task} | {by} | {median:.0} ({lowest:.0}–{highest:.0}) ")?;
                    let Spread {
                        lowest,
                        median,
                        highest,
                    } = figures.ratio;
                    writeln!(f, "| {median:.2} ({lowest:.2}–{highest:.2}) |")?;
                }
                Outcome::Impossible { no } => writeln!(f, "| {task} | {by} | no: {no} | |")?,
            }
        }
        Ok(())
    }
}
