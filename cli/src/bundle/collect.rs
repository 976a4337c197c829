//! Reads everything, one thing after the other; what cannot be read is noted.

use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, ApiResource, DynamicObject, ListParams, TypeMeta};
use kube::{Resource, ResourceExt};
use logistics_operator::api::LogisticsPlatform;
use logistics_operator::child::ChildKind;
use logistics_operator::names::INSTANCE;
use serde::Serialize;
use serde_json::{Value, json};

use super::{Request, logs, operator};
use crate::connect::{ClusterError, chain, refusal};
use crate::redact::Redactor;
use crate::status::{self, Wanted};

/// What was read, with secrets taken out.
#[derive(Debug, Default)]
pub struct Collected {
    /// Files with their content.
    pub files: Vec<(String, String)>,
    /// What could not be read.
    pub unreadable: Vec<Unreadable>,
    redactor: Redactor,
}

/// Something that could not be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Unreadable {
    /// What it is.
    pub what: String,
    /// Why it could not be read.
    pub why: String,
}

impl Collected {
    /// Adds an object, without its secrets.
    pub(super) fn object(&mut self, path: &str, mut object: Value) {
        self.redactor.object(&mut object);
        match serde_norway::to_string(&object) {
            Ok(yaml) => self.files.push((format!("{path}.yaml"), yaml)),
            Err(error) => self.missing(path, error.to_string()),
        }
    }

    /// Adds a text, without its secrets.
    pub(super) fn text(&mut self, path: impl Into<String>, text: &str) {
        self.files.push((path.into(), crate::redact::text(text)));
    }

    pub(super) fn missing(&mut self, what: impl Into<String>, why: impl Into<String>) {
        self.unreadable.push(Unreadable {
            what: what.into(),
            why: why.into(),
        });
    }

    /// Notes why a request failed.
    pub(super) fn failed(&mut self, what: &str, error: &kube::Error) {
        let why = match error {
            kube::Error::Api(status) if status.code == 404 => "the cluster does not have it".to_owned(),
            kube::Error::Api(status) => refusal(what, status.code, &status.message),
            error => chain(error),
        };
        self.missing(what, why);
    }

    /// Masks everywhere what was found to be a secret anywhere.
    fn finish(mut self) -> Self {
        for (_, content) in &mut self.files {
            *content = self.redactor.known_values(content);
        }
        for unreadable in &mut self.unreadable {
            unreadable.why = self.redactor.text(&unreadable.why);
        }
        self
    }
}

/// Reads all that belongs into the bundle.
///
/// # Errors
/// When the platform itself cannot be read.
pub async fn collect(request: &Request) -> Result<Collected, ClusterError> {
    let mut collected = Collected::default();
    let cluster = &request.cluster;
    let wanted = Wanted {
        name: Some(request.name.clone()),
        namespace: Some(cluster.namespace.clone()),
    };
    for snapshot in status::gather(cluster, &wanted).await? {
        let platform = serde_json::to_value(&snapshot.platform).unwrap_or_default();
        collected.object("platform", platform);
        collected.text("status.txt", &status::text(&status::tree(&snapshot), false));
    }
    versions(request, &mut collected).await;
    definition(request, &mut collected).await;
    children(request, &mut collected).await;
    surroundings(request, &mut collected).await;
    events(request, &mut collected).await;
    let pods: Api<Pod> = Api::namespaced(cluster.client.clone(), &cluster.namespace);
    let ours = ListParams::default().labels(&format!("{INSTANCE}={}", request.name));
    logs::of_pods(request, &pods, &ours, "pods", &mut collected).await;
    operator::collect(request, &mut collected).await;
    Ok(collected.finish())
}

async fn versions(request: &Request, collected: &mut Collected) {
    let server = match request.cluster.client.apiserver_version().await {
        Ok(version) => serde_json::to_value(version).unwrap_or_default(),
        Err(error) => {
            collected.failed("the API server's version", &error);
            Value::Null
        }
    };
    let versions = json!({"kubectl-logistics": env!("CARGO_PKG_VERSION"), "apiServer": server});
    collected.object("versions", versions);
}

async fn definition(request: &Request, collected: &mut Collected) {
    let name = format!(
        "{}.{}",
        LogisticsPlatform::plural(&()),
        LogisticsPlatform::group(&())
    );
    match Api::<CustomResourceDefinition>::all(request.cluster.client.clone())
        .get(&name)
        .await
    {
        Ok(definition) => {
            collected.object("definition", serde_json::to_value(definition).unwrap_or_default());
        }
        Err(error) => collected.failed(&format!("CustomResourceDefinition {name}"), &error),
    }
}

