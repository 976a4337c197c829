//! The operator: idle, many platforms at once, at rest, starts over what is there, changes and drift.

mod operator;
mod platform;

use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use futures::StreamExt;
use kube::api::{Api, ListParams, Patch, PatchParams};
use kube::core::DynamicObject;
use kube::{Client, ResourceExt};
use kube_runtime::WatchStreamExt;
use kube_runtime::watcher::{Config, Event, watcher};
use logistics_operator::api::{self, LogisticsPlatform};
use logistics_operator::child::ChildKind;
use logistics_operator::names::{COMPONENT, INSTANCE, MANAGED_BY, MANAGER};
use serde_json::json;
use tokio::task::JoinSet;

use self::operator::Operator;
use crate::fake::{kafka, postgres, registry};
use crate::measure::Spread;
use crate::play::Player;
use crate::progress;
use crate::report::Report;
use crate::site::{PATIENCE, Site, until};

/// The name of the operator in the report, and of its user.
const SUBJECT: &str = "operator";

/// What should not be exceeded: MiB idle and with all platforms, per cent of a core and requests at rest, seconds of a
/// start, milliseconds of a repair and of a change, seconds of a failover.
const TARGETS: Targets = Targets {
    idle: 15.0,
    loaded: 100.0,
    rest_cpu: 1.0,
    rest_requests: 0.0,
    start: 20.0,
    repair: 1000.0,
    change: 500.0,
    failover: 15.0,
};

struct Targets {
    idle: f64,
    loaded: f64,
    rest_cpu: f64,
    rest_requests: f64,
    start: f64,
    repair: f64,
    change: f64,
    failover: f64,
}

/// How much is measured.
#[derive(Clone, Copy)]
pub(crate) struct Sizes {
    pub(crate) platforms: usize,
    pub(crate) rest: Duration,
    pub(crate) repeat: usize,
    pub(crate) starts: usize,
}

/// Measures the operator.
pub(crate) async fn run(program: &Path, sizes: Sizes, report: &mut Report) -> Result<()> {
    progress("starts an API server, a counting Kafka, a counting registry and a counting PostgreSQL");
    let site = Site::start(&[SUBJECT]).await?;
    site.define(&api::definition()).await?;
    let kafka = kafka::start().await?;
    let registry = registry::start().await?;
    let postgres = postgres::start().await?;
    let player = Player::start(&site.client);
    let kubeconfig = site.user(SUBJECT).await?;
    let operator = Operator::start(program, &kubeconfig, "operator-0")?;
    let mut bench = Bench {
        watching: JoinSet::new(),
        ready: Arc::default(),
        site,
        kafka,
        registry,
        postgres,
        player,
        operator,
        sizes,
        program: program.to_owned(),
        kubeconfig,
    };
    bench.watch_ready();
    bench.idle(report).await?;
    bench.all_at_once(report).await?;
    bench.at_rest(report).await?;
    bench.starts(report).await?;
    bench.changes(report).await?;
    bench.repairs(report).await?;
    bench.failovers(report).await
}

/// Fields are dropped in their order: who talks to the API server before the server.
struct Bench {
    watching: JoinSet<()>,
    player: Player,
    operator: Operator,
    site: Site,
    kafka: kafka::Kafka,
    registry: registry::Registry,
    postgres: postgres::Postgres,
    sizes: Sizes,
    program: PathBuf,
    kubeconfig: PathBuf,
    /// Platforms that are ready.
    ready: Arc<AtomicUsize>,
}

fn count(number: usize) -> f64 {
    u32::try_from(number).unwrap_or(u32::MAX).into()
}

fn counted(number: u64) -> f64 {
    count(usize::try_from(number).unwrap_or(usize::MAX))
}

impl Bench {
    fn watch_ready(&mut self) {
        self.watching
            .spawn(count_ready(self.site.client.clone(), Arc::clone(&self.ready)));
    }

    async fn idle(&mut self, report: &mut Report) -> Result<()> {
        progress("the operator with no platform");
        self.operator.until_ready().await?;
        // The same time of rest for all that are compared: what a start needs is then given back.
        tokio::time::sleep(Duration::from_secs(10)).await;
        let rss = self.operator.subject().rss()?;
        report.aim(SUBJECT, "memory, no platform", "MiB", rss, TARGETS.idle);
        Ok(())
    }

