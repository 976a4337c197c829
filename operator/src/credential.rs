//! Database credentials of the services: made once, kept while they are whole, made anew when lost or changed by hand.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use logistics_schemas::Workload;
use rand::Rng;
use rand::distr::Alphanumeric;
use sha2::{Digest, Sha256};

use crate::child::ChildKind;
use crate::names::{CREDENTIAL_ID, Names};
use crate::observe::Observed;

/// Characters of a password: 190 bits.
const PASSWORD_LENGTH: usize = 32;

/// The passwords of the services' database roles. Its `Debug` output shows none of them.
#[derive(Clone)]
pub struct Credentials(BTreeMap<Workload, String>);

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Credentials").field(&self.ids()).finish()
    }
}

impl Credentials {
    /// New passwords for all services.
    #[must_use]
    pub fn random() -> Self {
        let password = || {
            rand::rng()
                .sample_iter(Alphanumeric)
                .take(PASSWORD_LENGTH)
                .map(char::from)
                .collect()
        };
        Self(
            Workload::ALL
                .into_iter()
                .map(|workload| (workload, password()))
                .collect(),
        )
    }

    /// Fixed passwords, for tests of what follows from them.
    #[must_use]
    pub fn fixed(text: &str) -> Self {
        Self(
            Workload::ALL
                .into_iter()
                .map(|workload| (workload, format!("{text}-{workload}")))
                .collect(),
        )
    }

    /// Takes the password of each Secret that is there and whole, and one of `fresh` for each other.
    #[must_use]
    pub fn observed_or(observed: &Observed, names: Names<'_>, fresh: &Self) -> Self {
        let choose = |(workload, fresh): (&Workload, &String)| {
            let kept = observed_password(observed, names, *workload);
            (*workload, kept.unwrap_or_else(|| fresh.clone()))
        };
        Self(fresh.0.iter().map(choose).collect())
    }

    /// A service's password.
    #[must_use]
    pub fn password(&self, workload: Workload) -> &str {
        self.0.get(&workload).map_or("", String::as_str)
    }

    /// The identifier of a service's credential.
    #[must_use]
    pub fn id(&self, workload: Workload) -> String {
        id(self.password(workload))
    }

    /// The identifiers of all.
    #[must_use]
    pub fn ids(&self) -> Vec<String> {
        self.0.values().map(|password| id(password)).collect()
    }
}

/// A digest by which a change of the password is noticed. The password's 190 random bits cannot be found from it.
fn id(password: &str) -> String {
    let mut hasher = Sha256::new();
    hasher.update(b"logistics database credential\0");
    hasher.update(password.as_bytes());
    hex::encode(&hasher.finalize()[..8])
}

fn observed_password(observed: &Observed, names: Names<'_>, workload: Workload) -> Option<String> {
    let secret = observed.child(ChildKind::Secret, &names.credentials(workload))?;
    let encoded = secret.at("/data/password")?.clone();
    let bytes: ByteString = serde_json::from_value(encoded).ok()?;
    let password = String::from_utf8(bytes.0).ok()?;
    let noted = secret.object["metadata"]["annotations"][CREDENTIAL_ID].as_str()?;
    (noted == id(&password)).then_some(password)
}
