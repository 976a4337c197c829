//! The cluster's objects, by way of kubectl.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;
use dev_tools::Toolbox;

use crate::command::{output, output_with_input};

/// A kubectl for one cluster.
#[derive(Debug, Clone)]
pub struct Kubectl {
    program: PathBuf,
    kubeconfig: PathBuf,
}

impl Kubectl {
    /// kubectl with a kubeconfig.
    #[must_use]
    pub fn new(tools: &Toolbox, kubeconfig: PathBuf) -> Self {
        Self {
            program: tools.kubectl(),
            kubeconfig,
        }
    }

    /// Runs kubectl and returns its output.
    pub fn run(&self, args: &[&str]) -> Result<String> {
        output(self.command().args(args))
    }

    /// Applies manifests, which are passed on its input.
    pub fn apply(&self, manifests: &str) -> Result<()> {
        let mut command = self.command();
        command.args([
            "apply",
            "--server-side",
            "--force-conflicts",
            "--field-manager=dev-cluster",
            "-f",
            "-",
        ]);
        output_with_input(&mut command, manifests).map(drop)
    }

    /// Applies the manifests in a folder.
    pub fn apply_files(&self, dir: &Path) -> Result<()> {
        let dir = dir.to_string_lossy();
        let args = [
            "apply",
            "--server-side",
            "--force-conflicts",
            "--field-manager=dev-cluster",
            "-f",
            &dir,
        ];
        self.run(&args).map(drop)
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.arg("--kubeconfig").arg(&self.kubeconfig);
        command
    }
}
