//! Findings of all documents, as text and as JSON.

use std::fmt::Write as _;

use serde::Serialize;
use serde_json::Value;

use super::finding::{Finding, Severity};

/// All that was found.
#[derive(Debug, Serialize)]
pub struct Report {
    /// The documents, in the order in which they were read.
    pub documents: Vec<Checked>,
    /// Number of errors.
    pub errors: usize,
    /// Number of warnings.
    pub warnings: usize,
}

/// A document and what was found in it.
#[derive(Debug, Serialize)]
pub struct Checked {
    /// Name of the file; `-` is standard input.
    pub file: String,
    /// Position of the document in the file, from 1.
    pub document: usize,
    /// The object's kind.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// The object's namespace, where it names one.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    /// The object's name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Why it was not checked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skipped: Option<String>,
    /// What was found.
    pub findings: Vec<Finding>,
}

impl Checked {
    pub(super) const fn new(file: String, document: usize) -> Self {
        Self {
            file,
            document,
            kind: String::new(),
            namespace: String::new(),
            name: String::new(),
            skipped: None,
            findings: Vec::new(),
        }
    }

    pub(super) fn name(&mut self, object: &Value) {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        self.kind = text(&object["kind"]);
        self.namespace = text(&object["metadata"]["namespace"]);
        self.name = text(&object["metadata"]["name"]);
    }
}

impl Report {
    pub(super) fn new(documents: Vec<Checked>) -> Self {
        let count = |severity| {
            let findings = documents.iter().flat_map(|document| &document.findings);
            findings.filter(|finding| finding.severity == severity).count()
        };
        let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
        Self {
            documents,
            errors,
            warnings,
        }
    }

    /// A line for each finding, beginning with file and document, and a line with the numbers.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        for document in &self.documents {
            let place = format!("{}: document {}", document.file, document.document);
            let mut line = |rest: &str| writeln!(text, "{place}: {rest}").unwrap_or_default();
            if let Some(note) = &document.skipped {
                line(&format!("skipped: {note}"));
            }
            for finding in &document.findings {
                match finding.severity {
                    Severity::Error => line(&format!("error: {finding}")),
                    Severity::Warning => line(&format!("warning: {finding}")),
                }
            }
        }
        let checked = self
            .documents
            .iter()
            .filter(|document| document.skipped.is_none())
            .count();
        let _ = writeln!(
            text,
            "{}: {}, {}",
            number(checked, "document"),
            number(self.errors, "error"),
            number(self.warnings, "warning")
        );
        text
    }

    /// The report as JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_default()
    }
}

fn number(count: usize, what: &str) -> String {
    let end = if count == 1 { "" } else { "s" };
    format!("{count} {what}{end}")
}
