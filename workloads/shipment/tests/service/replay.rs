//! The same request twice has one effect and one answer; concurrent scans get gap-free positions.

use anyhow::Result;
use futures::future::{join_all, try_join_all};
use logistics_schemas::grpc::logistics::r#type::v1::Status as ShipmentStatus;
use logistics_shipment::MIGRATIONS;
use logistics_testbed::{Testbed, order, scan};
use tonic::Code;

use crate::support::{Caller, Service, rows, wrong_fields};

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_request_gets_the_first_answer() -> Result<()> {
    let testbed = Testbed::start(&[&MIGRATIONS]).await?;
    let service = Service::start(&testbed, "a").await?;
    let ann = Caller::admin(&testbed, &service, "acme")?;

    let first = ann.create(order("k")).await?;
    let picked_up = scan("s", &first.shipment_id, ShipmentStatus::PickedUp, 1_357_034_100);
    ann.record(picked_up).await?;
    // Not the shipment as it is now: the answer as it was.
    assert_eq!(ann.create(order("k")).await?, first);

    let mut other = order("k");
    other.carrier = "DL".to_owned();
    let status = ann.create(other).await.unwrap_err();
    assert_eq!(
        (status.code(), wrong_fields(&status)),
        (Code::InvalidArgument, vec!["idempotency_key".to_owned()])
    );

    // The key is the caller's own.
    let bob = Caller::new(&service, Some(testbed.bearer("bob", &["user"], "acme")?));
    assert_ne!(bob.create(order("k")).await?.shipment_id, first.shipment_id);
    assert_eq!(rows(&testbed).await?, "2|3|3");
    service.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_request_many_times_at_once_has_one_effect() -> Result<()> {
    let testbed = Testbed::start(&[&MIGRATIONS]).await?;
    let service = Service::start(&testbed, "a").await?;
    let ann = Caller::admin(&testbed, &service, "acme")?;

    let answers = try_join_all((0..20).map(|_| ann.create(order("k")))).await?;
    assert!(answers.iter().all(|answer| *answer == answers[0]));
    assert_eq!(rows(&testbed).await?, "1|1|1");

    let picked_up = scan(
        "s",
        &answers[0].shipment_id,
        ShipmentStatus::PickedUp,
        1_357_034_100,
    );
    let answers = try_join_all((0..20).map(|_| ann.record(picked_up.clone()))).await?;
    assert!(answers.iter().all(|answer| *answer == answers[0]));
    assert_eq!(rows(&testbed).await?, "1|2|2");
    service.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_scans_of_one_shipment_get_gap_free_positions() -> Result<()> {
    let testbed = Testbed::start(&[&MIGRATIONS]).await?;
    // Two replicas: the order is the database's, not a process's.
    let (a, b) = (
        Service::start(&testbed, "a").await?,
        Service::start(&testbed, "b").await?,
    );
    let callers = [
        Caller::admin(&testbed, &a, "acme")?,
        Caller::admin(&testbed, &b, "acme")?,
    ];
    let shipment = callers[0].create(order("k")).await?;
    let answers = join_all((0..60_i64).map(|at| {
        let caller = &callers[usize::from(at % 2 == 0)];
        let key = format!("scan {at}");
        caller.record(scan(
            &key,
            &shipment.shipment_id,
            ShipmentStatus::InTransit,
            1_357_034_100 + at,
        ))
    }))
    .await;
    let mut positions = Vec::new();
    for answer in answers {
        positions.push(answer?.event.unwrap_or_default().seq);
    }
    positions.sort_unstable();
    assert_eq!(positions, (2..=61).collect::<Vec<_>>());
    let kept = testbed
        .sql("SELECT count(*), min(seq), max(seq) FROM shipment.shipment_events")
        .await?;
    assert_eq!(kept, "61|1|61");
    a.stop().await?;
    b.stop().await
}
