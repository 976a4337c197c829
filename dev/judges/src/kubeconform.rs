//! kubeconform: every field is known and has the right type.

use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use dev_tools::{Tool, Toolbox};
use serde_json::Value;

use crate::command::run;
use crate::{Finding, Rendered, Schemas};

/// The judge.
pub const NAME: &str = "kubeconform";

/// Judges objects; that it has seen all of them is checked too.
pub fn judge(tools: &Toolbox, schemas: &Schemas, rendered: &Rendered) -> Result<Vec<Finding>> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("objects.yaml");
    std::fs::write(&file, &rendered.text)?;
    let version = Tool::Kubernetes.version()?;
    let output = run(Command::new(tools.kubeconform())
        .args(["-strict", "-summary", "-output=json"])
        .arg(format!("-kubernetes-version={}", version.trim_start_matches('v')))
        .arg(format!("-schema-location={}", schemas.location()))
        .arg(&file))?;
    let report: Value = serde_json::from_slice(&output.stdout).with_context(|| {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        format!("kubeconform on {}: {said}", rendered.name)
    })?;
    let findings = findings(&report);
    let valid = report["summary"]["valid"].as_u64();
    ensure!(
        !findings.is_empty() || valid == u64::try_from(rendered.objects.len()).ok(),
        "{}: {valid:?} of {} objects were judged",
        rendered.name,
        rendered.objects.len()
    );
    Ok(findings)
}

fn findings(report: &Value) -> Vec<Finding> {
    let resources = report["resources"].as_array().into_iter().flatten();
    resources
        .map(|resource| Finding {
            judge: NAME,
            check: resource["status"].as_str().unwrap_or_default().to_owned(),
            object: format!(
                "{}/{}",
                resource["kind"].as_str().unwrap_or_default(),
                resource["name"].as_str().unwrap_or_default()
            ),
            message: resource["msg"].as_str().unwrap_or_default().to_owned(),
        })
        .collect()
}
