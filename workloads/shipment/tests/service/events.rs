//! What is written reaches the event log: all of it, in order, also when a service is killed.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use futures::future::try_join_all;
use logistics_chassis::codec::{Codec, ShipmentCreated, ShipmentStatusChanged};
use logistics_schemas::Workload;
use logistics_schemas::grpc::logistics::r#type::v1::Status as ShipmentStatus;
use logistics_schemas::topics::{SHIPMENT_CREATED, SHIPMENT_STATUS_CHANGED};
use logistics_shipment::MIGRATIONS;
use logistics_testbed::{LogRecord, Testbed, eventually, order, scan};

use crate::support::{Caller, Service};

async fn outbox_is_empty(testbed: &Testbed) -> Result<()> {
    eventually("the outbox is empty", || async {
        let left = testbed.sql("SELECT count(*) FROM shipment.outbox").await?;
        Ok((left == "0").then_some(()))
    })
    .await
}

fn value(record: &LogRecord) -> Result<&[u8]> {
    record.payload.as_deref().context("a tombstone")
}

/// Positions by key, each at its first occurrence.
fn first_occurrences(records: &[LogRecord]) -> Result<BTreeMap<String, Vec<i64>>> {
    let mut keys: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    for record in records {
        let seq = record.header("ce_sequence").context("no ce_sequence")?.parse()?;
        let seen = keys.entry(record.key.clone()).or_default();
        if !seen.contains(&seq) {
            seen.push(seq);
        }
    }
    Ok(keys)
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_avro_with_cloudevents_headers() -> Result<()> {
    let testbed = Testbed::start(&[&MIGRATIONS]).await?;
    let service = Service::start(&testbed, "a").await?;
    let ann = Caller::admin(&testbed, &service, "acme")?;
    let shipment = ann.create(order("k")).await?;
    let scanned = ann
        .record(scan(
            "s",
            &shipment.shipment_id,
            ShipmentStatus::PickedUp,
            1_357_034_100,
        ))
        .await?;
    outbox_is_empty(&testbed).await?;

    let config = testbed.config(Workload::Shipment);
    let topics = [SHIPMENT_CREATED, SHIPMENT_STATUS_CHANGED];
    let codec = Codec::connect(&config.schema_registry, &config.kafka.topic_prefix, &topics).await?;
    let records = testbed.log()?.read(&SHIPMENT_CREATED).await?;
    assert_eq!(records.len(), 1);
    let created: ShipmentCreated = codec.decode(value(&records[0])?).await?;
    assert_eq!(created.shipment_id.to_string(), shipment.shipment_id);
    assert_eq!(
        (created.seq, created.actor.as_str(), created.account_id.as_str()),
        (1, "ann", "acme")
    );
    assert_eq!(records[0].key, shipment.shipment_id);
    let headers = [
        ("ce_specversion", "1.0"),
        ("ce_type", "logistics.shipment.created"),
        ("ce_partitionkey", shipment.shipment_id.as_str()),
        ("ce_sequence", "1"),
        ("content-type", "application/avro"),
    ];
    for (name, value) in headers {
        assert_eq!(records[0].header(name), Some(value));
    }

    let records = testbed.log()?.read(&SHIPMENT_STATUS_CHANGED).await?;
    let changed: ShipmentStatusChanged = codec.decode(value(&records[0])?).await?;
    assert_eq!((changed.seq, changed.status.as_str()), (2, "PICKED_UP"));
    assert_eq!(
        records[0].header("ce_id"),
        scanned.event.map(|event| event.event_id).as_deref()
    );
    service.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_service_loses_nothing_and_keeps_the_order() -> Result<()> {
    const SHIPMENTS: usize = 30;
    const SCANS: i64 = 10;

    let testbed = Testbed::start(&[&MIGRATIONS]).await?;
    let mut service = Service::start(&testbed, "a").await?;
    let ann = Caller::admin(&testbed, &service, "acme")?;
    let orders = (0..SHIPMENTS).map(|number| ann.create(order(&format!("order {number}"))));
    let ids: Vec<String> = try_join_all(orders)
        .await?
        .into_iter()
        .map(|shipment| shipment.shipment_id)
        .collect();
    for at in 0..SCANS {
        if at % 3 == 2 {
            // While its relay is at work.
            service.kill();
            service = Service::start(&testbed, &format!("after {at}")).await?;
        }
        let ann = Caller::admin(&testbed, &service, "acme")?;
        try_join_all(ids.iter().map(|id| {
            let ann = ann.clone();
            let key = format!("scan {at} of {id}");
            async move {
                ann.record(scan(&key, id, ShipmentStatus::InTransit, 1_357_034_100 + at))
                    .await
            }
        }))
        .await?;
    }
    outbox_is_empty(&testbed).await?;

    assert_eq!(
        first_occurrences(&testbed.log()?.read(&SHIPMENT_CREATED).await?)?.len(),
        SHIPMENTS
    );
    let changed = first_occurrences(&testbed.log()?.read(&SHIPMENT_STATUS_CHANGED).await?)?;
    assert_eq!(changed.len(), SHIPMENTS);
    for (key, positions) in changed {
        assert_eq!(positions, (2..=SCANS + 1).collect::<Vec<_>>(), "{key}");
    }
    service.stop().await
}
