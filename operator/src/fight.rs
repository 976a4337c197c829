//! Fields that somebody else keeps changing. Repairing them for ever would wear out the API server and restart pods without
//! end; so after some repairs within a minute the operator stops, says who it is, and tries again later.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use kube_runtime::reflector::ObjectRef;
use tokio::time::Instant;

use crate::api::LogisticsPlatform;
use crate::child::ChildId;
use crate::names::MANAGER;
use crate::plan::Blocked;
use crate::reason::Reason;

/// Repairs of a field within [`WINDOW`] after which it is a fight.
const REPAIRS: usize = 5;

/// In which time repairs are counted.
const WINDOW: Duration = Duration::from_mins(1);

/// How long a field is left alone the first time; it doubles with each fight, up to [`LONGEST_HOLD`].
const FIRST_HOLD: Duration = Duration::from_mins(1);

/// How long a field is left alone at most.
const LONGEST_HOLD: Duration = Duration::from_mins(16);

/// After how long without a fight a field starts afresh.
const FORGIVEN: Duration = Duration::from_hours(1);

/// An object whose fields somebody else keeps changing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fight {
    /// The fields.
    pub paths: BTreeSet<String>,
    /// Who changes them, where it is known.
    pub opponent: Option<String>,
    /// How long they are left alone.
    pub hold: Duration,
}

impl Fight {
    /// The reason why the object is not repaired.
    #[must_use]
    pub fn blocked(&self, id: &ChildId) -> Blocked {
        let fields: Vec<_> = self.paths.iter().map(String::as_str).collect();
        let who = self.opponent.as_deref().unwrap_or("somebody");
        Blocked {
            id: id.clone(),
            reason: Reason::FieldFight,
            message: format!(
                "{id}: {who} keeps changing {}, which is the operator's; it is left alone for now and tried again later; \
                 stop the other, or say what you want in the platform's spec",
                fields.join(", ")
            ),
        }
    }
}

/// The repairs of one field.
#[derive(Debug, Default)]
struct Field {
    repairs: VecDeque<Instant>,
    hold: Option<Hold>,
}

#[derive(Clone, Copy, Debug)]
struct Hold {
    until: Instant,
    length: Duration,
}

impl Field {
    /// Notes a repair; tells whether a fight begins with it.
    fn repaired(&mut self, now: Instant) -> bool {
        while self
            .repairs
            .front()
            .is_some_and(|then| now.duration_since(*then) > WINDOW)
        {
            self.repairs.pop_front();
        }
        self.repairs.push_back(now);
        if self.repairs.len() < REPAIRS {
            return false;
        }
        let length = match self.hold {
            Some(hold) if now.duration_since(hold.until) < FORGIVEN => (hold.length * 2).min(LONGEST_HOLD),
            _ => FIRST_HOLD,
        };
        let until = now + length;
        self.hold = Some(Hold { until, length });
        self.repairs.clear();
        true
    }

    /// Whether a repair now would make a fight.
    fn is_about_to_fight(&self, now: Instant) -> bool {
        let recent = |then: &&Instant| now.duration_since(**then) <= WINDOW;
        self.repairs.iter().filter(recent).count() + 1 >= REPAIRS
    }

    fn held(&self, now: Instant) -> Option<Duration> {
        let left = self.hold?.until.checked_duration_since(now)?;
        (!left.is_zero()).then_some(left)
    }

    fn is_forgotten(&self, now: Instant) -> bool {
        let old = |then: &Instant| now.duration_since(*then) > FORGIVEN;
        self.repairs.back().is_none_or(old) && self.hold.is_none_or(|hold| old(&hold.until))
    }
}

#[derive(Debug, Default)]
struct Object {
    fields: BTreeMap<String, Field>,
    opponent: Option<String>,
}

type Objects = HashMap<ObjectRef<LogisticsPlatform>, BTreeMap<ChildId, Object>>;

/// The repairs of all platforms' children.
#[derive(Debug, Default)]
pub struct Fights(Mutex<Objects>);

