//! What a cache counts.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;

use crate::metrics::{DURATION_BUCKETS, Metrics};

/// How a lookup ended.
#[derive(Clone, Copy, Debug)]
pub(super) enum Lookup {
    Hit,
    Miss,
    /// Redis was not asked.
    Skipped,
    Error,
}

/// How a write ended.
#[derive(Clone, Copy, Debug)]
pub(super) enum Write {
    Stored,
    /// Something as new was there, or it came too late.
    Outdated,
    /// Redis was not asked.
    Skipped,
    Error,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    result: &'static str,
}

/// The metrics of a cache; clones share them.
#[derive(Clone, Debug)]
pub(super) struct CacheMetrics {
    lookups: Family<Labels, Counter>,
    writes: Family<Labels, Counter>,
    seconds: Histogram,
    connects: Family<Labels, Counter>,
    down: Gauge,
}

impl CacheMetrics {
    pub(super) fn register(metrics: &Metrics) -> Self {
        let own = Self {
            lookups: Family::default(),
            writes: Family::default(),
            seconds: Histogram::new(DURATION_BUCKETS),
            connects: Family::default(),
            down: Gauge::default(),
        };
        own.down(true);
        metrics.register(|registry| {
            registry.register(
                "logistics_cache_lookups",
                "Values looked for in Redis",
                own.lookups.clone(),
            );
            registry.register(
                "logistics_cache_writes",
                "Values and positions sent to Redis",
                own.writes.clone(),
            );
            registry.register(
                "logistics_cache_call_seconds",
                "Time that a call to Redis took",
                own.seconds.clone(),
            );
            registry.register(
                "logistics_cache_connects",
                "Attempts to connect to Redis",
                own.connects.clone(),
            );
            registry.register(
                "logistics_cache_circuit_open",
                "1 while Redis is not asked because it does not answer",
                own.down.clone(),
            );
        });
        own
    }

    pub(super) fn looked(&self, lookup: Lookup, count: u64) {
        let result = match lookup {
            Lookup::Hit => "hit",
            Lookup::Miss => "miss",
            Lookup::Skipped => "skipped",
            Lookup::Error => "error",
        };
        if count > 0 {
            self.lookups.get_or_create(&Labels { result }).inc_by(count);
        }
    }

    pub(super) fn wrote(&self, write: Write, count: u64) {
        let result = match write {
            Write::Stored => "stored",
            Write::Outdated => "outdated",
            Write::Skipped => "skipped",
            Write::Error => "error",
        };
        if count > 0 {
            self.writes.get_or_create(&Labels { result }).inc_by(count);
        }
    }

    pub(super) fn called(&self, took: Duration) {
        self.seconds.observe(took.as_secs_f64());
    }

    pub(super) fn connected(&self, well: bool) {
        let result = if well { "ok" } else { "error" };
        self.connects.get_or_create(&Labels { result }).inc();
    }

    pub(super) fn down(&self, down: bool) {
        self.down.set(down.into());
    }
}
