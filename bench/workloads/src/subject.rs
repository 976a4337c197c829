//! What is measured, as a process on a core of its own.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow};
use dev_rig::{Program, cost};
use logistics_schemas::Workload;
use serde::Serialize;

use crate::client::{Grpc, Rest, Target};
use crate::load::Job;
use crate::peers::{self, Start};
use crate::stage::{Platform, Stage};

/// The longest that one may take until its first answer.
const PATIENCE: Duration = Duration::from_mins(1);

/// Who does the job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Subject {
    Ours,
    Go,
    GoBatched,
    FastApi,
    FastApiBatched,
}

impl Subject {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Ours => "logistics",
            Self::Go => "Go",
            Self::GoBatched => "Go, batched",
            Self::FastApi => "FastAPI",
            Self::FastApiBatched => "FastAPI, batched",
        }
    }

    pub(crate) fn all(peers: bool) -> Vec<Self> {
        let mut all = vec![Self::Ours];
        if peers {
            all.extend([Self::Go, Self::GoBatched, Self::FastApi, Self::FastApiBatched]);
        }
        all
    }

    /// Starts it; `job` is what it has to answer to be ready.
    pub(crate) async fn start(
        self,
        stage: &Stage,
        platform: &Platform,
        workload: Workload,
        job: &Job,
    ) -> Result<Running> {
        let mut admin = None;
        let address: SocketAddr;
        let start = if self == Self::Ours {
            let config = platform.config(workload)?;
            (address, admin) = (config.grpc.listen, Some(config.admin.listen));
            service(stage, platform, workload, &config)?
        } else {
            address = ([127, 0, 0, 1], dev_rig::free_port()?).into();
            self.peer(stage, platform, address).await?
        };
        let listen = address.to_string();
        let target = Arc::new(match self {
            Self::Ours | Self::Go | Self::GoBatched => {
                Target::Grpc(Grpc::new(&listen, platform.bearer.clone())?)
            }
            Self::FastApi | Self::FastApiBatched => Target::Rest(Rest::new(&listen, &platform.bearer)?),
        });
        let begin = Instant::now();
        let program = on_core(stage, self.name(), start)?;
        answered(&program, address, &target, job).await?;
        Ok(Running {
            start: begin.elapsed(),
            program,
            target,
            admin,
        })
    }

    async fn peer(self, stage: &Stage, platform: &Platform, listen: SocketAddr) -> Result<Start> {
        let batch = matches!(self, Self::GoBatched | Self::FastApiBatched);
        let config = peers::config(stage, platform, listen, batch).await?;
        let file = platform.testbed.file("peer.json");
        std::fs::write(&file, config.to_string())?;
        let peers = stage.peers.as_ref().context("the peers were left out")?;
        Ok(match self {
            Self::FastApi | Self::FastApiBatched => peers.fastapi(&file),
            _ => peers.go(&file),
        })
    }
}

/// One of our services with this configuration.
pub(crate) fn service(
    stage: &Stage,
    platform: &Platform,
    workload: Workload,
    config: &impl Serialize,
) -> Result<Start> {
    let file = platform.testbed.file(&format!("{workload}.yaml"));
    std::fs::write(&file, serde_norway::to_string(config)?)?;
    Ok(Start {
        program: stage.logistics.clone(),
        args: vec![
            workload.name().to_owned(),
            "--config".to_owned(),
            file.display().to_string(),
        ],
        // As the chart sets it.
        env: vec![("POD_NAME", format!("{workload}-0"))],
    })
}

/// Starts a program on the core for what is measured.
pub(crate) fn on_core(stage: &Stage, name: &'static str, start: Start) -> Result<Program> {
    let mut args = vec![
        "--cpu-list".to_owned(),
        stage.cores.server.to_string(),
        start.program.display().to_string(),
    ];
    args.extend(start.args);
    Program::start(name, PathBuf::from("taskset"), args, start.env)
}

/// Waits for the first answer.
pub(crate) async fn answered(
    program: &Program,
    address: SocketAddr,
    target: &Target,
    job: &Job,
) -> Result<()> {
    let begin = Instant::now();
    loop {
        let failed = match tokio::net::TcpStream::connect(address).await {
            Ok(_) => match target.call(job, 0).await {
                Ok(()) => return Ok(()),
                Err(error) => error,
            },
            Err(error) => error.into(),
        };
        if let Some(end) = program.ended() {
            return Err(anyhow!("it ended: {end}"));
        }
        if begin.elapsed() > PATIENCE {
            let log = std::fs::read_to_string(program.log()).unwrap_or_default();
            return Err(failed.context(format!("no answer in {} s: {log}", PATIENCE.as_secs())));
        }
        // A start takes from some tens of milliseconds to a second.
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// A running server; it ends with this value.
pub(crate) struct Running {
    program: Program,
    pub(crate) target: Arc<Target>,
    /// From the start of the process to the first answer.
    pub(crate) start: Duration,
    admin: Option<SocketAddr>,
}

impl Running {
    fn id(&self) -> Result<u32> {
        let tail = || format!("it has ended: {:?}", self.program.ended());
        self.program.id().with_context(tail)
    }

    /// CPU time so far, in seconds.
    pub(crate) fn cpu(&self) -> Result<f64> {
        cost::cpu(self.id()?)
    }

    /// Resident memory in MiB.
    pub(crate) fn rss(&self) -> Result<f64> {
        cost::rss(self.id()?)
    }

    /// The value of one of our metrics, over all its labels.
    pub(crate) async fn metric(&self, name: &str) -> Result<f64> {
        let admin = self.admin.context("only our own services have these metrics")?;
        let text = reqwest::get(format!("http://{admin}/metrics"))
            .await?
            .text()
            .await?;
        let of_name = |line: &&str| line.starts_with(name) && line[name.len()..].starts_with(['{', ' ']);
        let values = text.lines().filter(of_name);
        let values: Vec<f64> = values
            .filter_map(|line| line.rsplit_once(' ')?.1.parse().ok())
            .collect();
        anyhow::ensure!(!values.is_empty(), "there is no metric {name}");
        Ok(values.iter().sum())
    }
}
