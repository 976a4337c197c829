//! How each kind of pin becomes files: one recipe for each package ecosystem.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::pins::Tool;
use crate::{Step, ToolError};

/// Where a recipe works.
pub(crate) struct Site<'a> {
    /// The pin files, under their own names.
    pub(crate) pins: PathBuf,
    /// What becomes the tool's folder.
    pub(crate) out: PathBuf,
    /// The compilers' and package managers' caches, removed after the installation.
    pub(crate) build: &'a Path,
}

/// Fills `site.out` with the tool.
pub(crate) fn run(tool: Tool, site: &Site<'_>, step: &Step) -> Result<(), ToolError> {
    match tool {
        Tool::Kubernetes => go(site, step, &kubernetes_version_flags(&tool.version()?)),
        Tool::CoreDns | Tool::Helm => go(site, step, ""),
        Tool::Kafka => maven(site, step, "dependency:copy-dependencies"),
        Tool::Apicurio => maven(site, step, "dependency:unpack"),
        Tool::Jdk => pip(site, step, "jdk.txt"),
        Tool::Flights => pip(site, step, "flights.txt"),
        Tool::CargoDeny => cargo(site, step, &tool.version()?),
    }
}

/// Builds every `tool` of the module.
fn go(site: &Site<'_>, step: &Step, version_flags: &str) -> Result<(), ToolError> {
    let bin = site.out.join("bin");
    fs::create_dir_all(&bin).map_err(ToolError::at(&bin))?;
    step.run(
        Command::new("go")
            .args([
                "build",
                "-trimpath",
                "-ldflags",
                &format!("-s -w {version_flags}"),
                "-o",
            ])
            .arg(format!("{}/", bin.display()))
            .arg("tool")
            .current_dir(&site.pins)
            .env("CGO_ENABLED", "0")
            // Read-only module files could not be removed afterwards by anyone but root.
            .env("GOFLAGS", "-modcacherw")
            .env("GOMODCACHE", site.build.join("go/mod"))
            .env("GOCACHE", site.build.join("go/build")),
    )
}

/// What Kubernetes' own build sets, so that the binaries know their version.
fn kubernetes_version_flags(version: &str) -> String {
    let mut parts = version.trim_start_matches('v').split('.');
    let (major, minor) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let package = "k8s.io/component-base/version";
    format!(
        "-X {package}.gitVersion={version} -X {package}.gitMajor={major} -X {package}.gitMinor={minor} \
         -X {package}.gitTreeState=clean"
    )
}

fn maven(site: &Site<'_>, step: &Step, goal: &str) -> Result<(), ToolError> {
    let lib = site.out.join("lib");
    step.run(
        Command::new("mvn")
            .args(["--batch-mode", "--no-transfer-progress", goal])
            .arg(format!("-DoutputDirectory={}", lib.display()))
            .arg(format!(
                "-Dmaven.repo.local={}",
                site.build.join("maven").display()
            ))
            .current_dir(&site.pins),
    )
}

fn pip(site: &Site<'_>, step: &Step, requirements: &str) -> Result<(), ToolError> {
    step.run(
        Command::new("python3")
            .args([
                "-m",
                "pip",
                "install",
                "--no-deps",
                "--require-hashes",
                "--no-compile",
                "--no-cache-dir",
            ])
            .args([
                "--disable-pip-version-check",
                "--root-user-action=ignore",
                "--target",
            ])
            .arg(&site.out)
            .args(["--requirement", requirements])
            .current_dir(&site.pins),
    )
}

fn cargo(site: &Site<'_>, step: &Step, version: &str) -> Result<(), ToolError> {
    step.run(
        Command::new("cargo")
            .args(["install", "--locked", "--version", version, "--root"])
            .arg(&site.out)
            .arg("cargo-deny")
            .current_dir(&site.pins)
            .env("CARGO_TARGET_DIR", site.build.join("cargo")),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kubernetes_learns_its_version() {
        let flags = kubernetes_version_flags("v1.34.4");
        assert!(flags.contains("gitVersion=v1.34.4 "));
        assert!(flags.contains("gitMajor=1 ") && flags.contains("gitMinor=34 "));
    }
}
