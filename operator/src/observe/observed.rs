//! The value that the first step yields.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use k8s_openapi::jiff::Timestamp;

use crate::backend::Reading;
use crate::backend::kafka::Topics;
use crate::backend::postgres::Session;
use crate::backend::registry::Subjects;
use crate::child::{ChildId, ChildKind, Live};
use crate::claims::Claim;
use crate::fight::Fight;
use crate::plan::Difference;

/// The children of a platform that exist.
pub type Children = BTreeMap<ChildId, Arc<Live>>;

/// All that the decision needs. No step after this one reads anything.
#[derive(Clone, Debug)]
pub struct Observed {
    /// The children that exist.
    pub children: Children,
    /// What the spec refers to and is not there, as sentences with a remedy.
    pub missing: Vec<String>,
    /// Whether everything that the spec refers to has been looked up.
    pub looked_up: bool,
    /// The topics.
    pub kafka: Reading<Topics>,
    /// The subjects.
    pub registry: Reading<Subjects>,
    /// Whether a session can begin on the database's server.
    pub postgres: Reading<Session>,
    /// The optional kinds that the cluster has.
    pub optional: BTreeSet<ChildKind>,
    /// What the API server made of our objects: differences that an apply does not take away.
    pub accepted: BTreeMap<ChildId, Vec<Difference>>,
    /// The objects whose fields somebody else keeps changing.
    pub fights: BTreeMap<ChildId, Fight>,
    /// What an older platform has that this one claims, with that platform as `namespace/name`.
    pub lost: BTreeMap<Claim, String>,
    /// The time of the decision.
    pub now: Timestamp,
}

impl Observed {
    /// A cluster in which none of a platform's objects is there, and all that it stands on answers.
    #[must_use]
    pub fn empty(now: Timestamp) -> Self {
        Self {
            children: BTreeMap::new(),
            missing: Vec::new(),
            looked_up: true,
            kafka: Reading::Seen(Arc::default()),
            registry: Reading::Seen(Arc::default()),
            postgres: Reading::Seen(Arc::default()),
            optional: ChildKind::OPTIONAL.into(),
            accepted: BTreeMap::new(),
            fights: BTreeMap::new(),
            lost: BTreeMap::new(),
            now,
        }
    }

    /// A child by kind and name.
    #[must_use]
    pub fn child(&self, kind: ChildKind, name: &str) -> Option<&Live> {
        self.children.get(&ChildId::new(kind, name)).map(Arc::as_ref)
    }

    /// The topics that belong to an older platform, with that platform.
    pub fn topic_owners(&self) -> impl Iterator<Item = (&str, &str)> {
        self.lost.iter().filter_map(|(claim, owner)| match claim {
            Claim::Topic { name, .. } => Some((name.as_str(), owner.as_str())),
            Claim::Database { .. } => None,
        })
    }

    /// The older platform that a topic belongs to.
    #[must_use]
    pub fn topic_owner(&self, topic: &str) -> Option<&str> {
        self.topic_owners()
            .find(|(name, _)| *name == topic)
            .map(|(_, owner)| owner)
    }

    /// The older platform that the database belongs to.
    #[must_use]
    pub fn database_owner(&self) -> Option<&str> {
        self.lost
            .iter()
            .find(|(claim, _)| matches!(claim, Claim::Database { .. }))
            .map(|(_, owner)| owner.as_str())
    }

    /// All children of a kind.
    pub fn of_kind(&self, kind: ChildKind) -> impl Iterator<Item = &Live> {
        self.children
            .values()
            .map(Arc::as_ref)
            .filter(move |child| child.id.kind == kind)
    }
}
