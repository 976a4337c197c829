//! Requests that come at once share transactions, and what one does wrong is its own affair.

use anyhow::Result;
use futures::future::{join_all, try_join_all};
use logistics_schemas::grpc::logistics::r#type::v1::Status as ShipmentStatus;
use logistics_shipment::MIGRATIONS;
use logistics_testbed::{Testbed, order, scan};
use tonic::Code;
use uuid::Uuid;

use crate::support::{Caller, Service, rows, wrong_fields};

/// Transactions so far, and the requests in them.
pub(crate) async fn transactions(service: &Service) -> Result<(f64, f64)> {
    let text = reqwest::get(format!("{}/metrics", service.admin))
        .await?
        .text()
        .await?;
    let value = |name: &str| {
        let line = text.lines().find(|line| line.starts_with(name));
        line.and_then(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
            .unwrap_or_default()
    };
    Ok((
        value("logistics_commit_requests_count"),
        value("logistics_commit_requests_sum"),
    ))
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_at_once_share_transactions() -> Result<()> {
    let testbed = Testbed::start(&[&MIGRATIONS]).await?;
    let service = Service::start(&testbed, "a").await?;
    let ann = Caller::admin(&testbed, &service, "acme")?;
    let shipments = try_join_all((0..100).map(|at| ann.create(order(&format!("order {at}"))))).await?;
    let scans = shipments.iter().enumerate().map(|(at, shipment)| {
        let key = format!("scan {at}");
        ann.record(scan(
            &key,
            &shipment.shipment_id,
            ShipmentStatus::PickedUp,
            1_357_034_100,
        ))
    });
    try_join_all(scans).await?;
    let (transactions, requests) = transactions(&service).await?;
    println!("{requests} requests in {transactions} transactions");
    assert!((requests - 200.0).abs() < f64::EPSILON, "{requests}");
    assert!(
        transactions <= 100.0,
        "{transactions} transactions for 200 requests"
    );
    assert_eq!(rows(&testbed).await?, "100|200|200");
    service.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_request_fails_alone() -> Result<()> {
    let testbed = Testbed::start(&[&MIGRATIONS]).await?;
    let service = Service::start(&testbed, "a").await?;
    let ann = Caller::admin(&testbed, &service, "acme")?;
    let eve = Caller::admin(&testbed, &service, "other")?;
    let shipment = ann.create(order("k")).await?;
    let nowhere = Uuid::nil().to_string();

    let good = join_all((0..20).map(|at| ann.create(order(&format!("order {at}")))));
    let bad = join_all((0..20).map(|at| {
        let (caller, id) = if at % 2 == 0 {
            (&ann, &nowhere)
        } else {
            (&eve, &shipment.shipment_id)
        };
        let key = format!("scan {at}");
        caller.record(scan(&key, id, ShipmentStatus::PickedUp, 1_357_034_100))
    }));
    let (good, bad) = futures::join!(good, bad);
    for answer in good {
        answer?;
    }
    for answer in bad {
        assert_eq!(answer.unwrap_err().code(), Code::NotFound);
    }
    assert_eq!(rows(&testbed).await?, "21|21|21");
    service.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_requests_with_one_key_at_once_one_is_done() -> Result<()> {
    let testbed = Testbed::start(&[&MIGRATIONS]).await?;
    let service = Service::start(&testbed, "a").await?;
    let ann = Caller::admin(&testbed, &service, "acme")?;
    let answers = join_all((0..20).map(|at| {
        let mut order = order("k");
        order.tracking_number = format!("{}", at % 2);
        ann.create(order)
    }))
    .await;
    let (done, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
    assert_eq!((done.len(), refused.len()), (10, 10));
    let done: Vec<_> = done.into_iter().flatten().collect();
    assert!(done.iter().all(|shipment| *shipment == done[0]));
    for answer in refused {
        let status = answer.unwrap_err();
        assert_eq!(
            (status.code(), wrong_fields(&status)),
            (Code::InvalidArgument, vec!["idempotency_key".to_owned()])
        );
    }
    assert_eq!(rows(&testbed).await?, "1|1|1");
    service.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancellation_that_is_refused_takes_nothing_with_it() -> Result<()> {
    let testbed = Testbed::start(&[&MIGRATIONS]).await?;
    let service = Service::start(&testbed, "a").await?;
    let ann = Caller::admin(&testbed, &service, "acme")?;
    let shipment = ann.create(order("k")).await?;
    let id = &shipment.shipment_id;
    ann.record(scan("p", id, ShipmentStatus::PickedUp, 1_357_034_100))
        .await?;
    let scans = join_all((0..10_i64).map(|at| {
        let key = format!("scan {at}");
        ann.record(scan(&key, id, ShipmentStatus::InTransit, 1_357_034_200 + at))
    }));
    let keys: Vec<_> = (0..10).map(|at| format!("cancel {at}")).collect();
    let cancellations = join_all(keys.iter().map(|key| ann.cancel(key, id)));
    let (scans, cancellations) = futures::join!(scans, cancellations);
    for answer in cancellations {
        assert_eq!(answer.unwrap_err().code(), Code::FailedPrecondition);
    }
    let mut positions = Vec::new();
    for answer in scans {
        positions.push(answer?.event.unwrap_or_default().seq);
    }
    positions.sort_unstable();
    assert_eq!(positions, (3..=12).collect::<Vec<_>>());
    service.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_database_refuses_fails_alone() -> Result<()> {
    let testbed = Testbed::start(&[&MIGRATIONS]).await?;
    testbed
        .sql(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
                 BEGIN RAISE EXCEPTION 'not this one'; END $$;
             CREATE TRIGGER refuse BEFORE INSERT ON shipment.shipments FOR EACH ROW
                 WHEN (NEW.carrier = 'XX') EXECUTE FUNCTION refuse();",
        )
        .await?;
    let service = Service::start(&testbed, "a").await?;
    let ann = Caller::admin(&testbed, &service, "acme")?;
    let answers = join_all((0..40).map(|at| {
        let mut order = order(&format!("order {at}"));
        if at % 8 == 0 {
            order.carrier = "XX".to_owned();
        }
        ann.create(order)
    }))
    .await;
    for (at, answer) in answers.into_iter().enumerate() {
        match answer {
            Ok(_) => assert_ne!(at % 8, 0),
            Err(status) => assert_eq!((at % 8, status.code()), (0, Code::Internal)),
        }
    }
    assert_eq!(rows(&testbed).await?, "35|35|35");
    service.stop().await
}
