//! Faults of the services that apply events.

use std::time::Duration;

use anyhow::Result;
use dev_rig::Flow;
use logistics_schemas::Workload;

use super::Scene;

/// Longer than a member may be silent before its partitions go to others (10 s).
const SILENCE: Duration = Duration::from_secs(13);
/// Longer than offsets wait before they are sent to the broker (1 s).
const OFFSETS: Duration = Duration::from_millis(2_500);

pub(super) async fn killed(scene: Scene<'_>, turn: usize) -> Result<()> {
    scene.site.projector(turn).crash().await
}

/// What was read before is applied; offsets do not reach the broker.
pub(super) async fn killed_before_offset(scene: Scene<'_>, turn: usize) -> Result<()> {
    let consumer = scene.site.projector(turn);
    consumer.kafka.set(Flow::HoldRequests);
    scene.lasts(Duration::from_millis(500)).await;
    consumer.kill();
    consumer.kafka.set(Flow::Open);
    consumer.crash().await
}

/// Records are read; what they do does not reach the database.
pub(super) async fn killed_before_commit(scene: Scene<'_>, turn: usize) -> Result<()> {
    let consumer = scene.site.projector(turn);
    consumer.database.set(Flow::HoldRequests);
    scene.lasts(OFFSETS).await;
    consumer.kill();
    consumer.database.set(Flow::Open);
    consumer.crash().await
}

pub(super) async fn hangs(scene: Scene<'_>, turn: usize) -> Result<()> {
    let consumer = scene.site.of(Workload::Tracking, turn);
    consumer.pause();
    scene.lasts(SILENCE).await;
    consumer.resume();
    Ok(())
}

pub(super) async fn cut_off(scene: Scene<'_>, turn: usize) -> Result<()> {
    let consumer = scene.site.projector(turn);
    consumer.kafka.set(Flow::Cut);
    scene.lasts(Duration::from_secs(1)).await;
    consumer.kafka.set(Flow::Open);
    Ok(())
}

pub(super) async fn rebalance(scene: Scene<'_>) -> Result<()> {
    let guest = scene.site.guest().await?;
    scene.traffic.more(scene.step).await?;
    guest.stop().await
}