    async fn all_at_once(&mut self, report: &mut Report) -> Result<()> {
        let platforms = self.sizes.platforms;
        progress(format!("what {platforms} platforms refer to"));
        self.site.apply_all(platform::namespaces(platforms)).await?;
        self.site.apply_all(platform::references(platforms)).await?;
        self.site.audit.count(SUBJECT).await?;
        let (cpu, outside) = (
            self.operator.subject().cpu()?,
            [self.kafka.requests(), self.registry.requests()],
        );
        let start = Instant::now();
        progress(format!("{platforms} platforms at once"));
        let backing = platform::Backing {
            bootstrap_servers: &self.kafka.bootstrap_servers,
            registry: &self.registry.url,
            postgres: self.postgres.port,
        };
        let objects = (0..platforms).map(|number| platform::platform(number, backing));
        let applying = self.site.apply_all(objects);
        let waiting = until("all platforms are ready", || async {
            let ready = self.ready.load(Ordering::Relaxed);
            if self.operator.ended() {
                anyhow::bail!("the operator ended: {:?}", self.operator.program.ended());
            }
            Ok(ready >= platforms)
        });
        let showing = async {
            loop {
                // How often progress is told; nothing is awaited.
                tokio::time::sleep(Duration::from_secs(15)).await;
                let ready = self.ready.load(Ordering::Relaxed);
                let (deployments, topics) = (self.player.deployments(), self.kafka.topics());
                progress(format!(
                    "{ready} ready, {deployments} Deployments, {topics} topics"
                ));
            }
        };
        tokio::select! {
            done = async { tokio::try_join!(applying, waiting) } => { done?; }
            () = showing => {}
        }
        let took = start.elapsed();
        self.operator.until_quiet().await?;
        let cpu = self.operator.subject().cpu()? - cpu;
        let children = self.children().await?;
        let requests = self.site.audit.count(SUBJECT).await?;
        let name = |what: &str| format!("{what}, {platforms} platforms at once");
        report.add(SUBJECT, name("children"), "objects", count(children));
        report.add(SUBJECT, name("until all are ready"), "s", took.as_secs_f64());
        report.add(SUBJECT, name("CPU"), "s", cpu);
        report.add(
            SUBJECT,
            name("CPU per child"),
            "ms",
            cpu * 1000.0 / count(children),
        );
        let calls = counted(requests.calls) / count(children);
        report.add(SUBJECT, name("requests per child"), "", calls);
        let [to_kafka, to_registry] = outside;
        let per_platform = |now: u64, before: u64| counted(now - before) / count(platforms);
        let to_kafka = per_platform(self.kafka.requests(), to_kafka);
        let to_registry = per_platform(self.registry.requests(), to_registry);
        report.add(SUBJECT, name("requests to Kafka per platform"), "", to_kafka);
        report.add(
            SUBJECT,
            name("requests to the registry per platform"),
            "",
            to_registry,
        );
        report.add(
            SUBJECT,
            name("peak memory"),
            "MiB",
            self.operator.subject().peak_rss()?,
        );
        Ok(())
    }

    /// All objects that the operator made.
    async fn children(&self) -> Result<usize> {
        let mut all = 0;
        for kind in ChildKind::ALL {
            let api: Api<DynamicObject> = Api::all_with(self.site.client.clone(), &kind.resource());
            let mut page = ListParams::default()
                .labels(&format!("{MANAGED_BY}={MANAGER}"))
                .limit(1000);
            loop {
                let list = api.list_metadata(&page).await?;
                all += list.items.len();
                page.continue_token = list.metadata.continue_.filter(|token| !token.is_empty());
                if page.continue_token.is_none() {
                    break;
                }
            }
        }
        Ok(all)
    }

