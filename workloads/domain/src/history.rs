//! What has been learned from arrivals, in fixed space: per lane, per route, per carrier and overall.
//!
//! A lane with few arrivals says little. It is therefore read together with the wider scopes around it: each narrower
//! one moves the answer by as much as its number of arrivals deserves (shrinkage).

use serde::{Deserialize, Serialize};

use crate::quantile::{Ewma, Sketch, Tracker};

/// A shipment is late when it arrives more than this many minutes after its promise.
pub const LATE_AFTER_MINUTES: f64 = 15.0;
/// As many arrivals as a narrower scope needs to count as much as the wider one.
pub const SHRINK_ARRIVALS: f64 = 10.0;
/// Weight of the newest value in means that forget.
const ALPHA: f64 = 0.05;
/// A residual beyond this says that something else happened (a diversion, a wrong scan); it counts as this much.
const MAX_RESIDUAL_MINUTES: f64 = 90.0;
/// Share of arrivals that an interval should hold.
pub const COVERAGE: f64 = 0.9;
/// Errors that are assumed while nothing has arrived yet: early and late, in minutes.
const FIRST_ERRORS: (f64, f64) = (-30.0, 40.0);
/// After as many errors, the bounds are set by their mean size; from then on they are tracked.
const CALIBRATE_AT: u32 = 30;
/// The 95 % quantile of an error's size over its mean, between that of the normal (2.06) and the Laplace distribution.
const TAIL_OVER_MEAN: f64 = 2.2;
/// Step of the interval's bounds, as a share of the typical error.
const STEP: f64 = 0.15;
/// The first steps are larger, and shrink to [`STEP`] with the root of the number of arrivals.
const FIRST_STEPS: f64 = 2.5;
/// Upper bounds of the classes of departure delays, in minutes; the last class has none.
pub const DEPARTURE_CLASSES: [f64; 9] = [-5.0, 0.0, 5.0, 10.0, 15.0, 20.0, 30.0, 45.0, 75.0];

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

/// Bounds of an estimate's error that hold nine of ten, learned by an adaptive conformal update.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ErrorBounds {
    /// The 5 % quantile of (arrival - estimate), in minutes.
    pub low: Tracker,
    /// The 95 % quantile.
    pub high: Tracker,
    /// Mean absolute error.
    pub size: Ewma,
}

impl Default for ErrorBounds {
    fn default() -> Self {
        Self {
            low: Tracker {
                value: FIRST_ERRORS.0,
            },
            high: Tracker {
                value: FIRST_ERRORS.1,
            },
            size: Ewma::default(),
        }
    }
}

impl ErrorBounds {
    /// Takes the error of an estimate: arrival - estimate, in minutes.
    pub fn learn(&mut self, error: f64) {
        self.size.add(error.abs(), ALPHA);
        if self.size.count == CALIBRATE_AT {
            let reach = TAIL_OVER_MEAN * self.size.mean;
            (self.low.value, self.high.value) = (-reach, reach);
            return;
        }
        let step = self.size.mean.max(1.0) * STEP.max(FIRST_STEPS / f64::from(self.size.count).sqrt());
        let tail = (1.0 - COVERAGE) / 2.0;
        self.low.update(tail, error, step);
        self.high.update(1.0 - tail, error, step);
    }
}

/// What one scope has learned.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct History {
    /// Arrivals and late ones.
    pub counts: Counts,
    /// Arrival - promise, in minutes.
    pub delay: Sketch,
    /// The part of the delay that the departure does not explain.
    pub residual: Ewma,
    /// Minutes from planned departure to promised arrival.
    pub planned: Ewma,
    /// Errors of estimates made at creation.
    pub at_creation: ErrorBounds,
    /// Errors of estimates made in transit.
    pub in_transit: ErrorBounds,
    /// Arrivals by class of departure delay, see [`DEPARTURE_CLASSES`].
    pub departures: [Counts; DEPARTURE_CLASSES.len() + 1],
}

/// One arrival, in minutes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outcome {
    /// Arrival - promise.
    pub delay: f64,
    /// Departure - planned departure, where it was seen.
    pub departure_delay: Option<f64>,
    /// Planned departure to promised arrival.
    pub planned: f64,
    /// Arrival - the estimate made at creation, where one was made.
    pub error_at_creation: Option<f64>,
    /// Arrival - the last estimate made in transit, where one was made.
    pub error_in_transit: Option<f64>,
}

impl Outcome {
    /// Whether it counts as late.
    #[must_use]
    pub fn is_late(&self) -> bool {
        self.delay > LATE_AFTER_MINUTES
    }
}

impl History {
    /// Takes one arrival.
    pub fn learn(&mut self, outcome: &Outcome) {
        self.counts.add(outcome.is_late());
        self.delay.add(outcome.delay);
        self.planned.add(outcome.planned, ALPHA);
        if let Some(departure) = outcome.departure_delay {
            let residual = (outcome.delay - departure).clamp(-MAX_RESIDUAL_MINUTES, MAX_RESIDUAL_MINUTES);
            self.residual.add(residual, ALPHA);
            self.departures[departure_class(departure)].add(outcome.is_late());
        }
        if let Some(error) = outcome.error_at_creation {
            self.at_creation.learn(error);
        }
        if let Some(error) = outcome.error_in_transit {
            self.in_transit.learn(error);
        }
    }
}

/// The class of a departure delay.
#[must_use]
pub fn departure_class(minutes: f64) -> usize {
    DEPARTURE_CLASSES
        .iter()
        .position(|bound| minutes <= *bound)
        .unwrap_or(DEPARTURE_CLASSES.len())
}

/// What is known of a shipment's surroundings, from narrow to wide.
#[derive(Clone, Copy, Debug)]
pub struct Surroundings<'a> {
    /// Carrier, origin and destination.
    pub lane: &'a History,
    /// Origin and destination, all carriers.
    pub route: &'a History,
    /// The carrier, all routes.
    pub carrier: &'a History,
    /// Everything.
    pub overall: &'a History,
}

impl Surroundings<'_> {
    /// A value read from wide to narrow: each scope moves it by as much as its number of observations deserves.
    pub(crate) fn blend(&self, value_of: impl Fn(&History) -> Option<(f64, u32)>) -> f64 {
        let scopes = [self.overall, self.carrier, self.route, self.lane];
        scopes
            .into_iter()
            .fold(0.0, |wider, scope| match value_of(scope) {
                Some((value, count)) => {
                    let count = f64::from(count);
                    (count * value + SHRINK_ARRIVALS * wider) / (count + SHRINK_ARRIVALS)
                }
                None => wider,
            })
    }
}
