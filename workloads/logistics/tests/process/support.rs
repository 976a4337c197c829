//! Processes of the binary.

use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};

use anyhow::{Context as _, Result, bail};
use logistics_schemas::Workload;
use logistics_schemas::config::{Otlp, ServiceConfig};
use logistics_schemas::grpc::logistics::shipment::v1::shipment_service_client::ShipmentServiceClient;
use logistics_testbed::{Testbed, eventually};
use rustix::process::{Pid, Signal, kill_process};
use serde::Serialize;
use serde_json::Value;
use tokio::process::{Child, Command};
use tonic::transport::Channel;

/// The binary under test.
pub(crate) fn logistics() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_logistics"));
    command
        .env_remove("LOGISTICS_CONFIG")
        .kill_on_drop(true)
        .stdin(Stdio::null());
    command
}

/// Writes a configuration file.
pub(crate) fn write_config(testbed: &Testbed, name: &str, config: &impl Serialize) -> Result<PathBuf> {
    let path = testbed.file(name);
    std::fs::write(&path, serde_norway::to_string(config)?)?;
    Ok(path)
}

/// Migrates with the binary.
pub(crate) async fn migrate(testbed: &Testbed) -> Result<()> {
    let config = write_config(testbed, "migrate.yaml", &testbed.migrate_config())?;
    let output = logistics()
        .arg("migrate")
        .arg("--config")
        .arg(config)
        .output()
        .await?;
    let errors = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(output.status.success(), "migrate: {errors}");
    Ok(())
}

/// A service in a process of its own.
pub(crate) struct Process {
    child: Child,
    log: PathBuf,
    pub(crate) grpc: String,
    admin: String,
}

impl Process {
    pub(crate) async fn start(testbed: &Testbed, workload: Workload, otlp: Option<&str>) -> Result<Self> {
        Self::start_as(workload.name(), testbed, workload, otlp).await
    }

    /// One of several processes of a service: `name` is its pod's.
    pub(crate) async fn start_as(
        name: &str,
        testbed: &Testbed,
        workload: Workload,
        otlp: Option<&str>,
    ) -> Result<Self> {
        let config = ServiceConfig {
            otlp: otlp.map(|endpoint| Otlp {
                endpoint: endpoint.to_owned(),
                sampling_ratio: 1.0,
            }),
            ..testbed.config(workload)
        };
        let config = write_config(testbed, &format!("{name}.yaml"), &config)?;
        let log = testbed.file(&format!("{name}.log"));
        let child = logistics()
            .arg(workload.name())
            .env("LOGISTICS_CONFIG", config)
            .env("LOGISTICS_REVISION", "abc123")
            .env("POD_NAME", name)
            .stderr(std::fs::File::create(&log)?)
            .spawn()?;
        let mut process = Self {
            child,
            log,
            grpc: String::new(),
            admin: String::new(),
        };
        let (grpc, admin) =
            eventually("the process says where it listens", || async { process.ports() }).await?;
        process.grpc = format!("http://{grpc}");
        process.admin = admin;
        eventually("the process is ready", || async {
            let answer = get(&process.admin, "readyz").await;
            Ok(answer.is_ok_and(|(status, _)| status == 200).then_some(()))
        })
        .await
        .with_context(|| std::fs::read_to_string(&process.log).unwrap_or_default())?;
        Ok(process)
    }

    /// What `/metrics` says.
    pub(crate) async fn metrics(&self) -> Result<String> {
        Ok(get(&self.admin, "metrics").await?.1)
    }

    /// Its log, line by line.
    pub(crate) fn log(&self) -> Result<Vec<Value>> {
        let text = std::fs::read_to_string(&self.log)?;
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        whole
            .lines()
            .map(|line| serde_json::from_str(line).with_context(|| line.to_owned()))
            .collect()
    }

    fn ports(&self) -> Result<Option<(String, String)>> {
        let port = |line: &Value, name: &str| Some(line.get(name)?.as_str()?.to_owned());
        Ok(self
            .log()?
            .iter()
            .find_map(|line| Some((port(line, "grpc")?, port(line, "admin")?))))
    }

    /// SIGKILL.
    pub(crate) async fn kill(mut self) -> Result<()> {
        self.child.kill().await?;
        Ok(())
    }

    /// SIGTERM; gives how it ended.
    pub(crate) async fn stop(&mut self) -> Result<ExitStatus> {
        let Some(pid) = self
            .child
            .id()
            .and_then(|id| Pid::from_raw(i32::try_from(id).ok()?))
        else {
            bail!("the process has ended already");
        };
        kill_process(pid, Signal::TERM)?;
        Ok(self.child.wait().await?)
    }
}

/// Status and text of the answer to a plain HTTP request.
async fn get(host: &str, path: &str) -> Result<(u16, String)> {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    let mut stream = tokio::net::TcpStream::connect(host).await?;
    stream
        .write_all(format!("GET /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").as_bytes())
        .await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    let status = answer.split(' ').nth(1).context("no HTTP")?.parse()?;
    Ok((status, answer))
}

/// A client of a shipment process.
pub(crate) fn client(process: &Process) -> Result<ShipmentServiceClient<Channel>> {
    Ok(ShipmentServiceClient::new(
        Channel::from_shared(process.grpc.clone())?.connect_lazy(),
    ))
}
