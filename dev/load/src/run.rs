//! Makes the calls.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use logistics_client::{Balanced, Resolve, Settings};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tonic::Status;
use tonic::metadata::{Ascii, MetadataValue};

use crate::Call;
use crate::report::{self, Latency, Report};

/// A call that begins so much after its time is late.
const LATE: Duration = Duration::from_millis(100);

/// What to do.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Where.
    pub settings: Settings,
    /// What is called.
    pub call: Call,
    /// The caller's token.
    pub token: String,
    /// Calls a second.
    pub rate: u32,
    /// How long.
    pub duration: Duration,
    /// Most calls under way at one time.
    pub concurrency: usize,
}

/// One call's outcome.
struct Outcome {
    took: Duration,
    late: bool,
    result: Result<(), Status>,
}

/// Calls at the plan's rate: each call has its time, whatever became of the ones before, and its latency counts from
/// then on.
pub async fn run(plan: &Plan, resolver: impl Resolve) -> Result<Report> {
    let mut bearer: MetadataValue<Ascii> = format!("Bearer {}", plan.token.trim())
        .parse()
        .context("the token is no text for a header")?;
    bearer.set_sensitive(true);
    let channel = Balanced::start(plan.settings.clone(), resolver);
    let room = Arc::new(Semaphore::new(plan.concurrency));
    let interval = Duration::from_secs(1) / plan.rate.max(1);
    let begin = Instant::now();
    let mut calls = JoinSet::new();
    let mut due = begin;
    while due < begin + plan.duration {
        tokio::time::sleep_until(due).await;
        let permit = Arc::clone(&room).acquire_owned().await?;
        calls.spawn(one(plan.call, channel.clone(), bearer.clone(), due, permit));
        due += interval;
    }
    let outcomes = calls.join_all().await;
    let seconds = begin.elapsed().as_secs_f64();
    let (mut failed, mut first_failure) = (BTreeMap::new(), None);
    let mut times = Vec::with_capacity(outcomes.len());
    let (mut made, mut late) = (0, 0);
    for outcome in outcomes {
        made += 1;
        late += u64::from(outcome.late);
        match outcome.result {
            Ok(()) => times.push(outcome.took),
            Err(status) => {
                *failed.entry(format!("{:?}", status.code())).or_insert(0) += 1;
                first_failure.get_or_insert_with(|| status.message().to_owned());
            }
        }
    }
    Ok(Report {
        seconds,
        calls: made,
        ok: times.len() as u64,
        failed,
        first_failure,
        late,
        latency: Latency::of(times),
        pods: report::pods(&channel.calls()),
    })
}

async fn one(
    call: Call,
    channel: Balanced,
    bearer: MetadataValue<Ascii>,
    due: Instant,
    permit: OwnedSemaphorePermit,
) -> Outcome {
    let late = due.elapsed() > LATE;
    let result = call.make(channel, &bearer).await;
    drop(permit);
    Outcome {
        took: due.elapsed(),
        late,
        result,
    }
}
