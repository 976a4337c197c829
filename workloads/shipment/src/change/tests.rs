use logistics_chassis::codec::Location;
use logistics_chassis::identity::Role;
use logistics_domain::delay::DelayReason;

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

/// A shipment with all that was said of it.
struct Desk {
    ann: Principal,
    shipment: Shipment,
    history: History,
}

impl Desk {
    fn new() -> Self {
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
        let ann = principal();
        let act = Act {
            principal: &ann,
            now: time(50),
            event_id: Uuid::now_v7(),
        };
        let change = create(order, Uuid::now_v7(), act);
        Self {
            ann,
            shipment: change.shipment,
            history: [change.event].into_iter().collect(),
        }
    }

    /// Does something, `now` seconds after the beginning.
    fn act(
        &mut self,
        now: i64,
        what: impl FnOnce(Shipment, &History, Act<'_>) -> Result<Change, ServiceError>,
    ) -> Result<Change, ServiceError> {
        let act = Act {
            principal: &self.ann,
            now: time(now),
            event_id: Uuid::now_v7(),
        };
        let change = what(self.shipment.clone(), &self.history, act)?;
        assert_eq!(change.event.seq, self.shipment.seq + 1);
        assert_eq!(change.shipment.seq, change.event.seq);
        self.shipment = change.shipment.clone();
        self.history.push(change.event.clone());
        Ok(change)
    }

    fn report(&mut self, now: i64, fact: Fact, seconds: i64) -> Change {
        let scan = Scan {
            shipment_id: self.shipment.id,
            report: Report {
                fact,
                classifier: Classifier::Actual,
                occurred_at: time(seconds),
            },
            location: None,
            reason: String::new(),
            proof: None,
        };
        self.act(now, |shipment, history, act| {
            record(shipment, Some(history), scan, act)
        })
        .unwrap()
    }

    fn scan(&mut self, now: i64, status: Status, seconds: i64) -> Change {
        self.report(now, Fact::Status(status), seconds)
    }

    fn instruction(&self) -> Instruction {
        Instruction {
            shipment_id: self.shipment.id,
            reason: "customer_request".to_owned(),
        }
    }

    fn cancel(&mut self, now: i64) -> Result<Change, ServiceError> {
        let instruction = self.instruction();
        self.act(now, |shipment, _, act| cancel(shipment, instruction, act))
    }

    fn send_back(&mut self, now: i64) -> Result<Change, ServiceError> {
        let instruction = self.instruction();
        self.act(now, |shipment, _, act| send_back(shipment, instruction, act))
    }

    fn retract(&mut self, now: i64, event_id: Uuid) -> Result<Change, ServiceError> {
        let retraction = Retraction {
            shipment_id: self.shipment.id,
            event_id,
            reason: "did_not_occur".to_owned(),
        };
        self.act(now, |shipment, history, act| {
            retract(shipment, Some(history), retraction, act)
        })
    }

    fn assign(&mut self, now: i64, assignee: &str) -> Result<Change, ServiceError> {
        let assignment = Assignment {
            shipment_id: self.shipment.id,
            assignee: assignee.to_owned(),
        };
        self.act(now, |shipment, _, act| assign(shipment, assignment, act))
    }
}

fn refusal(outcome: Result<Change, ServiceError>) -> &'static str {
    match outcome {
        Err(ServiceError::Precondition { reason, .. }) => reason,
        Err(ServiceError::NotFound { what, .. }) => what,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_late_scan_is_kept_and_the_newest_status_stays() {
    let mut desk = Desk::new();
    desk.scan(110, Status::InTransit, 100);
    let change = desk.scan(120, Status::PickedUp, 90);
    assert_eq!(change.event.disposition, Disposition::Late);
    assert_eq!(change.event.seq, 3);
    assert_eq!(change.shipment.state.status, Status::InTransit);
    assert_eq!(change.status_changed().status, Status::InTransit);
    assert_eq!(change.status_changed().reported, Status::PickedUp);
}

#[test]
fn a_scan_that_was_missing_makes_the_newer_ones_count() {
    let mut desk = Desk::new();
    let early = desk.scan(110, Status::OutForDelivery, 105);
    assert_eq!(early.event.disposition, Disposition::Conflict);
    let late = desk.scan(120, Status::PickedUp, 100);
    assert_eq!(late.event.disposition, Disposition::Late);
    assert_eq!(late.status_changed().status, Status::OutForDelivery);
}

#[test]
fn what_is_picked_up_is_not_cancelled() {
    let mut desk = Desk::new();
    desk.scan(110, Status::PickedUp, 100);
    assert_eq!(refusal(desk.cancel(120)), "NOT_CANCELLABLE");

    let mut desk = Desk::new();
    let cancelled = desk.cancel(60).unwrap();
    assert_eq!(cancelled.shipment.state.status, Status::Cancelled);
    assert_eq!(
        (cancelled.event.kind, cancelled.event.disposition),
        (Kind::Order, Disposition::Applied)
    );
}

#[test]
fn a_cancellation_outranks_scans_from_the_future_and_late_ones() {
    let mut desk = Desk::new();
    desk.scan(110, Status::Exception, 9_000);
    let change = desk.cancel(120).unwrap();
    assert_eq!(change.shipment.state.status, Status::Cancelled);
    let late = desk.scan(130, Status::PickedUp, 100);
    assert_eq!(
        (late.event.disposition, late.shipment.state.status),
        (Disposition::Late, Status::Cancelled)
    );
    // The admin's correction.
    let back = desk.retract(140, change.event.id).unwrap();
    assert_eq!(back.shipment.state.status, Status::Exception);
}

#[test]
fn what_is_on_the_way_is_sent_back() {
    let mut desk = Desk::new();
    assert_eq!(refusal(desk.send_back(60)), "NOT_RETURNABLE");
    desk.scan(110, Status::InTransit, 100);
    let change = desk.send_back(120).unwrap();
    assert_eq!(change.shipment.state.status, Status::Returning);
    assert_eq!(
        (change.event.kind, change.event.occurred_at),
        (Kind::Order, time(120))
    );
    assert_eq!(refusal(desk.send_back(130)), "NOT_RETURNABLE");
    assert_eq!(
        desk.scan(200, Status::Returned, 190).shipment.state.status,
        Status::Returned
    );
}

#[test]
fn a_retraction_is_an_event_and_both_stay() {
    let mut desk = Desk::new();
    desk.scan(110, Status::InTransit, 100);
    desk.scan(120, Status::OutForDelivery, 115);
    let wrong = desk.scan(130, Status::Delivered, 125).event.id;
    let change = desk.retract(140, wrong).unwrap();
    assert_eq!(change.shipment.state.status, Status::OutForDelivery);
    let told = change.status_changed();
    assert_eq!((told.kind, told.retracts), (Kind::Retraction, Some(wrong)));
    assert_eq!(
        (told.reported, told.status, told.disposition),
        (
            Status::Delivered,
            Status::OutForDelivery,
            Disposition::Informational
        )
    );
}

#[test]
fn some_things_cannot_be_taken_back() {
    let mut desk = Desk::new();
    let created = desk.history.first();
    let scan = desk.scan(110, Status::InTransit, 100).event.id;
    let assignment = desk.assign(115, "carl").unwrap().event.id;
    let retraction = desk.retract(120, scan).unwrap().event.id;
    for id in [created, scan, assignment, retraction] {
        assert_eq!(refusal(desk.retract(130, id)), "NOT_RETRACTABLE");
    }
    assert_eq!(refusal(desk.retract(130, Uuid::now_v7())), "event");
}

#[test]
fn a_delay_is_told_with_its_reason_and_ends_with_the_shipment() {
    let mut desk = Desk::new();
    desk.scan(110, Status::InTransit, 100);
    let notice = Fact::Delay(Some(DelayReason::Weather));
    let change = desk.report(120, notice, 115);
    let told = change.status_changed();
    assert_eq!(
        (told.kind, told.delay, told.notice),
        (
            Kind::Delay,
            Some(DelayReason::Weather),
            Some(DelayReason::Weather)
        )
    );
    assert_eq!(
        (told.reported, told.status, told.disposition),
        (Status::InTransit, Status::InTransit, Disposition::Informational)
    );
    // The scan that follows still tells of it.
    let told = desk.scan(130, Status::OutForDelivery, 125).status_changed();
    assert_eq!((told.delay, told.notice), (Some(DelayReason::Weather), None));
    let told = desk.scan(140, Status::Delivered, 135).status_changed();
    assert_eq!(told.delay, None);
}

#[test]
fn a_delay_that_was_told_by_mistake_is_taken_back() {
    let mut desk = Desk::new();
    let notice = desk.report(60, Fact::Delay(Some(DelayReason::Customs)), 55);
    assert_eq!(desk.shipment.state.delay, Some(DelayReason::Customs));
    desk.retract(70, notice.event.id).unwrap();
    assert_eq!(desk.shipment.state.delay, None);
}

#[test]
fn an_assignment_holds_until_another_one_and_to_the_end() {
    let mut desk = Desk::new();
    let change = desk.assign(60, "carl").unwrap();
    assert_eq!(change.shipment.assignee, "carl");
    assert_eq!(change.status_changed().assignee, "carl");
    desk.scan(110, Status::InTransit, 100);
    assert_eq!(desk.shipment.assignee, "carl");
    assert_eq!(desk.assign(120, "").unwrap().shipment.assignee, "");
    desk.scan(130, Status::OutForDelivery, 125);
    desk.scan(140, Status::Delivered, 135);
    assert_eq!(refusal(desk.assign(150, "dora")), "NOT_ASSIGNABLE");
}

/// The state that a shipment's row keeps is the one that its events give when all of them are read again.
#[test]
fn the_row_and_the_events_agree() {
    let mut desk = Desk::new();
    desk.scan(110, Status::OutForDelivery, 108);
    desk.report(111, Fact::Delay(Some(DelayReason::Carrier)), 90);
    desk.scan(112, Status::PickedUp, 80);
    let wrong = desk.scan(113, Status::Delivered, 112).event.id;
    assert_eq!(desk.shipment.state.status, Status::Delivered);
    desk.retract(114, wrong).unwrap();
    assert_eq!(desk.shipment.state.delay, Some(DelayReason::Carrier));
    assert_eq!(desk.history.ledger().state(), desk.shipment.state);
}
