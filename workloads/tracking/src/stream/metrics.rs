//! What live streams count.

use logistics_chassis::metrics::Metrics;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SourceLabel {
    source: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabel {
    reason: &'static str,
}

/// The metrics of the live streams; clones share them.
#[derive(Clone, Debug, Default)]
pub(super) struct StreamMetrics {
    pub(super) open: Gauge,
    events: Family<SourceLabel, Counter>,
    ended: Family<ReasonLabel, Counter>,
    refused: Family<ReasonLabel, Counter>,
}

impl StreamMetrics {
    pub(super) fn register(metrics: &Metrics) -> Self {
        let own = Self::default();
        metrics.register(|registry| {
            registry.register(
                "logistics_streams_open",
                "Live streams that are open",
                own.open.clone(),
            );
            registry.register(
                "logistics_stream_events",
                "Events sent to live streams, by where they were read: the projection or the end of the log",
                own.events.clone(),
            );
            registry.register(
                "logistics_streams_ended",
                "Live streams that ended, by reason",
                own.ended.clone(),
            );
            registry.register(
                "logistics_streams_refused",
                "Live streams that were not opened, because there are too many, by whose bound",
                own.refused.clone(),
            );
        });
        own
    }

    pub(super) fn sent(&self, source: &'static str) {
        self.events.get_or_create(&SourceLabel { source }).inc();
    }

    pub(super) fn ended(&self, reason: &'static str) {
        self.ended.get_or_create(&ReasonLabel { reason }).inc();
    }

    pub(super) fn refused(&self, reason: &'static str) {
        self.refused.get_or_create(&ReasonLabel { reason }).inc();
    }
}
