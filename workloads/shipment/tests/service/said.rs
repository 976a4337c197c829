//! What is said of a shipment: late, in any order, taken back; delays, deliveries, returns, assignments. Each in the
//! database, in the answer and in the log.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result};
use futures::future::try_join_all;
use logistics_chassis::codec::{Codec, ShipmentStatusChanged};
use logistics_domain::delay::DelayReason;
use logistics_domain::status::{Kind, Status as DomainStatus};
use logistics_schemas::Workload;
use logistics_schemas::grpc::logistics::shipment::v1 as proto;
use logistics_schemas::grpc::logistics::r#type::v1 as types;
use logistics_schemas::grpc::logistics::r#type::v1::Status as ShipmentStatus;
use logistics_schemas::topics::SHIPMENT_STATUS_CHANGED;
use logistics_shipment::MIGRATIONS;
use logistics_testbed::{Numbers, Testbed, eventually, order, scan};
use prost_types::Timestamp;
use tonic::Code;

use crate::support::{Caller, Service, reason, rows, wrong_fields};

const START: i64 = 1_357_034_100;

fn delay(key: &str, shipment_id: &str, why: types::DelayReason, seconds: i64) -> proto::ReportDelayRequest {
    proto::ReportDelayRequest {
        idempotency_key: key.to_owned(),
        shipment_id: shipment_id.to_owned(),
        delay: why.into(),
        over: why == types::DelayReason::Unspecified,
        occurred_at: Some(Timestamp { seconds, nanos: 0 }),
        location: None,
        reason: "missed_connection".to_owned(),
    }
}

fn delivery(key: &str, shipment_id: &str, seconds: i64) -> proto::RecordDeliveryRequest {
    proto::RecordDeliveryRequest {
        idempotency_key: key.to_owned(),
        shipment_id: shipment_id.to_owned(),
        occurred_at: Some(Timestamp { seconds, nanos: 0 }),
        location: None,
        proof: Some(types::ProofOfDelivery {
            signer: "Bob Brown".to_owned(),
            image_ref: String::new(),
            signature_ref: "s3://proofs/7".to_owned(),
        }),
        reason: String::new(),
    }
}

