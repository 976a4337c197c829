//! The contracts: buf for the protos, the official parser for `docs/asyncapi.yaml`.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use dev_contracts::baseline;
use dev_tools::Toolbox;
use serde::Deserialize;

use crate::command::{output, run};
use crate::{Finding, checkout};

/// The judge of the protos' style.
pub const LINT: &str = "buf-lint";
/// The judge of the protos' changes.
pub const BREAKING: &str = "buf-breaking";
/// The judge of the `AsyncAPI` document.
pub const ASYNCAPI: &str = "asyncapi";

/// How `buf` ends when it finds something; other failures are no findings.
const FOUND: i32 = 100;

/// Judges protos by the rules in their `buf.yaml`.
pub fn lint(tools: &Toolbox, protos: &Path) -> Result<Vec<Finding>> {
    buf(LINT, Command::new(tools.buf()).arg("lint").arg(protos))
}

/// Compares protos with the last release's.
pub fn breaking(tools: &Toolbox, protos: &Path) -> Result<Vec<Finding>> {
    let against = checkout().join(baseline::PROTO);
    let mut command = Command::new(tools.buf());
    command.arg("breaking").arg(protos).arg("--against").arg(against);
    buf(BREAKING, &mut command)
}

/// One line of what `buf` says.
#[derive(Debug, Deserialize)]
struct Remark {
    path: String,
    start_line: Option<u32>,
    #[serde(rename = "type")]
    rule: String,
    message: String,
}

fn buf(judge: &'static str, command: &mut Command) -> Result<Vec<Finding>> {
    let output = run(command.args(["--error-format", "json"]))?;
    let text = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() && (output.status.code() != Some(FOUND) || text.trim().is_empty()) {
        bail!(
            "{judge}: {}\n{}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
    }
    text.lines()
        .map(|line| {
            let remark: Remark =
                serde_json::from_str(line).with_context(|| format!("{judge} said: {line}"))?;
            Ok(Finding {
                judge,
                check: remark.rule,
                object: format!("{}:{}", remark.path, remark.start_line.unwrap_or_default()),
                message: remark.message,
            })
        })
        .collect()
}

/// What the parser says of a document.
#[derive(Debug, Deserialize)]
pub struct Verdict {
    found: Vec<Diagnostic>,
    /// What it has understood; nothing where the document is wrong.
    pub understood: Option<Understood>,
}

/// How much of a document was understood.
#[derive(Debug, PartialEq, Eq, Deserialize)]
pub struct Understood {
    /// Channels: topics.
    pub channels: usize,
    /// Operations: a service that writes or reads a topic.
    pub operations: usize,
    /// Messages, with headers and payload.
    pub messages: usize,
}

#[derive(Debug, Deserialize)]
struct Diagnostic {
    code: serde_json::Value,
    path: String,
    message: String,
}

impl Verdict {
    /// What is wrong, or could be better.
    #[must_use]
    pub fn findings(&self) -> Vec<Finding> {
        let finding = |one: &Diagnostic| Finding {
            judge: ASYNCAPI,
            check: one
                .code
                .as_str()
                .map_or_else(|| one.code.to_string(), str::to_owned),
            object: one.path.clone(),
            message: one.message.clone(),
        };
        self.found.iter().map(finding).collect()
    }
}

/// Judges an `AsyncAPI` document.
pub fn asyncapi(tools: &Toolbox, document: &Path) -> Result<Verdict> {
    let script = checkout().join("dev/judges/asyncapi.mjs");
    let mut command = Command::new(tools.node()?);
    command.arg(script).arg(tools.asyncapi()).arg(document);
    let text = output(&mut command)?;
    serde_json::from_str(&text).with_context(|| format!("the parser said: {text}"))
}
