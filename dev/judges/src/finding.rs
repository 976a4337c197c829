//! What judges find, and which of it is right as it is.

use std::fmt;

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;

/// Something that a judge does not like.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// The judge.
    pub judge: &'static str,
    /// The judge's name of the rule.
    pub check: String,
    /// The object as `Kind/name`, or a file.
    pub object: String,
    /// What is wrong, in the judge's words.
    pub message: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {}: {}: {}",
            self.judge, self.check, self.object, self.message
        )
    }
}

/// Why findings of one kind are right as they are.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exception {
    /// The judge.
    pub judge: String,
    /// The rule.
    pub check: String,
    /// The objects as `Kind/name`, with `*` for any characters.
    pub objects: String,
    /// A part of the message; any when absent.
    pub message: Option<String>,
    /// Why.
    pub reason: String,
}

impl Exception {
    fn covers(&self, finding: &Finding) -> bool {
        self.judge == finding.judge
            && self.check == finding.check
            && fits(&self.objects, &finding.object)
            && self
                .message
                .as_ref()
                .is_none_or(|part| finding.message.contains(part))
    }
}

/// The reviewed exceptions, from `exceptions.yaml`.
pub fn exceptions() -> Result<Vec<Exception>> {
    let text = crate::read("dev/judges/exceptions.yaml")?;
    serde_norway::from_str(&text).context("dev/judges/exceptions.yaml")
}

/// Fails with every finding of a judge that has no exception, and every exception of it that has no finding.
pub fn review(judge: &str, findings: &[Finding]) -> Result<()> {
    let complaints = complaints(judge, findings, &exceptions()?);
    if !complaints.is_empty() {
        bail!("{judge}:\n{}", complaints.join("\n"));
    }
    Ok(())
}

fn complaints(judge: &str, findings: &[Finding], exceptions: &[Exception]) -> Vec<String> {
    let ours: Vec<_> = exceptions.iter().filter(|e| e.judge == judge).collect();
    let mut found: Vec<String> = findings
        .iter()
        .filter(|finding| !ours.iter().any(|exception| exception.covers(finding)))
        .map(|finding| format!("{finding}; mend it, or say in exceptions.yaml why it is right"))
        .collect();
    found.sort();
    found.dedup();
    for exception in ours {
        if exception.reason.trim().len() < 20 {
            found.push(format!(
                "the exception from {} for {} has no reason worth the name",
                exception.check, exception.objects
            ));
        }
        if !findings.iter().any(|finding| exception.covers(finding)) {
            found.push(format!(
                "nothing needs the exception from {} for {} any more; delete it",
                exception.check, exception.objects
            ));
        }
    }
    found
}

/// Whether a text fits a pattern in which `*` stands for any characters.
fn fits(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((start, rest)) => text.strip_prefix(start).is_some_and(|tail| {
            (0..=tail.len()).any(|at| tail.is_char_boundary(at) && fits(rest, &tail[at..]))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(check: &str, object: &str) -> Finding {
        Finding {
            judge: "kube-score",
            check: check.into(),
            object: object.into(),
            message: "CPU limit is not set".into(),
        }
    }

    fn exception(check: &str, objects: &str, message: Option<&str>) -> Exception {
        Exception {
            judge: "kube-score".into(),
            check: check.into(),
            objects: objects.into(),
            message: message.map(Into::into),
            reason: "it is right because of something".into(),
        }
    }

    #[test]
    fn a_finding_needs_an_exception_and_an_exception_a_finding() {
        let found = [finding("container-resources", "Deployment/acme-shipment-1")];
        let none = complaints("kube-score", &found, &[]);
        assert!(none.len() == 1 && none[0].contains("CPU limit"), "{none:?}");
        let fitting = exception("container-resources", "Deployment/acme-*", Some("CPU limit"));
        assert!(complaints("kube-score", &found, std::slice::from_ref(&fitting)).is_empty());
        let unused = complaints("kube-score", &[], std::slice::from_ref(&fitting));
        assert!(unused.len() == 1 && unused[0].contains("any more"), "{unused:?}");
        let others = complaints("kubeconform", &[], &[fitting]);
        assert!(others.is_empty(), "another judge's: {others:?}");
    }

    #[test]
    fn an_exception_covers_nothing_else() {
        let found = [finding("container-resources", "Deployment/acme-shipment-1")];
        for other in [
            exception("container-image-tag", "*", None),
            exception("container-resources", "Job/*", None),
            exception("container-resources", "*", Some("memory")),
        ] {
            assert_eq!(complaints("kube-score", &found, &[other]).len(), 2);
        }
    }

    #[test]
    fn a_reason_must_be_written() {
        let found = [finding("container-resources", "Job/a")];
        let mut empty = exception("container-resources", "*", None);
        empty.reason = "ok".into();
        let said = complaints("kube-score", &found, &[empty]);
        assert!(said.len() == 1 && said[0].contains("no reason"), "{said:?}");
    }

    #[test]
    fn stars_stand_for_any_characters() {
        assert!(fits("Deployment/*-tracking-*", "Deployment/acme-tracking-1a2b"));
        assert!(fits("*", "") && fits("a*", "a") && fits("*ü*", "grün"));
        assert!(!fits("Deployment/*", "Job/a") && !fits("a", "ab"));
    }
}
