//! Makes sure that the machine has what the build and the cluster need.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use dev_tools::prerequisites::{DEBIAN, TOOLCHAINS, locate, missing};

use crate::service_starts::{POLICY, ServiceStarts};
use crate::up::must_be_root;

/// Checks everything. On Debian as root, what is missing is installed; elsewhere it is named with its command.
pub fn ensure() -> Result<()> {
    for toolchain in TOOLCHAINS {
        if locate(toolchain.program).is_none() {
            bail!("{} is missing: {}", toolchain.program, toolchain.remedy);
        }
    }
    let absent = missing();
    if absent.is_empty() {
        eprintln!("✓ prerequisites ({} checked)", DEBIAN.len() + TOOLCHAINS.len());
        return Ok(());
    }
    let mut packages: Vec<_> = absent.iter().map(|need| need.package).collect();
    packages.dedup();
    let command = format!("apt-get install --no-install-recommends {}", packages.join(" "));
    if must_be_root().is_err() || !Path::new("/etc/debian_version").exists() || locate("apt-get").is_none() {
        let list: Vec<_> = absent
            .iter()
            .map(|need| format!("  {}: {}", need.provides, need.purpose))
            .collect();
        bail!(
            "missing on this machine:\n{}\non Debian: {command}",
            list.join("\n")
        );
    }
    eprintln!("• {command} …");
    // A program is wanted of them, not a database or a metrics server that listens from now on.
    let _held = ServiceStarts::hold(Path::new(POLICY))?;
    apt(&["update", "--quiet=2"])?;
    let install = ["install", "--yes", "--quiet=2", "--no-install-recommends"];
    apt(&[&install, packages.as_slice()].concat())?;
    let still: Vec<_> = missing().iter().map(|need| need.provides).collect();
    if !still.is_empty() {
        bail!("still missing after `{command}`: {}", still.join(", "));
    }
    eprintln!("✓ prerequisites installed");
    Ok(())
}

fn apt(args: &[&str]) -> Result<()> {
    let status = Command::new("apt-get")
        .args(args)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .status()
        .context("cannot start apt-get")?;
    if !status.success() {
        bail!(
            "`apt-get {}` failed ({status}); its reason is above",
            args.join(" ")
        );
    }
    Ok(())
}
