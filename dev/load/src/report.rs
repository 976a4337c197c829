//! What came of it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use logistics_client::PodCalls;
use serde::{Deserialize, Serialize};

/// The report of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// How long it took.
    pub seconds: f64,
    /// Calls that were made.
    pub calls: u64,
    /// Calls that succeeded.
    pub ok: u64,
    /// The others, by status code.
    pub failed: BTreeMap<String, u64>,
    /// What the first of them said.
    pub first_failure: Option<String>,
    /// Calls that began more than 100 ms after their time, because too many others were under way.
    pub late: u64,
    /// Time from when a call was due to its answer; of those that succeeded.
    pub latency: Latency,
    /// The pods, by address.
    pub pods: Vec<Pod>,
}

/// Milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names say it")]
pub struct Latency {
    pub p50: f64,
    pub p95: f64,
    pub p99: f64,
    pub max: f64,
}

/// One pod's part.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Pod {
    /// Where it was reached.
    pub address: SocketAddr,
    /// Calls that it answered, with whatever status.
    pub answered: u64,
    /// Of all that were answered, in percent.
    pub share: f64,
    /// Attempts that failed with its connection; they were repeated on another pod.
    pub unreached: u64,
}

impl Latency {
    pub(crate) fn of(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        let at = |percent: usize| {
            let index = (times.len() * percent).div_ceil(100).saturating_sub(1);
            times
                .get(index)
                .map_or(0.0, |time| (time.as_secs_f64() * 10_000.0).round() / 10.0)
        };
        Self {
            p50: at(50),
            p95: at(95),
            p99: at(99),
            max: at(100),
        }
    }
}

/// The pods' parts.
pub(crate) fn pods(calls: &BTreeMap<SocketAddr, PodCalls>) -> Vec<Pod> {
    let all: u64 = calls.values().map(|calls| calls.answered).sum();
    let share = |answered: u64| {
        #[expect(clippy::cast_precision_loss, reason = "nobody makes so many calls")]
        let share = answered as f64 * 100.0 / all.max(1) as f64;
        (share * 10.0).round() / 10.0
    };
    calls
        .iter()
        .map(|(address, calls)| Pod {
            address: *address,
            answered: calls.answered,
            share: share(calls.answered),
            unreached: calls.failed,
        })
        .collect()
}

impl Report {
    /// For people.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        let Latency { p50, p95, p99, max } = self.latency;
        let failed = self.calls - self.ok;
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "{} calls in {:.1} s: {} succeeded, {failed} failed, {} were late",
            self.calls, self.seconds, self.ok, self.late
        );
        for (code, count) in &self.failed {
            let _ = writeln!(text, "  {code}: {count}");
        }
        if let Some(message) = &self.first_failure {
            let _ = writeln!(text, "  the first said: {message}");
        }
        let _ = writeln!(text, "latency ms: p50 {p50}, p95 {p95}, p99 {p99}, max {max}");
        let _ = writeln!(
            text,
            "  {:<22} {:>9} {:>8} {:>10}",
            "POD", "ANSWERED", "SHARE", "UNREACHED"
        );
        for pod in &self.pods {
            let _ = writeln!(
                text,
                "  {:<22} {:>9} {:>6.1} % {:>10}",
                pod.address, pod.answered, pod.share, pod.unreached
            );
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_those_of_the_nearest_rank() {
        let latency = Latency::of((1..=200).map(Duration::from_millis).collect());
        assert_eq!(
            latency,
            Latency {
                p50: 100.0,
                p95: 190.0,
                p99: 198.0,
                max: 200.0
            }
        );
        assert_eq!(Latency::of(Vec::new()), Latency::default());
    }

    #[test]
    fn shares_are_of_what_was_answered() {
        let calls = |answered, failed| PodCalls { answered, failed };
        let pods = pods(&BTreeMap::from([
            (([10, 0, 0, 1], 80).into(), calls(30, 0)),
            (([10, 0, 0, 2], 80).into(), calls(10, 5)),
        ]));
        let shares: Vec<_> = pods.iter().map(|pod| pod.share).collect();
        assert_eq!(shares, [75.0, 25.0]);
    }
}