    async fn at_rest(&mut self, report: &mut Report) -> Result<()> {
        let seconds = self.sizes.rest.as_secs();
        progress(format!("at rest for {seconds} s"));
        self.operator.until_quiet().await?;
        self.site.audit.count(SUBJECT).await?;
        let before = (
            self.operator.subject().cpu()?,
            self.kafka.requests(),
            self.registry.requests(),
            self.operator.reconciles().await?,
            self.postgres.requests(),
        );
        let start = Instant::now();
        tokio::time::sleep(self.sizes.rest).await;
        let took = start.elapsed().as_secs_f64();
        let minutes = took / 60.0;
        let cpu = (self.operator.subject().cpu()? - before.0) * 100.0 / took;
        let requests = self.site.audit.count(SUBJECT).await?;
        let rss = self.operator.subject().rss()?;
        let name = |what: &str| format!("{what}, at rest with {} platforms", self.sizes.platforms);
        report.aim(SUBJECT, name("memory"), "MiB", rss, TARGETS.loaded);
        report.aim(SUBJECT, name("CPU"), "% of a core", cpu, TARGETS.rest_cpu);
        let calls = counted(requests.calls);
        let what = "requests but watches and lease";
        report.aim(SUBJECT, name(what), "", calls, TARGETS.rest_requests);
        let renewals = counted(requests.leases) / minutes;
        report.add(SUBJECT, name("requests of the lease"), "per minute", renewals);
        let to_kafka = counted(self.kafka.requests() - before.1) / minutes;
        report.add(SUBJECT, name("requests to Kafka"), "per minute", to_kafka);
        let to_registry = counted(self.registry.requests() - before.2) / minutes;
        report.add(
            SUBJECT,
            name("requests to the registry"),
            "per minute",
            to_registry,
        );
        let to_postgres = counted(self.postgres.requests() - before.4) / minutes;
        report.add(SUBJECT, name("sessions of PostgreSQL"), "per minute", to_postgres);
        let reconciles = (self.operator.reconciles().await? - before.3) / minutes;
        report.add(SUBJECT, name("reconciles"), "per minute", reconciles);
        Ok(())
    }

    async fn starts(&mut self, report: &mut Report) -> Result<()> {
        let (mut times, mut cpus, mut memory, mut peaks, mut calls) =
            (vec![], vec![], vec![], vec![], vec![]);
        for number in 1..=self.sizes.starts {
            progress(format!("start {number} over what is there"));
            self.operator.program.kill();
            self.site.audit.count(SUBJECT).await?;
            let start = Instant::now();
            self.operator.program.start_again()?;
            self.operator.until_ready().await?;
            let platforms = count(self.sizes.platforms);
            let last = self.operator.until_reconciled(platforms).await?;
            times.push((last - start).as_secs_f64());
            let subject = self.operator.subject();
            cpus.push(subject.cpu()?);
            memory.push(subject.rss()?);
            peaks.push(subject.peak_rss()?);
            calls.push(counted(self.site.audit.count(SUBJECT).await?.calls));
        }
        if times.is_empty() {
            return Ok(());
        }
        let name = |what: &str| format!("{what}, start over {} platforms", self.sizes.platforms);
        let spread = Spread::of;
        report.spread(
            SUBJECT,
            name("until all are observed"),
            "s",
            spread(times)?,
            Some(TARGETS.start),
        );
        report.spread(SUBJECT, name("CPU"), "s", spread(cpus)?, None);
        report.spread(
            SUBJECT,
            name("memory"),
            "MiB",
            spread(memory)?,
            Some(TARGETS.loaded),
        );
        report.spread(SUBJECT, name("peak memory"), "MiB", spread(peaks)?, None);
        report.spread(
            SUBJECT,
            name("requests but watches, lists and lease"),
            "",
            spread(calls)?,
            None,
        );
        Ok(())
    }

    /// Namespace and name of the Deployment of a platform's tracking.
    async fn deployment(&self, number: usize) -> Result<(String, String)> {
        let namespace = platform::namespace(number);
        let deployments = ChildKind::Deployment.resource();
        let api: Api<DynamicObject> =
            Api::namespaced_with(self.site.client.clone(), &namespace, &deployments);
        let name = platform::name(number);
        let labels = format!("{INSTANCE}={name},{COMPONENT}=tracking");
        let found = api.list_metadata(&ListParams::default().labels(&labels)).await?;
        let deployment = found.items.first().context("there is no Deployment")?;
        Ok((namespace, deployment.name_any()))
    }

    /// From the answer to a change of a platform to the event of the changed child.
    async fn changes(&mut self, report: &mut Report) -> Result<()> {
        progress("changes of platforms");
        let mut times = Vec::new();
        for turn in 0..self.sizes.repeat {
            let number = turn * 7 % self.sizes.platforms;
            let (namespace, deployment) = self.deployment(number).await?;
            let api: Api<LogisticsPlatform> = Api::namespaced(self.site.client.clone(), &namespace);
            let name = platform::name(number);
            let former = api.get(&name).await?;
            let former = serde_json::to_value(&former.spec)?["workloads"]["tracking"]["replicas"]
                .as_i64()
                .unwrap_or(2);
            let replicas = if former == 2 { 3 } else { 2 };
            let patch = Patch::Merge(json!({"spec": {"workloads": {"tracking": {"replicas": replicas}}}}));
            let before = Instant::now();
            api.patch(&name, &PatchParams::default(), &patch).await?;
            let answered = Instant::now();
            let place = (&*namespace, &*deployment);
            let shown = self.player.until_replicas(place, replicas, before).await?;
            times.push(shown.saturating_duration_since(answered).as_secs_f64() * 1000.0);
        }
        let spread = Spread::of(times)?;
        let name = "from a change of a platform to its child's event";
        report.spread(SUBJECT, name, "ms", spread, Some(TARGETS.change));
        Ok(())
    }

