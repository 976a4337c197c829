//! Answers to our own writes that come late: what they tell of may be gone by then, and no watch would tell so again.

use std::borrow::Borrow;
use std::collections::{HashMap, HashSet};

use super::Cache;
use crate::child::{ChildId, ChildKind, Live};
use crate::observe::Area;

/// A write that is under way.
pub struct Writing<'a> {
    cache: &'a Cache,
    since: u64,
}

impl<'a> Writing<'a> {
    pub(super) const fn new(cache: &'a Cache, since: u64) -> Self {
        Self { cache, since }
    }

    /// Takes over how it was answered, unless a newer state is known, or the object is known to be gone again.
    pub fn put(&self, live: impl Borrow<Live>) {
        self.cache.take(live.borrow(), Some(self.since));
    }

    /// It deleted an object, which is gone at once.
    pub fn deleted(&self, namespace: &str, id: &ChildId, uid: &str) {
        self.cache.deleted(namespace, id, uid);
    }
}

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        self.cache.lock().meanwhile.end();
    }
}

/// What the watches told while writes are under way.
#[derive(Default)]
pub(super) struct Meanwhile {
    writes: usize,
    clock: u64,
    /// Objects that are gone. None ever comes back with its uid.
    gone: HashSet<String>,
    /// When a kind was last listed whole.
    listed: HashMap<(ChildKind, Area), u64>,
}

impl Meanwhile {
    pub(super) fn begin(&mut self) -> u64 {
        self.writes += 1;
        self.clock
    }

    fn end(&mut self) {
        self.writes -= 1;
        if self.writes == 0 {
            self.gone.clear();
        }
    }

    pub(super) fn gone(&mut self, uid: &str) {
        if self.writes > 0 {
            self.gone.insert(uid.to_owned());
        }
    }

    pub(super) fn listed(&mut self, kind: ChildKind, area: &Area) {
        self.clock += 1;
        self.listed.insert((kind, area.clone()), self.clock);
    }

    /// Whether an answer to a write that began at `since` tells nothing any more of an object that is not known: it was
    /// told as gone, or a list has ended since that did not show it. If it is there after all, the watch tells.
    pub(super) fn outdates(&self, live: &Live, since: u64) -> bool {
        let listed = [None, Some(live.namespace.clone())]
            .into_iter()
            .filter_map(|area| self.listed.get(&(live.id.kind, area)));
        self.gone.contains(&live.uid) || listed.into_iter().any(|at| *at > since)
    }
}
