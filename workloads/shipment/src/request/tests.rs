use logistics_domain::ledger::Fact;
use logistics_domain::status::{Classifier, Status};
use prost_types::Timestamp;

use super::*;

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_400_000_000, 0).unwrap()
}

const fn at(seconds: i64) -> Timestamp {
    Timestamp { seconds, nanos: 0 }
}

fn place(code: &str) -> types::Location {
    types::Location {
        code: code.to_owned(),
        facility: "Terminal 4".to_owned(),
    }
}

fn order() -> proto::CreateShipmentRequest {
    proto::CreateShipmentRequest {
        idempotency_key: "k".to_owned(),
        carrier: "UA".to_owned(),
        tracking_number: "1545".to_owned(),
        origin: Some(place("EWR")),
        destination: Some(place("IAH")),
        planned_departure: Some(at(1_357_034_100)),
        promised_arrival: Some(at(1_357_046_220)),
    }
}

fn scan() -> proto::RecordEventRequest {
    proto::RecordEventRequest {
        idempotency_key: "k".to_owned(),
        shipment_id: Uuid::now_v7().to_string(),
        status: types::Status::PickedUp.into(),
        classifier: types::Classifier::Unspecified.into(),
        occurred_at: Some(at(1_357_034_100)),
        location: None,
        reason: "carrier_delay".to_owned(),
    }
}

