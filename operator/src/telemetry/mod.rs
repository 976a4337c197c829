//! Seeing what the operator does: logs, spans, metrics, health.

mod admin;
mod logs;
mod metrics;

pub use admin::{Health, serve};
pub use logs::{Telemetry, TelemetryError, init, note_trace};
pub use metrics::Metrics;
