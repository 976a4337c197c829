//! Measuring processes from outside.

use std::fmt;

use anyhow::{Context as _, Result};
use serde::Serialize;

/// Ticks of a process's CPU time in a second, on every Linux.
const TICKS: f64 = 100.0;

/// Where in `/proc/…/stat`, counted from the field after the name, the times of the process are, and those of its
/// children that have ended.
const OWN: [usize; 2] = [11, 12];
const ENDED_CHILDREN: [usize; 2] = [13, 14];

fn seconds(pid: &str, fields: &[usize]) -> Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .with_context(|| format!("process {pid} has ended"))?;
    let all = stat.rsplit_once(") ").context("no name in /proc/…/stat")?.1;
    let all: Vec<&str> = all.split(' ').collect();
    let mut ticks = 0.0;
    for field in fields {
        ticks += all
            .get(*field)
            .context("too few fields in /proc/…/stat")?
            .parse::<f64>()?;
    }
    Ok(ticks / TICKS)
}

/// CPU time of a process so far, in seconds.
pub(crate) fn cpu(pid: u32) -> Result<f64> {
    seconds(&pid.to_string(), &OWN)
}

/// CPU time of a process and of all its children, also of those that have ended, in seconds.
pub(crate) fn cpu_of_family(parent: u32) -> Result<f64> {
    let mut all = seconds(&parent.to_string(), &[OWN, ENDED_CHILDREN].concat())?;
    let children = std::fs::read_to_string(format!("/proc/{parent}/task/{parent}/children"))?;
    for child in children.split_whitespace() {
        // One that ends at this moment is counted with its parent the next time.
        all += seconds(child, &OWN).unwrap_or_default();
    }
    Ok(all)
}

/// Resident memory of a process in MiB.
pub(crate) fn rss(pid: u32) -> Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|rest| rest.trim().strip_suffix(" kB"));
    Ok(kib.context("no VmRSS in /proc/…/status")?.trim().parse::<f64>()? / 1024.0)
}

/// One thing, measured in each run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
    /// In the order of the runs.
    pub(crate) runs: Vec<f64>,
}

impl Spread {
    /// `None` where nothing was measured.
    pub(crate) fn of(runs: &[f64]) -> Option<Self> {
        let mut sorted = runs.to_vec();
        sorted.sort_by(f64::total_cmp);
        let middle = sorted.len() / 2;
        let upper = *sorted.get(middle)?;
        let median = if sorted.len().is_multiple_of(2) {
            f64::midpoint(*sorted.get(middle - 1)?, upper)
        } else {
            upper
        };
        Some(Self {
            median,
            min: *sorted.first()?,
            max: *sorted.last()?,
            runs: runs.to_vec(),
        })
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [median, min, max] = [self.median, self.min, self.max].map(number);
        if self.runs.len() == 1 {
            f.pad(&median)
        } else {
            f.pad(&format!("{median} ({min}–{max})"))
        }
    }
}

/// A number with three digits that count.
pub(crate) fn number(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        0.0..1.0 => format!("{value:.3}"),
        1.0..10.0 => format!("{value:.2}"),
        10.0..100.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        let spread = |runs: &[f64]| Spread::of(runs).map(|spread| (spread.min, spread.median, spread.max));
        assert_eq!(spread(&[3.0, 1.0, 2.0]), Some((1.0, 2.0, 3.0)));
        assert_eq!(spread(&[4.0, 1.0]), Some((1.0, 2.5, 4.0)));
        assert_eq!(spread(&[]), None);
    }

    #[test]
    fn this_process_costs_something() {
        let pid = std::process::id();
        let begin = std::time::Instant::now();
        let before = cpu(pid).unwrap();
        // On a machine with much else to do it takes a while to get it.
        while cpu(pid).unwrap() < before + 0.03 {
            assert!(
                begin.elapsed() < std::time::Duration::from_mins(1),
                "no CPU time is seen"
            );
        }
        assert!(cpu_of_family(pid).unwrap() >= cpu(pid).unwrap());
        assert!(rss(pid).unwrap() > 1.0);
    }

    #[test]
    fn three_digits_count() {
        assert_eq!(
            [0.0, 0.1234, 1.234, 12.34, 123.4, 1234.0].map(number),
            ["0", "0.123", "1.23", "12.3", "123", "1234"]
        );
    }
}
