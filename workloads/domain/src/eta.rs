//! When a shipment arrives: the promise, corrected by what its lane usually does; once it has left, by how late it
//! left. Both with an interval that holds nine of ten arrivals.

use serde::{Deserialize, Serialize};

use crate::history::{ErrorBounds, History, Surroundings};

/// Arrivals that a scope needs before its own errors make the interval.
const OWN_INTERVAL_ARRIVALS: u32 = 100;

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
}

/// The estimate for a shipment that has not left.
#[must_use]
pub fn at_creation(surroundings: &Surroundings<'_>) -> Estimate {
    let delay = surroundings.blend(|history| Some((history.delay.quantile(0.5)?, history.delay.weight())));
    with_interval(delay, surroundings, |history| &history.at_creation)
}

/// The estimate for a shipment that left `departure_delay` minutes after its plan.
#[must_use]
pub fn in_transit(surroundings: &Surroundings<'_>, departure_delay: f64) -> Estimate {
    let residual = surroundings.blend(|history| Some((history.residual.mean, history.residual.count)));
    with_interval(departure_delay + residual, surroundings, |history| {
        &history.in_transit
    })
}

fn with_interval(delay: f64, around: &Surroundings<'_>, bounds_of: fn(&History) -> &ErrorBounds) -> Estimate {
    let own = [around.lane, around.route, around.carrier]
        .into_iter()
        .map(bounds_of)
        .find(|bounds| bounds.size.count >= OWN_INTERVAL_ARRIVALS);
    let bounds = own.unwrap_or_else(|| bounds_of(around.overall));
    Estimate {
        delay,
        low: delay + bounds.low.value.min(0.0),
        high: delay + bounds.high.value.max(0.0),
    }
}
