//! What the API server, or a webhook, makes of our objects: differences that are still there right after an apply. To apply
//! again would change nothing, so the plan leaves them alone until the object or what we want of it changes.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::child::ChildId;
use crate::plan::Difference;

/// The differences that remain, by namespace and object.
#[derive(Debug, Default)]
pub struct Accepted(Mutex<HashMap<String, BTreeMap<ChildId, Vec<Difference>>>>);

impl Accepted {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, BTreeMap<ChildId, Vec<Difference>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes what remained after an apply; nothing forgets what was noted before.
    pub fn note(&self, namespace: &str, id: &ChildId, differences: Vec<Difference>) {
        let mut all = self.lock();
        if differences.is_empty() {
            if let Some(objects) = all.get_mut(namespace) {
                objects.remove(id);
                if objects.is_empty() {
                    all.remove(namespace);
                }
            }
            return;
        }
        all.entry(namespace.to_owned())
            .or_default()
            .insert(id.clone(), differences);
    }

    /// What remains of some objects.
    #[must_use]
    pub fn of<'a>(
        &self,
        namespace: &str,
        ids: impl Iterator<Item = &'a ChildId>,
    ) -> BTreeMap<ChildId, Vec<Difference>> {
        let all = self.lock();
        let Some(objects) = all.get(namespace) else {
            return BTreeMap::new();
        };
        ids.filter_map(|id| Some((id.clone(), objects.get(id)?.clone())))
            .collect()
    }
}