impl Fights {
    fn with<R>(&self, act: impl FnOnce(&mut Objects) -> R) -> R {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Notes that fields of an object were brought back; tells whether a fight begins.
    pub fn repaired<'a>(
        &self,
        platform: &ObjectRef<LogisticsPlatform>,
        id: &ChildId,
        paths: impl Iterator<Item = &'a str>,
        now: Instant,
    ) -> bool {
        self.with(|objects| {
            let children = objects.entry(platform.clone()).or_default();
            children.retain(|_, object| {
                object.fields.retain(|_, field| !field.is_forgotten(now));
                !object.fields.is_empty()
            });
            let object = children.entry(id.clone()).or_default();
            let mut begins = false;
            for path in paths {
                begins |= object.fields.entry(path.to_owned()).or_default().repaired(now);
            }
            begins
        })
    }

    /// Whether one more repair of these fields makes a fight. Who changes them has to be found out before it: the repair
    /// takes the fields out of the other's name.
    #[must_use]
    pub fn is_about_to_begin<'a>(
        &self,
        platform: &ObjectRef<LogisticsPlatform>,
        id: &ChildId,
        mut paths: impl Iterator<Item = &'a str>,
        now: Instant,
    ) -> bool {
        self.with(|objects| {
            let object = objects.get(platform).and_then(|children| children.get(id));
            object.is_some_and(|object| {
                paths.any(|path| {
                    object
                        .fields
                        .get(path)
                        .is_some_and(|field| field.is_about_to_fight(now))
                })
            })
        })
    }

    /// Notes who it is.
    pub fn opponent(&self, platform: &ObjectRef<LogisticsPlatform>, id: &ChildId, name: Option<String>) {
        self.with(|objects| {
            if let Some(object) = objects
                .get_mut(platform)
                .and_then(|children| children.get_mut(id))
            {
                object.opponent = name;
            }
        });
    }

    /// The fights of a platform that are held now.
    #[must_use]
    pub fn of(&self, platform: &ObjectRef<LogisticsPlatform>, now: Instant) -> BTreeMap<ChildId, Fight> {
        let fight = |object: &Object| {
            let held: BTreeMap<_, _> = object
                .fields
                .iter()
                .filter_map(|(path, field)| Some((path.clone(), field.held(now)?)))
                .collect();
            Some(Fight {
                hold: held.values().copied().min()?,
                paths: held.into_keys().collect(),
                opponent: object.opponent.clone(),
            })
        };
        self.with(|objects| {
            let children = objects.get(platform).into_iter().flatten();
            children
                .filter_map(|(id, object)| Some((id.clone(), fight(object)?)))
                .collect()
        })
    }

    /// Forgets a platform that is gone.
    pub fn forget(&self, platform: &ObjectRef<LogisticsPlatform>) {
        self.with(|objects| objects.remove(platform));
    }
}

/// The field manager other than ours that wrote one of the fields last, by an object's `managedFields`.
#[must_use]
pub fn opponent(managed_fields: &serde_json::Value, paths: &BTreeSet<String>) -> Option<String> {
    let others = managed_fields
        .as_array()?
        .iter()
        .filter(|entry| entry["manager"] != MANAGER);
    let owners = others.filter(|entry| paths.iter().any(|path| owns(&entry["fieldsV1"], path)));
    owners
        .max_by_key(|entry| entry["time"].as_str().unwrap_or_default().to_owned())?
        .get("manager")?
        .as_str()
        .map(str::to_owned)
}

/// Whether a set of fields holds a path such as `spec.replicas`. Keys may hold dots, so the longest that fits is taken.
fn owns(fields: &serde_json::Value, path: &str) -> bool {
    let Some(fields) = fields.as_object() else {
        return false;
    };
    fields.iter().any(|(key, inner)| {
        let name = match key.strip_prefix("f:") {
            Some(name) => name.to_owned(),
            // An item of a list: our paths name it by one of its keys' values.
            None => match key
                .strip_prefix("k:")
                .and_then(|k| serde_json::from_str::<serde_json::Value>(k).ok())
            {
                Some(keys) => return item(&keys, inner, path),
                None => return false,
            },
        };
        below(&name, inner, path)
    })
}

fn item(keys: &serde_json::Value, inner: &serde_json::Value, path: &str) -> bool {
    let whole = below(&keys.to_string(), inner, path);
    whole
        || keys
            .as_object()
            .into_iter()
            .flatten()
            .any(|(_, value)| below(&value.to_string(), inner, path))
}

fn below(name: &str, inner: &serde_json::Value, path: &str) -> bool {
    match path.strip_prefix(name) {
        // Whoever owns a field below ours, or the whole of it, changes it.
        Some("") => true,
        Some(rest) => rest
            .strip_prefix('.')
            .is_some_and(|rest| is_leaf(inner) || owns(inner, rest)),
        None => false,
    }
}

