//! What is out of the ordinary, told in words. Pure: the same history, shipment and watermark always give the same
//! answer, and time is that of the events, so that a log which is read anew makes no alarm.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::history::{History, Outcome};
use crate::journey::Stay;
use crate::quantile::Sketch;
use crate::status::Status;

/// Beyond this a robust z-score is out of the ordinary (Iglewicz and Hoaglin).
const ROBUST_Z: f64 = 3.5;
/// The median absolute deviation of the normal distribution, in standard deviations.
const MAD_OF_NORMAL: f64 = 0.6745;
/// A deviation of less says nothing: it is within the bins of a sketch.
const LEAST_DEVIATION: f64 = 2.0;
/// Values that a median needs before something is compared with it.
const MEDIAN_NEEDS: u32 = 30;
/// Values that the 99 % and the 1 % quantile need.
const TAIL_NEEDS: u32 = 100;
/// The share of stays after which one is too long.
const LONGEST_STAY: f64 = 0.99;
/// A journey of less than this share of the fastest hundredth is none.
const FASTEST_SHARE: f64 = 0.5;

/// What kind of anomaly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Kind {
    /// It arrived far earlier or later than is usual on its lane.
    UnusualDelay,
    /// It stayed in one status longer than all but a hundredth of the others on its lane.
    Dwell,
    /// It was faster than anything can be on its lane.
    ImpossibleSpeed,
    /// A scan reports a status that cannot follow.
    IllegalTransition,
    /// Nothing was heard of it when something was due.
    Silence,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 5] = [
        Self::UnusualDelay,
        Self::Dwell,
        Self::ImpossibleSpeed,
        Self::IllegalTransition,
        Self::Silence,
    ];

    /// The name on the wire and in storage.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::UnusualDelay => "UNUSUAL_DELAY",
            Self::Dwell => "DWELL",
            Self::ImpossibleSpeed => "IMPOSSIBLE_SPEED",
            Self::IllegalTransition => "ILLEGAL_TRANSITION",
            Self::Silence => "SILENCE",
        }
    }

    /// The kind of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

/// Something out of the ordinary.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Anomaly {
    /// What kind.
    pub kind: Kind,
    /// How far beyond what is accepted: 1 is just beyond, 2 is twice as far.
    pub severity: f64,
    /// A sentence for people.
    pub text: String,
}

/// A delay at arrival that is far from those usual on its lane, by the robust z-score: the distance from the median in
/// median absolute deviations. `None` while the lane has few arrivals.
#[must_use]
pub fn unusual_delay(usual: &Sketch, delay: f64) -> Option<Anomaly> {
    if usual.weight() < MEDIAN_NEEDS {
        return None;
    }
    let median = usual.quantile(0.5)?;
    let deviation = usual.deviation(median)?.max(LEAST_DEVIATION);
    let score = MAD_OF_NORMAL * (delay - median) / deviation;
    let word = if delay < median { "earlier" } else { "later" };
    (score.abs() > ROBUST_Z).then(|| Anomaly {
        kind: Kind::UnusualDelay,
        severity: score.abs() / ROBUST_Z,
        text: format!(
            "It arrived {:.0} minutes {word} than is usual on its lane (robust z {score:.1}).",
            (delay - median).abs()
        ),
    })
}

/// A stay in one status that was longer than all but a hundredth of those on its lane. `None` while the lane has seen
/// few stays.
#[must_use]
pub fn dwell(stays: &Sketch, status: Status, minutes: f64) -> Option<Anomaly> {
    if stays.weight() < TAIL_NEEDS {
        return None;
    }
    let longest = stays.quantile(LONGEST_STAY)?.max(LEAST_DEVIATION);
    (minutes > longest).then(|| Anomaly {
        kind: Kind::Dwell,
        severity: minutes / longest,
        text: format!(
            "It was {status} for {}; on its lane 99 of 100 go on within {}.",
            span(minutes),
            span(longest)
        ),
    })
}

/// A journey that took less than half the time of the fastest hundredth on its lane: no vehicle is that fast, a scan is
/// wrong. `None` while the lane has seen few journeys.
#[must_use]
pub fn impossible_speed(journeys: &Sketch, minutes: f64) -> Option<Anomaly> {
    if journeys.weight() < TAIL_NEEDS {
        return None;
    }
    let fastest = journeys.quantile(1.0 - LONGEST_STAY)?;
    let least = fastest * FASTEST_SHARE;
    (minutes < least).then(|| Anomaly {
        kind: Kind::ImpossibleSpeed,
        severity: least / minutes.max(1.0),
        text: format!(
            "It took {} from departure to arrival; the fastest hundredth on its lane takes {}.",
            span(minutes),
            span(fastest)
        ),
    })
}

/// A report that no step of the status machine leads to.
#[must_use]
pub fn illegal_transition(status: Status, reported: Status) -> Anomaly {
    Anomaly {
        kind: Kind::IllegalTransition,
        severity: if status.is_terminal() { 2.0 } else { 1.0 },
        text: format!("It was reported {reported} while it was {status}, which cannot follow."),
    }
}

/// What is out of the ordinary in the end of a stay, compared with the lane as it was before.
#[must_use]
pub fn of_stay(lane: &History, stay: Stay) -> Option<Anomaly> {
    dwell(lane.stays.get(&stay.status)?, stay.status, stay.minutes)
}

/// What is out of the ordinary in an arrival, compared with the lane as it was before.
pub fn of_arrival(lane: &History, outcome: &Outcome) -> impl Iterator<Item = Anomaly> {
    let delay = unusual_delay(&lane.delay, outcome.delay);
    let travel = outcome.travel();
    let speed = travel.and_then(|minutes| impossible_speed(&lane.travel, minutes));
    delay.into_iter().chain(speed)
}

/// Nothing was heard by the time at which an event was due, though events of others are known that happened long after it:
/// `watermark` is the time of the newest of them, `grace` how long one waits. No clock takes part, so that the replay of old
/// events, or a quiet weekend, is no silence.
#[must_use]
pub fn silence(
    status: Status,
    due: DateTime<Utc>,
    grace: TimeDelta,
    watermark: DateTime<Utc>,
) -> Option<Anomaly> {
    let grace = grace.max(TimeDelta::minutes(1));
    let overdue = watermark - due;
    (overdue > grace).then(|| Anomaly {
        kind: Kind::Silence,
        severity: minutes(overdue) / minutes(grace),
        text: format!(
            "It is {status}, and what should have followed is {} overdue.",
            span(minutes(overdue))
        ),
    })
}

#[expect(
    clippy::cast_precision_loss,
    reason = "seconds of shipments are far below 2^52"
)]
fn minutes(span: TimeDelta) -> f64 {
    span.num_seconds() as f64 / 60.0
}

/// Minutes in the unit that people would use.
fn span(minutes: f64) -> String {
    match minutes {
        short if short < 120.0 => format!("{short:.0} minutes"),
        middle if middle < 48.0 * 60.0 => format!("{:.0} hours", middle / 60.0),
        long => format!("{:.0} days", long / (24.0 * 60.0)),
    }
}
