//! Scratch folders and free ports.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use tempfile::TempDir;

/// Below the kernel's range for outgoing connections, so that none of those can take a port between the moment it is
/// found free and the moment its server binds it.
const PORTS: std::ops::Range<u16> = 18_000..32_000;

/// A fresh folder, removed on drop, that the servers' own users can reach.
pub(crate) fn folder(name: &str) -> Result<TempDir> {
    let base = base()?;
    sweep(&base);
    tempfile::Builder::new()
        .prefix(&format!("{}-{name}-", std::process::id()))
        .permissions(std::fs::Permissions::from_mode(0o755))
        .tempdir_in(&base)
        .with_context(|| format!("make a scratch folder in {}", base.display()))
}

fn base() -> Result<PathBuf> {
    let uid = rustix::process::getuid().as_raw();
    let base = std::env::temp_dir().join(format!("dev-rig-{uid}"));
    std::fs::create_dir_all(&base).with_context(|| format!("make {}", base.display()))?;
    Ok(base)
}

/// Removes what test processes that were killed, or that shared a server to their end, left behind. A folder that
/// cannot be removed now is removed by a later run.
fn sweep(base: &Path) {
    let Ok(entries) = std::fs::read_dir(base) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.split('-').next()) else {
            continue;
        };
        if pid.parse::<u32>().is_ok() && !Path::new("/proc").join(pid).exists() {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

/// A TCP port of 127.0.0.1 that nothing listens on.
pub(crate) fn free_port() -> Result<u16> {
    let span = PORTS.end - PORTS.start;
    for _ in 0..100 {
        let [high, low, ..] = *uuid::Uuid::new_v4().as_bytes();
        let port = PORTS.start + u16::from_be_bytes([high, low]) % span;
        if std::net::TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return Ok(port);
        }
    }
    bail!("no free port among 100 tried in {}-{}", PORTS.start, PORTS.end)
}
