//! What is known about the objects that platforms refer to. Pure: what has to be done about news is told, not done.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use super::{Object, RefKind, Reference, State};
use crate::observe::Area;

/// Namespace and name of a platform.
pub(super) type Platform = (String, String);

/// Versions of objects, by namespace and name.
pub(super) type Versions = HashMap<String, HashMap<String, u64>>;

/// What has to be done about news.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Effects {
    /// Platforms that it concerns.
    pub(super) wake: BTreeSet<Platform>,
    /// Objects to read.
    pub(super) read: Vec<Object>,
}

/// Which objects there are, and what was read of those that platforms name.
#[derive(Default)]
pub(super) struct Known {
    /// What was listed.
    listed: HashSet<(RefKind, Area)>,
    present: HashMap<RefKind, Versions>,
    named: HashMap<Object, Named>,
    by_platform: HashMap<Platform, BTreeSet<Object>>,
    /// Those for which somebody is at work to read them, perhaps in a pause between two tries. It outlives the platforms
    /// that name an object: when the last one goes and another one comes, the pause still counts.
    reading: HashSet<Object>,
}

/// An object that platforms name.
#[derive(Default)]
struct Named {
    platforms: BTreeSet<Platform>,
    keys: BTreeSet<String>,
    content: Option<Content>,
}

impl Named {
    /// Whether anybody needs more than that it is there.
    fn is_read(&self) -> bool {
        !self.keys.is_empty()
    }
}

struct Content {
    version: u64,
    /// The keys that were asked for.
    keys: BTreeSet<String>,
    values: Arc<BTreeMap<String, String>>,
}

impl Known {
    /// Notes what a platform refers to; gives what has to be read.
    pub(super) fn want(&mut self, platform: &Platform, references: &[Reference]) -> Vec<Object> {
        let objects: BTreeSet<Object> = references.iter().map(Reference::object).collect();
        self.leave(platform, &objects);
        for reference in references {
            let named = self.named.entry(reference.object()).or_default();
            if !named.platforms.contains(platform) {
                named.platforms.insert(platform.clone());
            }
            if let Some(key) = &reference.key
                && !named.keys.contains(key)
            {
                named.keys.insert(key.clone());
            }
        }
        let mut unread = Vec::new();
        for object in &objects {
            if self.begin(object) {
                unread.push(object.clone());
            }
        }
        self.by_platform.insert(platform.clone(), objects);
        unread
    }

    /// Whether an object that is being read still has to be: when no platform refers to it any more, the reading ends.
    pub(super) fn goes_on(&mut self, object: &Object) -> bool {
        let named = self.named.contains_key(object);
        if !named {
            self.reading.remove(object);
        }
        named
    }

    /// Forgets a platform.
    pub(super) fn forget(&mut self, platform: &Platform) {
        self.leave(platform, &BTreeSet::new());
        self.by_platform.remove(platform);
    }

    fn leave(&mut self, platform: &Platform, except: &BTreeSet<Object>) {
        let former = self.by_platform.get(platform).into_iter().flatten();
        for object in former.filter(|object| !except.contains(object)) {
            if let Some(named) = self.named.get_mut(object) {
                named.platforms.remove(platform);
                if named.platforms.is_empty() {
                    self.named.remove(object);
                }
            }
        }
    }

    fn version(&self, (kind, namespace, name): &Object) -> Option<u64> {
        self.present.get(kind)?.get(namespace)?.get(name).copied()
    }

    fn is_listed(&self, (kind, namespace, _): &Object) -> bool {
        let areas = [None, Some(namespace.clone())];
        areas.into_iter().any(|area| self.listed.contains(&(*kind, area)))
    }

    /// What is known about an object.
    pub(super) fn state(&self, object: &Object) -> State {
        if !self.is_listed(object) {
            return State::Unknown;
        }
        if self.version(object).is_none() {
            return State::Absent;
        }
        match self.named.get(object) {
            None => State::Unknown,
            Some(named) if !named.is_read() => State::Present(Arc::default()),
            Some(named) => named
                .content
                .as_ref()
                .filter(|content| content.keys.is_superset(&named.keys))
                .map_or(State::Unknown, |content| {
                    State::Present(Arc::clone(&content.values))
                }),
        }
    }

    /// Whether reading an object has to begin; it is being read from then on, by one reader at a time.
    fn begin(&mut self, object: &Object) -> bool {
        let version = self.version(object);
        let (Some(version), Some(named)) = (version, self.named.get(object)) else {
            return false;
        };
        let current = named
            .content
            .as_ref()
            .is_some_and(|content| content.version >= version && content.keys.is_superset(&named.keys));
        named.is_read() && !current && self.reading.insert(object.clone())
    }

    /// A kind was listed, in a namespace or in all.
    pub(super) fn listed(&mut self, kind: RefKind, area: &Area, versions: Versions) -> Effects {
        let first = self.listed.insert((kind, area.clone()));
        let inside = |namespace: &String| area.as_ref().is_none_or(|area| area == namespace);
        let objects = self
            .named
            .keys()
            .filter(|object| object.0 == kind && inside(&object.1));
        let objects: Vec<_> = objects.cloned().collect();
        let former: Vec<_> = objects.iter().map(|object| self.version(object)).collect();
        let present = self.present.entry(kind).or_default();
        present.retain(|namespace, _| !inside(namespace));
        present.extend(versions);
        let mut effects = Effects::default();
        for (object, former) in objects.iter().zip(former) {
            self.turned(object, first, former, &mut effects);
        }
        effects
    }

    /// A watch tells of an object's version, or that it is gone.
    pub(super) fn changed(&mut self, object: &Object, version: Option<u64>) -> Effects {
        let former = self.version(object);
        let (kind, namespace, name) = object;
        let names = self
            .present
            .entry(*kind)
            .or_default()
            .entry(namespace.clone())
            .or_default();
        match version {
            Some(version) => names.insert(name.clone(), version),
            None => names.remove(name),
        };
        let mut effects = Effects::default();
        self.turned(object, false, former, &mut effects);
        effects
    }

    fn turned(&mut self, object: &Object, first: bool, former: Option<u64>, effects: &mut Effects) {
        let version = self.version(object);
        if self.begin(object) {
            effects.read.push(object.clone());
        }
        let Some(named) = self.named.get_mut(object) else {
            return;
        };
        if version.is_none() {
            named.content = None;
        }
        // That an object appeared whose content is needed is news when it has been read.
        let news = if named.is_read() {
            former.is_some() && version.is_none()
        } else {
            former.is_some() != version.is_some()
        };
        if news || (first && version.is_none()) {
            effects.wake.extend(named.platforms.iter().cloned());
        }
    }

    /// An object was read; `None` when it is not there.
    pub(super) fn read(
        &mut self,
        object: &Object,
        found: Option<(u64, BTreeMap<String, String>)>,
    ) -> Effects {
        let mut effects = Effects::default();
        self.reading.remove(object);
        let Some(named) = self.named.get_mut(object) else {
            return effects;
        };
        // That it is gone is told by the watch.
        let Some((version, mut data)) = found else {
            return effects;
        };
        data.retain(|key, _| named.keys.contains(key));
        let former = named.content.take();
        let same = former
            .as_ref()
            .is_some_and(|former| *former.values == data && former.keys == named.keys);
        named.content = Some(Content {
            version,
            keys: named.keys.clone(),
            values: Arc::new(data),
        });
        if !same {
            effects.wake.extend(named.platforms.iter().cloned());
        }
        if self.begin(object) {
            effects.read.push(object.clone());
        }
        effects
    }
}

#[cfg(test)]
mod tests;
