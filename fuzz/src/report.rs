//! The table.

use std::fmt;

use serde::Serialize;

/// What was found out about one target.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Row {
    pub(crate) target: &'static str,
    /// How often it was fed.
    pub(crate) executions: u64,
    pub(crate) per_second: u64,
    /// Ways that were gone: edges of the program's control flow.
    pub(crate) edges: u64,
    /// The same, told apart by how often each was gone and by what was compared.
    pub(crate) features: u64,
    /// Inputs that each showed a new feature.
    pub(crate) corpus: u64,
    /// Those in the repository.
    pub(crate) kept: usize,
    pub(crate) finding: Option<Finding>,
}

/// A promise that was broken.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Finding {
    /// The file with the input that does it.
    pub(crate) input: Option<String>,
    pub(crate) message: String,
}

/// All targets.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Report {
    pub(crate) rows: Vec<Row>,
}

const HEAD: [&str; 8] = [
    "target",
    "executions",
    "a second",
    "edges",
    "features",
    "corpus",
    "kept",
    "findings",
];

fn line(columns: [&dyn fmt::Display; 8]) -> String {
    let [
        target,
        executions,
        per_second,
        edges,
        features,
        corpus,
        kept,
        findings,
    ] = columns;
    format!(
        "{target:<10}  {executions:>12}  {per_second:>8}  {edges:>6}  {features:>8}  {corpus:>6}  {kept:>5}  {findings:>8}"
    )
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let findings = usize::from(self.finding.is_some());
        f.write_str(&line([
            &self.target,
            &self.executions,
            &self.per_second,
            &self.edges,
            &self.features,
            &self.corpus,
            &self.kept,
            &findings,
        ]))
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{}",
            line(HEAD.each_ref().map(|name| name as &dyn fmt::Display))
        )?;
        for row in &self.rows {
            writeln!(f, "{row}")?;
        }
        for row in &self.rows {
            if let Some(finding) = &row.finding {
                let input = finding.input.as_deref().unwrap_or("(no input)");
                writeln!(f, "\n{}: {}\n  {input}", row.target, finding.message)?;
            }
        }
        Ok(())
    }
}
