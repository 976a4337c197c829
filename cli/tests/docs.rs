//! What docs/cli.md shows is what the program says.

#[path = "testbed/guide.rs"]
mod guide;

use std::process::Command;

use guide::block;

#[test]
fn the_guide_shows_what_lint_says() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("acme.yaml"), block("# acme.yaml")).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_kubectl-logistics"))
        .current_dir(folder.path())
        .args(["lint", "acme.yaml"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let shown = String::from_utf8(output.stdout).unwrap();
    let expected = block("$ kubectl logistics lint acme.yaml");
    let told = format!("$ kubectl logistics lint acme.yaml\n{shown}");
    assert!(told == expected, "docs/cli.md should show\n{told}");
}
