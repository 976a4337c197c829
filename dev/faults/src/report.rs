//! The table.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

use serde::Serialize;

use crate::check::Findings;
use crate::faults::Fault;
use crate::mistakes::Mistake;

/// What became of one fault.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Row {
    /// What was done.
    pub fault: Fault,
    /// How often.
    pub injected: usize,
    /// How long it took, in seconds.
    pub seconds: u64,
    /// Whether all that was begun ended in time.
    pub settled: bool,
    /// What was found.
    #[serde(flatten)]
    pub findings: Findings,
    /// Answers that made callers ask again, by gRPC code.
    pub refusals: BTreeMap<String, usize>,
}

impl Row {
    /// Whether every promise was kept.
    #[must_use]
    pub fn clean(&self) -> bool {
        self.settled && self.findings.clean()
    }
}

/// What became of a build that is broken on purpose.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Proof {
    /// What is wrong with it.
    pub mistake: Mistake,
    /// The promises that it has to break and did break.
    pub broken: usize,
    /// What the faults brought to light.
    pub rows: Vec<Row>,
}

/// All of it.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// The faults, injected into the services as they are.
    pub rows: Vec<Row>,
    /// The same, into services that are broken on purpose.
    pub broken_builds: Vec<Proof>,
}

impl Report {
    /// Whether every promise was kept, and every broken build was found out.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.rows.iter().all(Row::clean) && self.broken_builds.iter().all(|proof| proof.broken > 0)
    }

    /// The sums over the faults.
    #[must_use]
    pub fn total(&self) -> (usize, Findings) {
        let mut sum = Findings::default();
        let mut injected = 0;
        for row in &self.rows {
            injected += row.injected;
            sum.add(&row.findings);
        }
        (injected, sum)
    }
}

const HEAD: [&str; 8] = [
    "fault",
    "injected",
    "acknowledged",
    "log duplicates (allowed)",
    "missing in log",
    "gaps, reorderings",
    "effects missing",
    "effects repeated",
];

/// The title of a table; its columns are as wide as their heads.
fn head(title: &str) -> String {
    let mut text = format!("{title}\n{:<72}", HEAD[0]);
    for name in &HEAD[1..] {
        text.push_str("  ");
        text.push_str(name);
    }
    text
}

/// One line of a table.
fn line(name: &str, injected: usize, findings: &Findings) -> String {
    let mut text = format!("{name:<72}");
    let counts = [
        injected,
        findings.acknowledged,
        findings.log_duplicates,
        findings.missing_in_log,
        findings.out_of_order,
        findings.effects_missing,
        findings.effects_repeated,
    ];
    for (name, count) in HEAD[1..].iter().zip(counts) {
        let width = name.len();
        // Writing to a String cannot fail.
        let _ = write!(text, "  {count:>width$}");
    }
    text
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&line(self.fault.title(), self.injected, &self.findings))
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", head("The services as they are"))?;
        for row in &self.rows {
            writeln!(f, "{row}")?;
        }
        let (injected, sum) = self.total();
        writeln!(f, "{}", line("all", injected, &sum))?;
        for proof in &self.broken_builds {
            writeln!(
                f,
                "\n{}",
                head(&format!("Broken on purpose: {}", proof.mistake.title()))
            )?;
            for row in &proof.rows {
                writeln!(f, "{row}")?;
            }
            let verdict = match proof.broken {
                0 => "NOT found out".to_owned(),
                broken => format!("found out: {broken}"),
            };
            writeln!(f, "{verdict}")?;
        }
        for row in self.rows.iter().filter(|row| !row.clean()) {
            writeln!(f, "\n{}:", row.fault.title())?;
            for example in &row.findings.examples {
                writeln!(f, "  {example}")?;
            }
        }
        Ok(())
    }
}
