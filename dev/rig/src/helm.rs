//! What a Helm chart renders to.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::{scratch, tool};

/// The oldest version that the chart is for.
const KUBE_VERSION: &str = "1.33";

/// The YAML text of a chart's objects, its definitions not among them.
pub fn template(chart: &Path, release: &str, namespace: &str, values: &Value) -> Result<String> {
    let home = scratch::folder("helm")?;
    let mut child = Command::new(tool::helm()?)
        .args(["template", release])
        .arg(chart)
        .args([
            "--namespace",
            namespace,
            "--values",
            "-",
            "--kube-version",
            KUBE_VERSION,
        ])
        .env("HELM_CACHE_HOME", home.path())
        .env("HELM_CONFIG_HOME", home.path())
        .env("HELM_DATA_HOME", home.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("run helm")?;
    child
        .stdin
        .take()
        .context("helm has no input")?
        .write_all(values.to_string().as_bytes())?;
    let output = child.wait_with_output()?;
    ensure!(
        output.status.success(),
        "helm template: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8(output.stdout)?)
}
