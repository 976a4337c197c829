//! Redis goes away and comes back: nothing is told as wrong, no pod restarts, and timelines are answered all the time.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use dev_demo::call::Services;
use dev_demo::platform;
use dev_demo::run::Callers;
use dev_e2e::backing::Service;
use dev_e2e::operator::metrics;
use dev_e2e::stage::{MAIN, Stage};
use dev_e2e::{orders, wait};
use logistics_operator::names::{ADMIN_PORT, COMPONENT, INSTANCE};
use logistics_schemas::Workload;
use logistics_schemas::grpc::logistics::tracking::v1::{GetTimelineRequest, GetTimelineResponse};
use tonic::Status;

/// The projection, on a busy machine.
const ARRIVAL_LIMIT: Duration = Duration::from_mins(1);
/// Replicas look for a Redis that was away at least every five seconds.
const USED_LIMIT: Duration = Duration::from_mins(1);
/// Reads while Redis is away.
const READS: u32 = 50;

#[tokio::test(flavor = "multi_thread")]
async fn timelines_are_read_with_and_without_redis() -> Result<()> {
    let stage = Stage::ready().await?;
    let outcome = with_and_without(&stage).await;
    // Also after a failure: the other stories need it.
    Service::Redis.bring_back(&stage.client).await?;
    outcome
}

async fn with_and_without(stage: &Stage) -> Result<()> {
    let (services, callers) = (stage.services(), stage.callers(&stage.new_account("cached"))?);
    let pods = stage.pod_states(MAIN).await?;
    let retries = AtomicU64::new(0);
    let id = orders::one(&services, &callers, &retries).await?;
    until_arrived(&services, &callers, &id).await?;
    let took = until_from_redis(stage, &services, &callers, &id).await?;
    println!("timelines come from Redis after {took:.1?}");

    Service::Redis.take_away(&stage.client).await?;
    let other = orders::one(&services, &callers, &retries).await?;
    until_arrived(&services, &callers, &other).await?;
    let mut slowest = Duration::ZERO;
    for _ in 0..READS {
        let began = Instant::now();
        let read = timeline(&services, &callers, &id)
            .await
            .context("without Redis")?;
        slowest = slowest.max(began.elapsed());
        ensure!(read.events.len() == 3, "{read:?}");
    }
    println!("{READS} timelines are read without Redis, the slowest in {slowest:.1?}");
    let now = platform::api(&stage.client, MAIN.namespace)
        .get(MAIN.name)
        .await?;
    for condition in platform::conditions(&now) {
        let good = match condition.kind.as_str() {
            "Progressing" | "Degraded" => "False",
            _ => "True",
        };
        ensure!(condition.status == good, "without Redis: {condition}");
    }

    Service::Redis.bring_back(&stage.client).await?;
    let took = until_from_redis(stage, &services, &callers, &other).await?;
    println!("timelines come from Redis again after {took:.1?}");
    ensure!(stage.pod_states(MAIN).await? == pods, "pods were restarted");
    let retries = retries.into_inner();
    ensure!(retries == 0, "{retries} calls had to be repeated");
    Ok(())
}

async fn timeline(services: &Services, callers: &Callers, id: &str) -> Result<GetTimelineResponse, Status> {
    let request = GetTimelineRequest {
        shipment_id: id.to_owned(),
    };
    let answer = services
        .tracking
        .clone()
        .get_timeline(callers.user.plain(request))
        .await?;
    Ok(answer.into_inner())
}

/// Waits until a shipment's three events are in its timeline.
async fn until_arrived(services: &Services, callers: &Callers, id: &str) -> Result<()> {
    wait::until("the timeline", ARRIVAL_LIMIT, || async {
        // Until its creation is projected it is not found.
        let read = timeline(services, callers, id).await;
        Ok(read.is_ok_and(|read| read.events.len() == 3).then_some(()))
    })
    .await
    .map(drop)
}

/// Reads a timeline until one of the replicas has it from Redis.
async fn until_from_redis(
    stage: &Stage,
    services: &Services,
    callers: &Callers,
    id: &str,
) -> Result<Duration> {
    let before = hits(stage).await?;
    let ((), took) = wait::until("an answer from Redis", USED_LIMIT, || async {
        for _ in 0..3 {
            timeline(services, callers, id).await?;
        }
        let now = hits(stage).await?;
        let more = |(pod, hits): (&String, &f64)| *hits > before.get(pod).copied().unwrap_or_default();
        Ok(now.iter().any(more).then_some(()))
    })
    .await?;
    Ok(took)
}

/// How many answers each pod of tracking has had from Redis.
async fn hits(stage: &Stage) -> Result<BTreeMap<String, f64>> {
    let label = format!("{INSTANCE}={},{COMPONENT}={}", MAIN.name, Workload::Tracking);
    let mut hits = BTreeMap::new();
    for pod in stage.pods(MAIN.namespace, &label).await? {
        let text = metrics(&stage.client, &pod, ADMIN_PORT).await?;
        let line = text.lines().find(|line| {
            line.starts_with("logistics_cache_lookups_total{") && line.contains("result=\"hit\"")
        });
        let value = line.and_then(|line| line.rsplit(' ').next()?.parse().ok());
        hits.insert(pod.metadata.name.unwrap_or_default(), value.unwrap_or_default());
    }
    Ok(hits)
}
