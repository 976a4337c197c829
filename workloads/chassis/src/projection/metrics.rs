//! What a projection counts.

use prometheus_client::metrics::counter::Counter;

use super::batch::Counts;
use crate::metrics::Metrics;

/// The metrics of a projection; clones share them.
#[derive(Clone, Debug, Default)]
pub struct ProjectionMetrics {
    applied: Counter,
    repeated: Counter,
    parked: Counter,
    poisoned: Counter,
}

impl ProjectionMetrics {
    /// Registers them.
    #[must_use]
    pub fn register(metrics: &Metrics) -> Self {
        let own = Self::default();
        metrics.register(|registry| {
            for (name, help, counter) in [
                ("logistics_projection_applied", "Events applied", &own.applied),
                (
                    "logistics_projection_repeated",
                    "Events that were applied or parked before",
                    &own.repeated,
                ),
                (
                    "logistics_projection_parked",
                    "Records that came before their turn, or are poisoned",
                    &own.parked,
                ),
                (
                    "logistics_projection_dead_letters",
                    "Records copied to a dead letter topic",
                    &own.poisoned,
                ),
            ] {
                registry.register(name, help, counter.clone());
            }
        });
        own
    }

    pub(super) fn count(&self, counts: &Counts) {
        self.applied.inc_by(counts.applied);
        self.repeated.inc_by(counts.repeated);
        self.parked.inc_by(counts.parked);
        self.poisoned.inc_by(counts.poisoned);
    }
}
