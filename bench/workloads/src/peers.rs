//! Peers of the same job, in `bench/peers`.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use dev_tools::{Step, Tool, Toolbox};
use logistics_schemas::Workload;
use logistics_schemas::topics::SHIPMENT_CREATED;
use serde_json::{Value, json};

use crate::stage::{Platform, Stage};

/// This checkout's `bench` folder.
fn bench() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The peers, ready to be started.
pub(crate) struct Peers {
    go: PathBuf,
    python: PathBuf,
    packages: PathBuf,
}

/// A program with its arguments and environment.
pub(crate) struct Start {
    pub(crate) program: PathBuf,
    pub(crate) args: Vec<String>,
    pub(crate) env: Vec<(&'static str, String)>,
}

impl Peers {
    /// Builds the Go peer, and installs what the Python peer needs.
    pub(crate) fn ready() -> Result<Self> {
        let tools = dev_tools::install(&Tool::BENCH_WORKLOADS)?;
        Ok(Self {
            go: build_go(&tools)?,
            python: python()?,
            packages: tools.fastapi(),
        })
    }

    /// The peer in Go, with this configuration.
    pub(crate) fn go(&self, config: &Path) -> Start {
        Start {
            program: self.go.clone(),
            args: vec![config.display().to_string()],
            env: Vec::new(),
        }
    }

    /// The peer in Python, with this configuration.
    pub(crate) fn fastapi(&self, config: &Path) -> Start {
        let main = bench().join("peers/fastapi/main.py");
        Start {
            program: self.python.clone(),
            args: vec![main.display().to_string(), config.display().to_string()],
            env: vec![
                ("PYTHONPATH", self.packages.display().to_string()),
                // Compiled once, but not into the checkout.
                (
                    "PYTHONPYCACHEPREFIX",
                    target().join("peers/pycache").display().to_string(),
                ),
            ],
        }
    }
}

fn target() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    target.unwrap_or_else(|| bench().join("../target"))
}

fn build_go(tools: &Toolbox) -> Result<PathBuf> {
    let folder = bench().join("peers/go").canonicalize()?;
    let out = target().join("peers");
    std::fs::create_dir_all(&out)?;
    let out = out.canonicalize()?.join("go-peer");
    let step = Step::start("peer in Go", &tools.cache().logs())?;
    let protos = folder.join("../../../schemas/proto").canonicalize()?;
    step.run(
        Command::new(tools.buf())
            .current_dir(&folder)
            .args(["generate", "--template", "buf.gen.yaml"])
            .arg(&protos)
            .arg("--exclude-path")
            .arg(protos.join("google")),
    )?;
    step.run(
        Command::new("go")
            .current_dir(&folder)
            .env("CGO_ENABLED", "0")
            .args(["build", "-trimpath", "-mod=readonly", "-o"])
            .arg(&out)
            .arg("."),
    )?;
    step.done();
    Ok(out)
}

/// The interpreter itself: what stands in its place on the path may be a script that looks for it first.
fn python() -> Result<PathBuf> {
    let found = Command::new("python3")
        .args(["-c", "import sys; print(sys.executable)"])
        .output()
        .context("run python3")?;
    ensure!(found.status.success(), "python3 does not work");
    Ok(String::from_utf8(found.stdout)?.trim().into())
}

/// What a peer is told: the same as our services, in one file.
pub(crate) async fn config(
    stage: &Stage,
    platform: &Platform,
    listen: SocketAddr,
    batch: bool,
) -> Result<Value> {
    let ours = platform.testbed.config(Workload::Shipment);
    let role = |workload: Workload| -> Result<Value> {
        let read = |name: &str| {
            std::fs::read_to_string(platform.testbed.file(&format!("{}/{name}", workload.name())))
        };
        Ok(json!({"username": read("username")?, "password": read("password")?}))
    };
    Ok(json!({
        "listen": listen,
        "batch": batch,
        "sql": bench().join("peers/sql").canonicalize()?,
        "database": {
            "host": stage.postgres.host,
            "port": stage.postgres.port,
            "name": platform.testbed.database.name,
            "ca": stage.postgres.ca_file,
            "connections": ours.database.max_connections,
            "shipment": role(Workload::Shipment)?,
            "tracking": role(Workload::Tracking)?,
        },
        "bootstrap": ours.kafka.bootstrap_servers,
        "topic": SHIPMENT_CREATED.full_name(&ours.kafka.topic_prefix),
        "eventType": SHIPMENT_CREATED.event_type(),
        "schema": bench().join("../schemas/avro/shipment.created.avsc").canonicalize()?,
        "schemaId": platform.schema_id().await?,
        "issuer": ours.auth.issuer,
        "audience": ours.auth.audience,
        "jwks": ours.auth.jwks_file,
    }))
}
