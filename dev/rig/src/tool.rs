//! Where the servers' programs are.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow, ensure};

/// Debian keeps each version's programs in a folder of its own.
const POSTGRES: &str = "/usr/lib/postgresql";

/// A Java runtime, 21 or newer.
pub(crate) fn java() -> Result<PathBuf> {
    built("java/bin/java")
}

/// The folder of Kafka's jars.
pub(crate) fn kafka_libraries() -> Result<PathBuf> {
    built("kafka/libs")
}

/// The registry's runnable jar.
pub(crate) fn schema_registry_jar() -> Result<PathBuf> {
    built("apicurio/quarkus-run.jar")
}

/// The API server.
#[cfg(feature = "kubernetes")]
pub(crate) fn kube_apiserver() -> Result<PathBuf> {
    built("bin/kube-apiserver")
}

/// etcd.
#[cfg(feature = "kubernetes")]
pub(crate) fn etcd() -> Result<PathBuf> {
    let path = Path::new("/usr/bin/etcd");
    ensure!(
        path.exists(),
        "etcd is missing: `make tools` (or `apt-get install etcd-server`)"
    );
    Ok(path.to_owned())
}

/// The folder of PostgreSQL's programs, of the newest version installed.
pub(crate) fn postgres_bin() -> Result<PathBuf> {
    let missing = "PostgreSQL is missing: `make tools` (or `apt-get install postgresql`)";
    let versions = std::fs::read_dir(POSTGRES).context(missing)?;
    versions
        .flatten()
        .filter_map(|entry| {
            Some((
                entry.file_name().to_str()?.parse::<u32>().ok()?,
                entry.path().join("bin"),
            ))
        })
        .filter(|(_, bin)| bin.join("postgres").exists())
        .max()
        .map(|(_, bin)| bin)
        .ok_or_else(|| anyhow!(missing))
}

fn built(name: &str) -> Result<PathBuf> {
    let root = std::env::var_os("LOGISTICS_CACHE")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(std::env::var_os("XDG_CACHE_HOME")?).join("logistics-platform")))
        .or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache/logistics-platform")))
        .context("no cache folder: set HOME")?;
    let path = root.join("rig").join(name);
    ensure!(path.exists(), "{} is missing: `make tools`", path.display());
    Ok(path)
}
