//! Independent judges over everything that is rendered and shipped.
//!
//! The chart is rendered with each file in `values/`, every sample as the operator would render it, and judged by `helm
//! lint`, kubeconform (the schemas of the pinned API server, with no unknown field), kube-score and promtool. What a
//! judge finds is an error, unless `exceptions.yaml` says why it is right as it is; so is an exception that no finding
//! needs any more. The contracts in `schemas/` are judged by buf and by the parser of `AsyncAPI`.

pub mod chart;
mod command;
pub mod contracts;
pub mod dashboard;
mod finding;
pub mod kube_score;
pub mod kubeconform;
pub mod metrics;
pub mod rules;
pub mod samples;
mod schemas;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use dev_tools::{Tool, Toolbox};
pub use finding::{Exception, Finding, exceptions, review};
pub use schemas::Schemas;
use serde::Deserialize as _;
use serde_json::Value;

/// Kubernetes objects that belong together, as text and parsed.
#[derive(Debug)]
pub struct Rendered {
    /// Where they come from, for messages.
    pub name: String,
    /// YAML documents.
    pub text: String,
    /// The same, parsed.
    pub objects: Vec<Value>,
}

impl Rendered {
    /// Parses YAML documents.
    pub fn parse(name: &str, text: String) -> Result<Self> {
        let objects = documents(&text).with_context(|| format!("{name} is no YAML"))?;
        Ok(Self {
            name: name.to_owned(),
            text,
            objects,
        })
    }
}

/// All YAML documents of a text that are not empty.
pub fn documents(text: &str) -> Result<Vec<Value>> {
    let mut found = Vec::new();
    for document in serde_norway::Deserializer::from_str(text) {
        let value = Value::deserialize(document)?;
        if !value.is_null() {
            found.push(value);
        }
    }
    Ok(found)
}

/// The checkout's folder.
#[must_use]
pub fn checkout() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Reads a file of the checkout.
pub fn read(path: &str) -> Result<String> {
    let path = checkout().join(path);
    std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
}

/// The judges' programs. Nothing is built here: a test that silently compiles a program first would look as if it hung.
pub fn tools() -> Result<Toolbox> {
    let tools = dev_tools::install(&[])?;
    for tool in Tool::JUDGES {
        ensure!(
            tools.dir(tool).is_dir(),
            "{} is missing: `cargo run -p dev-cluster -- tools judges` installs it",
            tool.name()
        );
    }
    Ok(tools)
}