/// All kinds that the operator makes, and what Kubernetes makes of them.
async fn children(request: &Request, collected: &mut Collected) {
    let ours = ListParams::default().labels(&format!("{INSTANCE}={}", request.name));
    for kind in ChildKind::ALL {
        let resource = kind.resource();
        if kind == ChildKind::Secret {
            secrets(request, &resource, &ours, collected).await;
        } else {
            objects(request, &resource, &ours, "children", collected).await;
        }
    }
    let replica_sets = resource("apps", "v1", "ReplicaSet", "replicasets");
    objects(request, &replica_sets, &ours, "children", collected).await;
    objects(
        request,
        &resource("", "v1", "Pod", "pods"),
        &ours,
        "pods",
        collected,
    )
    .await;
    let slices = resource("discovery.k8s.io", "v1", "EndpointSlice", "endpointslices");
    objects(request, &slices, &ours, "children", collected).await;
}

/// What the namespace allows.
async fn surroundings(request: &Request, collected: &mut Collected) {
    let all = ListParams::default();
    for (kind, plural) in [("ResourceQuota", "resourcequotas"), ("LimitRange", "limitranges")] {
        objects(
            request,
            &resource("", "v1", kind, plural),
            &all,
            "namespace",
            collected,
        )
        .await;
    }
    let namespaces = Api::<DynamicObject>::all_with(
        request.cluster.client.clone(),
        &resource("", "v1", "Namespace", "namespaces"),
    );
    match namespaces.get(&request.cluster.namespace).await {
        Ok(namespace) => collected.object(
            "namespace/Namespace",
            serde_json::to_value(namespace).unwrap_or_default(),
        ),
        Err(error) => collected.failed(&format!("Namespace {}", request.cluster.namespace), &error),
    }
}

pub(super) fn resource(group: &str, version: &str, kind: &str, plural: &str) -> ApiResource {
    ApiResource {
        group: group.into(),
        version: version.into(),
        api_version: if group.is_empty() {
            version.into()
        } else {
            format!("{group}/{version}")
        },
        kind: kind.into(),
        plural: plural.into(),
    }
}

async fn objects(
    request: &Request,
    resource: &ApiResource,
    parameters: &ListParams,
    folder: &str,
    collected: &mut Collected,
) {
    let cluster = &request.cluster;
    let api = Api::<DynamicObject>::namespaced_with(cluster.client.clone(), &cluster.namespace, resource);
    match api.list(parameters).await {
        Ok(list) => {
            for mut object in list {
                // Objects in lists do not name their kind.
                object.types = Some(TypeMeta {
                    api_version: resource.api_version.clone(),
                    kind: resource.kind.clone(),
                });
                let path = format!("{folder}/{}/{}", resource.kind, object.name_any());
                collected.object(&path, serde_json::to_value(object).unwrap_or_default());
            }
        }
        Err(error) => collected.failed(&format!("{} in {}", resource.plural, cluster.namespace), &error),
    }
}

/// Of Secrets only the metadata is asked for: their values never leave the API server.
async fn secrets(
    request: &Request,
    resource: &ApiResource,
    parameters: &ListParams,
    collected: &mut Collected,
) {
    let cluster = &request.cluster;
    let api = Api::<DynamicObject>::namespaced_with(cluster.client.clone(), &cluster.namespace, resource);
    match api.list_metadata(parameters).await {
        Ok(list) => {
            for secret in list {
                let path = format!("children/Secret/{}", secret.name_any());
                let metadata = json!({"apiVersion": "v1", "kind": "Secret", "metadata": secret.metadata});
                collected.object(&path, metadata);
            }
        }
        Err(error) => collected.failed(&format!("metadata of secrets in {}", cluster.namespace), &error),
    }
}

async fn events(request: &Request, collected: &mut Collected) {
    let cluster = &request.cluster;
    let resource = resource("", "v1", "Event", "events");
    let api = Api::<DynamicObject>::namespaced_with(cluster.client.clone(), &cluster.namespace, &resource);
    let list = match api.list(&ListParams::default()).await {
        Ok(list) => list,
        Err(error) => return collected.failed(&format!("events in {}", cluster.namespace), &error),
    };
    let below = format!("{}-", request.name);
    let ours = list.items.into_iter().filter(|event| {
        let about = event.data["involvedObject"]["name"].as_str().unwrap_or_default();
        about == request.name || about.starts_with(&below)
    });
    let events: Vec<Value> = ours
        .map(|event| {
            let data = event.data;
            let times = [&data["lastTimestamp"], &data["eventTime"]];
            json!({
                "time": times.into_iter().find(|time| !time.is_null()),
                "type": data["type"], "reason": data["reason"], "count": data["count"], "series": data["series"],
                "about": format!("{} {}", data["involvedObject"]["kind"].as_str().unwrap_or_default(),
                    data["involvedObject"]["name"].as_str().unwrap_or_default()),
                "message": data["message"], "by": data["reportingComponent"],
            })
        })
        .collect();
    collected.object("events", json!(events));
}
