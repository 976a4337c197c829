//! Apicurio Registry, in memory, with the Confluent-compatible API.

use anyhow::Result;
use rustix::process::Signal;
use tempfile::TempDir;

use crate::process::{Process, Spec};
use crate::{scratch, tool, wait};

const API: &str = "/apis/ccompat/v7";

/// A running registry.
#[derive(Debug)]
pub struct SchemaRegistry {
    /// Base URL of the Confluent-compatible API, before `/subjects`.
    pub url: String,
    port: u16,
    process: Process,
    _folder: TempDir,
}

/// Starts a registry of its own; see [`crate::shared::schema_registry`] for one that costs its start only once.
pub async fn schema_registry() -> Result<SchemaRegistry> {
    let folder = scratch::folder("registry")?;
    let port = scratch::free_port()?;
    let process = Process::start(Spec {
        name: "schema registry",
        program: tool::java()?,
        args: vec![
            "-Xmx384m".into(),
            "-XX:+UseSerialGC".into(),
            "-XX:TieredStopAtLevel=1".into(),
            // It unpacks native libraries and, ended by a signal, does not remove them.
            format!("-Djava.io.tmpdir={}", folder.path().display()),
            "-jar".into(),
            tool::schema_registry_jar()?.to_string_lossy().into_owned(),
        ],
        env: vec![
            ("QUARKUS_HTTP_HOST", "127.0.0.1".into()),
            ("QUARKUS_HTTP_PORT", port.to_string()),
            // Health and metrics: cannot be switched off, and the default port is the same for all.
            ("QUARKUS_MANAGEMENT_HOST", "127.0.0.1".into()),
            ("QUARKUS_MANAGEMENT_PORT", scratch::free_port()?.to_string()),
        ],
        user: None,
        within: Vec::new(),
        stop: Signal::KILL,
        log: folder.path().join("registry.log"),
    })?;
    let registry = SchemaRegistry {
        url: format!("http://127.0.0.1:{port}{API}"),
        port,
        process,
        _folder: folder,
    };
    registry.ready().await?;
    Ok(registry)
}

impl SchemaRegistry {
    /// Kills the registry; what it held is lost.
    pub fn kill(&self) {
        self.process.kill();
    }

    /// Starts the registry again after [`Self::kill`], empty and at the same address.
    pub async fn start_again(&self) -> Result<()> {
        self.process.start_again()?;
        self.ready().await
    }

    /// Where it listens, on 127.0.0.1.
    pub(crate) const fn port(&self) -> u16 {
        self.port
    }

    async fn ready(&self) -> Result<()> {
        let path = format!("{API}/subjects");
        wait::until_ready(&self.process, || wait::http_ok(self.port, &path)).await
    }
}
