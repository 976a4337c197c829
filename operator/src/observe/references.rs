//! Secrets and `ConfigMap`s that specs refer to. One watch of each kind tells which there are, by their metadata only;
//! the keys that the operator itself needs are read when the object is new or has changed: of `ConfigMap`s the
//! authorities and key sets, of Secrets the credentials by which it asks Kafka and the schema registry. No other Secret
//! is ever read.

mod known;
mod watch;

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;

use logistics_kafka_admin::Credentials;

pub use self::watch::References;
pub(crate) use self::watch::watch_references;
use crate::backend::BackendError;
use crate::reason::Reason;
use crate::validate::{ValidPlatform, ValidTls};

/// Kind of an object that a spec refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs, reason = "the names are Kubernetes' own")]
pub enum RefKind {
    Secret,
    ConfigMap,
}

/// An object that a spec refers to, and the key that it needs of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference {
    kind: RefKind,
    namespace: String,
    name: String,
    key: Option<String>,
}

impl RefKind {
    /// All kinds.
    pub const ALL: [Self; 2] = [Self::Secret, Self::ConfigMap];

    /// Name of the kind's watches in [`crate::telemetry::Health`].
    pub(super) const fn watch(self) -> &'static str {
        match self {
            Self::Secret => "referenced Secret",
            Self::ConfigMap => "referenced ConfigMap",
        }
    }
}

impl Reference {
    /// A key of a ConfigMap.
    #[must_use]
    pub fn config_map(namespace: &str, name: &str, key: &str) -> Self {
        Self {
            kind: RefKind::ConfigMap,
            namespace: namespace.into(),
            name: name.into(),
            key: Some(key.into()),
        }
    }

    /// A key of a Secret.
    fn credential(namespace: &str, name: &str, key: &str) -> Self {
        Self {
            key: Some(key.into()),
            ..Self::secret(namespace, name)
        }
    }

    /// A Secret whose content is others' affair.
    fn secret(namespace: &str, name: &str) -> Self {
        Self {
            kind: RefKind::Secret,
            namespace: namespace.into(),
            name: name.into(),
            key: None,
        }
    }

    fn object(&self) -> Object {
        (self.kind, self.namespace.clone(), self.name.clone())
    }
}

type Object = (RefKind, String, String);

/// What a platform refers to, each with the path of its field.
pub(super) fn of(valid: &ValidPlatform) -> Vec<(Reference, &'static str)> {
    let namespace = &valid.identity.namespace;
    let owner = Reference::secret(namespace, &valid.database.owner_secret);
    let jwks = Reference::config_map(namespace, &valid.auth.jwks_config_map, &valid.auth.jwks_key);
    let mut all = vec![
        (owner, "spec.database.credentials.secretRef"),
        (jwks, "spec.auth.jwks.configMapRef"),
    ];
    let redis = valid.redis.as_ref();
    all.extend(redis.and_then(|redis| redis.secret.as_ref()).map(|secret| {
        (
            Reference::secret(namespace, secret),
            "spec.cache.redis.credentials.secretRef",
        )
    }));
    let kafka = valid.kafka.sasl.as_ref().map(|sasl| &sasl.secret);
    for (secret, field) in [
        (kafka, "spec.kafka.sasl.credentials.secretRef"),
        (
            valid.registry.secret.as_ref(),
            "spec.schemaRegistry.credentials.secretRef",
        ),
    ] {
        let keys = secret.into_iter().flat_map(|secret| login(namespace, secret));
        all.extend(keys.map(|key| (key, field)));
    }
    let authorities = [
        (&valid.kafka.tls, "spec.kafka.tls.caConfigMapRef"),
        (&valid.registry.tls, "spec.schemaRegistry.tls.caConfigMapRef"),
        (&valid.database.tls, "spec.database.tls.caConfigMapRef"),
    ];
    let cache = redis.map(|redis| (&redis.tls, "spec.cache.redis.tls.caConfigMapRef"));
    for (tls, field) in authorities.into_iter().chain(cache) {
        if let ValidTls::Authority { config_map, key } = tls {
            all.push((Reference::config_map(namespace, config_map, key), field));
        }
    }
    all
}

/// User and password in a Secret.
fn login(namespace: &str, secret: &str) -> [Reference; 2] {
    ["username", "password"].map(|key| Reference::credential(namespace, secret, key))
}

/// What is not there, as sentences with a remedy; what is still being looked up is not among them.
pub(super) fn missing(wanted: &[(Reference, &'static str)], found: &Found) -> Vec<String> {
    let absent = wanted
        .iter()
        .filter(|(reference, _)| found.is_known(reference) && !found.has(reference));
    let mut sentences: Vec<_> = absent
        .map(|(reference, field)| format!("{field}: {}", found.explain(reference)))
        .collect();
    // Of a Secret that is not there no key is.
    sentences.dedup();
    sentences
}

#[derive(Clone, PartialEq)]
enum State {
    Unknown,
    Absent,
    /// The keys that are named and there.
    Present(Arc<BTreeMap<String, String>>),
}

/// What was read may be secret.
impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => f.write_str("Unknown"),
            Self::Absent => f.write_str("Absent"),
            Self::Present(values) => f.debug_tuple("Present").field(&values.keys()).finish(),
        }
    }
}

/// What is known about references.
pub struct Found(HashMap<Object, State>);

impl Found {
    fn is_known(&self, reference: &Reference) -> bool {
        !matches!(self.0.get(&reference.object()), None | Some(State::Unknown))
    }

    /// Whether everything has been looked up.
    pub(super) fn is_complete(&self) -> bool {
        !self.0.values().any(|state| *state == State::Unknown)
    }

    fn has(&self, reference: &Reference) -> bool {
        match self.0.get(&reference.object()) {
            Some(State::Present(data)) => reference.key.as_ref().is_none_or(|key| data.contains_key(key)),
            _ => false,
        }
    }

    /// The user and the password in a Secret; the error tells why they cannot be used, and is `None` while they are being
    /// looked up.
    pub(super) fn credentials(
        &self,
        namespace: &str,
        secret: &str,
    ) -> Result<Credentials, Option<BackendError>> {
        let [username, password] = login(namespace, secret);
        let value = |reference| self.value(reference).ok_or_else(|| self.unread(reference));
        Ok(Credentials {
            username: value(&username)?,
            password: value(&password)?,
        })
    }

    /// The value of a key.
    pub(super) fn value(&self, reference: &Reference) -> Option<String> {
        match self.0.get(&reference.object()) {
            Some(State::Present(data)) => data.get(reference.key.as_ref()?).cloned(),
            _ => None,
        }
    }

    /// Why a value cannot be read; `None` while it is being looked up.
    pub(super) fn unread(&self, reference: &Reference) -> Option<BackendError> {
        self.is_known(reference).then(|| BackendError {
            reason: Reason::ReferenceMissing,
            message: self.explain(reference),
        })
    }

    /// Why a reference cannot be used.
    pub(super) fn explain(&self, reference: &Reference) -> String {
        let Reference {
            kind,
            namespace,
            name,
            key,
        } = reference;
        match (self.0.get(&reference.object()), key) {
            (Some(State::Absent), _) => format!("{kind:?} {name} is not in namespace {namespace}; create it"),
            (Some(State::Present(_)), Some(key)) => match kind {
                RefKind::Secret => format!("{kind:?} {name} has no text at key {key}; write it there"),
                RefKind::ConfigMap => format!("{kind:?} {name} has no key {key}; add it"),
            },
            _ => format!("{kind:?} {name} is being looked up"),
        }
    }
}
