//! What is told of each leg, and in which order: pure.

use chrono::{DateTime, Duration, Utc};

use crate::Leg;

/// How long before its departure a parcel is handed in.
const HANDED_IN: Duration = Duration::hours(2);

/// One call of the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// When it happened.
    pub at: DateTime<Utc>,
    /// Index of the leg.
    pub leg: usize,
    /// What happened.
    pub what: What,
}

/// What happened to a leg.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum What {
    /// The shipment was ordered.
    Created,
    /// The aircraft left.
    Departed,
    /// The flight was cancelled; known when it should have left.
    Cancelled,
    /// The aircraft arrived.
    Arrived,
}

/// What a set of legs comes to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Totals {
    /// Legs, each of which is a shipment.
    pub shipments: u64,
    /// Events, creations included.
    pub events: u64,
    /// Legs that arrived.
    pub arrivals: u64,
    /// Legs that were cancelled.
    pub cancelled: u64,
}

/// All that happened to the legs, in the order of time.
#[must_use]
pub fn steps(legs: &[Leg]) -> Vec<Step> {
    let mut steps: Vec<Step> = legs
        .iter()
        .enumerate()
        .flat_map(|(index, leg)| of(index, leg))
        .collect();
    steps.sort_by_key(|step| (step.at, step.leg, step.what));
    steps
}

/// What the legs come to.
#[must_use]
pub fn totals(legs: &[Leg]) -> Totals {
    let mut totals = Totals::default();
    for step in steps(legs) {
        totals.events += 1;
        match step.what {
            What::Created => totals.shipments += 1,
            What::Arrived => totals.arrivals += 1,
            What::Cancelled => totals.cancelled += 1,
            What::Departed => {}
        }
    }
    totals
}

fn of(leg: usize, data: &Leg) -> impl Iterator<Item = Step> + use<> {
    let left = data.actual_departure.unwrap_or(data.planned_departure);
    let created = data.planned_departure.min(left) - HANDED_IN;
    let second = match data.actual_departure {
        Some(at) => Step {
            at,
            leg,
            what: What::Departed,
        },
        None => Step {
            at: data.planned_departure,
            leg,
            what: What::Cancelled,
        },
    };
    let arrived = data.actual_arrival.map(|at| Step {
        at,
        leg,
        what: What::Arrived,
    });
    [
        Step {
            at: created,
            leg,
            what: What::Created,
        },
        second,
    ]
    .into_iter()
    .chain(arrived)
}

#[cfg(test)]
mod tests {
    use What::{Arrived, Cancelled, Created, Departed};

    use super::*;

    fn leg(planned: &str, departure: Option<i64>, arrival: Option<i64>) -> Leg {
        let planned_departure: DateTime<Utc> = planned.parse().unwrap();
        let promised_arrival = planned_departure + Duration::hours(3);
        Leg {
            carrier: "UA".into(),
            flight: 1,
            origin: "EWR".into(),
            destination: "IAH".into(),
            planned_departure,
            promised_arrival,
            actual_departure: departure.map(|delay| planned_departure + Duration::minutes(delay)),
            actual_arrival: arrival.map(|delay| promised_arrival + Duration::minutes(delay)),
        }
    }

    #[test]
    fn legs_are_told_together_in_the_order_of_time() {
        let legs = [
            leg("2013-01-01T12:00:00Z", Some(180), Some(170)),
            leg("2013-01-01T13:00:00Z", Some(0), Some(5)),
            leg("2013-01-01T12:30:00Z", None, None),
        ];
        let told: Vec<_> = steps(&legs)
            .into_iter()
            .map(|step| (step.leg, step.what))
            .collect();
        let expected = [
            (0, Created),
            (2, Created),
            (1, Created),
            (2, Cancelled),
            (1, Departed),
            (0, Departed),
            (1, Arrived),
            (0, Arrived),
        ];
        assert_eq!(told, expected);
        let totals = totals(&legs);
        assert_eq!(
            (totals.shipments, totals.events, totals.arrivals, totals.cancelled),
            (3, 8, 2, 1)
        );
    }

    #[test]
    fn a_leg_that_left_early_was_created_before_it_left() {
        let told = steps(&[leg("2013-01-01T12:00:00Z", Some(-150), None)]);
        assert_eq!(told[0].what, What::Created);
        assert!(told[0].at < told[1].at);
    }
}
