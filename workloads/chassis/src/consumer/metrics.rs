//! What a consumer counts.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;

use crate::metrics::{DURATION_BUCKETS, Metrics};

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PartitionLabels {
    topic: String,
    partition: i32,
}

/// The metrics of all consumers of a process; clones share them.
#[derive(Clone, Debug)]
pub(super) struct ConsumerMetrics {
    pub(super) records: Counter,
    pub(super) retries: Counter,
    pub(super) pauses: Counter,
    pub(super) read_errors: Counter,
    pub(super) assigned: Gauge,
    pub(super) batch_seconds: Histogram,
    lag: Family<PartitionLabels, Gauge>,
}

impl ConsumerMetrics {
    /// Registers them.
    #[must_use]
    pub(super) fn register(metrics: &Metrics) -> Self {
        let own = Self {
            records: Counter::default(),
            retries: Counter::default(),
            pauses: Counter::default(),
            read_errors: Counter::default(),
            assigned: Gauge::default(),
            batch_seconds: Histogram::new(DURATION_BUCKETS),
            lag: Family::default(),
        };
        metrics.register(|registry| {
            registry.register(
                "logistics_consumer_records",
                "Records handled",
                own.records.clone(),
            );
            registry.register(
                "logistics_consumer_retries",
                "Batches that failed for a transient reason and were tried again",
                own.retries.clone(),
            );
            registry.register(
                "logistics_consumer_pauses",
                "Times that reading a partition was paused, because enough of it waited",
                own.pauses.clone(),
            );
            registry.register(
                "logistics_consumer_read_errors",
                "Errors of reading",
                own.read_errors.clone(),
            );
            registry.register(
                "logistics_consumer_assigned_partitions",
                "Partitions assigned to this process",
                own.assigned.clone(),
            );
            registry.register(
                "logistics_consumer_batch_seconds",
                "Time to handle a batch, commit included",
                own.batch_seconds.clone(),
            );
            registry.register(
                "logistics_consumer_lag",
                "Records between the group's committed offset and the end of the partition",
                own.lag.clone(),
            );
        });
        own
    }

    pub(super) fn set_lag(&self, topic: &str, partition: i32, lag: i64) {
        self.lag.get_or_create(&labels(topic, partition)).set(lag);
    }

    /// What was revoked is no longer told of.
    pub(super) fn forget_lag(&self, topic: &str, partition: i32) {
        self.lag.remove(&labels(topic, partition));
    }
}

fn labels(topic: &str, partition: i32) -> PartitionLabels {
    PartitionLabels {
        topic: topic.to_owned(),
        partition,
    }
}
