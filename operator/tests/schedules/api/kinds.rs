//! The kinds that the fake API server has.

use kube::Resource as _;
use logistics_operator::api::LogisticsPlatform;
use logistics_operator::child::ChildKind;

use super::fields::Schema;

/// A kind and where it is served.
#[derive(Clone, Debug)]
pub(crate) struct Kind {
    /// Its group, empty for the core group.
    pub group: String,
    /// Its version.
    pub version: String,
    /// Its name.
    pub name: String,
    /// Its name in paths.
    pub plural: String,
}

impl Kind {
    fn new(group: &str, version: &str, name: &str, plural: &str) -> Self {
        Self {
            group: group.into(),
            version: version.into(),
            name: name.into(),
            plural: plural.into(),
        }
    }

    /// A child's.
    pub(crate) fn of(kind: ChildKind) -> Self {
        let resource = kind.resource();
        Self::new(
            &resource.group,
            &resource.version,
            &resource.kind,
            &resource.plural,
        )
    }

    /// The platforms'.
    pub(crate) fn platform() -> Self {
        Self::new(
            &LogisticsPlatform::group(&()),
            &LogisticsPlatform::version(&()),
            &LogisticsPlatform::kind(&()),
            &LogisticsPlatform::plural(&()),
        )
    }

    /// All kinds.
    pub(crate) fn all() -> Vec<Self> {
        let mut kinds: Vec<_> = ChildKind::ALL.into_iter().map(Self::of).collect();
        kinds.push(Self::platform());
        kinds.push(Self::new("events.k8s.io", "v1", "Event", "events"));
        kinds.push(Self::new("coordination.k8s.io", "v1", "Lease", "leases"));
        kinds
    }

    /// Its `apiVersion`.
    pub(crate) fn api_version(&self) -> String {
        if self.group.is_empty() {
            self.version.clone()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }

    /// Whether it has a status of its own path, and a generation that counts changes of all the rest.
    pub(crate) fn has_status(&self) -> bool {
        matches!(
            self.name.as_str(),
            "Deployment" | "Job" | "LogisticsPlatform" | "PodDisruptionBudget"
        )
    }

    /// Whether the API server counts its changes.
    pub(crate) fn has_generation(&self) -> bool {
        self.has_status() || self.name == "NetworkPolicy"
    }

    /// How its fields are merged.
    pub(crate) fn schema(&self) -> Schema {
        Schema {
            data_is_map: matches!(self.name.as_str(), "ConfigMap" | "Secret"),
        }
    }

    /// Fields that are never changed, as JSON pointers; a ConfigMap's only when it is immutable.
    pub(crate) fn immutable(&self) -> &'static [&'static str] {
        match self.name.as_str() {
            "Deployment" => &["/spec/selector"],
            "Job" => &["/spec/template", "/spec/selector"],
            "ControllerRevision" => &["/data"],
            "Secret" => &["/type"],
            "Service" => &["/spec/clusterIP"],
            _ => &[],
        }
    }
}
