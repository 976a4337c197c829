//! `kubectl logistics lint`: the answers of `kubectl apply`, without a cluster.

mod advice;
mod bounds;
mod finding;
mod mend;
mod metadata;
mod nearest;
mod read;
mod report;
mod rules;
mod stored;
mod unknown;

use std::path::PathBuf;

pub use finding::{Check, Finding, Severity};
use logistics_operator::api::{self, LogisticsPlatform};
use logistics_operator::validate::validate;
use mend::Mended;
use read::Document;
pub use read::ReadError;
pub use report::{Checked, Report};
use serde_json::Value;

const AFTER: &str = "\
Exit codes:
  0  nothing is wrong (there may be warnings)
  1  something is wrong, or with --strict there is a warning
  2  wrong usage, or a file cannot be read

Examples:
  kubectl logistics lint acme.yaml
  helm template . | kubectl logistics lint - -o json";

/// What to check.
#[derive(clap::Args, Debug)]
#[command(after_help = AFTER)]
pub struct Arguments {
    /// Files or folders of YAML or JSON; `-` is standard input.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Take warnings for errors.
    #[arg(long)]
    strict: bool,
    /// Form of the answer.
    #[arg(short, long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

/// Form of the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Output {
    /// A line for each finding.
    Text,
    /// One JSON object.
    Json,
}

/// Checks files and prints what was found; the answer is the exit code.
///
/// # Errors
/// When a file cannot be read.
pub fn run(arguments: &Arguments) -> Result<u8, ReadError> {
    let report = Linter::new().report(read::documents(&arguments.files)?);
    match arguments.output {
        Output::Text => print!("{}", report.to_text()),
        Output::Json => println!("{}", report.to_json()),
    }
    let wrong = report.errors > 0 || (arguments.strict && report.warnings > 0);
    Ok(u8::from(wrong))
}

/// Checks documents against the definition that this release of the operator brings.
#[derive(Debug)]
pub struct Linter {
    schema: Value,
}

impl Default for Linter {
    fn default() -> Self {
        Self::new()
    }
}

impl Linter {
    /// Takes over the definition.
    #[must_use]
    pub fn new() -> Self {
        let mut definition = serde_json::to_value(api::definition()).unwrap_or_default();
        let schema = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"].take();
        Self { schema }
    }

    /// Checks the documents of a text.
    #[must_use]
    pub fn text(&self, file: &str, text: &str) -> Report {
        self.report(read::of_text(file, text))
    }

    fn report(&self, documents: Vec<Document>) -> Report {
        Report::new(
            documents
                .into_iter()
                .map(|document| self.document(document))
                .collect(),
        )
    }

    fn document(&self, document: Document) -> Checked {
        let Document {
            file,
            number,
            content,
        } = document;
        let mut checked = Checked::new(file, number);
        match content {
            Err(message) => checked.findings = vec![Finding::error(Check::Syntax, "", &Value::Null, message)],
            Ok(object) => {
                checked.name(&object);
                match kind(&object) {
                    Kind::Platform => checked.findings = self.platform(object),
                    Kind::Other(note) => checked.skipped = Some(note),
                    Kind::Wrong(finding) => checked.findings = vec![finding],
                }
            }
        }
        checked
    }

    /// All that is wrong with a platform, and what is doubtful about it.
    #[must_use]
    pub fn platform(&self, mut object: Value) -> Vec<Finding> {
        let mut findings = Vec::new();
        unknown::take_out(&self.schema, &mut object, &mut findings);
        // Nobody but the operator writes the status; the API server drops it.
        if let Some(fields) = object.as_object_mut() {
            fields.remove("status");
        }
        stored::complete(&self.schema, &mut object);
        metadata::check(&object, &mut findings);
        bounds::check("", &self.schema, &object, &mut findings);
        let mended = Mended::object(&self.schema, &mut object);
        stored::complete(&self.schema, &mut object);
        // Later checks see the same fields: what is said about one already is not said again.
        let add = |findings: &mut Vec<Finding>, later: Vec<Finding>| {
            let new = later.into_iter().filter(|new| {
                !mended.holds(&new.field) && !findings.iter().any(|known| known.same_field(&new.field))
            });
            let new: Vec<_> = new.collect();
            findings.extend(new);
        };
        add(&mut findings, rules::check(&self.schema, &object));
        if let Ok(platform) = serde_json::from_value::<LogisticsPlatform>(object) {
            add(&mut findings, operator(&platform));
            add(&mut findings, advice::check(&platform));
        }
        findings
    }
}

/// What the operator's own validation says.
fn operator(platform: &LogisticsPlatform) -> Vec<Finding> {
    let invalid = validate(platform).err().into_iter().flat_map(|errors| errors.0);
    invalid
        .map(|invalid| {
            Finding::error(
                Check::Operator,
                invalid.field,
                &Value::String(invalid.value),
                invalid.remedy,
            )
        })
        .collect()
}

enum Kind {
    Platform,
    Other(String),
    Wrong(Finding),
}

fn kind(object: &Value) -> Kind {
    let text = |field: &str| object[field].as_str().unwrap_or_default();
    let (api_version, kind) = (text("apiVersion"), text("kind"));
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    let wrong = |field: &str, message: String| {
        Kind::Wrong(Finding::error(Check::Schema, field, &object[field], message))
    };
    if api_version.is_empty() {
        return wrong(
            "apiVersion",
            format!("Required value; write apiVersion: {}/v1alpha1", api::GROUP),
        );
    }
    if kind.is_empty() {
        return wrong("kind", "Required value; write kind: LogisticsPlatform".into());
    }
    match (group == api::GROUP, kind == "LogisticsPlatform") {
        (true, true) if version == "v1alpha1" => Kind::Platform,
        (true, true) => wrong(
            "apiVersion",
            format!("is not served; write {}/v1alpha1", api::GROUP),
        ),
        (true, false) => wrong(
            "kind",
            format!("is not a kind of {}; write LogisticsPlatform", api::GROUP),
        ),
        (false, true) => wrong(
            "apiVersion",
            format!("has no LogisticsPlatform; write {}/v1alpha1", api::GROUP),
        ),
        (false, false) => Kind::Other(format!("{kind} is not a LogisticsPlatform")),
    }
}
