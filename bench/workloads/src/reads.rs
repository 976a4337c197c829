//! Tracking reads: timelines of shipments that are projected.

use std::sync::Arc;

use anyhow::Result;
use logistics_schemas::Workload;

use crate::creates::{Costs, Sample, WARM_UP, sustained};
use crate::load::{self, Job};
use crate::projection::History;
use crate::report::{READS, Report};
use crate::stage::Stage;
use crate::subject::{Running, Subject};
use crate::{Plan, progress};

/// Measures all, one after the other.
pub(crate) async fn run(
    stage: &Stage,
    history: &History,
    subjects: &[Subject],
    plan: Plan,
    report: &mut Report,
) -> Result<()> {
    let job = Job::Read(Arc::clone(&history.shipments));
    // No subject reads more than one timeline at a time: with batching, only creates are another program.
    let unbatched = |subject: &&Subject| !matches!(subject, Subject::GoBatched | Subject::FastApiBatched);
    for subject in subjects.iter().filter(unbatched) {
        progress(format!("reads: {}", subject.name()));
        let running = subject
            .start(stage, &history.platform, Workload::Tracking, &job)
            .await?;
        load::closed(&running.target, job.clone(), WARM_UP).await?;
        let full = costs(
            stage,
            &running,
            load::closed(&running.target, job.clone(), plan.load),
        )
        .await?;
        let own = load::open(&running.target, job.clone(), sustained(full.rate), plan.load);
        let own = costs(stage, &running, own).await?;
        let same = load::open(&running.target, job.clone(), plan.read_rate.into(), plan.load);
        let same = costs(stage, &running, same).await?;
        report.sample(
            READS,
            *subject,
            Sample {
                full,
                own,
                same,
                memory: running.rss()?,
                start: running.start,
            },
        );
    }
    Ok(())
}

async fn costs(
    stage: &Stage,
    running: &Running,
    load: impl Future<Output = Result<load::Load>>,
) -> Result<Costs> {
    let before = (running.cpu()?, stage.database_cpu()?);
    let load = load.await?;
    let after = (running.cpu()?, stage.database_cpu()?);
    Ok(Costs::of(&load, before, after))
}
