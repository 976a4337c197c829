//! The generator of the load.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Result, ensure};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::client::Target;

/// Requests under way at one time where each waits for the one before.
const WORKERS: u64 = 128;
/// Requests under way at one time at most, where none waits for another; more of them mean that the server is far behind.
const MOST: usize = 4_096;

/// What is asked for.
#[derive(Clone, Debug)]
pub(crate) enum Job {
    /// Creates with keys that start with this text.
    Create(String),
    /// Timelines of these shipments, in turn.
    Read(Arc<Vec<String>>),
}

/// What came of a load. Nothing may fail: what fails is not comparable.
#[derive(Debug)]
pub(crate) struct Load {
    pub(crate) done: u32,
    pub(crate) seconds: f64,
    /// From the intended send time, sorted.
    pub(crate) latencies: Vec<Duration>,
}

impl Load {
    pub(crate) fn rate(&self) -> f64 {
        f64::from(self.done) / self.seconds
    }

    /// Milliseconds that so many of a hundred did not exceed.
    pub(crate) fn percentile(&self, percent: usize) -> f64 {
        percentile(&self.latencies, percent)
    }
}

/// Of sorted times, in milliseconds, by nearest rank.
pub(crate) fn percentile(sorted: &[Duration], percent: usize) -> f64 {
    let index = (sorted.len() * percent).div_ceil(100).max(1) - 1;
    sorted.get(index).map_or(0.0, |time| time.as_secs_f64() * 1_000.0)
}

/// As many requests as can be made one after the other by [`WORKERS`]: how much the server can do.
pub(crate) async fn closed(target: &Arc<Target>, job: Job, duration: Duration) -> Result<Load> {
    let begin = Instant::now();
    let next = Arc::new(AtomicU64::new(0));
    let mut workers = JoinSet::new();
    for _ in 0..WORKERS {
        let (target, job, next) = (Arc::clone(target), job.clone(), Arc::clone(&next));
        workers.spawn(async move {
            let mut latencies = Vec::new();
            while begin.elapsed() < duration {
                let sent = Instant::now();
                target.call(&job, next.fetch_add(1, Ordering::Relaxed)).await?;
                latencies.push(sent.elapsed());
            }
            anyhow::Ok(latencies)
        });
    }
    let mut latencies = Vec::new();
    while let Some(worker) = workers.join_next().await {
        latencies.extend(worker??);
    }
    load(begin, latencies)
}

/// Requests at a rate: each has its time, whatever became of those before, and its latency counts from then on.
pub(crate) async fn open(target: &Arc<Target>, job: Job, rate: f64, duration: Duration) -> Result<Load> {
    let begin = Instant::now();
    let mut calls: JoinSet<Result<Duration>> = JoinSet::new();
    let mut latencies = Vec::new();
    for at in 0_u32.. {
        let due = Duration::from_secs_f64(f64::from(at) / rate);
        if due >= duration {
            break;
        }
        let due = begin + due;
        // The timer's grain is a millisecond: what is due already is sent at once.
        if due > Instant::now() {
            tokio::time::sleep_until(due).await;
        }
        while let Some(ended) = calls.try_join_next() {
            latencies.push(ended??);
        }
        ensure!(
            calls.len() < MOST,
            "{MOST} requests are under way at {rate:.0} a second: the server does not follow"
        );
        let (target, job) = (Arc::clone(target), job.clone());
        calls.spawn(async move {
            target.call(&job, at.into()).await?;
            Ok(due.elapsed())
        });
    }
    while let Some(ended) = calls.join_next().await {
        latencies.push(ended??);
    }
    load(begin, latencies)
}

fn load(begin: Instant, mut latencies: Vec<Duration>) -> Result<Load> {
    latencies.sort_unstable();
    Ok(Load {
        done: u32::try_from(latencies.len())?,
        seconds: begin.elapsed().as_secs_f64(),
        latencies,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_those_of_the_nearest_rank() {
        let times: Vec<_> = (1..=200).map(Duration::from_millis).collect();
        let all = [50, 95, 99, 100].map(|percent| percentile(&times, percent));
        let expected = [100.0, 190.0, 198.0, 200.0];
        for (measured, expected) in all.into_iter().zip(expected) {
            assert!((measured - expected).abs() < 1e-9, "{measured} for {expected}");
        }
        assert!(percentile(&[], 99).abs() < 1e-9);
    }
}
