//! Decides what a request does to a shipment. Pure: the clock and fresh ids come in.

use chrono::{DateTime, TimeDelta, Utc};
use logistics_chassis::errors::ServiceError;
use logistics_chassis::identity::Principal;
use logistics_domain::ledger::{Fact, Report, State};
use logistics_domain::status::{Classifier, Disposition, Kind, Status};
use uuid::Uuid;

use crate::history::History;
use crate::model::{Change, Event, Order, Shipment};
use crate::request::{Assignment, Instruction, Retraction, Scan};

/// Who does it, and when; `event_id` is fresh.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Act<'a> {
    pub(crate) principal: &'a Principal,
    pub(crate) now: DateTime<Utc>,
    pub(crate) event_id: Uuid,
}

impl Act<'_> {
    /// An event that says nothing yet of a shipment with this status.
    fn event(&self, seq: i64, kind: Kind, status: Status) -> Event {
        Event {
            id: self.event_id,
            seq,
            kind,
            reported: status,
            classifier: Classifier::Actual,
            disposition: Disposition::Informational,
            occurred_at: self.now,
            recorded_at: self.now,
            location: None,
            reason: String::new(),
            actor: self.principal.subject.clone(),
            retracts: None,
            notice: None,
            proof: None,
            assignee: String::new(),
        }
    }
}

/// The shipment with its next event.
fn next(shipment: Shipment, state: State, event: Event) -> Change {
    Change {
        shipment: Shipment {
            state,
            seq: event.seq,
            updated_at: event.recorded_at,
            ..shipment
        },
        event,
    }
}

pub(crate) fn create(order: Order, shipment_id: Uuid, act: Act<'_>) -> Change {
    let event = Event {
        disposition: Disposition::Applied,
        location: Some(order.origin.clone()),
        ..act.event(1, Kind::Order, Status::Created)
    };
    let shipment = Shipment {
        id: shipment_id,
        account_id: act.principal.account_id.clone(),
        created_by: act.principal.subject.clone(),
        order,
        state: State::CREATED,
        assignee: String::new(),
        seq: event.seq,
        created_at: act.now,
        updated_at: act.now,
    };
    Change { shipment, event }
}

/// A scan is always kept; what it does to the status is in its disposition. What is not newer than all before needs the
/// history.
pub(crate) fn record(
    shipment: Shipment,
    history: Option<&History>,
    scan: Scan,
    act: Act<'_>,
) -> Result<Change, ServiceError> {
    let seq = shipment.seq + 1;
    let decision = match shipment.state.decide(&scan.report) {
        Some(decision) => decision,
        None => known(history)?.ledger().decide(seq, &scan.report),
    };
    let (kind, reported, notice) = match scan.report.fact {
        Fact::Status(status) => (Kind::Scan, status, None),
        Fact::Delay(notice) => (Kind::Delay, decision.state.status, notice),
    };
    let event = Event {
        classifier: scan.report.classifier,
        disposition: decision.disposition,
        occurred_at: scan.report.occurred_at,
        location: scan.location,
        reason: scan.reason,
        notice,
        proof: scan.proof,
        ..act.event(seq, kind, reported)
    };
    Ok(next(shipment, decision.state, event))
}

/// A cancellation is an order, not an observation: what cannot be cancelled is left as it is.
pub(crate) fn cancel(
    shipment: Shipment,
    instruction: Instruction,
    act: Act<'_>,
) -> Result<Change, ServiceError> {
    if !shipment.state.allows(Status::Cancelled) {
        return Err(refused(
            "NOT_CANCELLABLE",
            &shipment,
            "only one that has not been picked up can be cancelled",
        ));
    }
    order(shipment, Status::Cancelled, instruction, act)
}

/// So is a return.
pub(crate) fn send_back(
    shipment: Shipment,
    instruction: Instruction,
    act: Act<'_>,
) -> Result<Change, ServiceError> {
    if !shipment.state.allows(Status::Returning) {
        return Err(refused(
            "NOT_RETURNABLE",
            &shipment,
            "only one that the carrier has and is not just delivering can be sent back",
        ));
    }
    order(shipment, Status::Returning, instruction, act)
}

/// It takes effect now, whatever times scans have claimed.
fn order(
    shipment: Shipment,
    status: Status,
    instruction: Instruction,
    act: Act<'_>,
) -> Result<Change, ServiceError> {
    let after = |seen: DateTime<Utc>| act.now.max(seen + TimeDelta::microseconds(1));
    let report = Report {
        fact: Fact::Status(status),
        classifier: Classifier::Actual,
        occurred_at: shipment.state.newest_seen.map_or(act.now, after),
    };
    let scan = Scan {
        shipment_id: instruction.shipment_id,
        report,
        location: None,
        reason: instruction.reason,
        proof: None,
    };
    let mut change = record(shipment, None, scan, act)?;
    change.event.kind = Kind::Order;
    Ok(change)
}

/// Takes an event back. Both stay; the shipment is where it would be without it.
pub(crate) fn retract(
    shipment: Shipment,
    history: Option<&History>,
    retraction: Retraction,
    act: Act<'_>,
) -> Result<Change, ServiceError> {
    let history = known(history)?;
    let id = retraction.event_id;
    let retracted = history.find(id).ok_or_else(|| ServiceError::NotFound {
        what: "event",
        id: id.to_string(),
    })?;
    let why_not = match retracted.kind {
        _ if history.is_retracted(id) => Some("it was taken back before"),
        _ if retracted.seq == 1 => Some("it is the shipment's creation; cancel the shipment instead"),
        Kind::Retraction => Some("it is a retraction; record the event again instead"),
        Kind::Assignment => Some("it is an assignment; assign the shipment again instead"),
        Kind::Scan | Kind::Order | Kind::Delay => None,
    };
    if let Some(why) = why_not {
        return Err(ServiceError::Precondition {
            reason: "NOT_RETRACTABLE",
            message: format!("event {id} cannot be taken back: {why}"),
        });
    }
    let mut ledger = history.ledger();
    ledger.retract(retracted.seq);
    let event = Event {
        classifier: retracted.classifier,
        reason: retraction.reason,
        retracts: Some(id),
        ..act.event(shipment.seq + 1, Kind::Retraction, retracted.reported)
    };
    Ok(next(shipment, ledger.state(), event))
}

pub(crate) fn assign(
    shipment: Shipment,
    assignment: Assignment,
    act: Act<'_>,
) -> Result<Change, ServiceError> {
    let state = shipment.state;
    if state.status.is_terminal() {
        return Err(refused(
            "NOT_ASSIGNABLE",
            &shipment,
            "nobody has to carry it any more",
        ));
    }
    let event = Event {
        assignee: assignment.assignee.clone(),
        ..act.event(shipment.seq + 1, Kind::Assignment, state.status)
    };
    let shipment = Shipment {
        assignee: assignment.assignee,
        ..shipment
    };
    Ok(next(shipment, state, event))
}

fn refused(reason: &'static str, shipment: &Shipment, why: &str) -> ServiceError {
    let status = shipment.state.status;
    ServiceError::Precondition {
        reason,
        message: format!("the shipment is {status}; {why}"),
    }
}

fn known(history: Option<&History>) -> Result<&History, ServiceError> {
    history.ok_or_else(|| ServiceError::internal("decide", "the shipment's history was not read"))
}

#[cfg(test)]
mod tests;
