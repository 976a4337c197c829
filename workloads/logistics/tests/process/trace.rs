//! One shipment is one trace: from its caller through the outbox and the log to the services that read it.

use std::time::Duration;

use anyhow::{Context as _, Result};
use dev_rig::otlp::{self, Span};
use logistics_schemas::Workload;
use logistics_schemas::topics::SHIPMENT_CREATED;
use logistics_testbed::{Testbed, order};
use tonic::Request;

use crate::support::{Process, client, migrate};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLER: &str = "00f067aa0ba902b7";

#[tokio::test(flavor = "multi_thread")]
async fn the_callers_trace_reaches_every_service() -> Result<()> {
    let testbed = Testbed::start(&[]).await?;
    migrate(&testbed).await?;
    let receiver = otlp::receiver(([127, 0, 0, 1], 0).into()).await?;
    let endpoint = receiver.endpoint();
    let mut processes = Vec::new();
    for workload in Workload::ALL {
        processes.push(Process::start(&testbed, workload, Some(&endpoint)).await?);
    }
    let shipment = processes.last().context("no process")?;

    let mut request = Request::new(order("k"));
    request
        .metadata_mut()
        .insert("authorization", testbed.bearer("ann", &["user"], "acme")?);
    request
        .metadata_mut()
        .insert("traceparent", format!("00-{TRACE}-{CALLER}-01").parse()?);
    client(shipment)?.create_shipment(request).await?;

    let services = ["logistics-shipment", "logistics-tracking", "logistics-analytics"];
    let of_trace = |spans: &[Span]| {
        spans
            .iter()
            .filter(|span| span.trace_id == TRACE)
            .cloned()
            .collect::<Vec<_>>()
    };
    let complete = |spans: &[Span]| {
        let spans = of_trace(spans);
        services
            .iter()
            .all(|service| spans.iter().any(|span| span.service == *service))
    };
    let spans = of_trace(&receiver.wait_for(complete, Duration::from_mins(1)).await?);
    let find = |name: &str| {
        spans
            .iter()
            .find(|span| span.name.contains(name))
            .with_context(|| format!("no span {name}"))
    };

    let server = find("ShipmentService/CreateShipment")?;
    assert_eq!(
        (server.parent_span_id.as_str(), server.kind.as_str()),
        (CALLER, "Server")
    );
    assert_eq!(
        server.attributes.get("logistics.revision").map(String::as_str),
        Some("abc123")
    );
    let publish = spans
        .iter()
        .find(|span| span.kind == "Producer" && span.name.ends_with(SHIPMENT_CREATED.name))
        .context("no producer")?;
    assert_eq!(
        (publish.parent_span_id.as_str(), publish.kind.as_str()),
        (server.span_id.as_str(), "Producer")
    );

    let records = testbed.log()?.read(&SHIPMENT_CREATED).await?;
    let carried = records[0].header("traceparent").context("no traceparent")?;
    assert_eq!(carried, format!("00-{TRACE}-{}-01", publish.span_id));
    for service in &services[1..] {
        let consumer = spans
            .iter()
            .find(|span| span.service == *service)
            .context("no span")?;
        assert!(
            consumer.parent_span_id == publish.span_id || consumer.links.iter().any(|link| link == TRACE),
            "{consumer:?}"
        );
    }
    for mut process in processes {
        let status = process.stop().await?;
        assert!(status.success(), "{status}: {:#?}", process.log()?.last());
        for line in process.log()? {
            assert!(
                line.get("timestamp").is_some() && line.get("level").is_some(),
                "{line}"
            );
        }
    }
    Ok(())
}
