//! Many orders in one stream.

use std::collections::BTreeSet;

use anyhow::Result;
use logistics_schemas::grpc::logistics::shipment::v1 as proto;
use logistics_schemas::topics::SHIPMENT_CREATED;
use logistics_shipment::MIGRATIONS;
use logistics_testbed::{Testbed, eventually, order};
use tonic::Code;

use crate::group::transactions;
use crate::support::{Caller, Service, reason, rows};

fn orders(count: usize) -> Vec<proto::CreateShipmentRequest> {
    (0..count).map(|at| order(&format!("order {at}"))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_of_orders_is_answered_in_order_and_shares_transactions() -> Result<()> {
    let testbed = Testbed::start(&[&MIGRATIONS]).await?;
    let service = Service::start(&testbed, "a").await?;
    let ann = Caller::new(&service, Some(testbed.bearer("ann", &["user"], "acme")?));
    let single = ann.create(order("order 7")).await?;
    let mut wanted = orders(1_000);
    // Wrong ones, and one whose key was used for another order.
    wanted[3].carrier = "no code".to_owned();
    wanted[4] = proto::CreateShipmentRequest::default();
    wanted[5].idempotency_key = "order 7".to_owned();
    wanted[5].tracking_number = "another".to_owned();

    let results = ann.create_many(wanted.clone()).await?;
    assert_eq!(results.len(), 1_000);
    let (created, refused): (Vec<_>, Vec<_>) = results.iter().partition(|one| one.refusal.is_none());
    assert_eq!((created.len(), refused.len()), (997, 3));
    let ids: BTreeSet<_> = created.iter().map(|one| one.shipment_id.as_str()).collect();
    assert_eq!(ids.len(), 997);
    assert_eq!(
        results[7].shipment_id, single.shipment_id,
        "a single call and a stream share the key"
    );
    for (at, said) in [(3, "carrier"), (4, "idempotency_key"), (5, "idempotency_key")] {
        let refusal = results[at].refusal.clone().unwrap_or_default();
        assert_eq!(
            (refusal.code, refusal.reason.as_str()),
            (i32::from(Code::InvalidArgument), "INVALID_FIELDS")
        );
        assert!(refusal.message.contains(said), "{refusal:?}");
        assert_eq!(results[at].shipment_id, "");
    }
    let (transactions, requests) = transactions(&service).await?;
    println!("{requests} requests in {transactions} transactions");
    assert!(
        transactions < requests / 4.0,
        "{transactions} transactions for {requests} requests"
    );

    // Sent again as a whole: the same answers, and nothing twice.
    assert_eq!(ann.create_many(wanted).await?, results);
    assert_eq!(rows(&testbed).await?, "997|997|997");
    eventually("all are in the log", || async {
        Ok((testbed.log()?.read(&SHIPMENT_CREATED).await?.len() >= 997).then_some(()))
    })
    .await?;
    service.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_has_bounds_and_roles() -> Result<()> {
    let testbed = Testbed::start(&[&MIGRATIONS]).await?;
    let service = Service::start(&testbed, "a").await?;
    let bob = Caller::new(&service, Some(testbed.bearer("bob", &["shipman"], "acme")?));
    let refused = bob.create_many(orders(1)).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    let ann = Caller::admin(&testbed, &service, "acme")?;
    assert_eq!(ann.create_many(orders(0)).await?, []);
    // Wrong ones, so that the bound is reached soon.
    let too_many = (0..5_001).map(|_| proto::CreateShipmentRequest::default());
    let refused = ann.create_many(too_many).await.unwrap_err();
    assert_eq!(
        (refused.code(), reason(&refused)),
        (Code::ResourceExhausted, "TOO_MANY_ORDERS".to_owned())
    );
    let most = (0..5_000).map(|_| proto::CreateShipmentRequest::default());
    assert_eq!(ann.create_many(most).await?.len(), 5_000);
    assert_eq!(rows(&testbed).await?, "0|0|0");
    service.stop().await
}
