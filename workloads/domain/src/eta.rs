//! When a shipment arrives: the promise, corrected by what its lane usually does; once it has left, how late it
//! left, and what it is going to lose or gain under way. Both with an interval that holds nine of ten arrivals.

use serde::{Deserialize, Serialize};

use crate::history::{Errors, EstimateError, History, Surroundings};
use crate::scope::Level;
use crate::transit::{Departure, expected_loss};

/// An estimated delay against the promise, in minutes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The estimate.
    pub delay: f64,
    /// Earliest of the interval.
    pub low: f64,
    /// Latest of the interval.
    pub high: f64,
}

impl Estimate {
    /// Whether the interval holds this delay.
    #[must_use]
    pub fn covers(&self, delay: f64) -> bool {
        (self.low..=self.high).contains(&delay)
    }

    /// How wrong it was, now that the delay is known.
    #[must_use]
    pub fn error(&self, delay: f64) -> EstimateError {
        EstimateError {
            minutes: delay - self.delay,
            below: delay < self.low,
            above: delay > self.high,
        }
    }
}

/// The estimate for a shipment that has not left.
#[must_use]
pub fn at_creation(surroundings: &Surroundings<'_>) -> Estimate {
    let delay = surroundings.blend(0.0, |history| {
        Some((history.delay.quantile(0.5)?, history.delay.weight()))
    });
    with_interval(delay, surroundings, |history| &history.errors_at_creation)
}

/// The estimate for a shipment that left like this.
#[must_use]
pub fn in_transit(surroundings: &Surroundings<'_>, departure: &Departure) -> Estimate {
    let loss = expected_loss(surroundings, departure, departure.at);
    with_interval(departure.delay + loss, surroundings, |history| {
        &history.errors_in_transit
    })
}

fn with_interval(delay: f64, around: &Surroundings<'_>, errors_of: fn(&History) -> &Errors) -> Estimate {
    let size = around.error_size(errors_of);
    let bounds = errors_of(around.at(Level::Overall));
    Estimate {
        delay,
        low: delay + size * bounds.low.min(0.0),
        high: delay + size * bounds.high.max(0.0),
    }
}
