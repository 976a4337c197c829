//! An API server with the namespaces, definitions and rights that a measurement needs.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use futures::stream::{self, StreamExt, TryStreamExt};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, ApiResource, ListParams, Patch, PatchParams, PostParams};
use kube::core::DynamicObject;
use kube::{Client, Config, ResourceExt};
use serde_json::{Value, json};

use crate::measure::Audit;

/// Longest time that anything may take.
pub(crate) const PATIENCE: Duration = Duration::from_mins(30);

/// Requests of this program at the same time.
const CONCURRENCY: usize = 8;

/// An API server.
pub(crate) struct Site {
    pub(crate) client: Client,
    pub(crate) audit: Audit,
    server: dev_rig::ApiServer,
}

impl Site {
    /// Starts an API server that logs what `users` ask for.
    pub(crate) async fn start(users: &[&str]) -> Result<Self> {
        let rules = json!([{"level": "Metadata", "users": users}, {"level": "None"}]);
        let server = dev_rig::audited_api_server(&rules).await?;
        let mut config: Config = server.config().await?;
        config.read_timeout = None;
        Ok(Self {
            client: Client::try_from(config)?,
            audit: Audit::new(&server.audit_log()),
            server,
        })
    }

    /// A kubeconfig of a user that may do anything, and nothing as an administrator: its requests queue as those of
    /// other programs do.
    pub(crate) async fn user(&self, name: &str) -> Result<PathBuf> {
        self.apply(&json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
            "metadata": {"name": format!("bench-{name}")},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": name}],
        }))
        .await?;
        self.server.identity(name, "bench")
    }

    /// Applies an object.
    pub(crate) async fn apply(&self, object: &Value) -> Result<()> {
        let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str);
        let name = text("/metadata/name").context("an object without a name")?;
        let resource = resource(object)?;
        let api: Api<DynamicObject> = match text("/metadata/namespace") {
            Some(namespace) => Api::namespaced_with(self.client.clone(), namespace, &resource),
            None => Api::all_with(self.client.clone(), &resource),
        };
        let parameters = PatchParams::apply("bench").force();
        api.patch(name, &parameters, &Patch::Apply(object))
            .await
            .with_context(|| format!("apply {} {name}", resource.kind))?;
        Ok(())
    }

    /// Applies objects, some at the same time.
    pub(crate) async fn apply_all(&self, objects: impl IntoIterator<Item = Value>) -> Result<()> {
        let applying = stream::iter(objects).map(|object| async move { self.apply(&object).await });
        applying
            .buffer_unordered(CONCURRENCY)
            .try_collect::<Vec<()>>()
            .await?;
        Ok(())
    }

    /// Installs a definition and waits until it is served.
    pub(crate) async fn define(&self, definition: &CustomResourceDefinition) -> Result<()> {
        let api: Api<CustomResourceDefinition> = Api::all(self.client.clone());
        let name = definition.name_any();
        let created = api.create(&PostParams::default(), definition).await;
        created.with_context(|| format!("create {name}"))?;
        until("the definition is established", || async {
            let status = api.get(&name).await?.status.unwrap_or_default();
            let conditions = status.conditions.unwrap_or_default();
            let established = conditions
                .iter()
                .any(|c| c.type_ == "Established" && c.status == "True");
            Ok(established)
        })
        .await?;
        // It is served a moment after it says so.
        let version = definition.spec.versions.iter().find(|version| version.served);
        let version = version.context("a definition of which no version is served")?;
        let kind = ApiResource {
            group: definition.spec.group.clone(),
            version: version.name.clone(),
            api_version: format!("{}/{}", definition.spec.group, version.name),
            kind: definition.spec.names.kind.clone(),
            plural: definition.spec.names.plural.clone(),
        };
        let objects: Api<DynamicObject> = Api::all_with(self.client.clone(), &kind);
        until("the kind is served", || async {
            match objects.list(&ListParams::default().limit(1)).await {
                Ok(_) => Ok(true),
                Err(kube::Error::Api(answer)) if matches!(answer.code, 404 | 429 | 503) => Ok(false),
                Err(error) => Err(error).context("list the kind"),
            }
        })
        .await?;
        Ok(())
    }

    /// Installs all definitions of a folder.
    pub(crate) async fn define_all(&self, folder: &Path) -> Result<()> {
        let entries = std::fs::read_dir(folder).with_context(|| format!("read {}", folder.display()))?;
        for entry in entries {
            let text = std::fs::read_to_string(entry?.path())?;
            for document in serde_norway::Deserializer::from_str(&text) {
                let value: Value = serde::Deserialize::deserialize(document)?;
                if value["kind"] == "CustomResourceDefinition" {
                    self.define(&serde_json::from_value(value)?).await?;
                }
            }
        }
        Ok(())
    }
}

/// The resource of an object. All that this program makes has a regular plural.
fn resource(object: &Value) -> Result<ApiResource> {
    let text = |field: &str| object[field].as_str().context("an object without a type");
    let (version, kind) = (text("apiVersion")?, text("kind")?);
    let (group, short) = version.split_once('/').unwrap_or(("", version));
    Ok(ApiResource {
        group: group.into(),
        version: short.into(),
        api_version: version.into(),
        kind: kind.into(),
        plural: match kind.strip_suffix('y') {
            Some(stem) => format!("{}ies", stem.to_lowercase()),
            None => format!("{}s", kind.to_lowercase()),
        },
    })
}

/// Asks until the answer is yes; gives how long that took.
pub(crate) async fn until<F>(what: &str, mut ask: impl FnMut() -> F) -> Result<Duration>
where
    F: Future<Output = Result<bool>>,
{
    let start = Instant::now();
    while !ask().await? {
        if start.elapsed() > PATIENCE {
            bail!("not within {} min: {what}", PATIENCE.as_secs() / 60);
        }
        // How often is asked.
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(start.elapsed())
}
