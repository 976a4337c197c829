//! Operators of others, measured in the same rig by the same means. The controllers around them are played as they are
//! for ours.

pub(crate) mod argo;
pub(crate) mod flagger;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use dev_rig::Program;
use dev_tools::Tool;
use kube::api::{Api, ApiResource, ListParams};
use kube::core::DynamicObject;
use serde_json::{Value, json};

use crate::measure::Subject;
use crate::play::Player;
use crate::progress;
use crate::report::Report;
use crate::site::{PATIENCE, Site};

/// How long a program that has nothing to do uses less CPU than [`IDLE`].
const QUIET: Duration = Duration::from_secs(4);

/// How long the lease of a program that was killed stands in the way of the next one.
const LEASE: Duration = Duration::from_secs(40);

/// CPU seconds in [`QUIET`] of a program that has nothing to do.
const IDLE: f64 = 0.1;

/// A peer under measurement. Fields are dropped in their order: who talks to the API server before the server.
struct Peer {
    name: &'static str,
    /// What it reconciles, in the plural.
    object: &'static str,
    resource: ApiResource,
    /// The `status.phase` of one that is done.
    done: &'static str,
    _player: Player,
    program: Program,
    site: Site,
}

/// What a peer runs as.
struct Start {
    program: PathBuf,
    definitions: PathBuf,
    args: Vec<String>,
}

impl Peer {
    async fn start(
        name: &'static str,
        (object, resource, done): (&'static str, ApiResource, &'static str),
        start: Start,
    ) -> Result<Self> {
        progress(format!("{name}: starts an API server"));
        let site = Site::start(&[name]).await?;
        site.define_all(&start.definitions).await?;
        let player = Player::start(&site.client);
        let kubeconfig = site.user(name).await?;
        let mut args = start.args;
        args.push(format!("--kubeconfig={}", kubeconfig.display()));
        let env = vec![("POD_NAMESPACE", "default".to_owned())];
        Ok(Self {
            name,
            object,
            resource,
            done,
            _player: player,
            program: Program::start(name, start.program, args, env)?,
            site,
        })
    }

