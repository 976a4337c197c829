//! A changed specification rolls to a new revision under load: no request fails, and the old revision goes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use dev_demo::call::Services;
use dev_demo::run::Callers;
use dev_e2e::children::{self, REVISION};
use dev_e2e::orders;
use dev_e2e::stage::{MAIN, NAMESPACE, PLATFORM, Stage};
use dev_e2e::wait;
use k8s_openapi::api::core::v1::Service;
use kube::Api;
use logistics_operator::child::ChildKind;
use logistics_schemas::Workload;
use logistics_schemas::grpc::logistics::analytics::v1::ListLanesRequest;
use logistics_schemas::grpc::logistics::shipment::v1::GetShipmentRequest;
use logistics_schemas::grpc::logistics::tracking::v1::GetProjectionRequest;
use tokio::task::JoinSet;

const CLIENTS: usize = 4;
const PAUSE: Duration = Duration::from_millis(50);
const CLEAN_LIMIT: Duration = Duration::from_mins(1);

#[tokio::test(flavor = "multi_thread")]
async fn a_change_rolls_without_a_failed_request() -> Result<()> {
    let stage = Stage::ready().await?;
    let before = apex_revisions(&stage).await?;
    let stop = Arc::new(AtomicBool::new(false));
    let account = stage.new_account("rollout");
    let mut load = JoinSet::new();
    for _ in 0..CLIENTS {
        load.spawn(calls(stage.services(), stage.callers(&account)?, stop.clone()));
    }

    stage.apply(&stage.with_log_level("debug")).await?;
    let took = stage.wait_ready().await?;
    let after = apex_revisions(&stage).await?;
    ensure!(
        before.iter().zip(&after).all(|(old, new)| old != new),
        "the apex did not move: {before:?} {after:?}"
    );
    let ((), cleaned) = wait::until("the end of the old revision", CLEAN_LIMIT, || async {
        Ok(revisions_running(&stage)
            .await?
            .iter()
            .all(|revision| after.contains(revision))
            .then_some(()))
    })
    .await?;
    stop.store(true, Ordering::Relaxed);
    let mut calls = 0;
    while let Some(client) = load.join_next().await {
        calls += client?.context("a request failed during the roll")?;
    }
    println!("rolled in {took:.1?}, old revision gone {cleaned:.1?} later, {calls} calls without a failure");
    ensure!(calls > 20, "only {calls} calls were made: this shows nothing");

    stage.apply(&stage.platform).await?;
    stage.wait_ready().await?;
    ensure!(
        apex_revisions(&stage).await? == before,
        "the same specification gave another revision"
    );
    Ok(())
}

/// The revision that each apex Service selects.
async fn apex_revisions(stage: &Stage) -> Result<Vec<String>> {
    let services: Api<Service> = Api::namespaced(stage.client.clone(), NAMESPACE);
    let mut revisions = Vec::new();
    for workload in Workload::ALL {
        let service = services.get(&format!("{PLATFORM}-{workload}")).await?;
        let selector = service.spec.and_then(|spec| spec.selector).unwrap_or_default();
        revisions.push(
            selector
                .get(REVISION)
                .cloned()
                .with_context(|| format!("{workload}: no {REVISION}"))?,
        );
    }
    Ok(revisions)
}

/// The revisions that have a Deployment or a Service of their own.
async fn revisions_running(stage: &Stage) -> Result<Vec<String>> {
    let children = children::all(&stage.client, MAIN).await?;
    let running = children
        .iter()
        .filter(|((kind, _), _)| matches!(kind, ChildKind::Deployment | ChildKind::Service));
    Ok(running
        .filter_map(|(_, child)| child.metadata.labels.as_ref()?.get(REVISION).cloned())
        .collect())
}

/// Writes to one service and reads from all, each call once: the first failure ends it.
async fn calls(services: Services, callers: Callers, stop: Arc<AtomicBool>) -> Result<u64> {
    let (mut shipment, mut tracking, mut analytics) =
        (services.shipment, services.tracking, services.analytics);
    let mut calls = 0;
    while !stop.load(Ordering::Relaxed) {
        let order = callers.user.plain(orders::order());
        let created = shipment
            .create_shipment(order)
            .await
            .context("CreateShipment")?
            .into_inner();
        let shipment_id = created.shipment.context("no shipment in the answer")?.shipment_id;
        let get = callers.user.plain(GetShipmentRequest { shipment_id });
        shipment.get_shipment(get).await.context("GetShipment")?;
        let projection = callers.admin.plain(GetProjectionRequest {});
        tracking
            .get_projection(projection)
            .await
            .context("GetProjection")?;
        let lanes = callers.user.plain(ListLanesRequest { page_size: 1 });
        analytics.list_lanes(lanes).await.context("ListLanes")?;
        calls += 4;
        tokio::time::sleep(PAUSE).await;
    }
    Ok(calls)
}
