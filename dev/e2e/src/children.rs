//! The objects that a platform consists of.

use std::collections::BTreeMap;

use anyhow::Result;
use kube::api::{ApiResource, DynamicObject, GroupVersionKind, ListParams};
use kube::{Api, Client, ResourceExt as _};
use serde_json::{Value, json};

use crate::stage::{NAMESPACE, PLATFORM};

/// Label with the revision that an object belongs to.
pub const REVISION: &str = "logistics-platform.io/revision";

/// A kind of child.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs, reason = "the names are those of Kubernetes")]
pub enum Kind {
    Deployment,
    Service,
    ServiceAccount,
    ConfigMap,
    Secret,
    ControllerRevision,
    Job,
}

/// Kind and name.
pub type Id = (Kind, String);

impl Kind {
    /// All kinds of children.
    pub const ALL: [Self; 7] = [
        Self::Deployment,
        Self::Service,
        Self::ServiceAccount,
        Self::ConfigMap,
        Self::Secret,
        Self::ControllerRevision,
        Self::Job,
    ];

    /// What the API calls it.
    #[must_use]
    pub fn resource(self) -> ApiResource {
        let (group, kind) = match self {
            Self::Deployment => ("apps", "Deployment"),
            Self::ControllerRevision => ("apps", "ControllerRevision"),
            Self::Job => ("batch", "Job"),
            Self::Service => ("", "Service"),
            Self::ServiceAccount => ("", "ServiceAccount"),
            Self::ConfigMap => ("", "ConfigMap"),
            Self::Secret => ("", "Secret"),
        };
        ApiResource::from_gvk(&GroupVersionKind::gvk(group, "v1", kind))
    }

    /// The objects of this kind in the tests' namespace.
    #[must_use]
    pub fn api(self, client: &Client) -> Api<DynamicObject> {
        Api::namespaced_with(client.clone(), NAMESPACE, &self.resource())
    }
}

/// All children of the tests' platform.
pub async fn all(client: &Client) -> Result<BTreeMap<Id, DynamicObject>> {
    let labels =
        format!("app.kubernetes.io/managed-by=logistics-operator,app.kubernetes.io/instance={PLATFORM}");
    let parameters = ListParams::default().labels(&labels);
    let mut children = BTreeMap::new();
    for kind in Kind::ALL {
        for child in kind.api(client).list(&parameters).await? {
            children.insert((kind, child.name_any()), child);
        }
    }
    Ok(children)
}

/// What was wanted of a child: without what the API server and controllers add, and without what is drawn by chance.
#[must_use]
pub fn wanted(kind: Kind, child: &DynamicObject) -> Value {
    let data = &child.data;
    let content = match kind {
        // Its name and its type; a password is drawn by chance.
        Kind::Secret => data["type"].clone(),
        Kind::ConfigMap | Kind::ControllerRevision => data["data"].clone(),
        Kind::ServiceAccount => data["automountServiceAccountToken"].clone(),
        Kind::Deployment => data["spec"].clone(),
        // Labels and selector hold the Job's uid.
        Kind::Job => return data["spec"]["template"]["spec"].clone(),
        Kind::Service => {
            let spec = &data["spec"];
            json!({"selector": spec["selector"], "ports": spec["ports"], "type": spec["type"]})
        }
    };
    json!({"labels": child.metadata.labels, "content": content})
}
