//! Requests to the shipment service.
//!
//! Input: the method, and whether the message is laid over a good one; the message.

use chrono::{DateTime, Datelike as _, TimeDelta, Utc};
use logistics_chassis::codec::Location;
use logistics_domain::ledger::Fact;
use logistics_domain::status::{Classifier, Status};
use logistics_schemas::grpc::logistics::shipment::v1 as proto;
use logistics_schemas::grpc::logistics::r#type::v1 as types;
use logistics_shipment::request::{self, Scan};
use prost_types::Timestamp;

use super::refusal::{accepted, call, is_printable, is_text, request};

const METHODS: u8 = 12;
/// Whose page tokens are good.
const ACCOUNT: &str = "acme";
const ID: &str = "0198c5a4-7d2e-7c3b-9f10-2a4b6c8d0e1f";
/// The clock of the service, in seconds since 1970.
const NOW: i64 = 1_767_225_600;

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp_secs(NOW).unwrap_or_default()
}

pub(crate) fn run(input: &[u8]) {
    let Some((method, over, message)) = call(input, METHODS) else {
        return;
    };
    match method {
        0 => create(over, message),
        1 => many(over, message),
        2 => find(over, message),
        3 => get(over, message),
        4 => list(over, message),
        5 => record(over, message),
        6 => delivery(over, message),
        7 => delay(over, message),
        8 => retract(over, message),
        9 => send_back(over, message),
        10 => assign(over, message),
        _ => cancel(over, message),
    }
}

fn create(over: bool, message: &[u8]) {
    if let Some(asked) = request(over.then(order).as_ref(), message) {
        check_order(&asked);
    }
}

fn many(over: bool, message: &[u8]) {
    let template = proto::CreateShipmentsRequest { order: Some(order()) };
    if let Some(asked) = request(over.then_some(template).as_ref(), message) {
        check_order(&asked.order.unwrap_or_default());
    }
}

fn check_order(asked: &proto::CreateShipmentRequest) {
    let Some(order) = accepted(request::create(asked)) else {
        return;
    };
    assert!(is_key(&asked.idempotency_key));
    assert!(is_number(&order.carrier, &order.tracking_number));
    assert!(is_place(&order.origin) && is_place(&order.destination));
    assert!(is_time(order.planned_departure) && is_time(order.promised_arrival));
    assert!(order.planned_departure < order.promised_arrival);
}

fn find(over: bool, message: &[u8]) {
    let template = proto::FindShipmentRequest {
        carrier: "UA".to_owned(),
        tracking_number: "1545".to_owned(),
        at: Some(time()),
    };
    let asked = request(over.then_some(template).as_ref(), message);
    if let Some(wanted) = asked.and_then(|asked| accepted(request::find(&asked, now()))) {
        assert!(is_number(&wanted.carrier, &wanted.tracking_number) && is_time(wanted.at));
    }
}

fn get(over: bool, message: &[u8]) {
    let template = proto::GetShipmentRequest {
        shipment_id: ID.to_owned(),
    };
    if let Some(asked) = request(over.then_some(template).as_ref(), message) {
        let _ = accepted(request::get(&asked));
    }
}

fn list(over: bool, message: &[u8]) {
    let template = proto::ListShipmentsRequest {
        page_size: 7,
        page_token: "AZjFpH0ufDufECpLbI0OH9OpE0QVzQ".to_owned(),
    };
    let Some(asked) = request(over.then_some(template).as_ref(), message) else {
        return;
    };
    if let Some(page) = accepted(request::list(&asked, ACCOUNT)) {
        assert!((1..=500).contains(&page.size));
        assert_eq!(page.after.is_none(), asked.page_token.is_empty());
        // A token is good in one account only.
        let stranger = request::list(&asked, "stranger");
        assert!(asked.page_token.is_empty() || stranger.is_err(), "{asked:?}");
    }
}

fn record(over: bool, message: &[u8]) {
    let template = proto::RecordEventRequest {
        idempotency_key: "scan 7".to_owned(),
        shipment_id: ID.to_owned(),
        status: types::Status::InTransit.into(),
        classifier: types::Classifier::Estimated.into(),
        occurred_at: Some(time()),
        location: Some(place()),
        reason: "carrier_delay".to_owned(),
    };
    let Some(asked) = request(over.then_some(template).as_ref(), message) else {
        return;
    };
    if let Some(scan) = accepted(request::record(&asked, now())) {
        check_scan(&asked.idempotency_key, &scan);
        assert!(scan.proof.is_none());
        match scan.report.fact {
            Fact::Status(status) => assert!(!matches!(status, Status::Created | Status::Cancelled)),
            Fact::Delay(_) => panic!("an event became a delay"),
        }
    }
}

fn delivery(over: bool, message: &[u8]) {
    let template = proto::RecordDeliveryRequest {
        idempotency_key: "delivery 7".to_owned(),
        shipment_id: ID.to_owned(),
        occurred_at: Some(time()),
        location: Some(place()),
        proof: Some(types::ProofOfDelivery {
            signer: "Bob".to_owned(),
            image_ref: "s3://proofs/1.jpg".to_owned(),
            signature_ref: String::new(),
        }),
        reason: String::new(),
    };
    let Some(asked) = request(over.then_some(template).as_ref(), message) else {
        return;
    };
    if let Some(scan) = accepted(request::delivery(&asked, now())) {
        check_scan(&asked.idempotency_key, &scan);
        assert_eq!(scan.report.fact, Fact::Status(Status::Delivered));
        let proof = scan.proof.unwrap_or_default();
        assert!(is_text(&proof.signer, 0..=100, is_printable));
        assert!(is_text(&proof.image_ref, 0..=500, is_printable));
        assert!(is_text(&proof.signature_ref, 0..=500, is_printable));
        assert!(!proof.signer.is_empty() || !proof.image_ref.is_empty() || !proof.signature_ref.is_empty());
    }
}

