//! What has been learned from arrivals, in fixed space: per lane, route, destination, carrier, origin and overall.
//!
//! A lane with few arrivals says little. It is therefore read together with the wider scopes around it: each narrower
//! one moves the answer by as much as its number of arrivals deserves (shrinkage).

use std::collections::BTreeMap;

use chrono::{DateTime, Timelike as _, Utc};
use serde::{Deserialize, Serialize};

use crate::journey::Stay;
use crate::quantile::{Ewma, Sketch};
use crate::scope::{Level, PerLevel};
use crate::status::Status;
use crate::transit::{Corrections, Departure, Effects};

/// A shipment is late when it arrives more than this many minutes after its promise.
pub const LATE_AFTER_MINUTES: f64 = 15.0;
/// As many arrivals as a narrower scope needs to count as much as the wider one.
pub const SHRINK_ARRIVALS: f64 = 10.0;
/// Weight of the newest value in means that forget.
const ALPHA: f64 = 0.05;
/// Hours of a day.
const HOURS: usize = 24;
/// Share of arrivals that an interval should hold.
pub const COVERAGE: f64 = 0.9;
/// The typical size of an error while nothing has arrived yet, in minutes.
const FIRST_SIZE: f64 = 16.0;
/// Smaller errors are not told apart: times come in minutes.
const LEAST_SIZE: f64 = 1.0;
/// The 5 % and the 95 % quantile of an error over its typical size, before any was seen: between those of the normal (2.06)
/// and of the Laplace distribution (2.3).
const FIRST_BOUND: f64 = 2.2;
/// Step of the interval's bounds, as a share of the typical error.
const STEP: f64 = 0.015;
/// The first steps are larger, and shrink to [`STEP`] with the root of the number of arrivals.
const FIRST_STEPS: f64 = 0.5;
/// Upper bounds of the classes of departure delays, in minutes; the last class has none.
pub const DEPARTURE_CLASSES: [f64; 9] = [-5.0, 0.0, 5.0, 10.0, 15.0, 20.0, 30.0, 45.0, 75.0];
/// Upper bounds of the classes of delays estimated in transit, in minutes; the last class has none.
pub const ESTIMATE_CLASSES: [f64; 13] = [
    -25.0, -18.0, -12.0, -7.0, -2.0, 3.0, 8.0, 13.0, 18.0, 24.0, 32.0, 45.0, 70.0,
];

/// Arrivals, and how many of them were late.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// All.
    pub arrivals: u32,
    /// Over [`LATE_AFTER_MINUTES`] late.
    pub late: u32,
}

impl Counts {
    fn add(&mut self, late: bool) {
        self.arrivals = self.arrivals.saturating_add(1);
        self.late = self.late.saturating_add(u32::from(late));
    }

    /// The share of late ones, shrunk towards `prior` as if it had been seen in `weight` arrivals.
    #[must_use]
    pub fn late_share(self, prior: f64, weight: f64) -> f64 {
        (f64::from(self.late) + prior * weight) / (f64::from(self.arrivals) + weight)
    }
}

/// How large the errors of estimates are, and where nine of ten of them lie: an adaptive conformal interval.
///
/// The size is one of each scope, so that a lane with large errors has a wide interval. The bounds are multiples of it; only
/// those of everything are used, because they follow a drift within a day, where a lane would need a season.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Errors {
    /// Mean absolute error, in minutes.
    pub size: Ewma,
    /// The lower bound of error / size; negative.
    pub low: f64,
    /// The upper bound.
    pub high: f64,
}

impl Default for Errors {
    fn default() -> Self {
        Self {
            size: Ewma::default(),
            low: -FIRST_BOUND,
            high: FIRST_BOUND,
        }
    }
}

/// The error of an estimate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EstimateError {
    /// Arrival - estimate, in minutes.
    pub minutes: f64,
    /// Whether it arrived before the interval.
    pub below: bool,
    /// Whether it arrived after it.
    pub above: bool,
}

impl Errors {
    /// Each arrival outside of the interval that it was given pushes the bound that it crossed outwards, each other one draws
    /// the bounds in, in the ratio that makes nine of ten lie inside in the long run, whatever the errors do.
    fn learn(&mut self, error: EstimateError) {
        self.size.add(error.minutes.abs(), ALPHA);
        let step = STEP.max(FIRST_STEPS / f64::from(self.size.count).sqrt());
        let tail = (1.0 - COVERAGE) / 2.0;
        let outside = |is| if is { 1.0 } else { 0.0 };
        self.low -= step * (outside(error.below) - tail);
        self.high += step * (outside(error.above) - tail);
    }
}

/// What one scope has learned.
///
/// A release reads what another one has stored: what that one did not know yet is learned from then on.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct History {
    /// Arrivals and late ones.
    pub counts: Counts,
    /// Arrival - promise, in minutes.
    pub delay: Sketch,
    /// What makes shipments lose or gain time under way.
    pub effects: Effects,
    /// Minutes from planned departure to promised arrival.
    pub planned: Ewma,
    /// Errors of estimates made at creation.
    pub errors_at_creation: Errors,
    /// Errors of estimates made in transit.
    pub errors_in_transit: Errors,
    /// Arrivals by class of departure delay, see [`DEPARTURE_CLASSES`].
    pub departures: [Counts; DEPARTURE_CLASSES.len() + 1],
    /// Arrivals by the hour of the planned departure, UTC; of an origin only.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hours: Vec<Counts>,
    /// Minutes from departure to arrival; of a lane only.
    #[serde(skip_serializing_if = "Sketch::is_empty")]
    pub travel: Sketch,
    /// Minutes spent in each status; of a lane only.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub stays: BTreeMap<Status, Sketch>,
    /// Arrivals by class of the delay that was estimated in transit, see [`ESTIMATE_CLASSES`].
    pub estimates: [Counts; ESTIMATE_CLASSES.len() + 1],
}

