//! The trace of one shipment, from the client's create to analytics' score, is one trace.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use dev_demo::trace::Tracing;
use dev_e2e::orders;
use dev_e2e::stage::{OTLP_PORT, Stage, TOPIC_PREFIX};
use dev_rig::otlp::{self, Span};
use logistics_schemas::topics;
use opentelemetry::trace::TraceContextExt as _;

const CLIENT: &str = "logistics-client";

#[tokio::test(flavor = "multi_thread")]
async fn from_the_clients_create_to_analytics_score_it_is_one_trace() -> Result<()> {
    let stage = Stage::ready().await?;
    let receiver = otlp::receiver(format!("{}:{OTLP_PORT}", stage.facts.host_ip).parse()?).await?;
    let callers = stage.callers(&stage.new_account("trace"))?;

    let tracing = Tracing::start(Some(&receiver.endpoint()))?;
    let root = tracing.root("shipment");
    let trace_id = root.span().span_context().trace_id().to_string();
    let call = tracing.call("CreateShipment", &root);
    let request = callers.user.request(orders::order(), &call);
    let answer = stage
        .services()
        .shipment
        .create_shipment(request)
        .await?
        .into_inner();
    let shipment = answer.shipment.context("no shipment in the answer")?.shipment_id;
    call.span().end();
    root.span().end();
    tracing.finish().await?;

    // Each service sends its spans when it likes.
    let complete = |spans: &[Span]| {
        let trace: Vec<Span> = of_trace(spans, &trace_id);
        let whole = scored(&trace).iter().any(|score| path(&trace, score).is_ok());
        whole && trace.iter().any(|span| span.service.contains("tracking"))
    };
    let spans = receiver
        .wait_for(complete, Duration::from_mins(1))
        .await
        .context(format!("shipment {shipment}"))?;
    let trace = of_trace(&spans, &trace_id);
    let score = scored(&trace)
        .into_iter()
        .next()
        .context("no span of analytics")?;
    let path = path(&trace, &score)?;
    let services: Vec<&str> = path.iter().map(|span| span.service.as_str()).collect();
    println!(
        "{}",
        path.iter()
            .map(|span| format!("{}: {}", span.service, span.name))
            .collect::<Vec<_>>()
            .join("\n → ")
    );
    ensure!(
        services.first() == Some(&CLIENT),
        "the trace does not start at the client: {services:?}"
    );
    ensure!(
        services.iter().any(|service| service.contains("shipment")),
        "shipment is not on the way: {services:?}"
    );
    Ok(())
}

fn of_trace(spans: &[Span], trace_id: &str) -> Vec<Span> {
    spans
        .iter()
        .filter(|span| span.trace_id == trace_id)
        .cloned()
        .collect()
}

/// The spans in which analytics sends a score out.
fn scored(trace: &[Span]) -> Vec<Span> {
    let score = topics::ANALYTICS_ASSESSED.full_name(TOPIC_PREFIX);
    trace
        .iter()
        .filter(|span| span.service.contains("analytics") && span.name.contains(&score))
        .cloned()
        .collect()
}

/// The way from the root to a span; every parent on it must have been received.
fn path(trace: &[Span], end: &Span) -> Result<Vec<Span>> {
    let by_id: HashMap<&str, &Span> = trace.iter().map(|span| (span.span_id.as_str(), span)).collect();
    let mut path = vec![end.clone()];
    let mut next = end;
    while !next.parent_span_id.is_empty() {
        next = by_id
            .get(next.parent_span_id.as_str())
            .with_context(|| format!("parent of {next:?} is missing"))?;
        path.insert(0, next.clone());
    }
    Ok(path)
}
