//! What an event teaches, as a record of the log: one for each event that does.

use chrono::{DateTime, Utc};
use logistics_chassis::codec::{Arrival, ShipmentObserved};
use logistics_domain::eta::Estimate;
use logistics_domain::history::Outcome;
use logistics_domain::journey::{Journey, Stay};

use crate::histories::Keys;
use crate::shipments::Shipment;

/// What a shipment's event at `seq` teaches: a stay that has ended, a journey that has. `None` when it is neither.
pub(crate) fn of_event(
    shipment: &Shipment,
    (seq, recorded_at): (i64, DateTime<Utc>),
    stay: Option<Stay>,
    has_arrived: bool,
) -> Option<ShipmentObserved> {
    let arrival = has_arrived.then(|| arrival_of(&shipment.journey)).flatten();
    if stay.is_none() && arrival.is_none() {
        return None;
    }
    Some(ShipmentObserved {
        shipment_id: shipment.id,
        seq,
        account_id: shipment.account_id.clone(),
        carrier: shipment.carrier.clone(),
        origin: shipment.origin.clone(),
        destination: shipment.destination.clone(),
        stay,
        arrival,
        recorded_at,
    })
}

fn arrival_of(journey: &Journey) -> Option<Arrival> {
    Some(Arrival {
        planned_departure: journey.planned_departure,
        promised_arrival: journey.promised_arrival,
        departed_at: journey.departed,
        arrived_at: journey.arrived?,
        at_creation: journey.at_creation,
        in_transit: journey.in_transit,
    })
}

/// The histories that it belongs to.
pub(crate) fn keys_of(observed: &ShipmentObserved) -> Keys {
    Keys::new(
        &observed.account_id,
        &observed.carrier,
        &observed.origin,
        &observed.destination,
    )
}

/// How the journey went, if it has ended.
pub(crate) fn outcome_of(observed: &ShipmentObserved) -> Option<Outcome> {
    let arrival = observed.arrival.as_ref()?;
    let journey = Journey {
        departed: arrival.departed_at,
        arrived: Some(arrival.arrived_at),
        at_creation: arrival.at_creation,
        in_transit: arrival.in_transit,
        ..Journey::new(arrival.planned_departure, arrival.promised_arrival)
    };
    journey.outcome()
}

/// Why nothing can be learned from it, whoever has written it: histories keep neither zero bytes nor what is no number.
pub(crate) fn defect_of(observed: &ShipmentObserved) -> Option<String> {
    let texts = [
        ("account_id", &observed.account_id),
        ("carrier", &observed.carrier),
        ("origin", &observed.origin),
        ("destination", &observed.destination),
    ];
    if let Some((field, _)) = texts.into_iter().find(|(_, text)| text.contains('\0')) {
        return Some(format!("{field} holds a zero byte, which PostgreSQL cannot keep"));
    }
    let of_estimate = |estimate: Estimate| [estimate.delay, estimate.low, estimate.high];
    let arrival = observed.arrival.as_ref();
    let numbers = arrival
        .into_iter()
        .flat_map(|arrival| [arrival.at_creation, arrival.in_transit])
        .flatten()
        .flat_map(of_estimate)
        .chain(observed.stay.map(|stay| stay.minutes));
    numbers
        .into_iter()
        .any(|number| !number.is_finite())
        .then(|| "a number of minutes is not finite".to_owned())
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use logistics_domain::journey::Milestone;
    use logistics_domain::status::{Classifier, Disposition, Status};
    use uuid::Uuid;

    use super::*;
    use crate::histories::Histories;

    fn arrived() -> Shipment {
        let start = DateTime::UNIX_EPOCH + TimeDelta::days(16_000);
        let histories = Histories::default();
        let keys = Keys::new("acct", "UA", "EWR", "IAH");
        let mut journey = Journey::new(start, start + TimeDelta::hours(2));
        let mut assessment = journey.assess(&histories.around(&keys));
        for (status, minutes, milestone) in [
            (Status::InTransit, 12, Milestone::Departed),
            (Status::AvailableForPickup, 140, Milestone::Arrived),
        ] {
            let at = start + TimeDelta::minutes(minutes);
            let reached = journey.observe(status, Classifier::Actual, Disposition::Applied, at);
            assert_eq!(reached, Some(milestone));
            if milestone == Milestone::Departed {
                assessment = journey.assess(&histories.around(&keys));
            }
        }
        Shipment {
            id: Uuid::from_u128(7),
            account_id: "acct".to_owned(),
            carrier: "UA".to_owned(),
            origin: "EWR".to_owned(),
            destination: "IAH".to_owned(),
            journey,
            seq: 2,
            assessment,
        }
    }

    const SCAN: (i64, DateTime<Utc>) = (3, DateTime::UNIX_EPOCH);
    const STAY: Stay = Stay {
        status: Status::InTransit,
        minutes: 128.0,
    };

    #[test]
    fn what_is_learned_from_the_log_is_what_the_journey_teaches() {
        let shipment = arrived();
        let observed = of_event(&shipment, SCAN, Some(STAY), true).expect("it has arrived");
        assert_eq!(outcome_of(&observed), shipment.journey.outcome());
        assert_eq!(keys_of(&observed), shipment.keys());
        assert_eq!((observed.seq, observed.stay), (3, Some(STAY)));
        assert_eq!(defect_of(&observed), None);
    }

    #[test]
    fn an_event_that_teaches_nothing_is_not_told() {
        let shipment = arrived();
        assert_eq!(of_event(&shipment, SCAN, None, false), None);
    }

    #[test]
    fn what_cannot_be_kept_is_named() {
        let shipment = arrived();
        let good = of_event(&shipment, SCAN, Some(STAY), true).expect("it has arrived");
        let zero = ShipmentObserved {
            carrier: "U\0".to_owned(),
            ..good.clone()
        };
        assert_eq!(
            defect_of(&zero).as_deref(),
            Some("carrier holds a zero byte, which PostgreSQL cannot keep")
        );
        let no_number = ShipmentObserved {
            stay: Some(Stay {
                minutes: f64::NAN,
                ..STAY
            }),
            ..good
        };
        assert_eq!(
            defect_of(&no_number).as_deref(),
            Some("a number of minutes is not finite")
        );
    }
}
