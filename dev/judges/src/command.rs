//! Running a judge's program.

use std::process::{Command, Output};

use anyhow::{Context as _, Result, bail};

/// Runs a program to its end; that it fails is not an error yet, because judges fail when they find something.
pub(crate) fn run(command: &mut Command) -> Result<Output> {
    command
        .output()
        .with_context(|| format!("cannot start {}", command.get_program().display()))
}

/// Runs a program that must succeed, and gives its output.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let output = run(command)?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        let arguments: Vec<_> = command.get_args().map(|arg| arg.to_string_lossy()).collect();
        bail!(
            "{} {}: {}\n{text}{}",
            command.get_program().display(),
            arguments.join(" "),
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(text)
}
