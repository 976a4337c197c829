//! Deadlines, stopping, and a database that goes away.

use std::time::Duration;

use anyhow::{Context as _, Result};
use logistics_schemas::grpc::logistics::r#type::v1::Status as ShipmentStatus;
use logistics_shipment::MIGRATIONS;
use logistics_testbed::{Testbed, eventually, order, scan};
use sqlx::{Connection as _, PgConnection};
use tonic::Code;

use crate::support::{Caller, Service, rows};

/// Holds the lock of a shipment until it is dropped.
async fn hold(testbed: &Testbed, shipment_id: &str) -> Result<PgConnection> {
    let mut connection = PgConnection::connect(&testbed.database.superuser_url).await?;
    sqlx::raw_sql("BEGIN").execute(&mut connection).await?;
    sqlx::query("SELECT FROM shipment.shipments WHERE shipment_id = $1::uuid FOR UPDATE")
        .bind(shipment_id)
        .execute(&mut connection)
        .await?;
    Ok(connection)
}

#[tokio::test(flavor = "multi_thread")]
async fn work_ends_with_its_deadline_and_leaves_nothing() -> Result<()> {
    let testbed = Testbed::start(&[&MIGRATIONS]).await?;
    let service = Service::start(&testbed, "a").await?;
    let ann = Caller::admin(&testbed, &service, "acme")?;
    let shipment = ann.create(order("k")).await?;
    let held = hold(&testbed, &shipment.shipment_id).await?;
    let picked_up = scan(
        "s",
        &shipment.shipment_id,
        ShipmentStatus::PickedUp,
        1_357_034_100,
    );
    let hasty = ann.clone().within(Duration::from_millis(400));
    // The service's own answer, not the client's clock.
    let status = hasty.record(picked_up.clone()).await.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded, "{status:?}");
    assert!(status.message().contains("idempotency key"), "{status:?}");
    held.close().await?;
    eventually("no transaction is left", || async {
        let open = "SELECT count(*) FROM pg_stat_activity
                    WHERE datname = current_database() AND state = 'idle in transaction'";
        Ok((testbed.sql(open).await? == "0").then_some(()))
    })
    .await?;
    assert_eq!(rows(&testbed).await?, "1|1|1");
    // The same key again, as the answer says.
    let answer = ann.record(picked_up).await?;
    assert_eq!(answer.shipment.map(|shipment| shipment.seq), Some(2));
    service.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopping_service_finishes_what_it_has_begun() -> Result<()> {
    let testbed = Testbed::start(&[&MIGRATIONS]).await?;
    let service = Service::start(&testbed, "a").await?;
    let ann = Caller::admin(&testbed, &service, "acme")?;
    let shipment = ann.create(order("k")).await?;
    let held = hold(&testbed, &shipment.shipment_id).await?;
    let picked_up = scan(
        "s",
        &shipment.shipment_id,
        ShipmentStatus::PickedUp,
        1_357_034_100,
    );
    let open = {
        let ann = ann.clone();
        tokio::spawn(async move { ann.record(picked_up).await })
    };
    eventually("the scan waits for the lock", || async {
        let waiting = "SELECT count(*) FROM pg_stat_activity
                       WHERE datname = current_database() AND wait_event_type = 'Lock'";
        Ok((testbed.sql(waiting).await? == "1").then_some(()))
    })
    .await?;

    service.shutdown.request();
    eventually("the service is not ready any more", || async {
        let answer = reqwest::get(format!("{}/readyz", service.admin)).await?;
        Ok((answer.status() == 503).then_some(()))
    })
    .await?;
    held.close().await?;
    assert_eq!(open.await??.shipment.map(|shipment| shipment.seq), Some(2));
    service.stop().await?;
    // What was committed last has been sent, too.
    assert_eq!(testbed.sql("SELECT count(*) FROM shipment.outbox").await?, "0");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restarted_database_is_found_again() -> Result<()> {
    let postgres = dev_rig::postgres().await?;
    let postgres: &'static dev_rig::Postgres = Box::leak(Box::new(postgres));
    let mut testbed = Testbed::on(postgres).await?;
    testbed.use_shared_servers().await?;
    testbed.migrate(&[&MIGRATIONS]).await?;
    let service = Service::start(&testbed, "a").await?;
    let ann = Caller::admin(&testbed, &service, "acme")?;
    let shipment = ann.create(order("before")).await?;

    postgres.kill();
    let status = ann.get(&shipment.shipment_id).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable, "{status:?}");
    assert!(!format!("{status:?}").contains("127.0.0.1"), "{status:?}");
    postgres.start_again().await?;
    eventually("shipments are created again", || async {
        Ok(ann.create(order("after")).await.ok())
    })
    .await?;
    assert_eq!(ann.get(&shipment.shipment_id).await?.seq, 1);
    let created = &logistics_schemas::topics::SHIPMENT_CREATED;
    eventually("both are in the log", || async {
        Ok((testbed.log()?.read(created).await?.len() >= 2).then_some(()))
    })
    .await
    .context("the relay did not come back")?;
    service.stop().await
}
