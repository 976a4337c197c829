//! Where the servers' programs are. Nothing is built here: a test that silently compiles an API server first would look
//! as if it hung.

use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use dev_tools::Toolbox;

/// The Java runtime.
pub(crate) fn java() -> Result<PathBuf> {
    present(toolbox()?.jdk_home().join("bin/java"))
}

/// The folder of Kafka's jars.
pub(crate) fn kafka_libraries() -> Result<PathBuf> {
    present(toolbox()?.kafka_libs())
}

/// The registry's runnable jar.
pub(crate) fn schema_registry_jar() -> Result<PathBuf> {
    present(toolbox()?.apicurio().join("quarkus-run.jar"))
}

/// The API server.
#[cfg(feature = "kubernetes")]
pub(crate) fn kube_apiserver() -> Result<PathBuf> {
    present(toolbox()?.kube_apiserver())
}

/// Helm.
#[cfg(feature = "kubernetes")]
pub(crate) fn helm() -> Result<PathBuf> {
    present(toolbox()?.helm())
}

/// etcd.
#[cfg(feature = "kubernetes")]
pub(crate) fn etcd() -> Result<PathBuf> {
    toolbox()?.etcd().context("`make cluster` installs it")
}

/// The folder of PostgreSQL's programs.
pub(crate) fn postgres_bin() -> Result<PathBuf> {
    toolbox()?.postgres_bin().context("`make cluster` installs it")
}

/// Redis.
pub(crate) fn redis_server() -> Result<PathBuf> {
    toolbox()?.redis_server().context("`make cluster` installs it")
}

/// The command line of Redis.
pub(crate) fn redis_cli() -> Result<PathBuf> {
    toolbox()?.redis_cli().context("`make cluster` installs it")
}

/// Prometheus.
pub(crate) fn prometheus() -> Result<PathBuf> {
    toolbox()?.prometheus().context("`make cluster` installs it")
}

fn toolbox() -> Result<Toolbox> {
    Ok(dev_tools::install(&[])?)
}

fn present(path: PathBuf) -> Result<PathBuf> {
    ensure!(
        path.exists(),
        "{} is missing: `make cluster` installs it",
        path.display()
    );
    Ok(path)
}
