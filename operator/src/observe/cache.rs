//! The children of all platforms as the watches tell, and as our own writes were answered, whichever is newer. So a
//! reconcile right after a write sees what it wrote. Objects are kept as compact bytes and read only when their platform
//! is looked at: a cluster has many platforms, and a reconcile looks at one.

mod space;
mod writing;

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kube_runtime::reflector::ObjectRef;

use self::space::{Entry, Group, Kept, Space};
use self::writing::Meanwhile;
pub use self::writing::Writing;
use super::packed::Codec;
use super::{Area, Children};
use crate::api::LogisticsPlatform;
use crate::child::{ChildId, ChildKind, Live};
use crate::names::INSTANCE;

/// The children of all platforms.
#[derive(Default)]
pub struct Cache {
    codec: Codec,
    objects: Mutex<Objects>,
}

#[derive(Default)]
struct Objects {
    namespaces: HashMap<String, Space>,
    /// Objects that we deleted: a late event must not bring them back.
    deleted: HashMap<String, (ChildKind, String)>,
    /// What a list that is under way has shown, by kind and by the namespace that is listed.
    lists: HashMap<(ChildKind, Area), List>,
    /// What the watches told while writes are under way.
    meanwhile: Meanwhile,
}

#[derive(Default)]
struct List {
    seen: BTreeSet<(String, String)>,
}

/// A platform that an event concerns.
type Concerned = ObjectRef<LogisticsPlatform>;

impl Cache {
    fn lock(&self) -> MutexGuard<'_, Objects> {
        self.objects.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The children of one platform.
    #[must_use]
    pub fn children(&self, namespace: &str, uid: &str, name: &str) -> Children {
        let groups = [Group::Owner(uid.into()), Group::Named(name.into())];
        let entries: Vec<Entry> = {
            let objects = self.lock();
            let space = objects.namespaces.get(namespace);
            let groups = groups.iter().filter_map(|group| space?.of(group));
            groups.flatten().cloned().collect()
        };
        let read = |entry: Entry| {
            let object = self.codec.unpack(entry.id.kind, &entry.object);
            let live = Live::restore(entry.id.kind, entry.resource_version, object);
            (entry.id.clone(), Arc::new(live))
        };
        entries.into_iter().map(read).collect()
    }

    /// A write of ours begins, whose answer is to be taken over.
    #[must_use]
    pub fn writing(&self) -> Writing<'_> {
        let since = self.lock().meanwhile.begin();
        Writing::new(self, since)
    }

    /// Takes over what a watch tells, unless a newer state is known. Gives the platforms that it is news for: where
    /// nothing changed that a decision reads, there is none.
    pub fn seen(&self, live: &Live) -> Vec<Concerned> {
        let (former, news) = self.take(live, None);
        let label = |entry: &Entry| entry.platform.as_deref().map(str::to_owned);
        // Its former state may name the platform that the object was taken from.
        let names: BTreeSet<String> = former
            .iter()
            .filter_map(label)
            .chain(live.label(INSTANCE).map(str::to_owned))
            .collect();
        let names = names.into_iter().filter(|_| news);
        names.map(|name| concerned(&name, &live.namespace)).collect()
    }

    /// Gives the former state, and whether the new one is news; `since` is when the write began that it answers.
    fn take(&self, live: &Live, since: Option<u64>) -> (Option<Entry>, bool) {
        let object = self.codec.pack(live.id.kind, &live.object);
        let mut kept = Kept::new(live, object, since.is_none());
        let mut objects = self.lock();
        for area in [None, Some(live.namespace.clone())] {
            if let Some(list) = objects.lists.get_mut(&(live.id.kind, area)) {
                list.seen.insert((live.namespace.clone(), live.id.name.clone()));
            }
        }
        if objects.deleted.contains_key(&live.uid) {
            return (None, false);
        }
        let known = objects
            .namespaces
            .get(&live.namespace)
            .and_then(|space| space.get(&live.id));
        if let Some(since) = since
            && known.is_none()
            && objects.meanwhile.outdates(live, since)
        {
            return (None, false);
        }
        let space = objects.namespaces.entry(live.namespace.clone()).or_default();
        let Some(known) = space.get(&live.id) else {
            return (space.put(kept), true);
        };
        if known.resource_version > kept.resource_version {
            return (None, false);
        }
        // What follows from a write of ours is decided when the watch shows it.
        let news = !known.watched || !known.same(&kept);
        kept.watched |= known.watched && known.resource_version == kept.resource_version;
        (space.put(kept), news)
    }

    /// An object is gone. Gives the platform that it belonged to.
    pub fn gone(&self, live: &Live) -> Option<Concerned> {
        let mut objects = self.lock();
        objects.deleted.remove(&live.uid);
        objects.meanwhile.gone(&live.uid);
        objects.remove(&live.namespace, &live.id, |known| {
            known.resource_version <= live.resource_version
        });
        Some(concerned(live.label(INSTANCE)?, &live.namespace))
    }

    /// We deleted an object, and it is gone at once.
    pub fn deleted(&self, namespace: &str, id: &ChildId, uid: &str) {
        let mut objects = self.lock();
        let place = (id.kind, namespace.to_owned());
        objects.deleted.insert(uid.to_owned(), place);
        objects.remove(namespace, id, |known| *known.uid == *uid);
    }

    /// A list of a kind begins.
    pub fn list_begins(&self, kind: ChildKind, area: &Area) {
        self.lock().lists.insert((kind, area.clone()), List::default());
    }

    /// A list of a kind is complete: what it did not show is gone. Gives the platforms that it belonged to.
    pub fn list_ends(&self, kind: ChildKind, area: &Area) -> Vec<Concerned> {
        let mut objects = self.lock();
        let Some(list) = objects.lists.remove(&(kind, area.clone())) else {
            return Vec::new();
        };
        objects.meanwhile.listed(kind, area);
        let listed = |namespace: &String| area.as_ref().is_none_or(|area| area == namespace);
        // No event from before the list comes any more.
        objects
            .deleted
            .retain(|_, (deleted, namespace)| *deleted != kind || !listed(namespace));
        let mut platforms = Vec::new();
        let namespaces = objects.namespaces.iter_mut();
        for (namespace, space) in namespaces.filter(|(namespace, _)| listed(namespace)) {
            let gone = space.take_out(|entry| {
                entry.id.kind == kind && !list.seen.contains(&(namespace.clone(), entry.id.name.clone()))
            });
            let names = gone.iter().filter_map(|entry| entry.platform.as_deref());
            platforms.extend(names.map(|name| concerned(name, namespace)));
        }
        objects.namespaces.retain(|_, space| !space.is_empty());
        platforms
    }
}

fn concerned(platform: &str, namespace: &str) -> Concerned {
    ObjectRef::new(platform).within(namespace)
}

impl Objects {
    fn remove(&mut self, namespace: &str, id: &ChildId, when: impl FnOnce(&Entry) -> bool) {
        if let Some(space) = self.namespaces.get_mut(namespace) {
            if space.get(id).is_some_and(when) {
                space.remove(id);
            }
            if space.is_empty() {
                self.namespaces.remove(namespace);
            }
        }
    }
}

#[cfg(test)]
mod tests;
