//! What a run came to, for people and as JSON.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use dev_flights::story::Totals;
use serde::Serialize;

use crate::counts::Count;
use crate::text::{Style, table};

/// All that a run found out.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Account that the run worked in, made for it.
    pub account_id: String,
    /// What `kubectl get lp` prints.
    pub platform: String,
    /// One shipment, told by tracking and analytics.
    pub timeline: Timeline,
    /// How good the estimates were.
    pub accuracy: Accuracy,
    /// The riskiest lanes.
    pub lanes: Vec<Lane>,
    /// What the input holds, and so what every service must have.
    pub input: Totals,
    /// What each place has.
    pub counts: Vec<Place>,
    /// What the shipment service made of the recorded events.
    pub dispositions: BTreeMap<&'static str, u64>,
    /// Calls that were tried again.
    pub retries: u64,
    /// From the first call to the last answer.
    pub send_seconds: f64,
    /// From the last answer until tracking and analytics had seen all.
    pub settle_seconds: f64,
}

/// The count of one place.
#[derive(Debug, Serialize)]
pub struct Place {
    /// Whose count it is.
    pub name: &'static str,
    /// The count.
    #[serde(flatten)]
    pub count: Count,
}

/// One shipment.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Timeline {
    /// Shipment id.
    pub shipment_id: String,
    /// For example "UA 1545 EWR → IAH".
    pub title: String,
    /// Time, event, place and disposition of each event.
    pub events: Vec<[String; 4]>,
    /// What analytics says of it, a line each.
    pub assessment: Vec<String>,
}

/// How good the estimates of arrival were; minutes.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Accuracy {
    /// Arrivals that the errors are over.
    pub arrivals: i64,
    /// Mean absolute error of the carrier's promise.
    pub promise: f64,
    /// Of the estimate at creation.
    pub at_creation: f64,
    /// Of the last estimate in transit.
    pub in_transit: f64,
    /// Share of arrivals in the 90 % interval.
    pub interval_coverage: f64,
}

/// One lane.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Lane {
    /// For example "UA EWR → IAH".
    pub lane: String,
    /// Arrivals seen.
    pub arrivals: i64,
    /// Share over 15 minutes late, shrunk.
    pub late_share: f64,
    /// Minutes.
    pub median_delay: f64,
}

/// Counts that are not what was sent.
#[derive(Debug)]
pub struct CountsDiffer(pub Vec<String>);

impl std::fmt::Display for CountsDiffer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "counts in and counts out differ")?;
        self.0.iter().try_for_each(|line| write!(f, "\n  {line}"))
    }
}

impl std::error::Error for CountsDiffer {}

/// Says of each count what is wrong with it; nothing where all is as it was sent.
#[must_use]
pub fn differences(input: &Totals, counts: &[Place]) -> Vec<String> {
    let expected = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let mut lines = Vec::new();
    for Place { name, count } in counts {
        let mut check = |what: &str, is: i64, should: i64| {
            if is != should {
                lines.push(format!(
                    "{name} has {is} {what}, sent were {should} ({:+})",
                    is - should
                ));
            }
        };
        check("shipments", count.shipments, expected(input.shipments));
        check("events", count.events, expected(input.events));
        check("parked events", count.parked, 0);
    }
    lines
}

impl Report {
    /// For people.
    #[must_use]
    pub fn text(&self, style: Style, next: &[String]) -> String {
        let mut text = String::new();
        let mut section = |title: &str, body: &str| {
            let _ = write!(text, "\n{}\n{body}", style.heading(title));
        };
        section("The platform (kubectl get lp)", &indent(&self.platform));
        section(
            &format!("One shipment: {}", self.timeline.title),
            &self.timeline.text(),
        );
        section("How well the arrival was foretold", &self.accuracy.text());
        section("The riskiest lanes", &lanes(&self.lanes));
        section("Counts in = counts out", &self.counts_text(style));
        section("Throughput", &self.throughput());
        section("What to try next", &indent(&next.join("\n")));
        text
    }

    fn counts_text(&self, style: Style) -> String {
        let row = |name: &str, count: [i64; 3]| -> Vec<String> {
            std::iter::once(name.to_owned())
                .chain(count.map(|number| number.to_string()))
                .collect()
        };
        let sent =
            [self.input.shipments, self.input.events].map(|number| i64::try_from(number).unwrap_or(i64::MAX));
        let mut rows = vec![row("sent by the client", [sent[0], sent[1], 0])];
        rows.extend(self.counts.iter().map(|place| {
            row(
                place.name,
                [place.count.shipments, place.count.events, place.count.parked],
            )
        }));
        let verdict = match differences(&self.input, &self.counts)[..] {
            [] => style.good("all equal"),
            _ => style.bad("NOT equal"),
        };
        format!(
            "{}  {verdict}\n",
            table(&["", "shipments", "events", "parked"], &rows)
        )
    }

