//! One trace from the client's request to the assessment in the log, over gRPC, two outboxes and two topics.
//!
//! A test binary of its own: telemetry is installed once for the process.

use std::collections::HashMap;

use anyhow::{Context as _, Result};
use dev_rig::otlp;
use logistics_chassis::service::ProcessIdentity;
use logistics_chassis::telemetry::Telemetry;
use logistics_schemas::Workload;
use logistics_schemas::config::{LogLevel, Otlp, PlatformIdentity};
use logistics_schemas::grpc::logistics::shipment::v1 as proto;
use logistics_schemas::grpc::logistics::shipment::v1::shipment_service_client::ShipmentServiceClient;
use logistics_schemas::grpc::logistics::r#type::v1 as types;
use logistics_schemas::topics::ANALYTICS_ASSESSED;
use logistics_testbed::{Testbed, eventually};
use tonic::Request;
use tonic::transport::Channel;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CLIENT: &str = "00f067aa0ba902b7";

fn order() -> proto::CreateShipmentRequest {
    let place = |code: &str| {
        Some(types::Location {
            code: code.to_owned(),
            facility: String::new(),
        })
    };
    let at = |seconds| Some(prost_types::Timestamp { seconds, nanos: 0 });
    proto::CreateShipmentRequest {
        idempotency_key: "one".to_owned(),
        carrier: "UA".to_owned(),
        tracking_number: "1545".to_owned(),
        origin: place("EWR"),
        destination: place("IAH"),
        planned_departure: at(1_357_034_100),
        promised_arrival: at(1_357_046_220),
    }
}

fn create(testbed: &Testbed) -> Result<Request<proto::CreateShipmentRequest>> {
    let mut request = Request::new(order());
    let metadata = request.metadata_mut();
    metadata.insert("authorization", testbed.bearer("ann", &["user"], "acct-1")?);
    metadata.insert("traceparent", format!("00-{TRACE}-{CLIENT}-01").parse()?);
    Ok(request)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shipment_leaves_one_trace_from_the_client_to_its_assessment() -> Result<()> {
    let receiver = otlp::receiver(([127, 0, 0, 1], 0).into()).await?;
    let platform = PlatformIdentity {
        namespace: "test".to_owned(),
        name: "trace".to_owned(),
    };
    let otlp = Otlp {
        endpoint: format!("http://{}", receiver.address()),
        sampling_ratio: 0.0,
    };
    let process = ProcessIdentity::from_environment("all", &platform);
    let telemetry = Telemetry::install(&process, LogLevel::Info, Some(&otlp))?;

    let testbed =
        Testbed::start(&[&logistics_shipment::MIGRATIONS, &logistics_analytics::MIGRATIONS]).await?;
    let shipment = testbed
        .chassis(Workload::Shipment, "s", &logistics_shipment::MIGRATIONS)
        .await?;
    let analytics = testbed
        .chassis(Workload::Analytics, "a", &logistics_analytics::MIGRATIONS)
        .await?;
    let stops = [shipment.shutdown.clone(), analytics.shutdown.clone()];
    let request = create(&testbed)?;
    let channel = Channel::from_shared(format!("http://{}", shipment.grpc_address()))?.connect_lazy();
    let services = [
        tokio::spawn(logistics_shipment::serve(shipment)),
        tokio::spawn(logistics_analytics::serve(analytics)),
    ];

    let created = ShipmentServiceClient::new(channel)
        .create_shipment(request)
        .await?
        .into_inner();
    let id = created.shipment.context("no shipment")?.shipment_id;
    let record = eventually("the assessment in the log", || async {
        let records = testbed.log()?.read(&ANALYTICS_ASSESSED).await?;
        Ok(records.into_iter().find(|record| record.key == id))
    })
    .await?;
    let parent = record.header("traceparent").context("no traceparent")?;
    assert!(parent.starts_with(&format!("00-{TRACE}-")), "{parent}");
    let last_hop = parent.split('-').nth(2).context("no span")?.to_owned();

    for stop in stops {
        stop.request();
    }
    for service in services {
        service.await??;
    }
    tokio::task::spawn_blocking(move || telemetry.flush()).await?;
    // From the span that wrote the assessment, parent by parent, back to the client.
    let chain = eventually("the whole chain of spans", || async {
        let spans: HashMap<String, otlp::Span> = receiver
            .spans()
            .into_iter()
            .filter(|span| span.trace_id == TRACE)
            .map(|span| (span.span_id.clone(), span))
            .collect();
        let mut chain = Vec::new();
        let mut at = last_hop.clone();
        while let Some(span) = spans.get(&at) {
            chain.push(span.name.clone());
            at.clone_from(&span.parent_span_id);
        }
        Ok((at == CLIENT).then_some(chain))
    })
    .await?;
    println!("{chain:?}");
    assert!(
        chain.iter().any(|name| name == "process shipment.created"),
        "{chain:?}"
    );
    assert!(
        chain.iter().any(|name| name.ends_with("CreateShipment")),
        "{chain:?}"
    );
    Ok(())
}
