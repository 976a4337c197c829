//! What people do with `kubectl`, by `kubectl` itself.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Stdio;

use anyhow::{Context as _, Result, ensure};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

/// The cluster's `kubectl`, as an administrator.
#[derive(Clone, Debug)]
pub struct Kubectl {
    pub(crate) program: PathBuf,
    pub(crate) kubeconfig: PathBuf,
}

impl Kubectl {
    /// Runs a command and gives its output.
    pub async fn run(&self, args: &[&str]) -> Result<String> {
        finish(self.command(args), args, "").await
    }

    /// Runs a command with text for its input.
    pub async fn run_with(&self, args: &[&str], input: &str) -> Result<String> {
        finish(self.command(args), args, input).await
    }

    /// `kubectl edit`, with a `sed` expression for the hand that edits.
    pub async fn edit(&self, args: &[&str], expression: &str) -> Result<String> {
        let folder = tempfile::tempdir()?;
        let editor = folder.path().join("editor");
        std::fs::write(&editor, "#!/bin/sh\nexec sed -i -e \"$EXPRESSION\" \"$1\"\n")?;
        std::fs::set_permissions(&editor, std::fs::Permissions::from_mode(0o700))?;
        let args: Vec<&str> = ["edit"].iter().chain(args).copied().collect();
        let mut command = self.command(&args);
        command
            .env("KUBE_EDITOR", &editor)
            .env("EXPRESSION", expression)
            .env("TMPDIR", folder.path());
        let output = finish(command, &args, "").await?;
        ensure!(
            output.contains("edited"),
            "kubectl {}: {} (sed `{expression}` changed nothing)",
            args.join(" "),
            output.trim()
        );
        Ok(output)
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.arg("--kubeconfig").arg(&self.kubeconfig).args(args);
        command
    }
}

async fn finish(mut command: Command, args: &[&str], input: &str) -> Result<String> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .context("run kubectl")?;
    // A command that reads no input may have ended already.
    let _ = child
        .stdin
        .take()
        .context("kubectl without an input")?
        .write_all(input.as_bytes())
        .await;
    let output = child.wait_with_output().await?;
    ensure!(
        output.status.success(),
        "kubectl {}: {}",
        args.join(" "),
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
