//! Scratch folders and free ports.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use tempfile::TempDir;

/// Below the kernel's range for outgoing connections, so that none of those can take a port between the moment it is
/// found free and the moment its server binds it.
const PORTS: std::ops::Range<u16> = 18_000..32_000;
/// One file for each port that a test process has taken, with the process's id in it.
const PORT_CLAIMS: &str = "ports";
/// Logs of servers that failed.
const FAILED: &str = "failed";
const KEEP_LOGS: Duration = Duration::from_hours(24);

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

/// Removes what test processes that were killed, or that shared a server to their end, left behind, and old logs. What
/// cannot be removed now is removed by a later run.
fn sweep(base: &Path) {
    for entry in entries(base) {
        let name = entry.file_name();
        if name
            .to_str()
            .and_then(|name| name.split('-').next())
            .is_some_and(has_ended)
        {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
    for entry in entries(&base.join(PORT_CLAIMS)) {
        if std::fs::read_to_string(entry.path()).is_ok_and(|owner| has_ended(&owner)) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
    for entry in entries(&base.join(FAILED)) {
        let age = entry
            .metadata()
            .ok()
            .and_then(|metadata| metadata.modified().ok()?.elapsed().ok());
        if age.is_some_and(|age| age > KEEP_LOGS) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

fn entries(folder: &Path) -> impl Iterator<Item = std::fs::DirEntry> {
    std::fs::read_dir(folder).into_iter().flatten().flatten()
}

/// Whether this is the id of a process that is no more.
fn has_ended(pid: &str) -> bool {
    pid.parse::<u32>().is_ok() && !Path::new("/proc").join(pid).exists()
}

/// Copies the log of a server that failed to where it outlives the server's folder, and gives its new place.
pub(crate) fn keep_log(log: &Path) -> PathBuf {
    let copy = || -> Result<PathBuf> {
        let folder = base()?.join(FAILED);
        std::fs::create_dir_all(&folder)?;
        let name = log.file_name().context("a log has a name")?.to_string_lossy();
        let kept = folder.join(format!("{}-{name}", uuid::Uuid::now_v7().simple()));
        std::fs::copy(log, &kept)?;
        Ok(kept)
    };
    copy().unwrap_or_else(|_| log.to_owned())
}

/// A password that was never used before.
pub(crate) fn secret() -> String {
    uuid::Uuid::new_v4().simple().to_string()
}

/// A TCP port of 127.0.0.1 that nothing listens on. It is this process's until it ends: other test processes that look
/// for one at the same time find another.
pub fn free_port() -> Result<u16> {
    let claims = base()?.join(PORT_CLAIMS);
    std::fs::create_dir_all(&claims).with_context(|| format!("make {}", claims.display()))?;
    let span = PORTS.end - PORTS.start;
    for _ in 0..1000 {
        let [high, low, ..] = *uuid::Uuid::new_v4().as_bytes();
        let port = PORTS.start + u16::from_be_bytes([high, low]) % span;
        if claim(&claims.join(port.to_string())) && std::net::TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return Ok(port);
        }
    }
    bail!("no free port among 1000 tried in {}-{}", PORTS.start, PORTS.end)
}

fn claim(path: &Path) -> bool {
    let file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(path);
    file.is_ok_and(|mut file| write!(file, "{}", std::process::id()).is_ok())
}
