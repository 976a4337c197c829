//! What platforms want to know of one backend, and what is known.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use kube_runtime::reflector::ObjectRef;

use crate::api::LogisticsPlatform;
use crate::backend::{Backend, BackendError, Reading};

/// How often a backend is read whose platforms do not say.
const INTERVAL: Duration = Duration::from_mins(1);

/// What a read covers.
pub(super) enum Which<'a> {
    /// What any platform wants to know.
    All,
    /// What was never read.
    Unread,
    /// What one platform wants to know.
    Of(&'a ObjectRef<LogisticsPlatform>),
}

/// What platforms want to know of one backend.
pub(super) struct Interests<B: Backend>(HashMap<ObjectRef<LogisticsPlatform>, Interest<B>>);

struct Interest<B: Backend> {
    items: Vec<B::Item>,
    interval: Duration,
    /// What is known, and which read told.
    known: Option<(u64, Reading<B::Seen>)>,
}

// Derived, it would ask for `B: Default`.
impl<B: Backend> Default for Interests<B> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<B: Backend> Interests<B> {
    /// Notes what a platform wants to know. Gives what is known, and whether the reader has to know of it at once: of something
    /// new, or of a shorter interval.
    pub(super) fn want(
        &mut self,
        platform: &ObjectRef<LogisticsPlatform>,
        items: Vec<B::Item>,
        interval: Duration,
    ) -> (Reading<B::Seen>, bool) {
        if let Some(interest) = self.0.get_mut(platform)
            && interest.items == items
        {
            let shorter = interval < std::mem::replace(&mut interest.interval, interval);
            return (self.reading(platform), shorter);
        }
        // What another platform already knows of the same items is not read again.
        let same = self
            .0
            .values()
            .find(|other| other.known.is_some() && other.items == items);
        let known = same.and_then(|other| other.known.clone());
        let new = known.is_none();
        let interest = Interest {
            items,
            interval,
            known,
        };
        self.0.insert(platform.clone(), interest);
        (self.reading(platform), new)
    }

    /// What a platform knows.
    pub(super) fn reading(&self, platform: &ObjectRef<LogisticsPlatform>) -> Reading<B::Seen> {
        let known = self.0.get(platform).and_then(|interest| interest.known.as_ref());
        known.map_or(Reading::Pending, |(_, reading)| reading.clone())
    }

    /// Forgets a platform; gives whether any is left.
    pub(super) fn leave(&mut self, platform: &ObjectRef<LogisticsPlatform>) -> bool {
        self.0.remove(platform);
        !self.0.is_empty()
    }

    /// The shortest interval that a platform asks for.
    pub(super) fn interval(&self) -> Duration {
        let intervals = self.0.values().map(|interest| interest.interval);
        intervals.min().unwrap_or(INTERVAL)
    }

    /// The platforms that a read covers.
    pub(super) fn covered(&self, which: &Which<'_>) -> Vec<ObjectRef<LogisticsPlatform>> {
        let covered = |(platform, interest): &(&ObjectRef<LogisticsPlatform>, &Interest<B>)| match which {
            Which::All => true,
            Which::Unread => interest.known.is_none(),
            Which::Of(one) => platform == one,
        };
        self.0
            .iter()
            .filter(covered)
            .map(|(platform, _)| platform.clone())
            .collect()
    }

    /// The items of some platforms, each once.
    pub(super) fn items(&self, platforms: &[ObjectRef<LogisticsPlatform>]) -> Vec<B::Item> {
        let interests = platforms.iter().filter_map(|platform| self.0.get(platform));
        let items: HashSet<&B::Item> = interests.flat_map(|interest| &interest.items).collect();
        items.into_iter().cloned().collect()
    }

