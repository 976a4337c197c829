//! Outside systems that speak their real protocols on loopback, keep what they are told in memory, and count requests.
//! What the operator costs is measured, not what a broker costs.

pub(crate) mod kafka;
pub(crate) mod postgres;
pub(crate) mod registry;

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// Requests by what they ask for.
#[derive(Debug, Default)]
pub(crate) struct Counter(Mutex<BTreeMap<String, u64>>);

impl Counter {
    pub(crate) fn count(&self, what: impl Into<String>) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.entry(what.into()).or_default() += 1;
    }

    /// All requests so far.
    pub(crate) fn total(&self) -> u64 {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts.values().sum()
    }
}
