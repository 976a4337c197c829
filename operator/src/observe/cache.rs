//! The children of all platforms as the watches tell, and as our own writes were answered, whichever is newer. So a
//! reconcile right after a write sees what it wrote.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Area, Children};
use crate::child::{ChildId, ChildKind, Live};

/// The children of all platforms.
#[derive(Default)]
pub struct Cache(Mutex<Objects>);

#[derive(Default)]
struct Objects {
    namespaces: HashMap<String, Children>,
    /// Objects that we deleted: a late event must not bring them back.
    deleted: HashMap<String, (ChildKind, String)>,
    /// What a list that is under way has shown, by kind and by the namespace that is listed.
    lists: HashMap<(ChildKind, Area), List>,
}

#[derive(Default)]
struct List {
    seen: BTreeSet<(String, String)>,
    newest: u64,
}

impl Cache {
    fn lock(&self) -> MutexGuard<'_, Objects> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The children of one platform.
    #[must_use]
    pub fn children(&self, namespace: &str, uid: &str, name: &str) -> Children {
        let objects = self.lock();
        let all = objects.namespaces.get(namespace).into_iter().flatten();
        all.filter(|(_, live)| live.belongs_to(uid, name))
            .map(|(id, live)| (id.clone(), live.clone()))
            .collect()
    }

    /// Takes an object over, unless a newer state is known. Returns the former state.
    pub fn put(&self, live: Arc<Live>) -> Option<Arc<Live>> {
        let mut objects = self.lock();
        for area in [None, Some(live.namespace.clone())] {
            if let Some(list) = objects.lists.get_mut(&(live.id.kind, area)) {
                list.seen.insert((live.namespace.clone(), live.id.name.clone()));
                list.newest = list.newest.max(live.resource_version);
            }
        }
        objects.put(live)
    }

    /// An object is gone.
    pub fn gone(&self, live: &Live) {
        let mut objects = self.lock();
        objects.deleted.remove(&live.uid);
        objects.remove(&live.namespace, &live.id, |known| {
            known.resource_version <= live.resource_version
        });
    }

    /// We deleted an object, and it is gone at once.
    pub fn deleted(&self, namespace: &str, id: &ChildId, uid: &str) {
        let mut objects = self.lock();
        let place = (id.kind, namespace.to_owned());
        objects.deleted.insert(uid.to_owned(), place);
        objects.remove(namespace, id, |known| known.uid == uid);
    }

    /// A list of a kind begins.
    pub fn list_begins(&self, kind: ChildKind, area: &Area) {
        self.lock().lists.insert((kind, area.clone()), List::default());
    }

    /// A list of a kind is complete: what it did not show is gone. Returns what was taken out.
    pub fn list_ends(&self, kind: ChildKind, area: &Area) -> Vec<Arc<Live>> {
        let mut objects = self.lock();
        let Some(list) = objects.lists.remove(&(kind, area.clone())) else {
            return Vec::new();
        };
        let listed = |namespace: &String| area.as_ref().is_none_or(|area| area == namespace);
        // No event from before the list comes any more.
        objects
            .deleted
            .retain(|_, (deleted, namespace)| *deleted != kind || !listed(namespace));
        let mut gone = Vec::new();
        let namespaces = objects.namespaces.iter_mut();
        for (_, children) in namespaces.filter(|(namespace, _)| listed(namespace)) {
            children.retain(|id, live| {
                let keep = id.kind != kind
                    || list.seen.contains(&(live.namespace.clone(), id.name.clone()))
                    // Written by us while the list was under way.
                    || live.resource_version > list.newest;
                if !keep {
                    gone.push(Arc::clone(live));
                }
                keep
            });
        }
        gone
    }
}

impl Objects {
    fn put(&mut self, live: Arc<Live>) -> Option<Arc<Live>> {
        if self.deleted.contains_key(&live.uid) {
            return None;
        }
        let children: &mut BTreeMap<_, _> = self.namespaces.entry(live.namespace.clone()).or_default();
        match children.get(&live.id) {
            Some(known) if known.resource_version > live.resource_version => Some(Arc::clone(known)),
            _ => children.insert(live.id.clone(), live),
        }
    }

    fn remove(&mut self, namespace: &str, id: &ChildId, when: impl FnOnce(&Live) -> bool) {
        if let Some(children) = self.namespaces.get_mut(namespace) {
            if children.get(id).is_some_and(|known| when(known)) {
                children.remove(id);
            }
            if children.is_empty() {
                self.namespaces.remove(namespace);
            }
        }
    }
}

#[cfg(test)]
mod tests;
