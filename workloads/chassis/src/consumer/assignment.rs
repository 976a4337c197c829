//! Which partitions are this process's now.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rdkafka::client::ClientContext;
use rdkafka::consumer::{BaseConsumer, ConsumerContext, Rebalance};
use rdkafka::statistics::Statistics;
use rdkafka::topic_partition_list::TopicPartitionList;

use super::metrics::ConsumerMetrics;

/// The partitions assigned now, each with the number of its assignment: a record that was read under an earlier one is
/// no longer ours to handle. Clones share one state.
#[derive(Clone)]
pub(super) struct Assignment {
    state: Arc<Mutex<State>>,
    metrics: ConsumerMetrics,
}

#[derive(Default)]
struct State {
    latest_epoch: u64,
    epochs: HashMap<(String, i32), u64>,
}

impl Assignment {
    pub(super) fn new(metrics: ConsumerMetrics) -> Self {
        Self {
            state: Arc::default(),
            metrics,
        }
    }

    /// The number of the assignment of this partition; `None` when it is not assigned here.
    pub(super) fn epoch(&self, topic: &str, partition: i32) -> Option<u64> {
        self.lock().epochs.get(&(topic.to_owned(), partition)).copied()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn assign(&self, partitions: &TopicPartitionList) {
        let mut state = self.lock();
        state.latest_epoch += 1;
        let epoch = state.latest_epoch;
        for partition in partitions.elements() {
            let place = (partition.topic().to_owned(), partition.partition());
            if state.epochs.insert(place, epoch).is_none() {
                self.metrics.assigned.inc();
            }
        }
    }

    fn revoke(&self, partitions: &TopicPartitionList) {
        let mut state = self.lock();
        for partition in partitions.elements() {
            let place = (partition.topic().to_owned(), partition.partition());
            if state.epochs.remove(&place).is_some() {
                self.metrics.assigned.dec();
            }
            self.metrics.forget_lag(partition.topic(), partition.partition());
        }
    }
}

impl ClientContext for Assignment {
    fn stats(&self, statistics: Statistics) {
        // Held all the while: what is revoked meanwhile is forgotten afterwards.
        let ours = self.lock();
        for (topic, state) in &statistics.topics {
            for one in state.partitions.values() {
                if one.consumer_lag >= 0 && ours.epochs.contains_key(&(topic.clone(), one.partition)) {
                    self.metrics.set_lag(topic, one.partition, one.consumer_lag);
                }
            }
        }
    }
}

impl ConsumerContext for Assignment {
    /// Returns at once: a batch under way ends by itself, and its offsets are then not stored. What it has committed
    /// is recognised by whoever gets the record again.
    fn pre_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        match rebalance {
            Rebalance::Assign(partitions) => {
                tracing::info!(partitions = ?names(partitions), "assigned");
                self.assign(partitions);
            }
            Rebalance::Revoke(partitions) => {
                tracing::info!(partitions = ?names(partitions), "revoked");
                self.revoke(partitions);
            }
            Rebalance::Error(error) => tracing::warn!(%error, "rebalance"),
        }
    }
}

fn names(partitions: &TopicPartitionList) -> Vec<String> {
    let name = |one: &rdkafka::topic_partition_list::TopicPartitionListElem<'_>| {
        format!("{}/{}", one.topic(), one.partition())
    };
    partitions.elements().iter().map(name).collect()
}
