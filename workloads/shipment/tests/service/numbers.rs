//! Carriers give their numbers out again.

use anyhow::Result;
use logistics_schemas::grpc::logistics::shipment::v1 as proto;
use logistics_schemas::grpc::logistics::r#type::v1::Status as ShipmentStatus;
use logistics_shipment::MIGRATIONS;
use logistics_testbed::{Testbed, order, scan};
use prost_types::Timestamp;
use tonic::Code;

use crate::support::{Caller, Service, wrong_fields};

const DAY: i64 = 86_400;
const START: i64 = 1_357_034_100;

fn planned(key: &str, days: i64) -> proto::CreateShipmentRequest {
    let at = |seconds| Some(Timestamp { seconds, nanos: 0 });
    proto::CreateShipmentRequest {
        planned_departure: at(START + days * DAY),
        promised_arrival: at(START + (days + 1) * DAY),
        ..order(key)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_is_the_shipment_that_had_it_at_the_time() -> Result<()> {
    let testbed = Testbed::start(&[&MIGRATIONS]).await?;
    let service = Service::start(&testbed, "a").await?;
    let ann = Caller::admin(&testbed, &service, "acme")?;
    let first = ann.create(planned("1", 0)).await?.shipment_id;
    for (key, status) in [
        ("a", ShipmentStatus::PickedUp),
        ("b", ShipmentStatus::OutForDelivery),
        ("c", ShipmentStatus::Delivered),
    ] {
        ann.record(scan(key, &first, status, START + DAY)).await?;
    }
    let second = ann.create(planned("2", 200)).await?.shipment_id;

    for (day, holder) in [(2, &first), (80, &first), (200, &second), (5_000, &second)] {
        let found = ann.find("UA", "1545", Some(START + day * DAY)).await?;
        assert_eq!(&found.shipment_id, holder, "day {day}");
    }
    assert_eq!(ann.find("UA", "1545", None).await?.shipment_id, second);
    for (carrier, number, day) in [
        ("UA", "1545", -30),
        ("UA", "1545", 120),
        ("DL", "1545", 2),
        ("UA", "7", 2),
    ] {
        let refused = ann
            .find(carrier, number, Some(START + day * DAY))
            .await
            .unwrap_err();
        assert_eq!(refused.code(), Code::NotFound, "{carrier} {number} on day {day}");
    }
    let eve = Caller::admin(&testbed, &service, "other")?;
    let refused = eve.find("UA", "1545", None).await.unwrap_err();
    assert_eq!(refused.code(), Code::NotFound);
    let refused = ann.find("ua", "", Some(-1)).await.unwrap_err();
    assert_eq!(wrong_fields(&refused), ["carrier", "tracking_number", "at"]);
    service.stop().await
}
