//! A shipment as the estimates see it: when it was to leave and to arrive, when it did, and what was estimated.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::eta::{self, Estimate};
use crate::history::{Outcome, Surroundings};
use crate::risk::{self, Risk};
use crate::status::{Classifier, Disposition, Status};
use crate::transit::Departure;

/// One shipment's plan, what happened so far, and the estimates made.
#[derive(Clone, Debug, PartialEq)]
pub struct Journey {
    /// When the carrier meant to leave.
    pub planned_departure: DateTime<Utc>,
    /// When the carrier meant to arrive.
    pub promised_arrival: DateTime<Utc>,
    /// When it left.
    pub departed: Option<DateTime<Utc>>,
    /// When it arrived.
    pub arrived: Option<DateTime<Utc>>,
    /// The estimate made at creation.
    pub at_creation: Option<Estimate>,
    /// The estimate made in transit.
    pub in_transit: Option<Estimate>,
    /// The status; `None` where it is not known yet.
    pub status: Option<Status>,
    /// When the status was reached; `None` where no event has said it.
    pub status_since: Option<DateTime<Utc>>,
}

/// A time spent in one status.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stay {
    /// The status.
    pub status: Status,
    /// How long.
    pub minutes: f64,
}

/// What an event means for the estimates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Milestone {
    /// It left: estimate again.
    Departed,
    /// It arrived: learn.
    Arrived,
}

/// A risk and an arrival.
#[derive(Clone, Debug, PartialEq)]
pub struct Assessment {
    /// The risk.
    pub risk: Risk,
    /// The estimated arrival.
    pub estimated: DateTime<Utc>,
    /// Earliest of the interval that holds nine of ten.
    pub earliest: DateTime<Utc>,
    /// Latest of it.
    pub latest: DateTime<Utc>,
}

impl Journey {
    /// A journey that has not begun.
    #[must_use]
    pub const fn new(planned_departure: DateTime<Utc>, promised_arrival: DateTime<Utc>) -> Self {
        Self {
            planned_departure,
            promised_arrival,
            departed: None,
            arrived: None,
            at_creation: None,
            in_transit: None,
            status: Some(Status::Created),
            status_since: None,
        }
    }

    /// Takes the status that the shipment has after an event; gives the stay that has thereby ended. That between order and
    /// first scan is none: it says how early it was ordered.
    pub fn reach(&mut self, status: Status, at: DateTime<Utc>) -> Option<Stay> {
        if self.status == Some(status) {
            return None;
        }
        let former = self.status.replace(status);
        let since = self.status_since.replace(at);
        let minutes = minutes(at - since?);
        // An event that was taken back may have been newer than this one.
        (minutes >= 0.0).then_some(Stay {
            status: former?,
            minutes,
        })
    }

    /// Takes an event. Only what happened and moved the status counts, each milestone once: the first scan in transit
    /// is the departure, the first that says the recipient can have it (or has it) is the arrival.
    pub fn observe(
        &mut self,
        reported: Status,
        classifier: Classifier,
        disposition: Disposition,
        occurred_at: DateTime<Utc>,
    ) -> Option<Milestone> {
        if classifier != Classifier::Actual || disposition != Disposition::Applied || self.arrived.is_some() {
            return None;
        }
        match reported {
            Status::InTransit if self.departed.is_none() => {
                self.departed = Some(occurred_at);
                Some(Milestone::Departed)
            }
            Status::AvailableForPickup | Status::Delivered => {
                self.arrived = Some(occurred_at);
                Some(Milestone::Arrived)
            }
            _ => None,
        }
    }

    /// How it left.
    #[must_use]
    pub fn departure(&self) -> Option<Departure> {
        self.departed.map(|at| Departure {
            delay: minutes(at - self.planned_departure),
            planned: self.planned_minutes(),
            at,
        })
    }

    /// Minutes from planned departure to promised arrival.
    #[must_use]
    pub fn planned_minutes(&self) -> f64 {
        minutes(self.promised_arrival - self.planned_departure)
    }

    /// Estimates and scores it as it now stands, and remembers the estimate.
    pub fn assess(&mut self, around: &Surroundings<'_>) -> Assessment {
        let planned = self.planned_minutes();
        let (estimate, risk) = if let Some(departure) = self.departure() {
            let estimate = *self.in_transit.insert(eta::in_transit(around, &departure));
            (
                estimate,
                risk::in_transit(around, departure.delay, estimate.delay),
            )
        } else {
            let estimate = *self.at_creation.insert(eta::at_creation(around));
            (
                estimate,
                risk::at_creation(around, self.planned_departure, planned),
            )
        };
        Assessment {
            risk,
            estimated: self.at_delay(estimate.delay),
            earliest: self.at_delay(estimate.low),
            latest: self.at_delay(estimate.high),
        }
    }

    /// What the arrival teaches; `None` before it.
    #[must_use]
    pub fn outcome(&self) -> Option<Outcome> {
        let arrived = self.arrived?;
        let delay = minutes(arrived - self.promised_arrival);
        let error = |estimate: Estimate| estimate.error(delay);
        Some(Outcome {
            planned_departure: self.planned_departure,
            arrived,
            delay,
            departure: self.departure(),
            planned: self.planned_minutes(),
            error_at_creation: self.at_creation.map(error),
            error_in_transit: self.in_transit.map(error),
        })
    }

    fn at_delay(&self, minutes: f64) -> DateTime<Utc> {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "estimates are within weeks; the cast saturates"
        )]
        let delay = TimeDelta::try_milliseconds((minutes * 60_000.0).round() as i64);
        // Beyond the end of time, it is there: an interval keeps its order.
        let end = if minutes < 0.0 {
            DateTime::<Utc>::MIN_UTC
        } else {
            DateTime::<Utc>::MAX_UTC
        };
        delay
            .and_then(|delay| self.promised_arrival.checked_add_signed(delay))
            .unwrap_or(end)
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "seconds of shipments are far below 2^52"
)]
fn minutes(span: TimeDelta) -> f64 {
    span.num_seconds() as f64 / 60.0
}
