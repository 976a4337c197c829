//! What platforms refer to, and what is nobody's business.

use logistics_operator::names::{INSTANCE, MANAGED_BY, MANAGER};
use serde_json::json;

use super::Others;
use crate::api::Deletion;
use crate::dice::Dice;

/// What platforms refer to: plural of the kind, name, content.
const REFERRED: [(&str, &str, &str); 3] = [
    (
        "secrets",
        "acme-db",
        r#"{"type": "kubernetes.io/basic-auth", "data": {"username": "b3duZXI=", "password": "eA=="}}"#,
    ),
    (
        "configmaps",
        "acme-jwks",
        r#"{"data": {"jwks.json": "{\"keys\": []}"}}"#,
    ),
    (
        "configmaps",
        "backing-ca",
        r#"{"data": {"ca.crt": "-----BEGIN CERTIFICATE-----"}}"#,
    ),
];

impl Others {
    /// Makes what platforms refer to, and objects that are nobody's business.
    pub(crate) fn prepare(&self) {
        self.restore();
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

    /// What platforms refer to is there, perhaps again.
    pub(super) fn restore(&self) {
        for (plural, name, content) in REFERRED {
            self.make(plural, name, serde_json::from_str(content).expect("it is JSON"));
        }
    }

    /// What a platform refers to is taken away, or comes back.
    pub(super) fn unrefer(&self, dice: &mut Dice) {
        let Some((plural, name, _)) = dice.pick(&REFERRED) else {
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
}
