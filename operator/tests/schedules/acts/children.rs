//! What is done to children.

use std::sync::{Arc, PoisonError};

use logistics_operator::names::MANAGED_BY;
use serde_json::{Value, json};

use super::Others;
use crate::api::{Deletion, Key};
use crate::dice::Dice;

impl Others {
    pub(super) fn delete(&self, key: &Key, live: &Value, foreground: bool) {
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

    pub(super) fn scale(&self, dice: &mut Dice, children: &[(Key, Arc<Value>)]) {
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

    /// Another program applies fields of its own.
    pub(super) fn annotate(&self, key: &Key, live: &Value, dice: &mut Dice) {
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
    pub(super) fn disown(&self, key: &Key, _: &Value, dice: &mut Dice) {
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

    pub(super) fn spoil_password(&self, dice: &mut Dice, children: &[(Key, Arc<Value>)]) {
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

    /// A child is deleted and somebody else takes its name.
    pub(super) fn take(&self, key: &Key, live: &Value) {
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

    /// Another program forces a field of ours on a Deployment or Service.
    pub(super) fn seize(&self, dice: &mut Dice, children: &[(Key, Arc<Value>)]) {
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
}
