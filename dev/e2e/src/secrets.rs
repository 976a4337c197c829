//! The secret values that a run uses, noted when they are made: those that a rotation replaced are looked for too.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use dev_cluster::Cluster;

/// Notes a secret value, in a file of the cluster that only its owner may read and that goes with the cluster.
pub fn note(value: &str) -> Result<()> {
    let path = file()?;
    let mut file = std::fs::File::options()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(&path)
        .with_context(|| format!("write {}", path.display()))?;
    writeln!(file, "{value}")?;
    Ok(())
}

/// All that were noted.
pub fn noted() -> Result<Vec<String>> {
    let path = file()?;
    let text = std::fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
    Ok(text.lines().map(str::to_owned).collect())
}

fn file() -> Result<PathBuf> {
    Ok(Cluster::locate()?.file("e2e-secrets"))
}
