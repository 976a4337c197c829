//! What each way costs: all of them once, then all again.

use std::hint::black_box;
use std::time::Duration;

use anyhow::{Context as _, Result};
use rustix::time::{ClockId, clock_gettime};
use serde::Serialize;

use crate::subjects::{self, Subject};

/// How long one subject runs before the next has its turn.
const TURN: Duration = Duration::from_millis(20);
/// Records between two looks at the clock.
const BLOCK: u32 = 64;

/// What one way of doing one thing costs.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Cost {
    /// What is done.
    pub(crate) task: String,
    /// By what.
    pub(crate) by: &'static str,
    /// The figures, or why there are none.
    #[serde(flatten)]
    pub(crate) outcome: Outcome,
}

/// What was measured.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum Outcome {
    /// It can be done.
    Measured(Figures),
    /// It cannot.
    Impossible {
        /// Why not.
        no: String,
    },
}

/// The figures of all runs.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Figures {
    /// Nanoseconds of CPU time for a record.
    pub(crate) nanoseconds: Spread,
    /// Of those of the task's first subject in the same run.
    pub(crate) ratio: Spread,
}

/// What the runs have in common.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Spread {
    pub(crate) lowest: f64,
    pub(crate) median: f64,
    pub(crate) highest: f64,
}

impl Spread {
    fn of(mut all: Vec<f64>) -> Option<Self> {
        all.sort_by(f64::total_cmp);
        Some(Self {
            lowest: *all.first()?,
            median: *all.get(all.len() / 2)?,
            highest: *all.last()?,
        })
    }
}

/// Interleaved runs.
pub(crate) fn measure(runs: u32) -> Result<Vec<Cost>> {
    let mut subjects = subjects::all()?;
    let mut times: Vec<Vec<f64>> = vec![Vec::new(); subjects.len()];
    for run in 0..=runs {
        eprintln!("• run {run} of {runs}");
        for (Subject { task, by, work }, times) in subjects.iter_mut().zip(&mut times) {
            let Ok(work) = work else { continue };
            let time = turn(work.as_mut()).with_context(|| format!("{task} by {by}"))?;
            // The first one warms up.
            if run > 0 {
                times.push(time);
            }
        }
    }
    let mut costs = Vec::new();
    for (subject, own) in subjects.iter().zip(&times) {
        let first = subjects
            .iter()
            .position(|one| one.task == subject.task)
            .and_then(|first| times.get(first))
            .context("a task without a first subject")?;
        let outcome = match &subject.work {
            Ok(_) => {
                let ratios = own.iter().zip(first).map(|(own, first)| own / first);
                Outcome::Measured(Figures {
                    nanoseconds: Spread::of(own.clone()).context("no run")?,
                    ratio: Spread::of(ratios.collect()).context("no run")?,
                })
            }
            Err(reason) => Outcome::Impossible { no: reason.clone() },
        };
        costs.push(Cost {
            task: subject.task.clone(),
            by: subject.by,
            outcome,
        });
    }
    Ok(costs)
}

/// Nanoseconds of this thread for a record: what other programs take of the core does not count.
fn turn(work: &mut dyn FnMut() -> Result<usize>) -> Result<f64> {
    let start = spent()?;
    let mut records = 0_u32;
    loop {
        for _ in 0..BLOCK {
            black_box(work()?);
        }
        records += BLOCK;
        let spent = spent()?.saturating_sub(start);
        if spent >= TURN {
            return Ok(spent.as_secs_f64() * 1e9 / f64::from(records));
        }
    }
}

fn spent() -> Result<Duration> {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).context("ask for this thread's CPU time")
}
