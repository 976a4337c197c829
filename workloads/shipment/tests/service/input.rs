//! Wrong input gets the right status, names every wrong field, and writes nothing.

use anyhow::Result;
use logistics_schemas::grpc::logistics::shipment::v1 as proto;
use logistics_schemas::grpc::logistics::r#type::v1::Status as ShipmentStatus;
use logistics_shipment::MIGRATIONS;
use logistics_testbed::{Testbed, order, scan};
use tonic::Code;
use tonic_types::StatusExt as _;

use crate::support::{Caller, Service, rows, wrong_fields};

#[tokio::test(flavor = "multi_thread")]
async fn wrong_input_is_refused_field_by_field_and_nothing_is_written() -> Result<()> {
    let testbed = Testbed::start(&[&MIGRATIONS]).await?;
    let service = Service::start(&testbed, "a").await?;
    let ann = Caller::admin(&testbed, &service, "acme")?;

    let status = ann
        .create(proto::CreateShipmentRequest::default())
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert_eq!(wrong_fields(&status).len(), 7, "{status:?}");

    let status = ann
        .record(scan("k", "nonsense", ShipmentStatus::Unspecified, -1))
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert_eq!(wrong_fields(&status), ["shipment_id", "status", "occurred_at"]);

    let status = ann.get("").await.unwrap_err();
    assert_eq!(wrong_fields(&status), ["shipment_id"]);

    let status = ann.list(501, "made up").await.unwrap_err();
    assert_eq!(wrong_fields(&status), ["page_size", "page_token"]);

    let nobody = "0198c5a4-7d2e-7c3b-9f10-2a4b6c8d0e1f";
    let status = ann
        .record(scan("k", nobody, ShipmentStatus::PickedUp, 1_357_034_100))
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::NotFound);

    assert_eq!(rows(&testbed).await?, "0|0|0");
    service.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shipment_is_created_read_listed_scanned_and_cancelled() -> Result<()> {
    let testbed = Testbed::start(&[&MIGRATIONS]).await?;
    let service = Service::start(&testbed, "a").await?;
    let ann = Caller::admin(&testbed, &service, "acme")?;

    let mut ids = Vec::new();
    for number in 0..5 {
        ids.push(ann.create(order(&format!("order {number}"))).await?.shipment_id);
    }
    let created = ann.get(&ids[0]).await?;
    assert_eq!((created.seq, created.status()), (1, ShipmentStatus::Created));
    assert_eq!(created.planned_departure, order("").planned_departure);

    let mut listed = Vec::new();
    let mut token = String::new();
    loop {
        let page = ann.list(2, &token).await?;
        assert!(page.shipments.len() <= 2);
        listed.extend(page.shipments.into_iter().map(|shipment| shipment.shipment_id));
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    assert_eq!(listed, ids);

    let moved = ann
        .record(scan("s1", &ids[0], ShipmentStatus::PickedUp, 1_357_034_100))
        .await?;
    assert_eq!(moved.shipment.map(|shipment| shipment.seq), Some(2));
    let late = ann
        .record(scan("s2", &ids[0], ShipmentStatus::InTransit, 1_357_034_000))
        .await?;
    let event = late.event.unwrap_or_default();
    assert_eq!(
        (event.seq, event.disposition().as_str_name()),
        (3, "DISPOSITION_LATE")
    );

    let status = ann.cancel("c0", &ids[0]).await.unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition);
    let reason = status
        .get_error_details()
        .error_info()
        .map(|info| info.reason.clone());
    assert_eq!(reason.as_deref(), Some("NOT_CANCELLABLE"));
    assert_eq!(
        ann.cancel("c1", &ids[1]).await?.status(),
        ShipmentStatus::Cancelled
    );
    service.stop().await
}