/// One arrival, in minutes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outcome {
    /// When it was to leave.
    pub planned_departure: DateTime<Utc>,
    /// When it arrived.
    pub arrived: DateTime<Utc>,
    /// Arrival - promise.
    pub delay: f64,
    /// How it left, where that was seen.
    pub departure: Option<Departure>,
    /// Planned departure to promised arrival.
    pub planned: f64,
    /// That of the estimate made at creation, where one was made.
    pub error_at_creation: Option<EstimateError>,
    /// That of the last estimate made in transit, where one was made.
    pub error_in_transit: Option<EstimateError>,
}

impl Outcome {
    /// Whether it counts as late.
    #[must_use]
    pub fn is_late(&self) -> bool {
        Self::late(self.delay)
    }

    /// Minutes from departure to arrival, where the departure was seen.
    #[must_use]
    pub fn travel(&self) -> Option<f64> {
        let departure = self.departure?;
        Some(self.planned + self.delay - departure.delay)
    }

    /// Whether a delay of this many minutes counts as late.
    #[must_use]
    pub fn late(delay: f64) -> bool {
        delay > LATE_AFTER_MINUTES
    }
}

/// What one arrival teaches all scopes that it belongs to.
#[derive(Clone, Debug, PartialEq)]
pub struct Lesson {
    outcome: Outcome,
    corrections: Corrections,
}

impl Lesson {
    /// Compares an arrival with what its surroundings would have estimated just before it.
    #[must_use]
    pub fn of(outcome: &Outcome, around: &Surroundings<'_>) -> Self {
        let corrections = outcome.departure.map(|departure| {
            let loss = outcome.delay - departure.delay;
            Corrections::of(around, &departure, loss, outcome.arrived)
        });
        Self {
            outcome: *outcome,
            corrections: corrections.unwrap_or_default(),
        }
    }
}

impl History {
    /// Takes one arrival, as the history of a scope of this level.
    pub fn learn(&mut self, level: Level, lesson: &Lesson) {
        let outcome = &lesson.outcome;
        self.counts.add(outcome.is_late());
        self.delay.add(outcome.delay);
        self.planned.add(outcome.planned, ALPHA);
        lesson.corrections.apply(level, &mut self.effects);
        if let (Level::Lane, Some(travel)) = (level, outcome.travel()) {
            self.travel.add(travel);
        }
        if level == Level::Origin {
            self.hours.resize(HOURS, Counts::default());
            self.hours[planned_hour(outcome.planned_departure)].add(outcome.is_late());
        }
        if let Some(departure) = outcome.departure {
            self.departures[departure_class(departure.delay)].add(outcome.is_late());
        }
        if let Some(error) = outcome.error_at_creation {
            self.errors_at_creation.learn(error);
        }
        if let Some(error) = outcome.error_in_transit {
            self.errors_in_transit.learn(error);
            self.estimates[class(&ESTIMATE_CLASSES, outcome.delay - error.minutes)].add(outcome.is_late());
        }
    }
}

impl History {
    /// Takes the time that a shipment has spent in one status, as the history of its lane.
    pub fn stayed(&mut self, stay: Stay) {
        self.stays.entry(stay.status).or_default().add(stay.minutes);
    }
}

/// The class of a departure delay.
#[must_use]
pub fn departure_class(minutes: f64) -> usize {
    class(&DEPARTURE_CLASSES, minutes)
}

/// The hour of the day, UTC.
pub(crate) fn planned_hour(departure: DateTime<Utc>) -> usize {
    usize::try_from(departure.hour()).unwrap_or_default()
}

fn class(bounds: &[f64], minutes: f64) -> usize {
    bounds
        .iter()
        .position(|bound| minutes <= *bound)
        .unwrap_or(bounds.len())
}

/// What is known of a shipment's surroundings.
#[derive(Clone, Copy, Debug)]
pub struct Surroundings<'a>(PerLevel<&'a History>);

impl<'a> Surroundings<'a> {
    /// What is known of each scope, in the order of [`Level::ALL`].
    #[must_use]
    pub const fn new(histories: PerLevel<&'a History>) -> Self {
        Self(histories)
    }

    /// What is known of the scope of this level.
    #[must_use]
    pub const fn at(&self, level: Level) -> &'a History {
        self.0[level as usize]
    }

    /// A value read from wide to narrow: each scope moves it by as much as its number of observations deserves, from what
    /// is assumed before any.
    pub(crate) fn blend(&self, assumed: f64, value_of: impl Fn(&History) -> Option<(f64, u32)>) -> f64 {
        let scopes = [Level::Overall, Level::Carrier, Level::Route, Level::Lane];
        scopes
            .into_iter()
            .fold(assumed, |wider, level| match value_of(self.at(level)) {
                Some((value, count)) => {
                    let count = f64::from(count);
                    (count * value + SHRINK_ARRIVALS * wider) / (count + SHRINK_ARRIVALS)
                }
                None => wider,
            })
    }

    /// The size that errors have here.
    pub(crate) fn error_size(&self, errors_of: fn(&History) -> &Errors) -> f64 {
        let size = self.blend(FIRST_SIZE, |history| {
            let size = errors_of(history).size;
            Some((size.mean, size.count))
        });
        size.max(LEAST_SIZE)
    }
}
