//! What a tail counts.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;

use crate::metrics::Metrics;

/// The metrics of a tail; clones share them.
#[derive(Clone, Debug, Default)]
pub struct TailMetrics {
    pub(super) records: Counter,
    pub(super) read_errors: Counter,
    pub(super) partitions: Gauge,
}

impl TailMetrics {
    /// Registers them.
    #[must_use]
    pub fn register(metrics: &Metrics) -> Self {
        let own = Self::default();
        metrics.register(|registry| {
            registry.register(
                "logistics_tail_records",
                "Records read at the end of the log, wanted or not",
                own.records.clone(),
            );
            registry.register(
                "logistics_tail_read_errors",
                "Errors of reading the end of the log",
                own.read_errors.clone(),
            );
            registry.register(
                "logistics_tail_partitions",
                "Partitions whose end is read; 0 while nobody wants it",
                own.partitions.clone(),
            );
        });
        own
    }
}