/// What the log tells after the creation, as soon as it has all of it.
async fn told(testbed: &Testbed, events: usize) -> Result<Vec<ShipmentStatusChanged>> {
    let records = eventually("the log has all events", || async {
        let records = testbed.log()?.read(&SHIPMENT_STATUS_CHANGED).await?;
        Ok((records.len() >= events).then_some(records))
    })
    .await?;
    let config = testbed.config(Workload::Shipment);
    let topics = [SHIPMENT_STATUS_CHANGED];
    let codec = Codec::connect(&config.schema_registry, &config.kafka.topic_prefix, &topics).await?;
    let mut told = Vec::new();
    for record in records {
        let value = record.payload.context("a tombstone")?;
        told.push(codec.decode::<ShipmentStatusChanged>(&value).await?);
    }
    told.sort_by_key(|event| event.seq);
    Ok(told)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_delivery_is_taken_back_and_everybody_can_see_it() -> Result<()> {
    let testbed = Testbed::start(&[&MIGRATIONS]).await?;
    let service = Service::start(&testbed, "a").await?;
    let ann = Caller::admin(&testbed, &service, "acme")?;
    let id = &ann.create(order("k")).await?.shipment_id;
    ann.record(scan("1", id, ShipmentStatus::InTransit, START))
        .await?;
    ann.record(scan("2", id, ShipmentStatus::OutForDelivery, START + 1))
        .await?;
    let delivered = ann.deliver(delivery("3", id, START + 2)).await?;
    assert_eq!(
        delivered.shipment.unwrap_or_default().status(),
        ShipmentStatus::Delivered
    );
    let event = delivered.event.context("no event")?;
    assert_eq!(event.proof.unwrap_or_default().signer, "Bob Brown");

    let bob = Caller::new(&service, Some(testbed.bearer("bob", &["shipman"], "acme")?));
    let eve = Caller::admin(&testbed, &service, "other")?;
    let refused = bob.retract("r", id, &event.event_id).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    let refused = eve.retract("r", id, &event.event_id).await.unwrap_err();
    assert_eq!(refused.code(), Code::NotFound);
    let nothing = "0198c5a4-7d2e-7c3b-9f10-2a4b6c8d0e1f";
    let refused = ann.retract("n", id, nothing).await.unwrap_err();
    assert_eq!(refused.code(), Code::NotFound);

    let retracted = ann.retract("r", id, &event.event_id).await?;
    assert_eq!(ann.retract("r", id, &event.event_id).await?, retracted);
    assert_eq!(
        retracted.shipment.unwrap_or_default().status(),
        ShipmentStatus::OutForDelivery
    );
    let refused = ann.retract("again", id, &event.event_id).await.unwrap_err();
    assert_eq!(
        (refused.code(), reason(&refused)),
        (Code::FailedPrecondition, "NOT_RETRACTABLE".to_owned())
    );
    ann.record(scan("4", id, ShipmentStatus::AttemptFailed, START + 3))
        .await?;
    assert_eq!(ann.get(id).await?.status(), ShipmentStatus::AttemptFailed);
    assert_eq!(rows(&testbed).await?, "1|6|6");

    let told = told(&testbed, 5).await?;
    assert_eq!(
        told[2].proof.as_ref().map(|proof| proof.signer.as_str()),
        Some("Bob Brown")
    );
    assert_eq!(
        (told[3].kind, told[3].status),
        (Kind::Retraction, DomainStatus::OutForDelivery)
    );
    assert_eq!(told[3].retracts.map(|id| id.to_string()), Some(event.event_id));
    assert_eq!(
        (told[4].kind, told[4].status),
        (Kind::Scan, DomainStatus::AttemptFailed)
    );
    service.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn in_whatever_order_scans_come_shipments_end_in_the_same_state() -> Result<()> {
    const SHIPMENTS: usize = 12;
    // The whole road, a contradiction, two at the same time, and a delay.
    let road = [
        (ShipmentStatus::PickedUp, 0),
        (ShipmentStatus::InTransit, 10),
        (ShipmentStatus::InTransit, 20),
        (ShipmentStatus::Returned, 25),
        (ShipmentStatus::OutForDelivery, 30),
        (ShipmentStatus::AttemptFailed, 30),
        (ShipmentStatus::OutForDelivery, 40),
    ];
    let testbed = Testbed::start(&[&MIGRATIONS]).await?;
    let services = [
        Service::start(&testbed, "a").await?,
        Service::start(&testbed, "b").await?,
    ];
    let callers = [
        Caller::admin(&testbed, &services[0], "acme")?,
        Caller::admin(&testbed, &services[1], "acme")?,
    ];
    let keys: Vec<_> = (0..SHIPMENTS).map(|at| format!("order {at}")).collect();
    let shipments = try_join_all(keys.iter().map(|key| callers[0].create(order(key)))).await?;
    let mut numbers = Numbers::new(7);
    let mut requests = Vec::new();
    for shipment in &shipments {
        for (at, (status, minutes)) in road.iter().enumerate() {
            let key = format!("{at} of {}", shipment.shipment_id);
            requests.push(scan(&key, &shipment.shipment_id, *status, START + minutes * 60));
        }
    }
    numbers.shuffle(&mut requests);
    let sent = requests.into_iter().enumerate().map(|(at, request)| {
        let caller = callers[at % 2].clone();
        async move { caller.record(request).await }
    });
    let late = shipments.iter().map(|shipment| {
        let id = &shipment.shipment_id;
        callers[1].delay(delay(
            &format!("delay of {id}"),
            id,
            types::DelayReason::Weather,
            START + 900,
        ))
    });
    futures::try_join!(try_join_all(sent), try_join_all(late))?;

    let states = testbed
        .sql(
            "SELECT DISTINCT status, newest_applied - to_timestamp(1357034100), before_exception, delay, seq
             FROM shipment.shipments",
        )
        .await?;
    assert_eq!(states, "OUT_FOR_DELIVERY|00:40:00||WEATHER|9");
    let by_disposition = testbed
        .sql("SELECT count(*) > 0 FROM shipment.shipment_events WHERE disposition = 'LATE'")
        .await?;
    assert_eq!(by_disposition, "t", "nothing came late: this shows nothing");

    // The last event of each tells what the row says.
    let told = told(&testbed, SHIPMENTS * 8).await?;
    let last: BTreeSet<_> = told
        .iter()
        .filter(|event| event.seq == 9)
        .map(|event| (event.status.as_str(), event.delay))
        .collect();
    assert_eq!(
        last,
        BTreeSet::from([("OUT_FOR_DELIVERY", Some(DelayReason::Weather))])
    );
    for service in services {
        service.stop().await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delay_is_a_flag_with_a_reason() -> Result<()> {
    let testbed = Testbed::start(&[&MIGRATIONS]).await?;
    let service = Service::start(&testbed, "a").await?;
    let ann = Caller::admin(&testbed, &service, "acme")?;
    let id = &ann.create(order("k")).await?.shipment_id;
    ann.record(scan("1", id, ShipmentStatus::InTransit, START))
        .await?;
    let answer = ann
        .delay(delay("2", id, types::DelayReason::Customs, START + 1))
        .await?;
    let shipment = answer.shipment.unwrap_or_default();
    assert_eq!(
        (shipment.status(), shipment.delay()),
        (ShipmentStatus::InTransit, types::DelayReason::Customs)
    );
    let event = answer.event.unwrap_or_default();
    assert_eq!(
        (event.kind(), event.delay(), event.reason.as_str()),
        (
            types::EventKind::Delay,
            types::DelayReason::Customs,
            "missed_connection"
        )
    );
    // Older than what is known: kept, and overtaken.
    ann.delay(delay("3", id, types::DelayReason::Unspecified, START))
        .await?;
    assert_eq!(ann.get(id).await?.delay(), types::DelayReason::Customs);
    ann.delay(delay("4", id, types::DelayReason::Unspecified, START + 2))
        .await?;
    assert_eq!(ann.get(id).await?.delay(), types::DelayReason::Unspecified);
    let refused = ann.delay(proto::ReportDelayRequest::default()).await.unwrap_err();
    assert_eq!(
        wrong_fields(&refused),
        ["idempotency_key", "shipment_id", "delay", "occurred_at"]
    );

    let delays: Vec<_> = told(&testbed, 4).await?.iter().map(|event| event.delay).collect();
    let customs = Some(DelayReason::Customs);
    assert_eq!(delays, [None, customs, customs, None]);
    service.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shipment_is_assigned_and_sent_back() -> Result<()> {
    let testbed = Testbed::start(&[&MIGRATIONS]).await?;
    let service = Service::start(&testbed, "a").await?;
    let ann = Caller::new(&service, Some(testbed.bearer("ann", &["user"], "acme")?));
    let carl = Caller::new(&service, Some(testbed.bearer("carl", &["shipman"], "acme")?));
    let id = &ann.create(order("k")).await?.shipment_id;
    assert_eq!(ann.assign("a", id, "carl").await?.assignee, "carl");
    assert_eq!(
        carl.assign("a", id, "carl").await.unwrap_err().code(),
        Code::PermissionDenied
    );
    let refused = ann.send_back("early", id).await.unwrap_err();
    assert_eq!(
        (refused.code(), reason(&refused)),
        (Code::FailedPrecondition, "NOT_RETURNABLE".to_owned())
    );
    carl.record(scan("1", id, ShipmentStatus::PickedUp, START))
        .await?;
    let returning = ann.send_back("r", id).await?;
    assert_eq!(returning.status(), ShipmentStatus::Returning);
    assert_eq!(returning.assignee, "carl");
    assert_eq!(ann.assign("b", id, "").await?.assignee, "");
    let kept = testbed
        .sql(
            "SELECT kind, reported, disposition, assignee, reason FROM shipment.shipment_events ORDER BY seq",
        )
        .await?;
    let kept: Vec<_> = kept.lines().collect();
    assert_eq!(
        kept,
        [
            "ORDER|CREATED|APPLIED||",
            "ASSIGNMENT|CREATED|INFORMATIONAL|carl|",
            "SCAN|PICKED_UP|APPLIED||",
            "ORDER|RETURNING|APPLIED||refused",
            "ASSIGNMENT|RETURNING|INFORMATIONAL||",
        ]
    );
    service.stop().await
}

/// The rows that the last release has written are as good as those of this one.
#[tokio::test(flavor = "multi_thread")]
async fn a_late_scan_of_a_shipment_of_the_last_release_finds_its_place() -> Result<()> {
    let testbed = Testbed::start(&[&MIGRATIONS]).await?;
    let service = Service::start(&testbed, "a").await?;
    let ann = Caller::admin(&testbed, &service, "acme")?;
    let id = &ann.create(order("k")).await?.shipment_id;
    ann.record(scan("1", id, ShipmentStatus::InTransit, START + 10))
        .await?;
    testbed
        .sql("UPDATE shipment.shipments SET newest_seen = NULL; UPDATE shipment.shipment_events SET kind = 'SCAN'")
        .await?;
    let late = ann.record(scan("2", id, ShipmentStatus::PickedUp, START)).await?;
    assert_eq!(
        late.event.unwrap_or_default().disposition(),
        types::Disposition::Late
    );
    assert_eq!(
        late.shipment.unwrap_or_default().status(),
        ShipmentStatus::InTransit
    );
    service.stop().await
}