    /// Keeps what a read of some items found. Gives the platforms that it is news for, and those that drifted.
    pub(super) fn keep(
        &mut self,
        turn: u64,
        items: &[B::Item],
        found: &Result<B::Seen, BackendError>,
    ) -> Vec<ObjectRef<LogisticsPlatform>> {
        let read: HashSet<&B::Item> = items.iter().collect();
        let mut concerned = Vec::new();
        for (platform, interest) in &mut self.0 {
            // A platform may have come, or changed its mind, while the read was under way; and a later read may have
            // ended sooner.
            let covered = interest.items.iter().all(|item| read.contains(item));
            let newer = interest.known.as_ref().is_some_and(|(known, _)| *known > turn);
            if !covered || newer {
                continue;
            }
            let reading = match found {
                Ok(seen) => Reading::Seen(Arc::new(B::part(&interest.items, seen))),
                Err(error) => Reading::Failed(error.clone()),
            };
            let drifted = match &reading {
                Reading::Seen(seen) => !B::plan(&interest.items, seen).changes.is_empty(),
                _ => false,
            };
            let news = interest.known.as_ref().is_none_or(|(_, known)| *known != reading);
            // An equal reading is not kept twice.
            match &mut interest.known {
                Some((known, _)) if !news => *known = turn,
                known => *known = Some((turn, reading)),
            }
            if news || drifted {
                concerned.push(platform.clone());
            }
        }
        concerned
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::backend::registry::{Registry, Subject, SubjectState, Subjects};

    fn platform(name: &str) -> ObjectRef<LogisticsPlatform> {
        ObjectRef::new(name).within("n")
    }

    fn subject(name: &str) -> Subject {
        Subject {
            name: name.into(),
            schema: "{}",
            compatibility: "BACKWARD",
        }
    }

    #[expect(clippy::unnecessary_wraps, reason = "what a read yields")]
    fn found(names: &[&str]) -> Result<Subjects, BackendError> {
        let state = SubjectState {
            exists: true,
            registered: Some((1, 1)),
            compatibility: Some("BACKWARD".into()),
            refusal: None,
        };
        let state = |name: &&str| ((*name).to_owned(), state.clone());
        Ok(Subjects(names.iter().map(state).collect::<BTreeMap<_, _>>()))
    }

    fn covered_by(interests: &Interests<Registry>, which: &Which<'_>) -> Vec<Subject> {
        interests.items(&interests.covered(which))
    }

    fn two() -> Interests<Registry> {
        let mut interests = Interests::default();
        for name in ["a", "b"] {
            interests.want(&platform(name), vec![subject(name)], INTERVAL);
        }
        interests
    }

    #[test]
    fn news_about_one_platform_wakes_no_other() {
        let mut interests = two();
        let items = covered_by(&interests, &Which::All);
        assert_eq!(items.len(), 2);
        assert_eq!(interests.keep(1, &items, &found(&["a", "b"])).len(), 2);
        assert_eq!(interests.keep(2, &items, &found(&["a", "b"])), []);
        let concerned = interests.keep(3, &items, &found(&["a"]));
        assert_eq!(concerned, [platform("b")]);
        assert_eq!(
            interests.keep(4, &items, &found(&["a"])),
            [platform("b")],
            "it is still not as wanted"
        );
    }

    #[test]
    fn a_shorter_interval_is_told_at_once() {
        let mut interests = two();
        let mut want = |interval| interests.want(&platform("a"), vec![subject("a")], interval).1;
        assert!(!want(INTERVAL));
        assert!(want(INTERVAL / 2));
        assert!(!want(INTERVAL / 2));
        assert!(!want(INTERVAL));
    }

    #[test]
    fn who_comes_later_costs_a_read_of_its_own() {
        let mut interests = two();
        let items = covered_by(&interests, &Which::All);
        interests.keep(1, &items, &found(&["a", "b"]));
        let (reading, new) = interests.want(&platform("c"), vec![subject("c")], INTERVAL);
        assert!(new && reading == Reading::Pending);
        let items = covered_by(&interests, &Which::Unread);
        assert_eq!(items, [subject("c")]);
        assert_eq!(interests.keep(2, &items, &found(&["c"])), [platform("c")]);
        assert_eq!(covered_by(&interests, &Which::Unread), []);
        let (reading, new) = interests.want(&platform("c"), vec![subject("c")], INTERVAL);
        assert!(!new);
        assert_eq!(reading, Reading::Seen(Arc::new(found(&["c"]).unwrap())));
    }

    #[test]
    fn who_wants_what_another_knows_costs_no_read() {
        let mut interests = two();
        let items = covered_by(&interests, &Which::All);
        interests.keep(1, &items, &found(&["a", "b"]));
        let (reading, new) = interests.want(&platform("c"), vec![subject("a")], INTERVAL);
        assert!(!new);
        assert_eq!(reading, Reading::Seen(Arc::new(found(&["a"]).unwrap())));
        assert_eq!(covered_by(&interests, &Which::Unread), []);
    }

    #[test]
    fn a_read_that_ends_late_does_not_replace_a_newer_one() {
        let mut interests = two();
        let items = covered_by(&interests, &Which::Of(&platform("a")));
        assert_eq!(items, [subject("a")]);
        interests.keep(2, &items, &found(&["a"]));
        assert_eq!(interests.keep(1, &items, &found(&[])), []);
        assert_eq!(
            interests.reading(&platform("a")),
            Reading::Seen(Arc::new(found(&["a"]).unwrap()))
        );
    }

    #[test]
    fn a_failure_is_told_once() {
        let mut interests = two();
        let items = covered_by(&interests, &Which::All);
        let error = BackendError {
            reason: crate::reason::Reason::Unreachable,
            message: "away".into(),
        };
        assert_eq!(interests.keep(1, &items, &Err(error.clone())).len(), 2);
        assert_eq!(interests.keep(2, &items, &Err(error)), []);
    }
}
