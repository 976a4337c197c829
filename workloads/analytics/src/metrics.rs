//! What the learner counts.

use logistics_chassis::metrics::Metrics;
use prometheus_client::metrics::counter::Counter;

/// The metrics of the learner; clones share them.
#[derive(Clone, Debug, Default)]
pub(crate) struct LearnerMetrics {
    learned: Counter,
    repeated: Counter,
    dead_letters: Counter,
}

impl LearnerMetrics {
    /// Registers them.
    pub(crate) fn register(metrics: &Metrics) -> Self {
        let own = Self::default();
        metrics.register(|registry| {
            for (name, help, counter) in [
                ("logistics_learning_learned", "Observations learned", &own.learned),
                (
                    "logistics_learning_repeated",
                    "Observations that had been learned before",
                    &own.repeated,
                ),
                (
                    "logistics_learning_dead_letters",
                    "Observations that nothing can be learned from, copied to the dead letter topic",
                    &own.dead_letters,
                ),
            ] {
                registry.register(name, help, counter.clone());
            }
        });
        own
    }

    pub(crate) fn count(&self, learned: usize, repeated: usize, dead_letters: usize) {
        self.learned.inc_by(learned as u64);
        self.repeated.inc_by(repeated as u64);
        self.dead_letters.inc_by(dead_letters as u64);
    }
}
