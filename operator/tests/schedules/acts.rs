//! What people and other programs do to a platform while the operator runs it.

mod children;
mod lease;
mod references;
mod settle;

use std::sync::{Arc, Mutex, PoisonError};

use logistics_operator::child::ChildKind;
use serde_json::{Value, json};

use crate::api::{Deletion, Key, Kind};
use crate::dice::Dice;
use crate::outside::Systems;
use crate::wire::World;

/// The namespace of all schedules.
pub(crate) const NAMESPACE: &str = "logistics";

/// The people and other programs.
pub(crate) struct Others {
    pub world: Arc<World>,
    pub systems: Arc<Systems>,
    /// The platforms.
    pub platforms: Vec<String>,
    /// Objects of others, which must stay as they are.
    foreign: Mutex<Vec<(Key, Arc<Value>)>>,
    /// Fields of others on children: the object, its uid, the field, its value.
    fields: Mutex<Vec<(Key, Value, String, Value)>>,
    /// Names that are taken, until they are given back.
    taken: Mutex<Vec<Key>>,
    /// How many migrations were made necessary.
    migrations: Mutex<usize>,
}

impl Others {
    pub(crate) fn new(world: Arc<World>, systems: Arc<Systems>, platforms: Vec<String>) -> Self {
        Self {
            world,
            systems,
            platforms,
            foreign: Mutex::default(),
            fields: Mutex::default(),
            taken: Mutex::default(),
            migrations: Mutex::default(),
        }
    }

    fn note(&self, what: impl std::fmt::Display) {
        self.world.monitor.note(format_args!("· {what}"));
    }

    fn needs_migration(&self, count: usize) {
        *self.migrations.lock().unwrap_or_else(PoisonError::into_inner) += count;
    }

    /// How many migrations were made necessary.
    pub(crate) fn migrations(&self) -> usize {
        *self.migrations.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn key(plural: &str, name: &str) -> Key {
        Key {
            plural: plural.into(),
            namespace: NAMESPACE.into(),
            name: name.into(),
        }
    }

    /// All children of all platforms.
    pub(crate) fn children(&self) -> Vec<(Key, Arc<Value>)> {
        let kinds = ChildKind::ALL.into_iter().map(Kind::of);
        let all = kinds.flat_map(|kind| self.world.store.all(&kind.plural));
        all.filter(|(_, object)| object["metadata"]["ownerReferences"][0]["kind"] == "LogisticsPlatform")
            .collect()
    }

    fn make(&self, plural: &str, name: &str, object: Value) -> bool {
        self.world
            .store
            .create("user", &Self::key(plural, name), object)
            .is_ok()
    }

    fn hold(&self, key: &Key) {
        if let Some(object) = self.world.store.get(key) {
            self.foreign
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push((key.clone(), object));
        }
    }

    /// Makes a platform.
    pub(crate) fn create_platform(&self, name: &str) {
        let mut sample: Value = serde_norway::from_str(include_str!("../../../charts/samples/acme.yaml"))
            .expect("the sample is YAML");
        sample["metadata"] = json!({"name": name, "namespace": NAMESPACE});
        sample["spec"]["kafka"]["topicPrefix"] = format!("{NAMESPACE}-{name}.").into();
        // Of two platforms with one database only the older one runs.
        sample["spec"]["database"]["name"] = format!("{NAMESPACE}-{name}").into();
        self.needs_migration(1);
        self.note(format_args!("platform {name} is made"));
        self.world.monitor.anew(name);
        self.make("logisticsplatforms", name, sample);
    }

    fn edit(&self, key: &Key, what: &str, act: impl FnOnce(&mut Value)) {
        self.note(format_args!("{what} {key}"));
        let _ = self.world.store.replace("kubectl-edit", key, false, |live| {
            let mut object = live.clone();
            act(&mut object);
            Ok(object)
        });
    }

    /// Does something.
    pub(crate) fn act(&self, dice: &mut Dice) {
        let children = self.children();
        let child = dice.pick(&children).cloned();
        let platform = dice.pick(&self.platforms).cloned().unwrap_or_default();
        match (dice.below(20), child) {
            (0 | 1, Some((key, _))) => self.edit(&key, "relabel", |object| {
                object["metadata"]["labels"]["app.kubernetes.io/part-of"] = "other".into();
            }),
            (2..=4, Some((key, live))) => self.delete(&key, &live, dice.per_mille(300)),
            (5, _) => self.scale(dice, &children),
            (6 | 7, _) => self.respecify(&platform, dice),
            (8, Some((key, live))) => self.annotate(&key, &live, dice),
            (9, Some((key, live))) => self.disown(&key, &live, dice),
            (10, _) => self.spoil_password(dice, &children),
            (11, _) => self.unrefer(dice),
            (12, _) => {
                self.note("history is forgotten");
                self.world.store.compact();
            }
            (13, _) => {
                self.note("topics are configured by hand");
                self.systems.configure("retention.ms", "60000");
                self.systems.configure("max.message.bytes", "7654321");
            }
            (14, _) => {
                self.note("a topic is deleted");
                self.systems.delete_topic(dice.below(5));
                self.systems.set_compatibility("NONE");
            }
            (15, Some((key, live))) => self.take(&key, &live),
            (16, _) if dice.per_mille(300) => self.recreate(&platform, dice.per_mille(500)),
            (17, Some((key, _))) => self.edit(&key, "finalize", |object| {
                object["metadata"]["annotations"]["somebody"] = "was here".into();
            }),
            (18, _) => self.edit(
                &Self::key("logisticsplatforms", &platform),
                "annotate",
                |object| {
                    object["metadata"]["annotations"]["touched"] = dice.below(1000).to_string().into();
                },
            ),
            _ => self.seize(dice, &children),
        }
    }

    fn respecify(&self, platform: &str, dice: &mut Dice) {
        let key = Self::key("logisticsplatforms", platform);
        let number = 1 + dice.below(3);
        match dice.below(4) {
            0 => self.edit(&key, "change replicas of", |object| {
                object["spec"]["workloads"]["shipment"]["replicas"] = number.into();
            }),
            1 => self.edit(&key, "change the log level of", |object| {
                let levels = ["debug", "info", "warn"];
                object["spec"]["observability"]["logLevel"] = levels[number - 1].into();
            }),
            2 => self.edit(&key, "change retention of", |object| {
                object["spec"]["kafka"]["topics"]["retention"] = format!("{}h", 24 * number).into();
            }),
            _ => {
                self.needs_migration(1);
                self.edit(&key, "change the version of", |object| {
                    object["spec"]["version"] = format!("0.{number}.0").into();
                });
            }
        }
    }

    fn recreate(&self, platform: &str, foreground: bool) {
        let key = Self::key("logisticsplatforms", platform);
        self.note(format_args!("delete {key}"));
        let deletion = Deletion {
            uid: None,
            foreground,
        };
        let _ = self.world.store.delete(&key, &deletion);
        // Before its watch tells, the operator may begin one more for the platform that is gone: one, as it is told then.
        self.needs_migration(1);
        self.create_platform(platform);
    }
}
