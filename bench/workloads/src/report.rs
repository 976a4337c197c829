//! The figures: a table, or JSON.

use std::collections::BTreeMap;
use std::fmt;

use logistics_schemas::Workload;
use serde::Serialize;

use crate::creates::{Costs, Sample};
use crate::measure::{Spread, number};
use crate::subject::Subject;

/// Names of the scenarios with subjects.
pub(crate) const CREATES: &str = "durable creates";
pub(crate) const READS: &str = "tracking reads";

/// All that was measured, run by run.
#[derive(Serialize)]
pub(crate) struct Report {
    runs: u32,
    seconds: u64,
    figures: Vec<Figure>,
    targets: Vec<Target>,
    /// What our own service did in this run, by scenario.
    #[serde(skip)]
    ours: BTreeMap<&'static str, Sample>,
}

/// One thing, measured in each run.
#[derive(Serialize)]
struct Figure {
    scenario: &'static str,
    subject: &'static str,
    name: &'static str,
    unit: &'static str,
    #[serde(flatten)]
    spread: Spread,
}

/// A figure that should not be on the wrong side of a limit; run by run, what is compared was measured in the same run.
#[derive(Serialize)]
struct Target {
    name: String,
    limit: f64,
    /// Whether more is better.
    at_least: bool,
    #[serde(flatten)]
    spread: Spread,
    met: bool,
}

/// The targets against peers: requests a CPU second, as a multiple of the peer's.
const AGAINST: [(Subject, f64); 4] = [
    (Subject::Go, 1.5),
    (Subject::GoBatched, 1.5),
    (Subject::FastApi, 10.0),
    (Subject::FastApiBatched, 10.0),
];

/// The names of what is measured at each rate.
const FULL: [&str; 5] = [
    "at most: rate",
    "at most: p50",
    "at most: p99",
    "at most: server CPU for 1,000",
    "at most: database CPU for 1,000",
];
const OWN: [&str; 5] = [
    "at 70 %: rate",
    "at 70 %: p50",
    "at 70 %: p99",
    "at 70 %: server CPU for 1,000",
    "at 70 %: database CPU for 1,000",
];
const SAME: [&str; 5] = [
    "same rate: rate",
    "same rate: p50",
    "same rate: p99",
    "same rate: server CPU for 1,000",
    "same rate: database CPU for 1,000",
];

impl Report {
    pub(crate) fn new(runs: u32, seconds: u64) -> Self {
        Self {
            runs,
            seconds,
            figures: Vec::new(),
            targets: Vec::new(),
            ours: BTreeMap::new(),
        }
    }

    /// Adds a subject's figures of a run; our own service's come first.
    pub(crate) fn sample(&mut self, scenario: &'static str, subject: Subject, sample: Sample) {
        let name = subject.name();
        self.costs(scenario, name, FULL, &sample.full);
        self.costs(scenario, name, OWN, &sample.own);
        self.costs(scenario, name, SAME, &sample.same);
        self.figure(scenario, name, "memory", "MiB", sample.memory);
        self.figure(
            scenario,
            name,
            "start to first answer",
            "ms",
            sample.start.as_secs_f64() * 1_000.0,
        );
        let limit = AGAINST.iter().find(|(peer, _)| *peer == subject);
        if let (Some((_, limit)), Some(ours)) = (limit, self.ours.get(scenario)) {
            let ratio = ours.own.per_cpu_second() / sample.own.per_cpu_second();
            let at_same = ours.same.per_cpu_second() / sample.same.per_cpu_second();
            let full = ours.full.per_cpu_second() / sample.full.per_cpu_second();
            let what = format!("{scenario} in a CPU second / those of {name}");
            self.target(
                format!("{what}, each at 70 % of what it can do"),
                *limit,
                true,
                ratio,
            );
            self.target(format!("{what}, each at what it can do"), *limit, true, full);
            self.target(format!("{what}, both at the same rate"), *limit, true, at_same);
        }
        if subject == Subject::Ours {
            self.ours.insert(scenario, sample);
        }
    }