    fn subject(&self) -> Subject<'_> {
        Subject(&self.program)
    }

    /// Waits until it uses next to no CPU; gives when that began.
    async fn until_quiet(&self) -> Result<Instant> {
        let start = Instant::now();
        let (mut cpu, mut since) = (self.subject().cpu()?, Instant::now());
        while since.elapsed() < QUIET {
            if start.elapsed() > PATIENCE {
                bail!("{} never comes to rest", self.name);
            }
            // How often the CPU time is looked at: rest is awaited, and nothing else tells of it.
            tokio::time::sleep(Duration::from_millis(200)).await;
            let now = self.subject().cpu()?;
            if now - cpu > IDLE {
                (cpu, since) = (now, Instant::now());
            }
        }
        Ok(since)
    }

    async fn idle(&self, report: &mut Report) -> Result<()> {
        progress(format!("{}: idle", self.name));
        // The same time of rest for all that are compared: what a start needs is then given back.
        tokio::time::sleep(Duration::from_secs(10)).await;
        self.until_quiet().await?;
        let what = format!("memory, no {}", self.object);
        report.add(self.name, what, "MiB", self.subject().rss()?);
        Ok(())
    }

    /// Objects that are done.
    async fn count_done(&self) -> Result<usize> {
        let api: Api<DynamicObject> = Api::all_with(self.site.client.clone(), &self.resource);
        let list = api.list(&ListParams::default()).await?;
        let done = |object: &&DynamicObject| object.data["status"]["phase"] == self.done;
        Ok(list.items.iter().filter(done).count())
    }

    /// Applies objects at once and measures until all are done.
    async fn bring_up(
        &mut self,
        before: usize,
        all: usize,
        objects: Vec<Value>,
        report: &mut Report,
    ) -> Result<()> {
        progress(format!(
            "{}: {} to {all} of {}",
            self.name,
            before + 1,
            self.object
        ));
        self.site.audit.count(self.name).await?;
        let (cpu, start) = (self.subject().cpu()?, Instant::now());
        let applying = self.site.apply_all(objects);
        let waiting = async {
            loop {
                // Seldom, as counting is a list of all of them, which the API server has to answer beside what is measured.
                tokio::time::sleep(Duration::from_secs(3)).await;
                let done = self.count_done().await?;
                if done >= all {
                    return Ok::<(), anyhow::Error>(());
                }
                if let Some(end) = self.program.ended() {
                    bail!("{} ended: {end}", self.name);
                }
                if start.elapsed() > PATIENCE {
                    bail!("{}: only {done} of {all} are done", self.name);
                }
            }
        };
        tokio::try_join!(applying, waiting)?;
        let took = start.elapsed().as_secs_f64();
        // What trails behind, such as Events, is part of the cost; nothing tells when it ends.
        tokio::time::sleep(Duration::from_secs(10)).await;
        let new = f64::from(u32::try_from(all - before)?);
        let cpu = self.subject().cpu()? - cpu;
        let requests = self.site.audit.count(self.name).await?;
        let calls = requests.calls + requests.watches;
        let calls = f64::from(u32::try_from(calls)?);
        let what = format!("{} {} at once", all - before, self.object);
        report.add(self.name, format!("until all are done, {what}"), "s", took);
        report.add(self.name, format!("CPU, {what}"), "s", cpu);
        report.add(
            self.name,
            format!("CPU per object, {what}"),
            "ms",
            cpu * 1000.0 / new,
        );
        report.add(self.name, format!("requests per object, {what}"), "", calls / new);
        let what = format!("memory, {all} {}", self.object);
        report.add(self.name, what, "MiB", self.subject().rss()?);
        Ok(())
    }

    async fn at_rest(&mut self, window: Duration, all: usize, report: &mut Report) -> Result<()> {
        progress(format!("{}: at rest for {} s", self.name, window.as_secs()));
        self.site.audit.count(self.name).await?;
        let (cpu, start) = (self.subject().cpu()?, Instant::now());
        tokio::time::sleep(window).await;
        let took = start.elapsed().as_secs_f64();
        let cpu = (self.subject().cpu()? - cpu) * 100.0 / took;
        let requests = self.site.audit.count(self.name).await?;
        let calls = f64::from(u32::try_from(requests.calls)?) * 60.0 / took;
        let what = format!("at rest with {all} {}", self.object);
        report.add(self.name, format!("CPU, {what}"), "% of a core", cpu);
        let name = format!("requests but watches and lease, {what}");
        report.add(self.name, name, "per minute", calls);
        report.add(self.name, format!("memory, {what}"), "MiB", self.subject().rss()?);
        Ok(())
    }

    async fn restart(&mut self, all: usize, report: &mut Report) -> Result<()> {
        progress(format!("{}: start over what is there", self.name));
        self.program.kill();
        self.site.audit.count(self.name).await?;
        self.program.start_again()?;
        tokio::time::sleep(LEASE).await;
        self.until_quiet().await?;
        let requests = self.site.audit.count(self.name).await?;
        let calls = f64::from(u32::try_from(requests.calls + requests.watches)?);
        let what = format!("start over {all} {}", self.object);
        report.add(self.name, format!("CPU, {what}"), "s", self.subject().cpu()?);
        report.add(self.name, format!("requests, {what}"), "", calls);
        report.add(self.name, format!("memory, {what}"), "MiB", self.subject().rss()?);
        Ok(())
    }
}

/// Makes sure that a peer is built.
async fn install(tool: Tool) -> Result<dev_tools::Toolbox> {
    progress(format!("{}: is built, if it is not there yet", tool.name()));
    Ok(tokio::task::spawn_blocking(move || dev_tools::install(&[tool])).await??)
}

fn namespace(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
}

fn pod_template(name: &str) -> Value {
    json!({
        "metadata": {"labels": {"app": name}},
        "spec": {"containers": [{
            "name": "app", "image": "registry.example.org/app:1", "ports": [{"containerPort": 8080}],
            "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}},
        }]},
    })
}
