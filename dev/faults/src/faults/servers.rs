//! Faults of Kafka, PostgreSQL and the schema registry.

use std::time::Duration;

use anyhow::Result;
use dev_rig::Flow;

use super::Scene;
use crate::site::PROJECTIONS;

/// Events that wait while the broker is away.
const MANY: usize = 200;

pub(super) async fn broker_killed(scene: Scene<'_>) -> Result<()> {
    let kafka = scene.site.servers.kafka;
    kafka.kill();
    scene.unsent(MANY).await?;
    kafka.start_again().await
}

pub(super) async fn broker_hangs(scene: Scene<'_>) -> Result<()> {
    let kafka = scene.site.servers.kafka;
    kafka.pause();
    scene.unsent(MANY).await?;
    scene.lasts(Duration::from_secs(3)).await;
    kafka.resume();
    Ok(())
}

pub(super) async fn database_killed(scene: Scene<'_>) -> Result<()> {
    let postgres = scene.site.servers.postgres;
    postgres.kill();
    scene.lasts(Duration::from_secs(1)).await;
    postgres.start_again().await
}

/// Every second time, what was asked of the database is done, and only the answers are lost.
pub(super) async fn database_cut_off(scene: Scene<'_>, turn: usize) -> Result<()> {
    let all = |flow| {
        for service in &scene.site.services {
            service.database.set(flow);
        }
    };
    if turn % 2 == 1 {
        all(Flow::HoldAnswers);
        scene.lasts(Duration::from_millis(200)).await;
    }
    all(Flow::Cut);
    scene.lasts(Duration::from_millis(500)).await;
    all(Flow::Open);
    Ok(())
}

pub(super) async fn sessions_ended(scene: Scene<'_>) -> Result<()> {
    scene
        .site
        .testbed
        .sql(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
             WHERE datname = current_database() AND pid <> pg_backend_pid()",
        )
        .await
        .map(drop)
}

pub(super) async fn disk_full(scene: Scene<'_>) -> Result<()> {
    let postgres = scene.site.servers.postgres;
    tokio::task::spawn_blocking(|| postgres.fill_disk()).await??;
    scene.lasts(Duration::from_secs(3)).await;
    postgres.free_disk().await
}

pub(super) async fn registry_away(scene: Scene<'_>, turn: usize) -> Result<()> {
    scene.site.servers.registry_door.set(Flow::Cut);
    for workload in [logistics_schemas::Workload::Shipment, PROJECTIONS[turn % 2]] {
        scene.site.of(workload, turn).crash().await?;
    }
    scene.traffic.more(scene.step).await?;
    scene.site.servers.registry_door.set(Flow::Open);
    Ok(())
}