    fn costs(
        &mut self,
        scenario: &'static str,
        subject: &'static str,
        names: [&'static str; 5],
        costs: &Costs,
    ) {
        let values = [costs.rate, costs.p50, costs.p99, costs.server, costs.database];
        for ((name, unit), value) in names.into_iter().zip(["/s", "ms", "ms", "s", "s"]).zip(values) {
            self.figure(scenario, subject, name, unit, value);
        }
    }

    /// Adds the rows a second of the bare loop, and the creates a second that the service can do.
    pub(crate) fn against_bare_loop(&mut self, batch: usize, bare: f64, ours: f64) {
        #[expect(clippy::cast_precision_loss, reason = "a batch has 1 to 256 requests")]
        let batch = batch as f64;
        self.figure(CREATES, "bare loop", "creates in a transaction", "", batch);
        self.figure(CREATES, "bare loop", "at most", "/s", bare);
        self.target(
            "durable creates / bare loop with the same SQL",
            0.8,
            true,
            ours / bare,
        );
    }

    /// Adds the projection of events by a service.
    pub(crate) fn projection(
        &mut self,
        workload: Workload,
        events: f64,
        seconds: f64,
        cpu: f64,
        database: f64,
    ) {
        let mut add = |name, unit, value| self.figure("projection", workload.name(), name, unit, value);
        add("events", "", events);
        add("from start to last event", "s", seconds);
        add("events a second", "/s", events / seconds);
        add("server CPU for 1,000", "s", cpu / events * 1_000.0);
        add("database CPU for 1,000", "s", database / events * 1_000.0);
        if workload == Workload::Tracking {
            self.target(
                "events projected in a CPU second of tracking",
                10_000.0,
                true,
                events / cpu,
            );
        }
    }

    /// Adds the median and the 99th percentile of the way from a create to its event in the timeline, in milliseconds.
    pub(crate) fn visible(&mut self, ours: [f64; 2], bare: [f64; 2]) {
        for (subject, [p50, p99]) in [("logistics", ours), ("bare loop", bare)] {
            self.figure("create to visible", subject, "p50", "ms", p50);
            self.figure("create to visible", subject, "p99", "ms", p99);
        }
        self.target(
            "create to visible, p99 / bare loop",
            2.0,
            false,
            ours[1] / bare[1],
        );
    }

    fn figure(
        &mut self,
        scenario: &'static str,
        subject: &'static str,
        name: &'static str,
        unit: &'static str,
        value: f64,
    ) {
        let known = self
            .figures
            .iter_mut()
            .find(|known| (known.scenario, known.subject, known.name) == (scenario, subject, name));
        if let Some(known) = known {
            known.spread = more(&known.spread, value);
        } else if let Some(spread) = Spread::of(&[value]) {
            self.figures.push(Figure {
                scenario,
                subject,
                name,
                unit,
                spread,
            });
        }
    }

    fn target(&mut self, name: impl Into<String>, limit: f64, at_least: bool, value: f64) {
        let name = name.into();
        eprintln!("  {name}: {}", number(value));
        let judge = |spread: &Spread| {
            if at_least {
                spread.median >= limit
            } else {
                spread.median <= limit
            }
        };
        if let Some(known) = self.targets.iter_mut().find(|known| known.name == name) {
            known.spread = more(&known.spread, value);
            known.met = judge(&known.spread);
        } else if let Some(spread) = Spread::of(&[value]) {
            let met = judge(&spread);
            self.targets.push(Target {
                name,
                limit,
                at_least,
                spread,
                met,
            });
        }
    }
}

/// The same thing, measured once more.
fn more(known: &Spread, value: f64) -> Spread {
    let mut runs = known.runs.clone();
    runs.push(value);
    Spread::of(&runs).unwrap_or_else(|| known.clone())
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} runs, each load for {} s; median (lowest–highest) of the runs",
            self.runs, self.seconds
        )?;
        let mut before = ("", "");
        for figure in &self.figures {
            let place = (figure.scenario, figure.subject);
            if place != before {
                writeln!(f, "\n{}: {}", figure.scenario, figure.subject)?;
                before = place;
            }
            let Figure {
                name, spread, unit, ..
            } = figure;
            writeln!(f, "{}", format!("  {name:<34} {spread:>28} {unit}").trim_end())?;
        }
        writeln!(f, "\ntargets")?;
        for target in &self.targets {
            let side = if target.at_least { "≥" } else { "≤" };
            let verdict = if target.met { "met" } else { "missed" };
            let Target {
                name, limit, spread, ..
            } = target;
            writeln!(f, "  {name:<86} {spread:>24}  {side} {limit}: {verdict}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_judged_by_the_median_of_the_runs() {
        let mut report = Report::new(3, 1);
        for ratio in [0.7, 0.9, 0.95] {
            report.target("more", 0.8, true, ratio);
            report.target("less", 0.8, false, ratio);
        }
        let verdicts: Vec<_> = report
            .targets
            .iter()
            .map(|target| (target.name.as_str(), target.met))
            .collect();
        assert_eq!(verdicts, [("more", true), ("less", false)]);
        let text = report.to_string();
        assert!(text.contains("0.900 (0.700–0.950)"), "{text}");
    }

    #[test]
    fn the_visible_way_is_compared_run_by_run() {
        let mut report = Report::new(1, 1);
        report.visible([4.0, 30.0], [2.0, 10.0]);
        let target = report.targets.first().unwrap();
        assert!((target.spread.median - 3.0).abs() < 1e-9);
        assert!(!target.met);
    }
}
