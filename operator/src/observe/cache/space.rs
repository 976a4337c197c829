//! The children in one namespace, found by their name and by the platform that they belong to.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::collections::{BTreeSet, HashMap};
use std::ops::Deref;
use std::sync::Arc;

use crate::child::{ChildId, Live};
use crate::names::INSTANCE;
use crate::observe::packed::Packed;

/// How a child belongs to a platform ([`Live::belongs_to`]).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Group {
    /// The platform with this uid controls it.
    Owner(Box<str>),
    /// Nothing controls it; we have applied it for the platform with this name.
    Named(Box<str>),
}

impl Group {
    fn of(live: &Live) -> Option<Self> {
        match &live.owner {
            Some(owner) => Some(Self::Owner(owner.as_str().into())),
            None if live.applied_by_us => Some(Self::Named(live.label(INSTANCE)?.into())),
            None => None,
        }
    }
}

/// What the cache keeps of a child.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) id: ChildId,
    pub(super) uid: Box<str>,
    pub(super) resource_version: u64,
    /// The platform that its label names.
    pub(super) platform: Option<Arc<str>>,
    /// Whether a watch has told of it, and not only the answer to a write of ours.
    pub(super) watched: bool,
    pub(super) object: Packed,
    group: Option<Arc<Group>>,
}

/// A child, ordered by its kind and name.
#[derive(Clone, Debug)]
pub(super) struct Entry(Arc<Kept>);

impl Kept {
    pub(super) fn new(live: &Live, object: Packed, watched: bool) -> Self {
        Self {
            id: ChildId::new(live.id.kind, live.id.name.as_str()),
            uid: live.uid.as_str().into(),
            resource_version: live.resource_version,
            platform: live.label(INSTANCE).map(Arc::from),
            watched,
            object,
            group: Group::of(live).map(Arc::new),
        }
    }

    /// Whether both are the same object in the same state, but for its place in the API server's history.
    pub(super) fn same(&self, other: &Self) -> bool {
        self.uid == other.uid && self.object == other.object
    }
}

impl Deref for Entry {
    type Target = Kept;

    fn deref(&self) -> &Kept {
        &self.0
    }
}

impl Borrow<ChildId> for Entry {
    fn borrow(&self) -> &ChildId {
        &self.0.id
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> Ordering {
        self.id.cmp(&other.id)
    }
}

/// The children in one namespace.
#[derive(Default)]
pub(super) struct Space {
    entries: BTreeSet<Entry>,
    groups: HashMap<Arc<Group>, Vec<Entry>>,
}

impl Space {
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(super) fn get(&self, id: &ChildId) -> Option<&Entry> {
        self.entries.get(id)
    }

    /// The children that belong to a platform in this way.
    pub(super) fn of(&self, group: &Group) -> Option<&Vec<Entry>> {
        self.groups.get(group)
    }

    /// Puts a child in; gives its former state.
    pub(super) fn put(&mut self, mut kept: Kept) -> Option<Entry> {
        let former = self.remove(&kept.id);
        // Children of one platform share what is the same for all of them.
        let known = kept
            .group
            .as_ref()
            .and_then(|group| self.groups.get(group)?.first());
        if let Some(known) = known {
            kept.group.clone_from(&known.group);
            if kept.platform == known.platform {
                kept.platform.clone_from(&known.platform);
            }
        }
        let entry = Entry(Arc::new(kept));
        if let Some(group) = &entry.group {
            self.groups
                .entry(Arc::clone(group))
                .or_default()
                .push(entry.clone());
        }
        self.entries.insert(entry);
        former
    }

    pub(super) fn remove(&mut self, id: &ChildId) -> Option<Entry> {
        let entry = self.entries.take(id)?;
        if let Some(group) = &entry.group
            && let Some(members) = self.groups.get_mut(group)
        {
            members.retain(|member| member != &entry);
            if members.is_empty() {
                self.groups.remove(group);
            }
        }
        Some(entry)
    }

    /// Takes out what `which` picks.
    pub(super) fn take_out(&mut self, which: impl Fn(&Entry) -> bool) -> Vec<Entry> {
        let picked: Vec<_> = self
            .entries
            .iter()
            .filter(|entry| which(entry))
            .cloned()
            .collect();
        for entry in &picked {
            self.remove(&entry.id);
        }
        picked
    }
}
