//! The operator's chart, rendered with the values of each file in `values/`.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use dev_tools::{Tool, Toolbox};

use crate::command::{output, run};
use crate::{Finding, Rendered, checkout};

/// The chart's folder in the checkout.
pub const CHART: &str = "charts/logistics-operator";
/// The judge.
pub const LINT: &str = "helm-lint";

/// The values that the chart is judged with, by name.
pub fn values() -> Result<Vec<(String, PathBuf)>> {
    let folder = checkout().join("dev/judges/values");
    let mut found = Vec::new();
    for entry in folder.read_dir().context("dev/judges/values")? {
        let path = entry?.path();
        let name = path.file_stem().context("a file without a name")?;
        found.push((name.to_string_lossy().into_owned(), path));
    }
    found.sort();
    ensure!(!found.is_empty(), "dev/judges/values has no file");
    Ok(found)
}

/// Renders the chart, with the custom resource's definition.
pub fn template(tools: &Toolbox, name: &str, values: &PathBuf) -> Result<Rendered> {
    let mut command = helm(tools)?;
    command
        .args([
            "template",
            "logistics-operator",
            CHART,
            "--namespace=logistics-system",
        ])
        .arg("--include-crds")
        .arg(format!("--kube-version={}", Tool::Kubernetes.version()?))
        .arg("--values")
        .arg(values);
    Rendered::parse(&format!("chart with {name}"), output(&mut command)?)
}

/// What `helm lint --strict` says, its hints included.
pub fn lint(tools: &Toolbox, values: &PathBuf) -> Result<Vec<Finding>> {
    let mut command = helm(tools)?;
    command
        .args(["lint", "--strict", CHART])
        .arg(format!("--kube-version={}", Tool::Kubernetes.version()?))
        .arg("--values")
        .arg(values);
    let output = run(&mut command)?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let findings = lint_findings(&text);
    ensure!(
        output.status.success() || !findings.is_empty(),
        "helm lint failed: {text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(findings)
}

/// Lines such as `[INFO] Chart.yaml: icon is recommended`.
fn lint_findings(text: &str) -> Vec<Finding> {
    let line = |line: &str| {
        let (level, rest) = line.strip_prefix('[')?.split_once("] ")?;
        let (file, message) = rest.split_once(": ").unwrap_or(("", rest));
        Some(Finding {
            judge: LINT,
            check: level.to_lowercase(),
            object: file.to_owned(),
            message: message.to_owned(),
        })
    };
    text.lines().filter_map(line).collect()
}

/// Helm with its folders in the tools' cache, not in the user's home.
fn helm(tools: &Toolbox) -> Result<Command> {
    let home = tools.cache().root().join("helm");
    std::fs::create_dir_all(&home).with_context(|| format!("cannot make {}", home.display()))?;
    let mut command = Command::new(tools.helm());
    command
        .current_dir(checkout())
        .env("HELM_CACHE_HOME", &home)
        .env("HELM_CONFIG_HOME", &home)
        .env("HELM_DATA_HOME", &home);
    Ok(command)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_linters_lines_are_read() {
        let found =
            lint_findings("==> Linting x\n[INFO] Chart.yaml: icon is recommended\n\n1 chart(s) linted\n");
        assert_eq!(found.len(), 1);
        assert_eq!(
            (found[0].check.as_str(), found[0].object.as_str()),
            ("info", "Chart.yaml")
        );
        assert_eq!(found[0].message, "icon is recommended");
    }
}