    /// From the answer to a change of a child by hand to the event of its repair.
    async fn repairs(&mut self, report: &mut Report) -> Result<()> {
        progress("repairs of what was changed by hand");
        let mut times = Vec::new();
        for turn in 0..self.sizes.repeat {
            let number = turn * 11 % self.sizes.platforms;
            let (namespace, deployment) = self.deployment(number).await?;
            let deployments = ChildKind::Deployment.resource();
            let api: Api<DynamicObject> =
                Api::namespaced_with(self.site.client.clone(), &namespace, &deployments);
            let former = api.get(&deployment).await?.data["spec"]["replicas"]
                .as_i64()
                .unwrap_or(2);
            let patch = Patch::Merge(json!({"spec": {"replicas": 7}}));
            let before = Instant::now();
            api.patch(&deployment, &PatchParams::default(), &patch).await?;
            let answered = Instant::now();
            let place = (&*namespace, &*deployment);
            let shown = self.player.until_replicas(place, former, before).await?;
            times.push(shown.saturating_duration_since(answered).as_secs_f64() * 1000.0);
        }
        let spread = Spread::of(times)?;
        let name = "from a change by hand to the event of its repair";
        report.spread(SUBJECT, name, "ms", spread, Some(TARGETS.repair));
        Ok(())
    }
}

impl Bench {
    /// From the death of the leader to the event of a change that its follower made.
    async fn failovers(&mut self, report: &mut Report) -> Result<()> {
        let mut times = Vec::new();
        for turn in 1..=self.sizes.starts {
            progress(format!("failover {turn}: two operators, the leader is killed"));
            let pod = format!("operator-{turn}");
            let follower = Operator::start(&self.program, &self.kubeconfig, &pod)?;
            follower.until_ready().await?;
            let (namespace, deployment) = self.deployment(turn % self.sizes.platforms).await?;
            let deployments = ChildKind::Deployment.resource();
            let api: Api<DynamicObject> =
                Api::namespaced_with(self.site.client.clone(), &namespace, &deployments);
            let former = api.get(&deployment).await?.data["spec"]["replicas"]
                .as_i64()
                .unwrap_or(2);
            self.operator.program.kill();
            let killed = Instant::now();
            let patch = Patch::Merge(json!({"spec": {"replicas": 7}}));
            api.patch(&deployment, &PatchParams::default(), &patch).await?;
            let place = (&*namespace, &*deployment);
            let shown = self.player.until_replicas(place, former, killed).await?;
            times.push(shown.saturating_duration_since(killed).as_secs_f64());
            self.operator = follower;
        }
        if times.is_empty() {
            return Ok(());
        }
        let spread = Spread::of(times)?;
        let name = "from the leader's death to a repair by its follower";
        report.spread(SUBJECT, name, "s", spread, Some(TARGETS.failover));
        Ok(())
    }
}

/// Counts the platforms that are ready; never ends.
async fn count_ready(client: Client, ready: Arc<AtomicUsize>) {
    let api: Api<LogisticsPlatform> = Api::all(client);
    let mut events = pin!(watcher(api, Config::default()).default_backoff());
    let mut known = std::collections::HashSet::new();
    let deadline = Instant::now() + 4 * PATIENCE;
    while let Some(event) = events.next().await {
        if Instant::now() > deadline {
            return;
        }
        let Ok(Event::Apply(platform) | Event::InitApply(platform)) = event else {
            continue;
        };
        let status = platform.status.as_ref();
        let conditions = status.into_iter().flat_map(|status| &status.conditions);
        let mut conditions = conditions.filter(|c| c.type_ == "Ready" && c.status == "True");
        if conditions.next().is_some() {
            known.insert(platform.uid());
            ready.store(known.len(), Ordering::Relaxed);
        }
    }
}