    fn throughput(&self) -> String {
        #[expect(clippy::cast_precision_loss, reason = "counts of a demo are far below 2^52")]
        let rate = self.input.events as f64 / self.send_seconds.max(0.001);
        format!(
            "  {} acknowledged calls in {:.1} s: {rate:.0} a second, {} tried again\n  \
             tracking and analytics had seen the last of them {:.1} s later\n",
            self.input.events, self.send_seconds, self.retries, self.settle_seconds
        )
    }
}

impl Timeline {
    fn text(&self) -> String {
        let mut text = format!("  shipment {}\n", self.shipment_id);
        for [time, event, place, disposition] in &self.events {
            let _ = writeln!(text, "  {time}  {event:<22} {place:<5} {disposition}");
        }
        text + &indent(&self.assessment.join("\n"))
    }
}

impl Accuracy {
    fn text(&self) -> String {
        let row = |what: &str, minutes: f64| vec![what.to_owned(), format!("{minutes:.1} min")];
        let rows = [
            row("the carrier's promise", self.promise),
            row("estimate at creation", self.at_creation),
            row("last estimate in transit", self.in_transit),
        ];
        format!(
            "{}  {:.1} % of {} arrivals lay in the 90 % interval given in transit\n",
            table(&["mean absolute error against what really happened", ""], &rows),
            self.interval_coverage * 100.0,
            self.arrivals
        )
    }
}

fn lanes(lanes: &[Lane]) -> String {
    let row = |lane: &Lane| {
        vec![
            lane.lane.clone(),
            lane.arrivals.to_string(),
            format!("{:.0} %", lane.late_share * 100.0),
            format!("{:+.0} min", lane.median_delay),
        ]
    };
    let rows: Vec<_> = lanes.iter().map(row).collect();
    table(&["lane", "arrivals", "over 15 min late", "median delay"], &rows)
}

fn indent(text: &str) -> String {
    text.lines()
        .fold(String::new(), |text, line| text + "  " + line + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(name: &'static str, shipments: i64, events: i64, parked: i64) -> Place {
        Place {
            name,
            count: Count {
                shipments,
                events,
                parked,
            },
        }
    }

    #[test]
    fn a_difference_says_which_count_and_by_how_much() {
        let input = Totals {
            shipments: 10,
            events: 29,
            arrivals: 9,
            cancelled: 0,
        };
        assert!(differences(&input, &[place("tracking", 10, 29, 0)]).is_empty());
        let lines = differences(
            &input,
            &[place("tracking", 10, 29, 0), place("analytics", 10, 27, 2)],
        );
        assert_eq!(
            lines,
            [
                "analytics has 27 events, sent were 29 (-2)",
                "analytics has 2 parked events, sent were 0 (+2)"
            ]
        );
    }

    #[test]
    fn the_report_says_whether_all_counts_are_equal() {
        let mut report = Report {
            account_id: "demo-1".into(),
            platform: "NAME READY\nacme True\n".into(),
            timeline: Timeline {
                shipment_id: "id".into(),
                title: "UA 1, EWR → IAH".into(),
                events: vec![["2013-01-01 10:17 UTC", "IN_TRANSIT", "EWR", "applied"].map(String::from)],
                assessment: vec!["arrived".into()],
            },
            accuracy: Accuracy {
                arrivals: 1,
                promise: 11.0,
                at_creation: 10.0,
                in_transit: 2.5,
                interval_coverage: 0.9,
            },
            lanes: vec![],
            input: Totals {
                shipments: 1,
                events: 3,
                arrivals: 1,
                cancelled: 0,
            },
            counts: vec![place("tracking", 1, 3, 0)],
            dispositions: BTreeMap::new(),
            retries: 0,
            send_seconds: 1.0,
            settle_seconds: 0.5,
        };
        let text = report.text(Style::plain(), &["make demo".into()]);
        for part in [
            "acme True",
            "UA 1, EWR → IAH",
            "2.5 min",
            "90.0 %",
            "all equal",
            "3 a second",
            "make demo",
        ] {
            assert!(text.contains(part), "{part} is not in {text}");
        }
        report.counts[0].count.events = 2;
        assert!(report.text(Style::plain(), &[]).contains("NOT equal"));
    }
}
