//! `lint` as a program, and its report as text and JSON.

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::{fs, io};

use kubectl_logistics::lint::{Check, Linter, Severity};

const SAMPLE: &str = include_str!("../../charts/samples/acme.yaml");

/// Runs the program; gives its exit code, and what it has written to standard output and to standard error.
fn lint(arguments: &[&str], input: &str) -> io::Result<(Option<i32>, String, String)> {
    let mut child = Command::new(env!("CARGO_BIN_EXE_kubectl-logistics"))
        .arg("lint")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        // A program that refuses its arguments does not read.
        let _ = stdin.write_all(input.as_bytes());
    }
    let output = child.wait_with_output()?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ok((output.status.code(), text(&output.stdout), text(&output.stderr)))
}

#[test]
fn the_sample_has_no_error() {
    let (code, shown, _) = lint(&["-"], SAMPLE).unwrap();
    assert_eq!(code, Some(0), "{shown}");
    assert!(shown.contains("1 document: 0 errors, 1 warning"), "{shown}");
    assert!(
        shown.contains("-: document 1: warning: spec.kafka.topics.replicationFactor: 1 "),
        "{shown}"
    );
    assert_eq!(lint(&["-", "--strict"], SAMPLE).unwrap().0, Some(1));
}

#[test]
fn everything_wrong_is_told_at_once_by_file_and_document() {
    let folder = tempfile::tempdir().unwrap();
    let wrong = SAMPLE
        .replace("version: \"0.1.0\"", "version: \"a b\"")
        .replace("name: acme\n    tls", "name: acme\n    prot: 1\n    tls")
        .replace("shipment: {replicas: 2}", "shipment: {replicas: many}")
        .replace("replicationFactor: 1", "replicationFactor: 0");
    let file = folder.path().join("all.yaml");
    fs::write(
        &file,
        format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: x}}\n---\n{wrong}"),
    )
    .unwrap();
    let path = file.display().to_string();
    let (code, shown, _) = lint(&[&path], "").unwrap();
    assert_eq!(code, Some(1), "{shown}");
    for line in [
        format!("{path}: document 1: skipped: ConfigMap is not a LogisticsPlatform"),
        format!(
            "{path}: document 2: error: spec.database.prot: 1 unknown field \"spec.database.prot\"; did you mean port?"
        ),
        format!(
            "{path}: document 2: error: spec.kafka.topics.replicationFactor: 0 should be greater than or equal to 1"
        ),
        format!("{path}: document 2: error: spec.version: \"a b\" is not an image tag; use letters"),
        format!(
            "{path}: document 2: error: spec.workloads.shipment.replicas: \"many\" must be of type integer, not string"
        ),
        "1 document: 4 errors, 0 warnings".to_owned(),
    ] {
        assert!(
            shown.lines().any(|found| found.starts_with(&line)),
            "{line}\nis not in\n{shown}"
        );
    }
    let (_, json, _) = lint(&[&path, "-o", "json"], "").unwrap();
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["errors"], 4);
    assert_eq!(json["documents"][1]["findings"][0]["field"], "spec.database.prot");
}

#[test]
fn a_folder_is_its_files() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().display().to_string();
    let (code, _, told) = lint(&[&path], "").unwrap();
    assert!(
        code == Some(2) && told.contains("no file that ends with .yaml"),
        "{told}"
    );
    fs::write(folder.path().join("a.yaml"), SAMPLE).unwrap();
    fs::write(folder.path().join("note.txt"), "[").unwrap();
    assert_eq!(lint(&[&path], "").unwrap().0, Some(0));
}

#[test]
fn usage_is_told_apart_from_findings() {
    let (code, _, told) = lint(&["/nowhere.yaml"], "").unwrap();
    assert!(
        code == Some(2) && told.contains("/nowhere.yaml cannot be read"),
        "{told}"
    );
    assert_eq!(lint(&[], "").unwrap().0, Some(2));
    let (_, help, _) = lint(&["--help"], "").unwrap();
    assert!(
        help.contains("Exit codes:") && help.contains("Examples:"),
        "{help}"
    );
}

#[test]
fn wrong_kinds_and_versions_are_told() {
    let linter = Linter::new();
    for (from, to, field, remedy) in [
        (
            "v1alpha1",
            "v1",
            "apiVersion",
            "write logistics-platform.io/v1alpha1",
        ),
        (
            "logistics-platform.io/",
            "logistics.io/",
            "apiVersion",
            "write logistics-platform.io/v1alpha1",
        ),
        (
            "kind: LogisticsPlatform",
            "kind: LogisticPlatform",
            "kind",
            "write LogisticsPlatform",
        ),
        ("kind: LogisticsPlatform", "", "kind", "Required value"),
    ] {
        let report = linter.text("f", &SAMPLE.replacen(from, to, 1));
        let finding = &report.documents[0].findings[0];
        assert_eq!(
            (finding.severity, finding.check, finding.field.as_str()),
            (Severity::Error, Check::Schema, field)
        );
        assert!(finding.message.contains(remedy), "{finding}");
    }
}

#[test]
fn doubtful_settings_are_warned_of() {
    let doubtful = SAMPLE
        .replace("tracking: {replicas: 2}", "tracking: {replicas: 1}")
        .replace("analytics: {replicas: 2}", "analytics: {autoscaling: {minReplicas: 1, maxReplicas: 9}}")
        .replace("  version:", "  suspend: true\n  deletionPolicy: Delete\n  version:")
        .replace("https://registry.backing.svc:8443/apis/ccompat/v7\n    tls:\n      caConfigMapRef: {name: backing-ca}", "http://registry:8080\n    tls: {mode: Disabled}")
        .replace("issuer: https", "issuer: http")
        .replace("\"0.1.0\"", "latest");
    let report = Linter::new().text("f", &doubtful);
    assert_eq!(report.errors, 0, "{}", report.to_text());
    let fields: Vec<_> = report.documents[0]
        .findings
        .iter()
        .map(|finding| finding.field.as_str())
        .collect();
    let expected = [
        "spec.schemaRegistry.tls.mode",
        "spec.auth.issuer",
        "spec.workloads.tracking.replicas",
        "spec.workloads.analytics.autoscaling.minReplicas",
        "spec.workloads.analytics.autoscaling.maxReplicas",
        "spec.kafka.topics.replicationFactor",
        "spec.deletionPolicy",
        "spec.suspend",
        "spec.version",
    ];
    assert_eq!(fields, expected);
}

/// A platform that cannot be read as a whole is checked as far as it can.
#[test]
fn what_is_missing_hides_nothing_else() {
    let wrong = SAMPLE
        .replace("  name: acme\n  namespace", "  namespace")
        .replace("  version: \"0.1.0\"\n", "")
        .replace(
            "tracking: {replicas: 2}",
            "tracking: {replicas: 1, resources: {requests: {cpu: 2}, limits: {cpu: 1, memory: 1Gi}}}",
        );
    let report = Linter::new().text("f", &wrong);
    let told: Vec<_> = report.documents[0]
        .findings
        .iter()
        .map(|finding| (finding.check, finding.field.as_str()))
        .collect();
    let expected = [
        (Check::Schema, "metadata.name"),
        (Check::Schema, "spec.version"),
        (Check::Operator, "spec.workloads.tracking.resources.requests.cpu"),
        (Check::Advice, "spec.workloads.tracking.replicas"),
        (Check::Advice, "spec.kafka.topics.replicationFactor"),
    ];
    assert_eq!(told, expected);
}
