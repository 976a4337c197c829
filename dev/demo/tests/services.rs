//! Real legs through the real services, without Kubernetes: every step is applied, and every count is equal.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use dev_demo::call::Services;
use dev_demo::counts::{self, Count};
use dev_demo::run;
use dev_demo::send::{Sender, send};
use dev_demo::trace::Tracing;
use dev_flights::legs::first_legs;
use dev_flights::story;
use logistics_schemas::Workload;
use logistics_schemas::grpc::logistics::analytics::v1::analytics_service_client::AnalyticsServiceClient;
use logistics_schemas::grpc::logistics::shipment::v1::shipment_service_client::ShipmentServiceClient;
use logistics_schemas::grpc::logistics::tracking::v1::tracking_service_client::TrackingServiceClient;
use logistics_testbed::{Testbed, eventually};
use tonic::transport::{Channel, Endpoint};

/// The first legs, and a later stretch with cancelled and diverted ones.
const LEGS: usize = 700;
const SENT: std::ops::Range<usize> = 400..LEGS;
const ACCOUNT: &str = "demo";

#[tokio::test(flavor = "multi_thread")]
async fn legs_come_through_the_services_whole() -> Result<()> {
    let services = [
        &logistics_shipment::MIGRATIONS,
        &logistics_tracking::MIGRATIONS,
        &logistics_analytics::MIGRATIONS,
    ];
    let testbed = Testbed::start(&services).await?;
    let shipment = testbed
        .chassis(Workload::Shipment, "shipment-0", services[0])
        .await?;
    let tracking = testbed
        .chassis(Workload::Tracking, "tracking-0", services[1])
        .await?;
    let analytics = testbed
        .chassis(Workload::Analytics, "analytics-0", services[2])
        .await?;
    let clients = Services {
        shipment: ShipmentServiceClient::new(channel(&shipment.grpc_address())?),
        tracking: TrackingServiceClient::new(channel(&tracking.grpc_address())?),
        analytics: AnalyticsServiceClient::new(channel(&analytics.grpc_address())?),
    };
    tokio::spawn(logistics_shipment::serve(shipment));
    tokio::spawn(logistics_tracking::serve(tracking));
    tokio::spawn(logistics_analytics::serve(analytics));

    let data = dev_tools::install(&[dev_tools::Tool::Flights])?.flights_data();
    let legs = Arc::new(first_legs(&data, LEGS)?[SENT].to_vec());
    let totals = story::totals(&legs);
    ensure!(
        totals.cancelled > 0 && totals.arrivals + totals.cancelled < totals.shipments,
        "too plain: {totals:?}"
    );
    let callers = run::callers(&testbed.issuer, ACCOUNT)?;
    let sender = Arc::new(Sender {
        connections: vec![clients.clone()],
        user: callers.user.clone(),
        shipman: callers.shipman.clone(),
        run: "test".to_owned(),
        concurrency: 16,
        tracing: Tracing::start(None)?,
    });
    let sent = send(&sender, &legs, |_, _| {}).await?;
    ensure!(sent.events == totals.events, "{sent:?}");
    let recorded = totals.events - totals.shipments - totals.cancelled;
    ensure!(
        sent.dispositions.get("APPLIED") == Some(&recorded),
        "{:?}",
        sent.dispositions
    );
    println!(
        "{} calls in {:?}, {} retries",
        sent.events, sent.elapsed, sent.retries
    );

    // The same run again changes nothing: every key is known.
    let again = send(&sender, &legs, |_, _| {}).await?;
    ensure!(
        again.shipment_ids == sent.shipment_ids,
        "a repeated call made another shipment"
    );

    let expected = Count {
        shipments: i64::try_from(totals.shipments)?,
        events: i64::try_from(totals.events)?,
        parked: 0,
    };
    ensure!(counts::shipment(&clients, &callers.admin).await? == expected);
    let seen = eventually("counts in = counts out", || async {
        let tracking = counts::tracking(&clients, &callers.admin).await?;
        let (analytics, accuracy) = counts::analytics(&clients, &callers.admin).await?;
        Ok((tracking == expected && analytics == expected).then_some(accuracy))
    });
    let accuracy = match tokio::time::timeout(Duration::from_secs(40), seen).await {
        Ok(accuracy) => accuracy?,
        Err(_) => anyhow::bail!(
            "sent {expected:?}; tracking {:?}, analytics {:?}",
            counts::tracking(&clients, &callers.admin).await?,
            counts::analytics(&clients, &callers.admin).await?
        ),
    };
    ensure!(
        u64::try_from(accuracy.arrivals)? == totals.arrivals,
        "{accuracy:?}"
    );
    ensure!(accuracy.mae_of_promise_minutes > 0.0, "{accuracy:?}");
    println!("{accuracy:?}");
    Ok(())
}

fn channel(address: &std::net::SocketAddr) -> Result<Channel> {
    Ok(Endpoint::from_shared(format!("http://{address}"))?.connect_lazy())
}