fn is_leaf(fields: &serde_json::Value) -> bool {
    fields.as_object().is_none_or(serde_json::Map::is_empty)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::child::ChildKind;

    fn id() -> ChildId {
        ChildId::new(ChildKind::Service, "x")
    }

    fn platform() -> ObjectRef<LogisticsPlatform> {
        ObjectRef::new("acme").within("logistics")
    }

    fn repair(fights: &Fights, path: &str, now: Instant) -> bool {
        fights.repaired(&platform(), &id(), [path].into_iter(), now)
    }

    #[test]
    fn five_repairs_in_a_minute_are_a_fight() {
        let (fights, start) = (Fights::default(), Instant::now());
        for second in 0..4 {
            assert!(!repair(&fights, "spec.type", start + Duration::from_secs(second)));
        }
        assert!(fights.of(&platform(), start).is_empty());
        let last = start + Duration::from_secs(4);
        let about = |path, now| fights.is_about_to_begin(&platform(), &id(), [path].into_iter(), now);
        assert!(about("spec.type", last));
        assert!(!about("spec.ports", last));
        assert!(!about("spec.type", last + WINDOW), "old repairs do not count");
        assert!(repair(&fights, "spec.type", last));
        let fight = &fights.of(&platform(), last)[&id()];
        assert_eq!(fight.paths, ["spec.type".to_owned()].into());
        assert_eq!(fight.hold, FIRST_HOLD);
        assert!(
            fights.of(&platform(), last + FIRST_HOLD).is_empty(),
            "it is tried again"
        );
    }

    #[test]
    fn five_repairs_in_an_hour_are_none() {
        let (fights, start) = (Fights::default(), Instant::now());
        for minutes in 0..20 {
            assert!(!repair(
                &fights,
                "spec.type",
                start + Duration::from_mins(3 * minutes)
            ));
        }
    }

    #[test]
    fn the_next_fight_is_left_alone_for_longer_and_a_late_one_is_not() {
        let (fights, mut now) = (Fights::default(), Instant::now());
        let mut lengths = Vec::new();
        for _ in 0..6 {
            while !repair(&fights, "spec.type", now) {
                now += Duration::from_secs(1);
            }
            let hold = fights.of(&platform(), now)[&id()].hold;
            lengths.push(hold.as_secs() / 60);
            now += hold;
        }
        assert_eq!(lengths, [1, 2, 4, 8, 16, 16]);
        now += FORGIVEN;
        while !repair(&fights, "spec.type", now) {
            now += Duration::from_secs(1);
        }
        assert_eq!(fights.of(&platform(), now)[&id()].hold, FIRST_HOLD);
    }

    #[test]
    fn the_opponent_is_who_wrote_one_of_the_fields_last() {
        let fields = json!([
            {"manager": "logistics-operator", "time": "2026-01-03T00:00:00Z", "fieldsV1": {"f:spec": {"f:type": {}}}},
            {"manager": "old", "time": "2026-01-01T00:00:00Z", "fieldsV1": {"f:spec": {"f:type": {}}}},
            {"manager": "meddler", "time": "2026-01-02T00:00:00Z", "fieldsV1": {"f:spec": {"f:type": {}}}},
            {"manager": "other", "time": "2026-01-04T00:00:00Z", "fieldsV1": {"f:status": {"f:x": {}}}},
            {"manager": "labeller", "time": "2026-01-04T00:00:00Z",
             "fieldsV1": {"f:metadata": {"f:labels": {"f:app.kubernetes.io/name": {}}}}},
            {"manager": "sider", "time": "2026-01-04T00:00:00Z",
             "fieldsV1": {"f:spec": {"f:containers": {"k:{\"name\":\"a\"}": {"f:image": {}}}}}},
        ]);
        let of = |path: &str| opponent(&fields, &[path.to_owned()].into());
        assert_eq!(of("spec.type").as_deref(), Some("meddler"));
        assert_eq!(
            of("metadata.labels.app.kubernetes.io/name").as_deref(),
            Some("labeller")
        );
        assert_eq!(of("spec.containers.\"a\".image").as_deref(), Some("sider"));
        assert_eq!(of("spec.ports"), None);
    }
}
