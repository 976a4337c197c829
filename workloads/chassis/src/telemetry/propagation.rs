//! W3C trace context, carried over gRPC metadata, outbox rows and Kafka headers.

use http::HeaderMap;
use logistics_schemas::headers::{TRACEPARENT, TRACESTATE};
use opentelemetry::Context;
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator as _};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

/// The headers that carry a trace: `traceparent`, `tracestate`.
pub const HEADERS: [&str; 2] = [TRACEPARENT.name, TRACESTATE.name];

/// Whether `name` is one of [`HEADERS`].
#[must_use]
pub fn is_trace_header(name: &str) -> bool {
    HEADERS.contains(&name)
}

/// The current span as headers; empty outside of a trace.
#[must_use]
pub fn current() -> Vec<(String, String)> {
    of(&Context::current())
}

/// `span` as headers; empty when it belongs to no trace.
#[must_use]
pub fn of_span(span: &tracing::Span) -> Vec<(String, String)> {
    of(&span.context())
}

fn of(context: &Context) -> Vec<(String, String)> {
    let mut headers = Headers(Vec::new());
    TraceContextPropagator::new().inject_context(context, &mut headers);
    headers.0.retain(|(_, value)| !value.is_empty());
    headers.0
}

/// Makes `span`, which has not been entered yet, a child of the trace that `header` carries. Without a valid one the
/// span stays what it is.
pub fn set_parent<'a>(span: &tracing::Span, header: impl Fn(&str) -> Option<&'a str>) {
    let carrier = Lookup(HEADERS.map(|name| (name, header(name))));
    adopt(
        span,
        &TraceContextPropagator::new().extract_with_context(&Context::new(), &carrier),
    );
}

/// The same for the headers of a gRPC request.
pub fn set_parent_from_grpc(span: &tracing::Span, headers: &HeaderMap) {
    set_parent(span, |name| {
        headers.get(name).and_then(|value| value.to_str().ok())
    });
}

/// Puts the current span into the metadata of an outgoing gRPC request.
pub fn inject_grpc(metadata: &mut tonic::metadata::MetadataMap) {
    for (name, value) in current() {
        let (Ok(name), Ok(value)) = (
            name.parse::<tonic::metadata::MetadataKey<tonic::metadata::Ascii>>(),
            value.parse(),
        ) else {
            continue;
        };
        metadata.insert(name, value);
    }
}

fn adopt(span: &tracing::Span, parent: &Context) {
    use opentelemetry::trace::TraceContextExt as _;

    if parent.span().span_context().is_valid() {
        // Fails only where no tracer is installed or the span is filtered out: then there is nothing to connect.
        let _ = span.set_parent(parent.clone());
    }
}

struct Headers(Vec<(String, String)>);

impl Injector for Headers {
    fn set(&mut self, key: &str, value: String) {
        self.0.push((key.to_owned(), value));
    }
}

struct Lookup<'a>([(&'static str, Option<&'a str>); 2]);

impl Extractor for Lookup<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(name, _)| *name == key)
            .and_then(|(_, value)| *value)
    }

    fn keys(&self) -> Vec<&str> {
        HEADERS.to_vec()
    }
}
