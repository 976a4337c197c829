//! The contracts of the last release: `schemas/baseline`.

use std::fs;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use dev_tools::{Tool, install};

use crate::checkout;

/// The protos of the last release, as a `buf` image.
pub const PROTO: &str = "schemas/baseline/proto.binpb";
/// The Avro schemas of the last release.
pub const AVRO: &str = "schemas/baseline/avro";

/// Replaces the baseline by the contracts as they are now.
pub fn write() -> Result<()> {
    let schemas = checkout().join("schemas");
    let buf = install(&[Tool::Buf])?.buf();
    let status = Command::new(buf)
        .args(["build", "--exclude-source-info", "--output"])
        .arg(checkout().join(PROTO))
        .arg(schemas.join("proto"))
        .status()
        .context("cannot start buf")?;
    ensure!(status.success(), "buf build: {status}");
    println!("{PROTO}");
    let folder = checkout().join(AVRO);
    if folder.is_dir() {
        fs::remove_dir_all(&folder).with_context(|| format!("cannot empty {AVRO}"))?;
    }
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {AVRO}"))?;
    for entry in fs::read_dir(schemas.join("avro")).context("cannot read schemas/avro")? {
        let entry = entry?;
        fs::copy(entry.path(), folder.join(entry.file_name()))
            .with_context(|| format!("cannot copy {}", entry.path().display()))?;
        println!("{AVRO}/{}", entry.file_name().display());
    }
    Ok(())
}
