//! What has been learned, of all scopes.

use std::collections::HashMap;
use std::hash::Hash;

use crate::history::{History, Lesson, Outcome, Surroundings};
use crate::journey::Stay;
use crate::scope::{Level, PerLevel};

/// Histories by the name of their scope.
#[derive(Clone, Debug)]
pub struct Book<K> {
    known: HashMap<K, History>,
    /// What is known of a scope that nothing is known of.
    empty: History,
}

impl<K> Default for Book<K> {
    fn default() -> Self {
        Self {
            known: HashMap::new(),
            empty: History::default(),
        }
    }
}

impl<K: Eq + Hash + Clone> Book<K> {
    /// Takes histories that were learned before.
    pub fn extend(&mut self, histories: impl IntoIterator<Item = (K, History)>) {
        self.known.extend(histories);
    }

    /// What has been learned of a scope.
    #[must_use]
    pub fn get(&self, key: &K) -> Option<&History> {
        self.known.get(key)
    }

    /// What is known around a shipment of these scopes, in the order of [`Level::ALL`].
    #[must_use]
    pub fn around(&self, keys: &PerLevel<K>) -> Surroundings<'_> {
        let histories = keys
            .each_ref()
            .map(|key| self.known.get(key).unwrap_or(&self.empty));
        Surroundings::new(histories)
    }

    /// Learns from a stay in one status, on the lane of this key.
    pub fn stayed(&mut self, lane: &K, stay: Stay) {
        self.known.entry(lane.clone()).or_default().stayed(stay);
    }

    /// Learns from an arrival in these scopes.
    pub fn learn(&mut self, keys: &PerLevel<K>, outcome: &Outcome) {
        let lesson = Lesson::of(outcome, &self.around(keys));
        for (level, key) in Level::ALL.into_iter().zip(keys) {
            self.known.entry(key.clone()).or_default().learn(level, &lesson);
        }
    }
}
