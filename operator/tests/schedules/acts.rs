//! What people and other programs do to a platform while the operator runs it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use logistics_operator::child::ChildKind;
use logistics_operator::names::{INSTANCE, MANAGED_BY, MANAGER};
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

    /// Makes what platforms refer to, and objects that are nobody's business.
    pub(crate) fn prepare(&self) {
        self.make(
            "secrets",
            "acme-db",
            json!({"type": "kubernetes.io/basic-auth", "data": {"username": "b3duZXI=", "password": "eA=="}}),
        );
        self.make(
            "configmaps",
            "acme-jwks",
            json!({"data": {"jwks.json": "{\"keys\": []}"}}),
        );
        self.make(
            "configmaps",
            "backing-ca",
            json!({"data": {"ca.crt": "-----BEGIN CERTIFICATE-----"}}),
        );
        for (plural, name) in [
            ("configmaps", "somebodys"),
            ("services", "acme-other"),
            ("secrets", "somebodys"),
        ] {
            let labels = json!({INSTANCE: "acme", "app.kubernetes.io/part-of": "acme"});
            self.make(plural, name, json!({"metadata": {"labels": labels}}));
            self.hold(&Self::key(plural, name));
        }
        // Somebody copied a child's labels.
        self.make(
            "configmaps",
            "acme-copied",
            json!({"metadata": {"labels": {INSTANCE: "acme", MANAGED_BY: MANAGER}}}),
        );
        self.hold(&Self::key("configmaps", "acme-copied"));
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

    fn delete(&self, key: &Key, live: &Value, foreground: bool) {
        self.note(format_args!(
            "delete {key}{}",
            if foreground { " in the foreground" } else { "" }
        ));
        if key.plural == "secrets" || key.plural == "jobs" {
            self.needs_migration(1);
        }
        let deletion = Deletion {
            uid: live["metadata"]["uid"].as_str().map(str::to_owned),
            foreground,
        };
        let _ = self.world.store.delete(key, &deletion);
    }

    fn scale(&self, dice: &mut Dice, children: &[(Key, Arc<Value>)]) {
        let deployments: Vec<_> = children
            .iter()
            .filter(|(key, _)| key.plural == "deployments")
            .collect();
        if let Some((key, _)) = dice.pick(&deployments) {
            let replicas = dice.below(5);
            self.edit(key, "scale", |object| {
                object["spec"]["replicas"] = replicas.into();
            });
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

    /// Another program applies fields of its own.
    fn annotate(&self, key: &Key, live: &Value, dice: &mut Dice) {
        let name = format!("somebody-{}", dice.below(3));
        self.note(format_args!("annotate {key} with {name}"));
        let metadata = json!({"annotations": {&name: "theirs"}, "labels": {&name: "theirs"}});
        if self
            .world
            .store
            .apply(&name, false, key, &json!({"metadata": metadata}))
            .is_ok()
        {
            let mut fields = self.fields.lock().unwrap_or_else(PoisonError::into_inner);
            for map in ["annotations", "labels"] {
                let field = format!("/metadata/{map}/{name}");
                fields.push((
                    key.clone(),
                    live["metadata"]["uid"].clone(),
                    field,
                    "theirs".into(),
                ));
            }
        }
    }

    /// Somebody takes a child's owner or its label away.
    fn disown(&self, key: &Key, _: &Value, dice: &mut Dice) {
        if dice.per_mille(500) {
            self.edit(key, "disown", |object| {
                object["metadata"]["ownerReferences"] = json!([]);
            });
        } else {
            self.edit(key, "unlabel", |object| {
                object["metadata"]["labels"][MANAGED_BY] = Value::Null;
            });
        }
    }

    fn spoil_password(&self, dice: &mut Dice, children: &[(Key, Arc<Value>)]) {
        let secrets: Vec<_> = children
            .iter()
            .filter(|(key, _)| key.plural == "secrets")
            .collect();
        if let Some((key, live)) = dice.pick(&secrets) {
            self.world
                .monitor
                .spoiled(live["metadata"]["uid"].as_str().unwrap_or_default());
            self.needs_migration(1);
            self.edit(key, "change the password of", |object| {
                object["data"]["password"] = "c3BvaWxlZA==".into();
            });
        }
    }

    /// What a platform refers to is taken away, or comes back.
    fn unrefer(&self, dice: &mut Dice) {
        let all = [
            ("configmaps", "acme-jwks"),
            ("configmaps", "backing-ca"),
            ("secrets", "acme-db"),
        ];
        let Some((plural, name)) = dice.pick(&all) else {
            return;
        };
        let key = Self::key(plural, name);
        if self.world.store.get(&key).is_some() {
            self.note(format_args!("delete {key}, which is referred to"));
            let _ = self.world.store.delete(&key, &Deletion::default());
        } else {
            self.note("what is referred to is there again");
            self.restore();
        }
    }

    /// A child is deleted and somebody else takes its name.
    fn take(&self, key: &Key, live: &Value) {
        self.delete(key, live, false);
        if self.make(
            &key.plural,
            &key.name,
            json!({"metadata": {"labels": {"whose": "somebody's"}}}),
        ) {
            self.note(format_args!("{key} is somebody else's now"));
            self.hold(key);
            self.taken
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(key.clone());
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
        self.create_platform(platform);
    }

    /// Another program forces a field of ours on a Deployment or Service.
    fn seize(&self, dice: &mut Dice, children: &[(Key, Arc<Value>)]) {
        let some: Vec<_> = children
            .iter()
            .filter(|(key, _)| key.plural == "deployments" || key.plural == "services")
            .collect();
        let Some((key, _)) = dice.pick(&some) else { return };
        self.note(format_args!("seize {key}"));
        let spec = if key.plural == "deployments" {
            json!({"replicas": 7, "progressDeadlineSeconds": 17})
        } else {
            json!({"selector": {"app": "other"}})
        };
        let _ = self
            .world
            .store
            .apply("seizer", true, key, &json!({"spec": spec}));
    }

    /// What platforms refer to is there again.
    fn restore(&self) {
        self.make(
            "secrets",
            "acme-db",
            json!({"type": "kubernetes.io/basic-auth", "data": {"username": "b3duZXI=", "password": "eA=="}}),
        );
        self.make(
            "configmaps",
            "acme-jwks",
            json!({"data": {"jwks.json": "{\"keys\": []}"}}),
        );
        self.make(
            "configmaps",
            "backing-ca",
            json!({"data": {"ca.crt": "-----BEGIN CERTIFICATE-----"}}),
        );
    }

    /// Ends what keeps platforms from being ready.
    pub(crate) async fn settle(&self) {
        self.note("everybody goes home");
        self.restore();
        let taken = std::mem::take(&mut *self.taken.lock().unwrap_or_else(PoisonError::into_inner));
        for key in taken {
            let mine = self.world.store.get(&key);
            if mine.is_some_and(|object| object["metadata"]["labels"]["whose"] == "somebody's") {
                self.foreign
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .retain(|(held, _)| *held != key);
                self.note(format_args!("{key} is given back"));
                let _ = self.world.store.delete(&key, &Deletion::default());
            }
        }
        for name in &self.platforms {
            self.until_there(name).await;
        }
    }

    /// Waits until a platform is there and stays, and makes it where it has gone.
    async fn until_there(&self, name: &str) {
        let key = Self::key("logisticsplatforms", name);
        for _ in 0..60 {
            match self.world.store.get(&key) {
                Some(live) if live["metadata"]["deletionTimestamp"].is_null() => return,
                Some(_) => tokio::time::sleep(Duration::from_secs(1)).await,
                None => self.create_platform(name),
            }
        }
        self.world
            .monitor
            .find(format_args!("platform {name} does not go"));
    }

    /// What of others was touched.
    pub(crate) fn touched(&self) -> Vec<String> {
        let mut touched = Vec::new();
        for (key, object) in self.foreign.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            if self.world.store.get(key).as_ref() != Some(object) {
                touched.push(format!("{key} of somebody else is not as it was"));
            }
        }
        for (key, uid, field, value) in self.fields.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            let live = self
                .world
                .store
                .get(key)
                .filter(|live| live["metadata"]["uid"] == *uid);
            if live.is_some_and(|live| live.pointer(field) != Some(value)) {
                touched.push(format!("{key}: {field} of somebody else is not as it was"));
            }
        }
        touched
    }
}
