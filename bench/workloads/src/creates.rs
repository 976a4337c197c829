//! Durable creates: a shipment, its event, its audit leaf, its idempotency record and its outbox row in one transaction,
//! answered after the commit; the event is then sent to the log. And a bare loop with the same SQL.

use std::time::Duration;

use anyhow::{Result, ensure};
use logistics_schemas::Workload;

use crate::load::{self, Job, Load};
use crate::report::{CREATES, Report};
use crate::stage::{Platform, Stage};
use crate::subject::{Running, Subject};
use crate::{Plan, loops, progress};

/// Before anything is measured: connections, statements, caches.
pub(crate) const WARM_UP: Duration = Duration::from_millis(1_500);

/// The share of what a server can do that it is asked for in the load that is its own.
const OWN_SHARE: f64 = 0.7;

/// The rate that a server can sustain, of the rate that it can do.
pub(crate) fn sustained(capacity: f64) -> f64 {
    capacity * OWN_SHARE
}

/// What requests cost.
#[derive(Clone, Debug)]
pub(crate) struct Costs {
    /// Requests a second.
    pub(crate) rate: f64,
    /// Milliseconds from the intended send time.
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    /// CPU seconds of the server for 1,000 requests.
    pub(crate) server: f64,
    /// The same of the database.
    pub(crate) database: f64,
}

impl Costs {
    /// Of a load, with the CPU time of server and database before and after it.
    pub(crate) fn of(load: &Load, before: (f64, f64), after: (f64, f64)) -> Self {
        let thousands = f64::from(load.done) / 1_000.0;
        Self {
            rate: load.rate(),
            p50: load.percentile(50),
            p99: load.percentile(99),
            server: (after.0 - before.0) / thousands,
            database: (after.1 - before.1) / thousands,
        }
    }

    /// Requests that a CPU second of the server does.
    pub(crate) fn per_cpu_second(&self) -> f64 {
        1_000.0 / self.server
    }
}

/// One subject in one run.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    /// At what it can do; latencies are then those of a closed loop.
    pub(crate) full: Costs,
    /// At most of that rate.
    pub(crate) own: Costs,
    /// At the rate that is the same for all.
    pub(crate) same: Costs,
    /// MiB after that.
    pub(crate) memory: f64,
    /// From the start of the process to its first answer.
    pub(crate) start: Duration,
}

/// Each subject with a platform of its own.
pub(crate) struct Creates(Vec<(Subject, Platform)>);

impl Creates {
    pub(crate) async fn prepare(stage: &Stage, subjects: &[Subject]) -> Result<Self> {
        let mut all = Vec::new();
        for subject in subjects {
            all.push((*subject, stage.platform().await?));
        }
        Ok(Self(all))
    }

    /// Measures all, one after the other.
    pub(crate) async fn run(&self, stage: &Stage, plan: Plan, report: &mut Report) -> Result<()> {
        for (subject, platform) in &self.0 {
            progress(format!("creates: {}", subject.name()));
            platform.clear_shipments().await?;
            let job = Job::Create("first".to_owned());
            let running = subject.start(stage, platform, Workload::Shipment, &job).await?;
            let measuring = Measuring {
                stage,
                platform,
                running,
            };
            let (sample, batch) = measuring.run(*subject, plan).await?;
            report.sample(CREATES, *subject, sample.clone());
            if let Some(batch) = batch {
                drop(measuring);
                progress(format!("creates: a bare loop, {batch} in a transaction"));
                platform.clear_shipments().await?;
                let bare = loops::measure(stage, platform, batch, plan.load).await?;
                report.against_bare_loop(batch, bare, sample.full.rate);
            }
        }
        Ok(())
    }
}

struct Measuring<'a> {
    stage: &'a Stage,
    platform: &'a Platform,
    running: Running,
}

impl Measuring<'_> {
    /// Gives the mean number of creates in one transaction too, where it is our service.
    async fn run(&self, subject: Subject, plan: Plan) -> Result<(Sample, Option<usize>)> {
        let target = &self.running.target;
        let warm_up = load::closed(target, Job::Create("warm-up".to_owned()), WARM_UP).await?;
        self.platform.relayed().await?;
        let transactions = self.transactions(subject).await?;
        let full = self
            .costs(load::closed(target, Job::Create("full".to_owned()), plan.load))
            .await?;
        let capacity = full.1.rate;
        let batch = match (transactions, self.transactions(subject).await?) {
            (Some(before), Some(after)) => Some(f64::from(full.0) / (after - before)),
            _ => None,
        };
        let own = load::open(
            target,
            Job::Create("own".to_owned()),
            sustained(capacity),
            plan.load,
        );
        let own = self.costs(own).await?;
        let same = load::open(
            target,
            Job::Create("same".to_owned()),
            plan.create_rate.into(),
            plan.load,
        );
        let same = self.costs(same).await?;
        let answered = 1 + warm_up.done + full.0 + own.0 + same.0;
        let kept = self.platform.count("shipment.shipments").await?;
        ensure!(
            kept == answered,
            "{}: {answered} creates were answered, {kept} are in the database",
            subject.name()
        );
        let sample = Sample {
            full: full.1,
            own: own.1,
            same: same.1,
            memory: self.running.rss()?,
            start: self.running.start,
        };
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a batch has 1 to 256 requests"
        )]
        let batch = batch.map(|batch| batch.round().max(1.0) as usize);
        Ok((sample, batch))
    }

    /// Transactions so far, of our own service.
    async fn transactions(&self, subject: Subject) -> Result<Option<f64>> {
        if subject != Subject::Ours {
            return Ok(None);
        }
        self.running
            .metric("logistics_commit_requests_count")
            .await
            .map(Some)
    }

    /// The costs of a load, until the log has its last event.
    async fn costs(&self, load: impl Future<Output = Result<Load>>) -> Result<(u32, Costs)> {
        let before = (self.running.cpu()?, self.stage.database_cpu()?);
        let load = load.await?;
        self.platform.relayed().await?;
        let after = (self.running.cpu()?, self.stage.database_cpu()?);
        Ok((load.done, Costs::of(&load, before, after)))
    }
}
