//! What every write asks first. It costs two loads and a look at the clock.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::telemetry::Metrics;

/// A write was dropped because this operator does not lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("another operator leads")]
pub struct NotLeading;

/// The right to begin one write now.
#[derive(Clone, Copy, Debug)]
pub struct Permit {
    rest: Duration,
}

impl Permit {
    /// How long the write may take when it may not take longer than `limit` anyway: it ends before somebody else can lead.
    #[must_use]
    pub fn within(self, limit: Duration) -> Duration {
        limit.min(self.rest)
    }
}

/// Whether this operator leads.
#[derive(Clone)]
pub struct Leadership(Arc<Gate>);

struct Gate {
    start: Instant,
    /// Nanoseconds after `start` until which writes may begin.
    until: AtomicU64,
    /// How long after that a write may still take.
    grace: Duration,
    leads: watch::Sender<bool>,
    metrics: Arc<Metrics>,
}

impl Leadership {
    /// Of the only operator: it always leads.
    #[must_use]
    pub fn sole(metrics: Arc<Metrics>) -> Self {
        metrics.leads(true);
        Self(Arc::new(Gate {
            start: Instant::now(),
            until: AtomicU64::new(u64::MAX),
            grace: Duration::MAX,
            leads: watch::Sender::new(true),
            metrics,
        }))
    }

    /// Of a candidate: it does not lead yet. A write may take `grace` longer than it may begin.
    #[must_use]
    pub fn candidate(grace: Duration, metrics: Arc<Metrics>) -> Self {
        metrics.leads(false);
        Self(Arc::new(Gate {
            start: Instant::now(),
            until: AtomicU64::new(0),
            grace,
            leads: watch::Sender::new(false),
            metrics,
        }))
    }

    /// The right to begin a write now.
    ///
    /// # Errors
    /// When this operator does not lead; the write has to be dropped, and is counted as such by its kind.
    pub fn permit(&self, kind: &'static str) -> Result<Permit, NotLeading> {
        let Some(rest) = self.rest() else {
            self.0.metrics.write_dropped(kind);
            return Err(NotLeading);
        };
        Ok(Permit {
            rest: rest.saturating_add(self.0.grace),
        })
    }

    /// Whether a write may begin now.
    #[must_use]
    pub fn may_write(&self) -> bool {
        self.rest().is_some()
    }

    /// Whether it leads by the last decision; that it may still write, the clock tells.
    #[must_use]
    pub fn leads(&self) -> bool {
        *self.0.leads.borrow()
    }

    fn rest(&self) -> Option<Duration> {
        match self.0.until.load(Ordering::Acquire) {
            u64::MAX => Some(Duration::MAX),
            until => Duration::from_nanos(until)
                .checked_sub(self.0.start.elapsed())
                .filter(|rest| !rest.is_zero()),
        }
    }

    /// Tells when this operator begins or ceases to lead, and whether it leads by the last decision.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<bool> {
        self.0.leads.subscribe()
    }

    /// It leads until an instant.
    pub(super) fn leads_until(&self, end: Instant) {
        let nanos = end.saturating_duration_since(self.0.start).as_nanos();
        let until = u64::try_from(nanos).unwrap_or(u64::MAX - 1);
        self.0.until.store(until, Ordering::Release);
        if !self.leads() {
            self.0.metrics.leads(true);
            self.0.leads.send_replace(true);
        }
    }

    /// It does not lead any more. Returns whether it did.
    pub(super) fn ends(&self) -> bool {
        self.0.until.store(0, Ordering::Release);
        let led = self.0.leads.send_replace(false);
        self.0.metrics.leads(false);
        led
    }
}
