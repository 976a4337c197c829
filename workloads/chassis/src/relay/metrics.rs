//! Metrics of the relay.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;

use crate::metrics::Metrics;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByTopic {
    topic: String,
}

#[derive(Clone, Debug, Default)]
pub(super) struct RelayMetrics {
    sent: Family<ByTopic, Counter>,
    failures: Counter,
    lag: Gauge<f64, std::sync::atomic::AtomicU64>,
    shards: Gauge,
}

impl RelayMetrics {
    pub(super) fn new(metrics: &Metrics) -> Self {
        let new = Self::default();
        metrics.register(|registry| {
            registry.register(
                "outbox_sent",
                "Records that the log has acknowledged",
                new.sent.clone(),
            );
            registry.register(
                "outbox_failures",
                "Attempts to send that will be repeated",
                new.failures.clone(),
            );
            registry.register(
                "outbox_lag_seconds",
                "Age of the oldest unsent record of this relay's shards",
                new.lag.clone(),
            );
            registry.register(
                "outbox_shards",
                "Shards that this relay sends",
                new.shards.clone(),
            );
        });
        new
    }

    pub(super) fn sent(&self, topic: &str) {
        self.sent
            .get_or_create(&ByTopic {
                topic: topic.to_owned(),
            })
            .inc();
    }

    pub(super) fn failed(&self) {
        self.failures.inc();
    }

    pub(super) fn lag(&self, seconds: f64) {
        self.lag.set(seconds.max(0.0));
    }

    pub(super) fn shards(&self, owned: usize) {
        self.shards.set(i64::try_from(owned).unwrap_or(i64::MAX));
    }
}
