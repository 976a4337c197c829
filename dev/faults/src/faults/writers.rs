//! Faults of the shipment service: it answers requests, and its relay sends events.

use std::time::Duration;

use anyhow::{Context as _, Result};
use dev_rig::Flow;
use logistics_schemas::Workload;

use super::Scene;
use crate::service::Service;
use crate::wait::until;

/// Events that wait when a relay is held up.
const SOME: usize = 60;

fn writer(scene: Scene<'_>, turn: usize) -> &Service {
    scene.site.of(Workload::Shipment, turn)
}

pub(super) async fn killed(scene: Scene<'_>, turn: usize) -> Result<()> {
    writer(scene, turn).crash().await
}

pub(super) async fn killed_before_answer(scene: Scene<'_>, turn: usize) -> Result<()> {
    let writer = writer(scene, turn);
    writer.database.set(Flow::HoldAnswers);
    scene.lasts(Duration::from_millis(200)).await;
    writer.kill();
    writer.database.set(Flow::Open);
    writer.crash().await
}

pub(super) async fn killed_before_mark(scene: Scene<'_>, turn: usize) -> Result<()> {
    let writer = writer(scene, turn);
    writer.kafka.set(Flow::HoldAnswers);
    // More than the relay has sent: what it has sent is among them, and cannot be marked.
    scene.unsent(SOME).await?;
    writer.kill();
    writer.kafka.set(Flow::Open);
    writer.crash().await
}

pub(super) async fn cut_off(scene: Scene<'_>, turn: usize) -> Result<()> {
    let writer = writer(scene, turn);
    writer.kafka.set(Flow::Cut);
    scene.unsent(SOME).await?;
    writer.kafka.set(Flow::Open);
    Ok(())
}

/// The claims of a relay end with its database session. What it sent before reaches the broker only after another
/// relay has sent the same.
pub(super) async fn race(scene: Scene<'_>, turn: usize) -> Result<()> {
    let writer = writer(scene, turn);
    writer.kafka.set(Flow::HoldRequests);
    scene.unsent(SOME).await?;
    writer.database.set(Flow::Cut);
    let taken_over = until(Duration::from_secs(30), || async {
        Ok((scene.site.unsent().await? < SOME / 2).then_some(()))
    });
    taken_over
        .await?
        .context("the other relay does not take the shards")?;
    writer.kafka.set(Flow::Open);
    scene.traffic.more(scene.step / 4).await?;
    writer.database.set(Flow::Open);
    Ok(())
}

pub(super) async fn replaced(scene: Scene<'_>) -> Result<()> {
    for turn in 0..2 {
        let writer = writer(scene, turn);
        writer.stop().await?;
        writer.crash().await?;
    }
    Ok(())
}
