//! kube-score: the rules of the trade.

use std::process::Command;

use anyhow::{Context as _, Result};
use dev_tools::{Tool, Toolbox};
use serde_json::Value;

use crate::command::run;
use crate::{Finding, Rendered};

/// The judge.
pub const NAME: &str = "kube-score";
/// Rules that are off by default.
const MORE: [&str; 2] = ["container-seccomp-profile", "container-ports-check"];
/// The grade of a rule that is kept.
const KEPT: i64 = 10;

/// Judges objects, all of them together: a NetworkPolicy counts for the pods that it selects.
pub fn judge(tools: &Toolbox, rendered: &Rendered) -> Result<Vec<Finding>> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("objects.yaml");
    std::fs::write(&file, &rendered.text)?;
    let version = Tool::Kubernetes.version()?;
    let minor = version
        .rsplit_once('.')
        .map_or(version.as_str(), |(minor, _)| minor);
    let mut command = Command::new(tools.kube_score());
    command
        .args(["score", "--output-format=json"])
        .arg(format!("--kubernetes-version={minor}"))
        // What is right is said in one reviewed file, not in what is shipped.
        .args([
            "--disable-ignore-checks-annotations",
            "--disable-optional-checks-annotations",
        ]);
    for rule in MORE {
        command.arg(format!("--enable-optional-test={rule}"));
    }
    let output = run(command.arg(&file))?;
    let report: Value = serde_json::from_slice(&output.stdout).with_context(|| {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        format!("kube-score on {}: {said}", rendered.name)
    })?;
    Ok(findings(&report))
}

fn findings(report: &Value) -> Vec<Finding> {
    let mut found = Vec::new();
    for object in report.as_array().into_iter().flatten() {
        let name = format!(
            "{}/{}",
            object["type_meta"]["kind"].as_str().unwrap_or_default(),
            object["object_meta"]["name"].as_str().unwrap_or_default()
        );
        for check in object["checks"].as_array().into_iter().flatten() {
            if check["skipped"] == true || check["grade"].as_i64() >= Some(KEPT) {
                continue;
            }
            let id = check["check"]["id"].as_str().unwrap_or_default();
            let comments = check["comments"].as_array().into_iter().flatten();
            let mut messages: Vec<_> = comments
                .map(|comment| {
                    let text = |field: &str| comment[field].as_str().unwrap_or_default().to_owned();
                    [text("path"), text("summary")].join(" ").trim().to_owned()
                })
                .collect();
            if messages.is_empty() {
                let about = check["check"]["comment"].as_str().unwrap_or_default();
                messages.push(about.to_owned());
            }
            found.extend(messages.into_iter().map(|message| Finding {
                judge: NAME,
                check: id.to_owned(),
                object: name.clone(),
                message,
            }));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_is_not_kept_is_a_finding() {
        let check = |id: &str, grade: i64, skipped: bool| {
            json!({
                "check": {"id": id, "comment": "about it"}, "grade": grade, "skipped": skipped,
                "comments": [{"path": "operator", "summary": "CPU limit is not set"}],
            })
        };
        let report = json!([{
            "type_meta": {"kind": "Deployment"}, "object_meta": {"name": "a"},
            "checks": [check("one", 1, false), check("two", 10, false), check("three", 1, true)],
        }]);
        let found = findings(&report);
        assert_eq!(found.len(), 1);
        assert_eq!(
            (found[0].check.as_str(), found[0].object.as_str()),
            ("one", "Deployment/a")
        );
        assert_eq!(found[0].message, "operator CPU limit is not set");
    }
}
