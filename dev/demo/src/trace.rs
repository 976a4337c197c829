//! The client's own spans: a shipment's trace starts here.

use std::borrow::Cow;

use anyhow::{Context as _, Result};
use opentelemetry::trace::{SpanKind, TraceContextExt as _, Tracer as _, TracerProvider as _};
use opentelemetry::{Context, KeyValue};
use opentelemetry_otlp::WithExportConfig as _;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};

const SERVICE: &str = "logistics-client";

/// Makes spans, and sends them where a receiver is given.
pub struct Tracing {
    provider: SdkTracerProvider,
    tracer: SdkTracer,
}

impl Tracing {
    /// Starts with an OTLP/gRPC receiver's URL, or without: then requests still carry a trace context.
    pub fn start(otlp_endpoint: Option<&str>) -> Result<Self> {
        let resource = Resource::builder().with_service_name(SERVICE).build();
        let mut provider = SdkTracerProvider::builder().with_resource(resource);
        if let Some(endpoint) = otlp_endpoint {
            let exporter = opentelemetry_otlp::SpanExporter::builder()
                .with_tonic()
                .with_endpoint(endpoint)
                .build()
                .with_context(|| format!("send spans to {endpoint}"))?;
            provider = provider.with_batch_exporter(exporter);
        }
        let provider = provider.build();
        let tracer = provider.tracer(SERVICE);
        Ok(Self { provider, tracer })
    }

    /// The start of a trace.
    pub fn root(&self, name: impl Into<Cow<'static, str>>) -> Context {
        Context::new().with_span(self.tracer.start_with_context(name, &Context::new()))
    }

    /// A call within a trace.
    #[must_use]
    pub fn call(&self, name: &'static str, parent: &Context) -> Context {
        let span = self.tracer.span_builder(name).with_kind(SpanKind::Client);
        let span = span.with_attributes([KeyValue::new("rpc.system", "grpc")]);
        parent.with_span(span.start_with_context(&self.tracer, parent))
    }

    /// Sends what is left.
    pub async fn finish(self) -> Result<()> {
        tokio::task::spawn_blocking(move || self.provider.shutdown())
            .await?
            .context("send the last spans")
    }
}
