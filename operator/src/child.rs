//! Kubernetes objects that a platform consists of, as the plan sees them.

mod strip;

use std::fmt;
use std::sync::Arc;

use kube::api::{ApiResource, TypeMeta};
use kube::core::DynamicObject;
use serde_json::Value;

use crate::names::INSTANCE;

pub(crate) use strip::LAST_APPLIED;

/// The kinds of children.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs, reason = "the names are Kubernetes' own")]
pub enum ChildKind {
    ServiceAccount,
    Secret,
    ConfigMap,
    ControllerRevision,
    NetworkPolicy,
    Service,
    PodDisruptionBudget,
    Job,
    Deployment,
    HorizontalPodAutoscaler,
    PodMonitor,
}

impl ChildKind {
    /// The kinds that every cluster has.
    pub const ALL: [Self; 10] = [
        Self::ServiceAccount,
        Self::Secret,
        Self::ConfigMap,
        Self::ControllerRevision,
        Self::NetworkPolicy,
        Self::Service,
        Self::PodDisruptionBudget,
        Self::Job,
        Self::Deployment,
        Self::HorizontalPodAutoscaler,
    ];

    /// The kinds that a cluster has when somebody installed their definition.
    pub const OPTIONAL: [Self; 1] = [Self::PodMonitor];

    /// The name of the kind.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ServiceAccount => "ServiceAccount",
            Self::Secret => "Secret",
            Self::ConfigMap => "ConfigMap",
            Self::ControllerRevision => "ControllerRevision",
            Self::NetworkPolicy => "NetworkPolicy",
            Self::Service => "Service",
            Self::PodDisruptionBudget => "PodDisruptionBudget",
            Self::Job => "Job",
            Self::Deployment => "Deployment",
            Self::HorizontalPodAutoscaler => "HorizontalPodAutoscaler",
            Self::PodMonitor => "PodMonitor",
        }
    }

    /// The kind's `apiVersion`.
    #[must_use]
    pub const fn api_version(self) -> &'static str {
        match self {
            Self::ServiceAccount | Self::Secret | Self::ConfigMap | Self::Service => "v1",
            Self::ControllerRevision | Self::Deployment => "apps/v1",
            Self::Job => "batch/v1",
            Self::NetworkPolicy => "networking.k8s.io/v1",
            Self::PodDisruptionBudget => "policy/v1",
            Self::HorizontalPodAutoscaler => "autoscaling/v2",
            Self::PodMonitor => "monitoring.coreos.com/v1",
        }
    }

    /// The kind's name in URLs.
    #[must_use]
    pub fn plural(self) -> String {
        let name = self.name().to_lowercase();
        match name.strip_suffix('y') {
            Some(stem) => format!("{stem}ies"),
            None => format!("{name}s"),
        }
    }

    /// The kind's resource in the API.
    #[must_use]
    pub fn resource(self) -> ApiResource {
        let (group, version) = self
            .api_version()
            .split_once('/')
            .unwrap_or(("", self.api_version()));
        ApiResource {
            group: group.into(),
            version: version.into(),
            api_version: self.api_version().into(),
            kind: self.name().into(),
            plural: self.plural(),
        }
    }
}

impl fmt::Display for ChildKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Kind and name of a child within its platform's namespace.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChildId {
    /// Its kind.
    pub kind: ChildKind,
    /// Its name.
    pub name: String,
}

impl ChildId {
    /// A child's id.
    #[must_use]
    pub fn new(kind: ChildKind, name: impl Into<String>) -> Self {
        Self {
            kind,
            name: name.into(),
        }
    }
}

impl fmt::Display for ChildId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.name)
    }
}

/// A child as it should be.
#[derive(Clone, Debug, PartialEq)]
pub struct Child {
    /// Its kind and name.
    pub id: ChildId,
    /// The whole object, with only the fields that we want.
    pub object: Value,
}

/// A child as it is in the cluster, without what no decision reads.
#[derive(Clone, Debug, PartialEq)]
pub struct Live {
    /// Its kind and name.
    pub id: ChildId,
    /// Its namespace.
    pub namespace: String,
    /// Its uid.
    pub uid: String,
    /// Position of this state in the API server's history.
    pub resource_version: u64,
    /// Whether it is being deleted.
    pub terminating: bool,
    /// The uid of the object that controls it.
    pub owner: Option<String>,
    /// Whether our field manager has ever applied it.
    pub applied_by_us: bool,
    /// The object. Of `metadata.managedFields` only our own entry is kept, of `status` only what is reported.
    pub object: Value,
}

impl Live {
    /// Takes over an object from the API server.
    #[must_use]
    pub fn new(kind: ChildKind, object: DynamicObject) -> Arc<Self> {
        let mut object = object;
        // Objects in lists do not name their kind.
        object.types = Some(TypeMeta {
            api_version: kind.api_version().into(),
            kind: kind.name().into(),
        });
        let version = object.metadata.resource_version.take();
        let version = version.and_then(|text| text.parse().ok()).unwrap_or(0);
        strip::strip(kind, &mut object);
        let object = serde_json::to_value(&object).unwrap_or_default();
        Arc::new(Self::restore(kind, version, object))
    }

    /// What [`Self::new`] made, from its object.
    #[must_use]
    pub(crate) fn restore(kind: ChildKind, resource_version: u64, object: Value) -> Self {
        let meta = &object["metadata"];
        let text = |field: &str| meta[field].as_str().unwrap_or_default().to_owned();
        let list = |field: &str| meta[field].as_array().into_iter().flatten();
        let owner = list("ownerReferences").find(|owner| owner["controller"] == true);
        Self {
            id: ChildId::new(kind, text("name")),
            namespace: text("namespace"),
            uid: text("uid"),
            resource_version,
            terminating: meta.get("deletionTimestamp").is_some(),
            owner: owner.and_then(|owner| Some(owner["uid"].as_str()?.to_owned())),
            applied_by_us: list("managedFields").next().is_some(),
            object,
        }
    }

    /// Whether the child belongs to the platform with this uid and name. One whose owner reference was taken away
    /// still does when our field manager has applied it for that platform.
    #[must_use]
    pub fn belongs_to(&self, platform_uid: &str, platform_name: &str) -> bool {
        match &self.owner {
            Some(owner) => owner == platform_uid,
            None => self.applied_by_us && self.label(INSTANCE) == Some(platform_name),
        }
    }

    /// A value inside the object, by JSON pointer.
    #[must_use]
    pub fn at(&self, pointer: &str) -> Option<&Value> {
        self.object.pointer(pointer)
    }

    /// A number inside the object, 0 when absent.
    #[must_use]
    pub fn number(&self, pointer: &str) -> i64 {
        self.at(pointer).and_then(Value::as_i64).unwrap_or(0)
    }

    /// A label's value.
    #[must_use]
    pub fn label(&self, name: &str) -> Option<&str> {
        self.object["metadata"]["labels"][name].as_str()
    }

    /// A condition's object, by its type.
    #[must_use]
    pub fn condition(&self, kind: &str) -> Option<&Value> {
        let conditions = self.at("/status/conditions")?.as_array()?;
        conditions.iter().find(|condition| condition["type"] == kind)
    }
}
