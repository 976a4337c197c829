//! Each change leaves one leaf in the audit log, which the service itself cannot take back.

use anyhow::Result;
use logistics_schemas::Workload;
use logistics_schemas::grpc::logistics::r#type::v1::Status as ShipmentStatus;
use logistics_shipment::MIGRATIONS;
use logistics_testbed::{Testbed, order, scan};

use crate::support::{Caller, Service};

#[tokio::test(flavor = "multi_thread")]
async fn every_change_is_told_once_and_for_good() -> Result<()> {
    let testbed = Testbed::start(&[&MIGRATIONS]).await?;
    let service = Service::start(&testbed, "a").await?;
    let ann = Caller::admin(&testbed, &service, "acme")?;
    let shipment = ann.create(order("k")).await?;
    ann.create(order("k")).await?;
    let picked_up = scan(
        "s",
        &shipment.shipment_id,
        ShipmentStatus::PickedUp,
        1_357_034_100,
    );
    ann.record(picked_up).await?;
    ann.cancel("c", &shipment.shipment_id).await.unwrap_err();

    let leaves = testbed
        .sql(
            "SELECT method, l.account_id, subject, roles, object_id = s.shipment_id, length(request_hash),
                    (SELECT count(*) FROM shipment.shipment_events e WHERE e.event_id = l.id)
             FROM shipment.audit_leaves l, shipment.shipments s ORDER BY position",
        )
        .await?;
    let leaves: Vec<_> = leaves.lines().collect();
    assert_eq!(
        leaves,
        [
            "CreateShipment|acme|ann|admin|t|32|1",
            "RecordEvent|acme|ann|admin|t|32|1"
        ]
    );
    let rights = testbed
        .sql(&format!(
            "SELECT string_agg(privilege_type, ',' ORDER BY privilege_type)
             FROM information_schema.role_table_grants
             WHERE table_schema = 'shipment' AND table_name = 'audit_leaves' AND grantee = '{}'",
            testbed.role(Workload::Shipment)
        ))
        .await?;
    assert_eq!(rights, "INSERT,SELECT");
    service.stop().await
}
