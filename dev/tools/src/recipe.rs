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
        Tool::CoreDns
        | Tool::Helm
        | Tool::MetricsServer
        | Tool::Kubeconform
        | Tool::KubeScore
        | Tool::Buf
        | Tool::Kwok => go(site, step, ""),
        // A benchmark installs the custom resources of a peer, of the version that was built.
        Tool::ArgoRollouts => {
            go(site, step, "")?;
            let module = "github.com/argoproj/argo-rollouts";
            go_files(site, step, module, "manifests/crds", is_argo_resource)
        }
        Tool::Flagger => {
            go(site, step, "")?;
            go_files(
                site,
                step,
                "github.com/fluxcd/flagger",
                "artifacts/flagger",
                |file| file == "crd.yaml",
            )
        }
        Tool::PrometheusOperator => {
            let module = "github.com/prometheus-operator/prometheus-operator";
            go_files(site, step, module, "example/prometheus-operator-crd", is_yaml)
        }
        Tool::Kafka => maven(site, step, "dependency:copy-dependencies"),
        Tool::Apicurio => maven(site, step, "dependency:unpack"),
        Tool::Jdk => pip(site, step, "jdk.txt"),
        Tool::Flights => pip(site, step, "flights.txt"),
        Tool::FastApi => pip(site, step, "fastapi.txt"),
        Tool::CargoDeny => cargo(site, step, &tool.version()?),
        Tool::AsyncApi => npm(site, step),
    }
}

/// Builds every `tool` of the module.
fn go(site: &Site<'_>, step: &Step, version_flags: &str) -> Result<(), ToolError> {
    let bin = site.out.join("bin");
    fs::create_dir_all(&bin).map_err(ToolError::at(&bin))?;
    step.run(
        go_command(site)
            .args([
                "build",
                "-trimpath",
                "-ldflags",
                &format!("-s -w {version_flags}"),
                "-o",
            ])
            .arg(format!("{}/", bin.display()))
            .arg("tool"),
    )
}

/// Copies files of one folder of a module to `crds`.
fn go_files(
    site: &Site<'_>,
    step: &Step,
    module: &str,
    folder: &str,
    wanted: impl Fn(&str) -> bool,
) -> Result<(), ToolError> {
    step.run(go_command(site).args(["mod", "download", module]))?;
    let mut list = go_command(site);
    list.args(["list", "-m", "-f", "{{.Dir}}", module]);
    let listed = list
        .output()
        .map_err(|error| step.failed(&format!("go list: {error}")))?;
    if !listed.status.success() {
        return Err(step.failed(String::from_utf8_lossy(&listed.stderr).trim()));
    }
    let from = Path::new(String::from_utf8_lossy(&listed.stdout).trim()).join(folder);
    let to = site.out.join("crds");
    fs::create_dir_all(&to).map_err(ToolError::at(&to))?;
    let mut copied = 0;
    for entry in from.read_dir().map_err(ToolError::at(&from))? {
        let path = entry.map_err(ToolError::at(&from))?.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
            continue;
        };
        if wanted(name) {
            fs::copy(&path, to.join(name)).map_err(ToolError::at(&path))?;
            copied += 1;
        }
    }
    if copied == 0 {
        return Err(step.failed(&format!("no custom resources in {folder} of {module}")));
    }
    Ok(())
}

fn is_yaml(file: &str) -> bool {
    Path::new(file)
        .extension()
        .is_some_and(|extension| extension == "yaml")
}

fn is_argo_resource(file: &str) -> bool {
    file.ends_with("-crd.yaml")
}

fn go_command(site: &Site<'_>) -> Command {
    let mut command = Command::new("go");
    command
        .current_dir(&site.pins)
        .env("CGO_ENABLED", "0")
        // Read-only module files could not be removed afterwards by anyone but root.
        .env("GOFLAGS", "-modcacherw")
        .env("GOMODCACHE", site.build.join("go/mod"))
        .env("GOCACHE", site.build.join("go/build"));
    command
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

/// Installs exactly what the lock file names, by its hashes. No package's own scripts are run (`.npmrc`).
fn npm(site: &Site<'_>, step: &Step) -> Result<(), ToolError> {
    for file in ["package.json", "package-lock.json", ".npmrc"] {
        let from = site.pins.join(file);
        fs::copy(&from, site.out.join(file)).map_err(ToolError::at(&from))?;
    }
    step.run(
        Command::new("npm")
            .args(["ci", "--no-audit", "--no-fund", "--no-update-notifier", "--cache"])
            .arg(site.build.join("npm"))
            .current_dir(&site.out),
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
