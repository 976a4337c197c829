//! Logs as JSON lines on stderr, spans to an OTLP receiver.
//!
//! Both carry the same trace ids, so a log line leads to its trace. Installed once per process, by the binary.

mod format;
pub mod propagation;

use std::time::Duration;

use logistics_schemas::config::{LogLevel, Otlp};
use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
use tracing::Subscriber;
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::{LevelFilter, Targets, filter_fn};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::service::ProcessIdentity;

/// Longest time that one export may take.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest time that the last spans may take when the process stops.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(4);
/// Libraries whose debug output drowns everything else, and would follow their own exports.
const QUIET: [&str; 6] = ["h2", "hyper", "tower", "rustls", "opentelemetry", "sqlx::query"];

/// Why telemetry could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The exporter was refused.
    #[error(
        "otlp.endpoint: {endpoint:?}: {source}; give the URL of an OTLP/gRPC receiver, such as http://collector:4317"
    )]
    Exporter {
        /// The configured endpoint.
        endpoint: String,
        /// Why.
        source: opentelemetry_otlp::ExporterBuildError,
    },
    /// Something else in the process has already installed a subscriber.
    #[error("telemetry is installed already")]
    Installed(#[from] tracing_subscriber::util::TryInitError),
}

/// Keeps telemetry running; call [`Telemetry::flush`] before the process ends.
#[derive(Debug)]
pub struct Telemetry {
    provider: SdkTracerProvider,
}

impl Telemetry {
    /// Sets up logging and tracing for the process. Needs a Tokio runtime when there is an OTLP receiver.
    pub fn install(
        process: &ProcessIdentity,
        level: LogLevel,
        otlp: Option<&Otlp>,
    ) -> Result<Self, TelemetryError> {
        opentelemetry::global::set_text_map_propagator(TraceContextPropagator::new());
        let provider = provider(process, otlp)?;
        subscriber(process, level, &provider, std::io::stderr).try_init()?;
        Ok(Self { provider })
    }

    /// Sends the spans that are still here. Blocks: call it outside of asynchronous code.
    pub fn flush(self) {
        if let Err(error) = self.provider.shutdown_with_timeout(FLUSH_TIMEOUT) {
            tracing::warn!(%error, "the last spans were not sent");
        }
    }
}

/// Spans and log lines of one process. The level chooses lines only: a quiet service must not cut a trace in two.
fn subscriber<W>(
    process: &ProcessIdentity,
    level: LogLevel,
    provider: &SdkTracerProvider,
    writer: W,
) -> impl Subscriber + Send + Sync + use<W>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let spans = tracing_opentelemetry::layer()
        .with_tracer(provider.tracer("logistics"))
        .with_location(false)
        .with_threads(false)
        .with_target(false)
        .with_tracked_inactivity(false);
    let lines = lines_from(level);
    let logs = tracing_subscriber::fmt::layer()
        .event_format(format::Json::new(process))
        .fmt_fields(format::NoFields)
        .with_writer(writer)
        // Spans pass, so that each line finds its trace.
        .with_filter(filter_fn(move |metadata| {
            metadata.is_span() || *metadata.level() <= lines
        }));
    tracing_subscriber::registry()
        .with(enabled(lines.max(LevelFilter::INFO)))
        .with(spans)
        .with(logs)
}

fn lines_from(level: LogLevel) -> LevelFilter {
    match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    }
}

fn enabled(level: LevelFilter) -> Targets {
    let quiet = QUIET.map(|library| (library, LevelFilter::WARN));
    Targets::new().with_default(level).with_targets(quiet)
}

fn provider(process: &ProcessIdentity, otlp: Option<&Otlp>) -> Result<SdkTracerProvider, TelemetryError> {
    let ratio = otlp.map_or(0.0, |otlp| otlp.sampling_ratio);
    let builder = SdkTracerProvider::builder()
        .with_resource(resource(process))
        .with_sampler(Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(ratio))));
    let Some(otlp) = otlp else {
        return Ok(builder.build());
    };
    let exporter = SpanExporter::builder()
        .with_tonic()
        .with_endpoint(&otlp.endpoint)
        .with_timeout(EXPORT_TIMEOUT)
        .build()
        .map_err(|source| TelemetryError::Exporter {
            endpoint: otlp.endpoint.clone(),
            source,
        })?;
    Ok(builder.with_batch_exporter(exporter).build())
}

fn resource(process: &ProcessIdentity) -> Resource {
    Resource::builder_empty()
        .with_service_name(process.service_name())
        .with_attributes([
            KeyValue::new("service.namespace", process.namespace.clone()),
            KeyValue::new("service.instance.id", process.instance.clone()),
            KeyValue::new("service.version", process.version),
            KeyValue::new("logistics.platform", process.platform.clone()),
            KeyValue::new("logistics.revision", process.revision.clone()),
        ])
        .build()
}

#[cfg(test)]
mod tests;
