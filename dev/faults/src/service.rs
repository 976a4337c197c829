//! A service in a process of its own, which reaches Kafka and PostgreSQL through proxies of its own.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use dev_rig::{Flow, Program, Proxy};
use logistics_schemas::Workload;
use logistics_schemas::config::{Listener, ServiceConfig};
use logistics_testbed::Testbed;

use crate::wait::until;

/// How long a service may take to stop by itself.
const STOP: Duration = Duration::from_secs(40);

/// A process of a service.
#[derive(Debug)]
pub(crate) struct Service {
    /// Its pod's name, for example `shipment-a`.
    pub(crate) name: &'static str,
    pub(crate) workload: Workload,
    /// Its way to the broker.
    pub(crate) kafka: &'static Proxy,
    /// Its way to the database.
    pub(crate) database: Proxy,
    /// Where it serves gRPC.
    pub(crate) grpc: SocketAddr,
    /// Where parked records are looked at.
    pub(crate) control: SocketAddr,
    admin: SocketAddr,
    http: reqwest::Client,
    program: Program,
}

/// What a service is started from.
pub(crate) struct Plan<'a> {
    pub(crate) testbed: &'a Testbed,
    pub(crate) logistics: &'a Path,
    pub(crate) name: &'static str,
    pub(crate) workload: Workload,
    pub(crate) kafka: &'static Proxy,
    pub(crate) registry: &'a str,
}

impl Service {
    /// Starts it, and waits until it is ready.
    pub(crate) async fn start(plan: Plan<'_>) -> Result<Self> {
        let mut config = plan.testbed.config(plan.workload);
        let database = Proxy::start(config.database.port).await?;
        config.database.port = database.address().port();
        config.kafka.bootstrap_servers = plan.kafka.address().to_string();
        plan.registry.clone_into(&mut config.schema_registry.url);
        for port in [&mut config.grpc, &mut config.admin, &mut config.control] {
            *port = free_port()?;
        }
        let (grpc, admin, control) = (config.grpc.listen, config.admin.listen, config.control.listen);
        let file = write(plan.testbed, plan.name, &config)?;
        let program = Program::start(
            plan.name,
            plan.logistics.to_owned(),
            vec![plan.workload.name().to_owned()],
            vec![("LOGISTICS_CONFIG", file), ("POD_NAME", plan.name.to_owned())],
        )?;
        let service = Self {
            name: plan.name,
            workload: plan.workload,
            kafka: plan.kafka,
            database,
            grpc,
            control,
            admin,
            http: reqwest::Client::builder()
                .timeout(Duration::from_secs(2))
                .build()?,
            program,
        };
        service.ready().await?;
        Ok(service)
    }

    /// SIGKILL.
    pub(crate) fn kill(&self) {
        self.program.kill();
    }

    /// Has it stand still.
    pub(crate) fn pause(&self) {
        self.program.pause();
    }

    /// Has it go on.
    pub(crate) fn resume(&self) {
        self.program.resume();
    }

    /// Starts it again, without waiting until it is ready.
    pub(crate) fn start_again(&self) -> Result<()> {
        self.program.start_again()
    }

    /// Kills it, and starts it again.
    pub(crate) async fn crash(&self) -> Result<()> {
        self.program.start_again()?;
        self.ready().await
    }

    /// SIGTERM, and waits for its end.
    pub(crate) async fn stop(&self) -> Result<()> {
        self.program.terminate();
        let ended = until(STOP, || async { Ok(self.program.ended()) });
        ended
            .await?
            .with_context(|| format!("{} does not stop", self.name))?;
        Ok(())
    }

    /// Waits until it is ready.
    pub(crate) async fn ready(&self) -> Result<()> {
        let url = format!("http://{}/readyz", self.admin);
        let ready = until(Duration::from_mins(1), || async {
            if let Some(end) = self.program.ended() {
                bail!("{} ended: {end}", self.name);
            }
            let answer = self.http.get(&url).send().await;
            Ok(answer
                .is_ok_and(|answer| answer.status().is_success())
                .then_some(()))
        });
        ready.await?.with_context(|| {
            format!(
                "{} does not become ready; its log: {}",
                self.name,
                self.log().display()
            )
        })
    }

    /// Lets it reach what it needs.
    pub(crate) fn heal(&self) {
        self.kafka.set(Flow::Open);
        self.database.set(Flow::Open);
        self.resume();
    }

    /// Whether it runs.
    pub(crate) fn runs(&self) -> bool {
        self.program.ended().is_none()
    }

    fn log(&self) -> &Path {
        self.program.log()
    }
}

fn free_port() -> Result<Listener> {
    Ok(Listener {
        listen: ([127, 0, 0, 1], dev_rig::free_port()?).into(),
    })
}

fn write(testbed: &Testbed, name: &str, config: &ServiceConfig) -> Result<String> {
    let path = testbed.file(&format!("{name}.yaml"));
    std::fs::write(&path, serde_norway::to_string(config)?)?;
    Ok(path.to_string_lossy().into_owned())
}
