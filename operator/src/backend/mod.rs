//! Systems outside Kubernetes. Each is a [`Backend`]: one batched read, a pure plan, and changes that may be repeated.

mod breaker;
pub mod kafka;
mod poll;
pub mod postgres;
pub mod registry;

use std::fmt;
use std::future::Future;
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

pub use poll::{Poller, Trigger};

use crate::reason::Reason;

/// The backends as they are reached; by default over the network.
#[derive(Default)]
pub struct Outside {
    /// How Kafka is reached.
    pub kafka: kafka::Kafka,
    /// How schema registries are reached.
    pub registry: registry::Registry,
    /// How PostgreSQL is reached.
    pub postgres: postgres::Postgres,
}

/// Longest time that a call to a backend may take.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(10);

/// What is known about a backend.
#[derive(Debug, PartialEq, Eq)]
pub enum Reading<T> {
    /// It was not read yet.
    Pending,
    /// The last read failed.
    Failed(BackendError),
    /// What the last read found.
    Seen(Arc<T>),
}

// Derived, it would ask for `T: Clone`.
impl<T> Clone for Reading<T> {
    fn clone(&self) -> Self {
        match self {
            Self::Pending => Self::Pending,
            Self::Failed(error) => Self::Failed(error.clone()),
            Self::Seen(seen) => Self::Seen(Arc::clone(seen)),
        }
    }
}

/// What has to be done in a backend, and what cannot be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackendPlan<C> {
    /// Changes, in order.
    pub changes: Vec<C>,
    /// What differs and is left alone: a reason in CamelCase, and a sentence with a remedy.
    pub refused: Vec<Refused>,
}

impl<C> Default for BackendPlan<C> {
    fn default() -> Self {
        Self {
            changes: Vec::new(),
            refused: Vec::new(),
        }
    }
}

/// A difference that the operator does not remove by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// A condition's reason.
    pub reason: Reason,
    /// What differs, and what the user can do.
    pub message: String,
}

/// Why a change or a read failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct BackendError {
    /// A condition's reason.
    pub reason: Reason,
    /// What failed and why.
    pub message: String,
}

/// A system outside Kubernetes.
pub trait Backend: Send + Sync + 'static {
    /// Its name in logs and metrics.
    const NAME: &'static str;
    /// Of how many platforms the items are read in one call.
    const BATCH: usize;
    /// The part of an interval that each item takes at least. With so many items that they do not fit, the interval
    /// grows: however many platforms there are, a backend is asked no more often than this.
    const PACE: Duration;
    /// How it is reached.
    type Target: Clone + Eq + Hash + Send + Sync + 'static;
    /// An open connection to it.
    type Connection: Send + Sync + 'static;
    /// Something that should exist in it.
    type Item: Clone + Eq + Hash + Send + Sync + 'static;
    /// What a read finds.
    type Seen: Default + PartialEq + Send + Sync + 'static;
    /// A change.
    type Change: Clone + fmt::Display + Send + Sync + 'static;

    /// Makes a connection; it need not reach the system yet.
    fn connect(&self, target: &Self::Target) -> Result<Self::Connection, BackendError>;

    /// Reads the state of some items.
    fn observe(
        &self,
        connection: &Self::Connection,
        items: &[Self::Item],
    ) -> impl Future<Output = Result<Self::Seen, BackendError>> + Send;

    /// What was found about some of the items.
    fn part(items: &[Self::Item], seen: &Self::Seen) -> Self::Seen;

    /// Decides what has to change. Pure.
    fn plan(items: &[Self::Item], seen: &Self::Seen) -> BackendPlan<Self::Change>;

    /// Decides what has to go when the items are not wanted any more. Pure.
    fn teardown(items: &[Self::Item], seen: &Self::Seen) -> Vec<Self::Change>;

    /// Makes a change. Repeating it does no harm.
    fn apply(
        &self,
        connection: &Self::Connection,
        change: &Self::Change,
    ) -> impl Future<Output = Result<(), BackendError>> + Send;
}
