//! Logs as JSON lines on the standard output, with the trace id among the fields of their spans; spans to an OTLP receiver.

use opentelemetry::trace::{TraceContextExt, TracerProvider};
use opentelemetry_otlp::{SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::{Level, Span, Subscriber};
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::filter::{EnvFilter, FilterExt, LevelFilter, filter_fn};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};

/// Why logs or spans could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The level is not known.
    #[error("--log-level {level:?} is not a level or a filter: {source}; write for example info")]
    Level {
        /// What was given.
        level: String,
        /// What is wrong with it.
        source: tracing_subscriber::filter::ParseError,
    },
    /// The OTLP exporter was refused.
    #[error("--otlp-endpoint {endpoint:?} is not usable: {source}; write for example http://collector:4317")]
    Otlp {
        /// What was given.
        endpoint: String,
        /// What is wrong with it.
        source: opentelemetry_otlp::ExporterBuildError,
    },
    /// Logs were set up already.
    #[error("logs are set up already")]
    Twice(#[from] TryInitError),
}

/// Keeps the spans' exporter; what is left is sent by [`Telemetry::shutdown`].
pub struct Telemetry(Option<SdkTracerProvider>);

impl Telemetry {
    /// Sends the spans that are left.
    pub fn shutdown(self) {
        if let Some(provider) = self.0
            && let Err(error) = provider.shutdown()
        {
            tracing::warn!(%error, "the last spans were not sent");
        }
    }
}

/// Sets up logs and spans for the process.
///
/// # Errors
/// When the level or the endpoint is not usable.
pub fn init(level: &str, otlp_endpoint: Option<&str>) -> Result<Telemetry, TelemetryError> {
    let filter = EnvFilter::builder()
        .parse(level)
        .map_err(|source| TelemetryError::Level {
            level: level.to_owned(),
            source,
        })?;
    let provider = otlp_endpoint.map(provider).transpose()?;
    subscriber(filter, provider.as_ref(), std::io::stdout).try_init()?;
    Ok(Telemetry(provider))
}

/// Lines and spans. The level chooses lines only: spans pass, so that traces stay whole and each line finds its own.
fn subscriber<W>(
    filter: EnvFilter,
    provider: Option<&SdkTracerProvider>,
    writer: W,
) -> impl Subscriber + use<W>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let spans = provider
        .map(|provider| tracing_opentelemetry::layer().with_tracer(provider.tracer("logistics-operator")))
        .with_filter(LevelFilter::INFO);
    let lines = filter.or(filter_fn(|metadata| {
        metadata.is_span() && *metadata.level() <= Level::INFO
    }));
    let logs = tracing_subscriber::fmt::layer()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_writer(writer)
        .with_filter(lines);
    tracing_subscriber::registry().with(spans).with(logs)
}

fn provider(endpoint: &str) -> Result<SdkTracerProvider, TelemetryError> {
    let exporter = SpanExporter::builder()
        .with_tonic()
        .with_endpoint(endpoint)
        .build();
    let exporter = exporter.map_err(|source| TelemetryError::Otlp {
        endpoint: endpoint.to_owned(),
        source,
    })?;
    let resource = Resource::builder()
        .with_service_name("logistics-operator")
        .build();
    Ok(SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_resource(resource)
        .build())
}

/// Notes the trace id of a span in its field `trace_id`, so that the logs below it carry it.
pub fn note_trace(span: &Span) {
    let context = span.context();
    let trace = context.span().span_context().trace_id();
    if trace != opentelemetry::TraceId::INVALID {
        span.record("trace_id", trace.to_string());
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry_sdk::trace::InMemorySpanExporter;

    use super::*;

    #[test]
    fn a_quiet_operator_still_sends_its_spans() {
        for level in ["error", "warn", "info", "debug"] {
            let exporter = InMemorySpanExporter::default();
            let provider = SdkTracerProvider::builder()
                .with_simple_exporter(exporter.clone())
                .build();
            let subscriber = subscriber(EnvFilter::new(level), Some(&provider), std::io::sink);
            tracing::subscriber::with_default(subscriber, || {
                tracing::info_span!("reconcile").in_scope(|| ());
            });
            let names: Vec<_> = exporter
                .get_finished_spans()
                .unwrap()
                .into_iter()
                .map(|span| span.name)
                .collect();
            assert_eq!(names, ["reconcile"], "{level}");
        }
    }
}
