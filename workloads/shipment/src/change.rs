//! Decides what a request does to a shipment. Pure: the clock and fresh ids come in.

use chrono::{DateTime, Utc};
use logistics_chassis::errors::ServiceError;
use logistics_chassis::identity::Principal;
use logistics_domain::status::{Classifier, Disposition, Report, State, Status, decide};
use uuid::Uuid;

use crate::model::{Change, Event, Order, Shipment};
use crate::request::{Cancellation, Scan};

/// Who does it, and when; `event_id` is fresh.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Act<'a> {
    pub(crate) principal: &'a Principal,
    pub(crate) now: DateTime<Utc>,
    pub(crate) event_id: Uuid,
}

pub(crate) fn create(order: Order, shipment_id: Uuid, act: Act<'_>) -> Change {
    let shipment = Shipment {
        id: shipment_id,
        account_id: act.principal.account_id.clone(),
        created_by: act.principal.subject.clone(),
        order,
        state: State::CREATED,
        seq: 1,
        created_at: act.now,
        updated_at: act.now,
    };
    let event = Event {
        id: act.event_id,
        seq: shipment.seq,
        reported: Status::Created,
        classifier: Classifier::Actual,
        disposition: Disposition::Applied,
        occurred_at: act.now,
        recorded_at: act.now,
        location: Some(shipment.order.origin.clone()),
        reason: String::new(),
        actor: act.principal.subject.clone(),
    };
    Change { shipment, event }
}

/// A scan is always kept; whether it moves the status is in its disposition.
pub(crate) fn record(shipment: Shipment, scan: Scan, act: Act<'_>) -> Change {
    let decision = decide(&shipment.state, &scan.report);
    let seq = shipment.seq + 1;
    Change {
        event: Event {
            id: act.event_id,
            seq,
            reported: scan.report.status,
            classifier: scan.report.classifier,
            disposition: decision.disposition,
            occurred_at: scan.report.occurred_at,
            recorded_at: act.now,
            location: scan.location,
            reason: scan.reason,
            actor: act.principal.subject.clone(),
        },
        shipment: Shipment {
            state: decision.state,
            seq,
            updated_at: act.now,
            ..shipment
        },
    }
}

/// A cancellation is an order, not an observation: what cannot be cancelled is left as it is.
pub(crate) fn cancel(
    shipment: Shipment,
    cancellation: Cancellation,
    act: Act<'_>,
) -> Result<Change, ServiceError> {
    let status = shipment.state.status;
    if !shipment.state.allows(Status::Cancelled) {
        return Err(ServiceError::Precondition {
            reason: "NOT_CANCELLABLE",
            message: format!(
                "the shipment is {status}; only one that has not been picked up can be cancelled"
            ),
        });
    }
    // It takes effect now, whatever times scans have claimed.
    let occurred_at = shipment
        .state
        .newest_applied
        .map_or(act.now, |newest| newest.max(act.now));
    let scan = Scan {
        shipment_id: cancellation.shipment_id,
        report: Report {
            status: Status::Cancelled,
            classifier: Classifier::Actual,
            occurred_at,
        },
        location: None,
        reason: cancellation.reason,
    };
    Ok(record(shipment, scan, act))
}

#[cfg(test)]
mod tests {
    use logistics_chassis::codec::Location;
    use logistics_chassis::identity::Role;

    use super::*;

    fn principal() -> Principal {
        Principal {
            subject: "ann".to_owned(),
            account_id: "acme".to_owned(),
            roles: vec![Role::Admin],
        }
    }

    fn time(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(seconds, 0).unwrap()
    }

    fn act(principal: &Principal, seconds: i64) -> Act<'_> {
        Act {
            principal,
            now: time(seconds),
            event_id: Uuid::now_v7(),
        }
    }

    fn created(principal: &Principal) -> Shipment {
        let place = |code: &str| Location {
            code: code.to_owned(),
            facility: String::new(),
        };
        let order = Order {
            carrier: "UA".to_owned(),
            tracking_number: "1".to_owned(),
            origin: place("EWR"),
            destination: place("IAH"),
            planned_departure: time(100),
            promised_arrival: time(200),
        };
        create(order, Uuid::now_v7(), act(principal, 50)).shipment
    }

    fn scan(shipment: &Shipment, status: Status, seconds: i64) -> Scan {
        Scan {
            shipment_id: shipment.id,
            report: Report {
                status,
                classifier: Classifier::Actual,
                occurred_at: time(seconds),
            },
            location: None,
            reason: String::new(),
        }
    }

    #[test]
    fn a_late_scan_is_kept_and_moves_nothing() {
        let ann = principal();
        let shipment = created(&ann);
        let first = scan(&shipment, Status::PickedUp, 100);
        let shipment = record(shipment, first, act(&ann, 110)).shipment;
        let late = scan(&shipment, Status::InTransit, 90);
        let change = record(shipment, late, act(&ann, 120));
        assert_eq!(change.event.disposition, Disposition::Late);
        assert_eq!(change.event.seq, 3);
        assert_eq!(change.shipment.seq, 3);
        assert_eq!(change.shipment.state.status, Status::PickedUp);
        assert_eq!(change.status_changed().status, Status::PickedUp);
        assert_eq!(change.status_changed().reported, Status::InTransit);
    }

    #[test]
    fn what_is_picked_up_is_not_cancelled() {
        let ann = principal();
        let shipment = created(&ann);
        let cancellation = Cancellation {
            shipment_id: shipment.id,
            reason: "customer_request".to_owned(),
        };
        let cancelled = cancel(shipment.clone(), cancellation.clone(), act(&ann, 60)).unwrap();
        assert_eq!(cancelled.shipment.state.status, Status::Cancelled);
        assert_eq!(cancelled.event.disposition, Disposition::Applied);

        let pickup = scan(&shipment, Status::PickedUp, 100);
        let shipment = record(shipment, pickup, act(&ann, 110)).shipment;
        let refused = cancel(shipment, cancellation, act(&ann, 120));
        assert!(matches!(
            refused,
            Err(ServiceError::Precondition {
                reason: "NOT_CANCELLABLE",
                ..
            })
        ));
    }

    #[test]
    fn a_cancellation_outranks_a_scan_from_the_future() {
        let ann = principal();
        let shipment = created(&ann);
        let trouble = scan(&shipment, Status::Exception, 9_000);
        let shipment = record(shipment, trouble, act(&ann, 110)).shipment;
        let cancellation = Cancellation {
            shipment_id: shipment.id,
            reason: String::new(),
        };
        let change = cancel(shipment, cancellation, act(&ann, 120)).unwrap();
        assert_eq!(change.shipment.state.status, Status::Cancelled);
    }
}