fn delay(over: bool, message: &[u8]) {
    let template = proto::ReportDelayRequest {
        idempotency_key: "delay 7".to_owned(),
        shipment_id: ID.to_owned(),
        delay: types::DelayReason::Weather.into(),
        over: false,
        occurred_at: Some(time()),
        location: Some(place()),
        reason: String::new(),
    };
    let Some(asked) = request(over.then_some(template).as_ref(), message) else {
        return;
    };
    if let Some(scan) = accepted(request::delay(&asked, now())) {
        check_scan(&asked.idempotency_key, &scan);
        assert!(matches!(scan.report.fact, Fact::Delay(reason) if reason.is_none() == asked.over));
    }
}

fn check_scan(key: &str, scan: &Scan) {
    assert!(is_key(key) && is_reason(&scan.reason));
    assert!(scan.location.as_ref().is_none_or(is_place));
    assert!(is_time(scan.report.occurred_at));
    if scan.report.classifier == Classifier::Actual {
        assert!(
            scan.report.occurred_at <= now() + TimeDelta::hours(1),
            "what happened is to come"
        );
    }
}

fn retract(over: bool, message: &[u8]) {
    let template = proto::RetractEventRequest {
        idempotency_key: "retraction 7".to_owned(),
        shipment_id: ID.to_owned(),
        event_id: ID.to_owned(),
        reason: "did_not_occur".to_owned(),
    };
    let Some(asked) = request(over.then_some(template).as_ref(), message) else {
        return;
    };
    if let Some(retraction) = accepted(request::retract(&asked)) {
        assert!(is_key(&asked.idempotency_key));
        assert!(is_reason(&retraction.reason) && !retraction.reason.is_empty());
    }
}

fn send_back(over: bool, message: &[u8]) {
    let template = proto::ReturnShipmentRequest {
        idempotency_key: "return 7".to_owned(),
        shipment_id: ID.to_owned(),
        reason: "refused".to_owned(),
    };
    let Some(asked) = request(over.then_some(template).as_ref(), message) else {
        return;
    };
    if let Some(instruction) = accepted(request::send_back(&asked)) {
        assert!(is_key(&asked.idempotency_key) && is_reason(&instruction.reason));
    }
}

fn cancel(over: bool, message: &[u8]) {
    let template = proto::CancelShipmentRequest {
        idempotency_key: "cancel 7".to_owned(),
        shipment_id: ID.to_owned(),
        reason: "changed_mind".to_owned(),
    };
    let Some(asked) = request(over.then_some(template).as_ref(), message) else {
        return;
    };
    if let Some(instruction) = accepted(request::cancel(&asked)) {
        assert!(is_key(&asked.idempotency_key) && is_reason(&instruction.reason));
    }
}

fn assign(over: bool, message: &[u8]) {
    let template = proto::AssignShipmentRequest {
        idempotency_key: "assignment 7".to_owned(),
        shipment_id: ID.to_owned(),
        assignee: "carl".to_owned(),
    };
    let Some(asked) = request(over.then_some(template).as_ref(), message) else {
        return;
    };
    if let Some(assignment) = accepted(request::assign(&asked)) {
        assert!(is_key(&asked.idempotency_key) && is_text(&assignment.assignee, 0..=128, is_printable));
    }
}

fn order() -> proto::CreateShipmentRequest {
    proto::CreateShipmentRequest {
        idempotency_key: "order 7".to_owned(),
        carrier: "UA".to_owned(),
        tracking_number: "1545".to_owned(),
        origin: Some(place()),
        destination: Some(place()),
        planned_departure: Some(time()),
        promised_arrival: Some(Timestamp {
            seconds: NOW + 3_600,
            nanos: 123_456_789,
        }),
    }
}

fn place() -> types::Location {
    types::Location {
        code: "EWR".to_owned(),
        facility: "Terminal C".to_owned(),
    }
}

const fn time() -> Timestamp {
    Timestamp {
        seconds: NOW,
        nanos: 0,
    }
}

fn is_key(key: &str) -> bool {
    is_text(key, 1..=128, is_printable)
}

fn is_code(one: char) -> bool {
    matches!(one, 'A'..='Z' | '0'..='9')
}

fn is_number(carrier: &str, number: &str) -> bool {
    is_text(carrier, 2..=10, is_code) && is_text(number, 1..=64, is_printable)
}

fn is_place(place: &Location) -> bool {
    is_text(&place.code, 3..=5, is_code) && is_text(&place.facility, 0..=100, is_printable)
}

fn is_reason(reason: &str) -> bool {
    is_text(reason, 0..=64, |one| matches!(one, 'a'..='z' | '0'..='9' | '_'))
}

/// PostgreSQL keeps microseconds, and the years are those of this century.
fn is_time(time: DateTime<Utc>) -> bool {
    (2000..2100).contains(&time.year()) && time.timestamp_subsec_nanos().is_multiple_of(1_000)
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    (0..METHODS)
        .flat_map(|method| {
            // The good message alone; with the first field emptied; and a message of nothing.
            [vec![method | 0x80], vec![method | 0x80, 0x0a, 0x00], vec![method]]
        })
        .collect()
}
