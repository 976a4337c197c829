//! From a create to its event in the timeline, through both services, the database and the log.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use logistics_schemas::Workload;
use sqlx::{Connection as _, PgConnection};
use tokio::sync::mpsc;
use tokio::time::Instant;
use uuid::Uuid;

use crate::client::Target;
use crate::load::{Job, percentile};
use crate::report::Report;
use crate::stage::{Platform, Stage};
use crate::subject::{self, Subject};
use crate::{Plan, chain, progress};

/// Creates a second: what is measured is the way, not a queue.
pub(crate) const RATE: u32 = 100;
/// Before anything is measured.
const WARM_UP: u32 = 100;
/// The longest wait for the last of them.
const PATIENCE: Duration = Duration::from_secs(30);

/// Measures our services, then the bare loop.
pub(crate) async fn run(stage: &Stage, platform: &Platform, plan: Plan, report: &mut Report) -> Result<()> {
    progress("create to visible: logistics");
    platform.clear_shipments().await?;
    platform.clear_projection(Workload::Tracking).await?;
    let ours = services(stage, platform, plan.load).await?;
    progress("create to visible: a bare loop");
    platform.clear_shipments().await?;
    platform.clear_projection(Workload::Tracking).await?;
    let bare = chain::measure(stage, platform, plan.load).await?;
    report.visible(
        [percentile(&ours, 50), percentile(&ours, 99)],
        [bare.p50, bare.p99],
    );
    Ok(())
}

async fn services(stage: &Stage, platform: &Platform, load: Duration) -> Result<Vec<Duration>> {
    let config = platform.config(Workload::Tracking)?;
    let start = subject::service(stage, platform, Workload::Tracking, &config)?;
    let tracking = subject::on_core(stage, "tracking", start)?;
    let first = Job::Create("first".to_owned());
    let shipment = Subject::Ours
        .start(stage, platform, Workload::Shipment, &first)
        .await?;
    let mut eye = Eye::open(platform).await?;
    let number = RATE * u32::try_from(load.as_secs())?;
    for (phase, number) in [("warm-up", WARM_UP), ("measured", number)] {
        let (tell, sent) = mpsc::unbounded_channel();
        let target = std::sync::Arc::clone(&shipment.target);
        let sending = tokio::spawn(create(target, phase, number, tell));
        let seen = eye.watch(sent).await;
        sending.await??;
        let mut latencies =
            seen.with_context(|| format!("tracking, which has ended: {:?}", tracking.ended()))?;
        latencies.sort_unstable();
        if phase == "measured" {
            return Ok(latencies);
        }
    }
    anyhow::bail!("nothing was measured")
}

/// Creates at a steady rate, and tells each id with the intended send time.
async fn create(
    target: std::sync::Arc<Target>,
    phase: &'static str,
    number: u32,
    created: mpsc::UnboundedSender<(Uuid, Instant)>,
) -> Result<()> {
    let begin = Instant::now();
    let mut calls = tokio::task::JoinSet::new();
    for at in 0..number {
        let due = begin + Duration::from_secs(1) / RATE * at;
        tokio::time::sleep_until(due).await;
        let (target, created) = (std::sync::Arc::clone(&target), created.clone());
        calls.spawn(async move {
            let id = target.create(&format!("{phase}-{at}")).await?;
            created.send((id.parse()?, due))?;
            anyhow::Ok(())
        });
    }
    while let Some(call) = calls.join_next().await {
        call??;
    }
    Ok(())
}

/// Another session of the database, which looks for events in timelines.
struct Eye(PgConnection);

impl Eye {
    async fn open(platform: &Platform) -> Result<Self> {
        let url = &platform.testbed.database.superuser_url;
        Ok(Self(PgConnection::connect(url).await?))
    }

    /// The times from the intended send time until each was seen. It looks every millisecond.
    async fn watch(&mut self, mut sent: mpsc::UnboundedReceiver<(Uuid, Instant)>) -> Result<Vec<Duration>> {
        let mut waiting: HashMap<Uuid, Instant> = HashMap::new();
        let mut latencies = Vec::new();
        let mut progressed = Instant::now();
        loop {
            let over = loop {
                match sent.try_recv() {
                    Ok((id, due)) => waiting.insert(id, due),
                    Err(mpsc::error::TryRecvError::Empty) => break false,
                    Err(mpsc::error::TryRecvError::Disconnected) => break true,
                };
            };
            if over && waiting.is_empty() {
                return Ok(latencies);
            }
            if !waiting.is_empty() {
                let found: Vec<Uuid> = sqlx::query_scalar(
                    "SELECT shipment_id FROM tracking.timeline WHERE shipment_id = ANY ($1)",
                )
                .bind(waiting.keys().copied().collect::<Vec<_>>())
                .fetch_all(&mut self.0)
                .await?;
                for id in found {
                    latencies.extend(waiting.remove(&id).map(|due| due.elapsed()));
                    progressed = Instant::now();
                }
            }
            ensure!(
                progressed.elapsed() < PATIENCE,
                "{} creates are not visible after {} s",
                waiting.len(),
                PATIENCE.as_secs()
            );
            // The error of the measurement: a row is seen a millisecond late at most.
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}