fn wrong_fields<T: std::fmt::Debug>(result: Result<T, ServiceError>) -> Vec<String> {
    match result {
        Err(ServiceError::Invalid(violations)) => {
            violations.into_iter().map(|violation| violation.field).collect()
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_right_order_is_taken_as_it_is() {
    let order = create(&order()).unwrap();
    assert_eq!(order.carrier, "UA");
    assert_eq!(order.origin.facility, "Terminal 4");
    assert_eq!(order.planned_departure.timestamp(), 1_357_034_100);
}

#[test]
fn an_empty_order_names_every_field() {
    let wrong = wrong_fields(create(&proto::CreateShipmentRequest::default()));
    assert_eq!(
        wrong,
        [
            "idempotency_key",
            "carrier",
            "tracking_number",
            "origin",
            "destination",
            "planned_departure",
            "promised_arrival"
        ]
    );
}

#[test]
fn each_field_of_an_order_has_bounds() {
    type Spoil = fn(&mut proto::CreateShipmentRequest);
    let cases: [(&str, Spoil); 8] = [
        ("idempotency_key", |o| o.idempotency_key = "k".repeat(129)),
        ("carrier", |o| o.carrier = "ua".to_owned()),
        ("carrier", |o| o.carrier = "ABCDEFGHIJK".to_owned()),
        ("tracking_number", |o| o.tracking_number = "1\u{7}".to_owned()),
        ("origin.code", |o| o.origin = Some(place("E"))),
        ("destination.facility", |o| {
            o.destination.as_mut().unwrap().facility = "x".repeat(101);
        }),
        ("planned_departure", |o| o.planned_departure = Some(at(0))),
        ("promised_arrival", |o| o.promised_arrival = o.planned_departure),
    ];
    for (field, spoil) in cases {
        let mut request = order();
        spoil(&mut request);
        assert_eq!(wrong_fields(create(&request)), [field]);
    }
}

#[test]
fn a_scan_without_classifier_happened() {
    assert_eq!(
        record(&scan(), now()).unwrap().report.classifier,
        Classifier::Actual
    );
}

#[test]
fn each_field_of_a_scan_has_bounds() {
    type Spoil = fn(&mut proto::RecordEventRequest);
    let cases: [(&str, Spoil); 9] = [
        ("shipment_id", |s| s.shipment_id = "1".to_owned()),
        ("status", |s| s.status = 0),
        ("status", |s| s.status = 99),
        ("status", |s| s.status = types::Status::Created.into()),
        ("status", |s| s.status = types::Status::Cancelled.into()),
        ("classifier", |s| s.classifier = 9),
        ("occurred_at", |s| s.occurred_at = None),
        ("location.code", |s| s.location = Some(place(""))),
        ("reason", |s| s.reason = "Bad Weather".to_owned()),
    ];
    for (field, spoil) in cases {
        let mut request = scan();
        spoil(&mut request);
        assert_eq!(wrong_fields(record(&request, now())), [field]);
    }
}

#[test]
fn a_page_token_is_only_good_for_its_account() {
    let last = Uuid::now_v7();
    let request = |token: String| proto::ListShipmentsRequest {
        page_size: 0,
        page_token: token,
    };
    let token = page::write(last, "acme");
    let page = list(&request(token.clone()), "acme").unwrap();
    assert_eq!(
        page,
        Page {
            size: 100,
            after: Some(last)
        }
    );
    assert_eq!(wrong_fields(list(&request(token), "other")), ["page_token"]);
    assert_eq!(
        wrong_fields(list(&request("!".to_owned()), "acme")),
        ["page_token"]
    );
}

#[test]
fn only_what_is_expected_may_lie_ahead() {
    let mut request = scan();
    request.occurred_at = Some(at(1_400_000_000 + 3_600));
    assert!(record(&request, now()).is_ok());
    request.occurred_at = Some(at(1_400_000_000 + 3_601));
    assert_eq!(wrong_fields(record(&request, now())), ["occurred_at"]);
    request.classifier = types::Classifier::Estimated.into();
    assert!(record(&request, now()).is_ok());
}

fn delivered() -> proto::RecordDeliveryRequest {
    proto::RecordDeliveryRequest {
        idempotency_key: "k".to_owned(),
        shipment_id: Uuid::now_v7().to_string(),
        occurred_at: Some(at(1_357_046_220)),
        location: Some(place("IAH")),
        proof: Some(types::ProofOfDelivery {
            signer: "Bob Brown".to_owned(),
            image_ref: "s3://proofs/1.jpg".to_owned(),
            signature_ref: String::new(),
        }),
        reason: String::new(),
    }
}

#[test]
fn a_delivery_is_a_scan_with_a_proof() {
    let scan = delivery(&delivered(), now()).unwrap();
    assert_eq!(scan.report.fact, Fact::Status(Status::Delivered));
    assert_eq!(scan.proof.map(|proof| proof.signer).as_deref(), Some("Bob Brown"));
}

#[test]
fn a_proof_proves_something_within_bounds() {
    type Spoil = fn(&mut types::ProofOfDelivery);
    let cases: [(&str, Spoil); 4] = [
        ("proof", |proof| *proof = types::ProofOfDelivery::default()),
        ("proof.signer", |proof| proof.signer = "x".repeat(101)),
        ("proof.image_ref", |proof| proof.image_ref = "a\nb".to_owned()),
        ("proof.signature_ref", |proof| {
            proof.signature_ref = "x".repeat(501);
        }),
    ];
    for (field, spoil) in cases {
        let mut request = delivered();
        spoil(request.proof.as_mut().unwrap());
        assert_eq!(wrong_fields(delivery(&request, now())), [field]);
    }
    let mut request = delivered();
    request.proof = None;
    assert_eq!(wrong_fields(delivery(&request, now())), ["proof"]);
    request = delivered();
    request.occurred_at = Some(at(1_400_000_000 + 3_601));
    assert_eq!(wrong_fields(delivery(&request, now())), ["occurred_at"]);
}

#[test]
fn a_delay_has_a_reason_or_is_over() {
    let told = |reason: types::DelayReason, over: bool| proto::ReportDelayRequest {
        idempotency_key: "k".to_owned(),
        shipment_id: Uuid::now_v7().to_string(),
        delay: reason.into(),
        over,
        occurred_at: Some(at(1_357_034_100)),
        location: None,
        reason: "missed_connection".to_owned(),
    };
    let fact = |reason, over| delay(&told(reason, over), now()).map(|scan| scan.report.fact);
    assert_eq!(
        fact(types::DelayReason::Weather, false).unwrap(),
        Fact::Delay(Some(logistics_domain::delay::DelayReason::Weather))
    );
    assert_eq!(
        fact(types::DelayReason::Unspecified, true).unwrap(),
        Fact::Delay(None)
    );
    assert_eq!(
        wrong_fields(fact(types::DelayReason::Unspecified, false)),
        ["delay"]
    );
    assert_eq!(wrong_fields(fact(types::DelayReason::Weather, true)), ["delay"]);
    let mut unknown = told(types::DelayReason::Weather, false);
    unknown.delay = 99;
    assert_eq!(wrong_fields(delay(&unknown, now())), ["delay"]);
}

#[test]
fn a_retraction_names_an_event_and_says_why() {
    let empty = proto::RetractEventRequest::default();
    assert_eq!(
        wrong_fields(retract(&empty)),
        ["idempotency_key", "shipment_id", "event_id", "reason"]
    );
    let request = proto::RetractEventRequest {
        idempotency_key: "k".to_owned(),
        shipment_id: Uuid::now_v7().to_string(),
        event_id: Uuid::now_v7().to_string(),
        reason: "did_not_occur".to_owned(),
    };
    assert_eq!(retract(&request).unwrap().reason, "did_not_occur");
}

#[test]
fn an_assignee_is_the_subject_of_a_token_or_nobody() {
    let request = |assignee: String| proto::AssignShipmentRequest {
        idempotency_key: "k".to_owned(),
        shipment_id: Uuid::now_v7().to_string(),
        assignee,
    };
    assert_eq!(assign(&request(String::new())).unwrap().assignee, "");
    assert_eq!(assign(&request("carl".to_owned())).unwrap().assignee, "carl");
    for wrong in ["a\u{7}".to_owned(), "x".repeat(129)] {
        assert_eq!(wrong_fields(assign(&request(wrong))), ["assignee"]);
    }
}
