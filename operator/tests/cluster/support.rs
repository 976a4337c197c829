//! A platform in a namespace of its own, the operator watching it, and the controllers that an API server alone lacks.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, ApiResource, GroupVersionKind, ListParams, Patch, PatchParams, PostParams};
use kube::core::DynamicObject;
use kube::{Client, Config, ResourceExt};
use logistics_operator::api::{self, LogisticsPlatform};
use logistics_operator::child::{ChildId, ChildKind};
use logistics_operator::controller::{self, Parts};
use logistics_operator::leader::{Election, Timing};
use logistics_operator::observe::Scope;
use logistics_operator::telemetry::Metrics;
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

/// How long anything may take on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// Asks again until there is an answer.
pub(crate) async fn eventually<T, F>(what: &str, mut ask: impl FnMut() -> F) -> Result<T>
where
    F: Future<Output = Result<Option<T>>>,
{
    let start = Instant::now();
    loop {
        if let Some(answer) = ask().await? {
            return Ok(answer);
        }
        if start.elapsed() > PATIENCE {
            bail!("not within {} s: {what}", PATIENCE.as_secs());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The operator, in this process.
pub(crate) struct Operator {
    pub metrics: Arc<Metrics>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Operator {
    pub(crate) async fn new(site: &Site) -> Result<Self> {
        Ok(Self::start(operator_client().await?, &site.namespace))
    }

    pub(crate) fn start(client: Client, namespace: &str) -> Self {
        Self::run(Parts {
            scope: Scope::one(namespace),
            ..Parts::new(client)
        })
    }

    pub(crate) fn run(parts: Parts) -> Self {
        let stop = CancellationToken::new();
        Self {
            metrics: parts.metrics.clone(),
            task: tokio::spawn(controller::run(parts, stop.clone())),
            stop,
        }
    }

    /// The value of a metric, 0 while there is none.
    pub(crate) fn metric(&self, name: &str) -> u64 {
        let text = self.metrics.text().unwrap_or_default();
        let prefix = format!("logistics_operator_{name} ");
        let values = text.lines().filter_map(|line| line.strip_prefix(&prefix));
        values.filter_map(|value| value.parse::<u64>().ok()).sum()
    }

    pub(crate) async fn stop(self) -> Result<()> {
        self.stop.cancel();
        Ok(tokio::time::timeout(PATIENCE, self.task)
            .await
            .context("the operator does not end")??)
    }

    /// Ends it at whatever it is doing.
    pub(crate) async fn kill(self) {
        self.task.abort();
        let _ = self.task.await;
    }
}

/// A client with the rights that the chart gives the operator, and no others.
pub(crate) async fn operator_client() -> Result<Client> {
    Ok(Client::try_from(operator_config().await?)?)
}

/// How the operator reaches the API server.
pub(crate) async fn operator_config() -> Result<Config> {
    let values = json!({"webhook": {"enabled": false}});
    Release::install("default", &values).await?.config().await
}

/// The chart, installed as far as an API server alone can make use of it: the rights.
pub(crate) struct Release {
    pub name: String,
    pub namespace: String,
    /// All objects of the chart.
    pub objects: Vec<Value>,
}

impl Release {
    /// Renders the chart with some values and applies what gives rights.
    pub(crate) async fn install(namespace: &str, values: &Value) -> Result<Self> {
        let name = format!("{namespace}-operator");
        let chart = concat!(env!("CARGO_MANIFEST_DIR"), "/../charts/logistics-operator");
        let text = dev_rig::helm::template(chart.as_ref(), &name, namespace, values)?;
        let mut objects = Vec::new();
        for document in serde_norway::Deserializer::from_str(&text) {
            let object: Value = serde::Deserialize::deserialize(document)?;
            if object.is_object() {
                objects.push(object);
            }
        }
        let release = Self {
            name,
            namespace: namespace.to_owned(),
            objects,
        };
        for kind in ["ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"] {
            for object in release.of_kind(kind) {
                apply(object).await?;
            }
        }
        Ok(release)
    }

    pub(crate) fn of_kind<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Value> {
        self.objects.iter().filter(move |object| object["kind"] == kind)
    }

    /// How the operator reaches the API server: with the rights of its `ServiceAccount`, and no others.
    pub(crate) async fn config(&self) -> Result<Config> {
        let mut config = dev_rig::shared::api_server().await?.config().await?;
        config.auth_info.impersonate =
            Some(format!("system:serviceaccount:{}:{}", self.namespace, self.name));
        Ok(config)
    }

    pub(crate) async fn client(&self) -> Result<Client> {
        Ok(Client::try_from(self.config().await?)?)
    }

    /// A candidate for the release's Lease.
    pub(crate) fn election(&self, identity: &str) -> Election {
        Election {
            namespace: self.namespace.clone(),
            name: self.name.clone(),
            identity: identity.to_owned(),
            timing: Timing::default(),
        }
    }
}

/// Applies any object as an administrator.
pub(crate) async fn apply(object: &Value) -> Result<DynamicObject> {
    let client = dev_rig::shared::api_server().await?.client().await?;
    let object: DynamicObject = serde_json::from_value(object.clone())?;
    let types = object.types.clone().context("no kind")?;
    let (group, version) = types
        .api_version
        .split_once('/')
        .unwrap_or(("", &types.api_version));
    let kind = GroupVersionKind::gvk(group, version, &types.kind);
    let resource = ApiResource::from_gvk(&kind);
    let api: Api<DynamicObject> = match &object.metadata.namespace {
        Some(namespace) => Api::namespaced_with(client, namespace, &resource),
        None => Api::all_with(client, &resource),
    };
    let parameters = PatchParams::apply("test").force();
    Ok(api
        .patch(&object.name_any(), &parameters, &Patch::Apply(&object))
        .await?)
}

/// A namespace with what a platform needs.
pub(crate) struct Site {
    pub client: Client,
    pub namespace: String,
}

impl Site {
    /// Makes a namespace, the definition, and the objects that the sample refers to.
    pub(crate) async fn new(name: &str) -> Result<Self> {
        // Logs of the operator: RUST_LOG=logistics_operator=debug cargo test … -- --nocapture
        let _ = tracing_subscriber::fmt()
            .with_env_filter(EnvFilter::from_default_env())
            .try_init();
        let server = dev_rig::shared::api_server().await?;
        let client = server.client().await?;
        install_definition(&client).await?;
        let namespace = server.make_namespace(name).await?;
        let site = Self { client, namespace };
        site.make(
            "v1",
            "Secret",
            json!({
                "metadata": {"name": "acme-db"}, "type": "kubernetes.io/basic-auth",
                "stringData": {"username": "owner", "password": "of the database"},
            }),
        )
        .await?;
        site.make(
            "v1",
            "ConfigMap",
            json!({"metadata": {"name": "acme-jwks"}, "data": {"jwks.json": "{\"keys\": []}"}}),
        )
        .await?;
        Ok(site)
    }

    pub(crate) async fn make(
        &self,
        api_version: &str,
        kind: &str,
        mut object: Value,
    ) -> Result<DynamicObject> {
        object["apiVersion"] = api_version.into();
        object["kind"] = kind.into();
        let kind = ChildKind::ALL
            .into_iter()
            .find(|known| known.name() == kind)
            .context("unknown kind")?;
        Ok(self
            .api(kind)
            .create(&PostParams::default(), &serde_json::from_value(object)?)
            .await?)
    }

    pub(crate) fn api(&self, kind: ChildKind) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), &self.namespace, &kind.resource())
    }

    pub(crate) fn platforms(&self) -> Api<LogisticsPlatform> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// The sample, on the broker, registry and database server of the tests, with topics of its own.
    pub(crate) async fn sample(&self) -> Result<Value> {
        let kafka = dev_rig::shared::kafka().await?;
        let registry = dev_rig::shared::schema_registry().await?;
        let mut sample: Value = serde_norway::from_str(include_str!("../../../charts/samples/acme.yaml"))?;
        sample["metadata"]["namespace"] = self.namespace.as_str().into();
        let plain = json!({"mode": "Disabled"});
        let spec = &mut sample["spec"];
        spec["kafka"]["bootstrapServers"] = kafka.bootstrap_servers.as_str().into();
        spec["kafka"]["tls"] = plain.clone();
        spec["kafka"]["topicPrefix"] = format!("{}.", self.namespace).into();
        spec["kafka"]["resync"] = "5s".into();
        spec["schemaRegistry"]["url"] = registry.url.as_str().into();
        spec["schemaRegistry"]["tls"] = plain.clone();
        let postgres = dev_rig::shared::postgres().await?;
        spec["database"]["host"] = postgres.host.as_str().into();
        spec["database"]["port"] = postgres.port.into();
        spec["database"]["tls"] = plain;
        // Of two platforms with one database only the older one runs.
        spec["database"]["name"] = self.namespace.as_str().into();
        Ok(sample)
    }

    pub(crate) async fn create(&self, platform: &Value) -> Result<LogisticsPlatform> {
        let platform: LogisticsPlatform = serde_json::from_value(platform.clone())?;
        Ok(self.platforms().create(&PostParams::default(), &platform).await?)
    }

    pub(crate) async fn patch(&self, patch: Value) -> Result<LogisticsPlatform> {
        Ok(self
            .platforms()
            .patch("acme", &PatchParams::default(), &Patch::Merge(patch))
            .await?)
    }

    /// A condition of the platform, as `status/reason` and message.
    pub(crate) async fn condition(&self, kind: &str) -> Result<(String, String)> {
        let status = self.platforms().get("acme").await?.status.unwrap_or_default();
        let found = status
            .conditions
            .into_iter()
            .find(|condition| condition.type_ == kind);
        Ok(found
            .map(|c| (format!("{}/{}", c.status, c.reason), c.message))
            .unwrap_or_default())
    }

    /// Waits until a condition is `status/reason`; returns its message.
    pub(crate) async fn until(&self, kind: &str, expected: &str) -> Result<String> {
        let last = std::cell::RefCell::new((String::new(), String::new()));
        let waited = eventually(expected, || async {
            let (found, message) = self.condition(kind).await?;
            *last.borrow_mut() = (found.clone(), message.clone());
            Ok((found == expected).then_some(message))
        });
        waited
            .await
            .with_context(|| format!("{kind} is {:?}", last.borrow()))
    }

    /// All children that the operator made.
    pub(crate) async fn children(&self) -> Result<BTreeMap<ChildId, DynamicObject>> {
        let mut children = BTreeMap::new();
        let ours = ListParams::default().labels("app.kubernetes.io/managed-by=logistics-operator");
        for kind in ChildKind::ALL {
            for object in self.api(kind).list(&ours).await? {
                children.insert(ChildId::new(kind, object.name_any()), object);
            }
        }
        Ok(children)
    }

    pub(crate) async fn names(&self, kind: ChildKind) -> Result<Vec<String>> {
        Ok(self
            .children()
            .await?
            .into_keys()
            .filter(|id| id.kind == kind)
            .map(|id| id.name)
            .collect())
    }

    /// Writes the status of an object, unless the operator has just removed it.
    async fn report(&self, kind: ChildKind, name: &str, status: Value) -> Result<()> {
        let patch = Patch::Merge(json!({"status": status}));
        match self
            .api(kind)
            .patch_status(name, &PatchParams::default(), &patch)
            .await
        {
            Err(kube::Error::Api(answer)) if answer.is_not_found() => Ok(()),
            result => Ok(result.map(drop)?),
        }
    }

    /// Completes all Jobs, as their controller does.
    pub(crate) async fn migrate(&self) -> Result<()> {
        let time = "2026-01-01T00:00:00Z";
        let condition = |kind| json!({"type": kind, "status": "True", "lastProbeTime": time, "lastTransitionTime": time, "reason": "x"});
        let status = json!({
            "startTime": time, "completionTime": time, "succeeded": 1, "uncountedTerminatedPods": {},
            "conditions": [condition("SuccessCriteriaMet"), condition("Complete")],
        });
        for name in self.names(ChildKind::Job).await? {
            self.report(ChildKind::Job, &name, status.clone()).await?;
        }
        Ok(())
    }

    /// Makes all pods of all Deployments available, as their controller does.
    pub(crate) async fn start(&self) -> Result<()> {
        for (id, live) in self.children().await? {
            if id.kind == ChildKind::Deployment {
                let replicas = &live.data["spec"]["replicas"];
                let status = json!({
                    "observedGeneration": live.metadata.generation, "replicas": replicas, "updatedReplicas": replicas,
                    "readyReplicas": replicas, "availableReplicas": replicas,
                });
                self.report(id.kind, &id.name, status).await?;
            }
        }
        Ok(())
    }

    /// Plays the controllers until the platform is ready for its newest generation.
    pub(crate) async fn until_ready(&self) -> Result<()> {
        let ready = eventually("Ready", || async {
            let platform = self.platforms().get("acme").await?;
            let status = platform.status.unwrap_or_default();
            let ready = status
                .conditions
                .iter()
                .any(|c| c.type_ == "Ready" && c.status == "True");
            if ready && status.observed_generation == platform.metadata.generation {
                return Ok(Some(()));
            }
            self.migrate().await?;
            self.start().await?;
            Ok(None)
        });
        if let Err(error) = ready.await {
            let status = self.platforms().get("acme").await?.status;
            return Err(error.context(format!("{status:#?}")));
        }
        Ok(())
    }

    /// Waits until the operator has sent nothing for a while; returns how many requests it has sent.
    pub(crate) async fn until_idle(&self, operator: &Operator) -> Result<u64> {
        let mut last = (operator.metrics.requests_total(), Instant::now());
        eventually("the operator is idle", || {
            let now = operator.metrics.requests_total();
            if now != last.0 {
                last = (now, Instant::now());
            }
            let idle = last.1.elapsed() > Duration::from_secs(2);
            async move { Ok(idle.then_some(now)) }
        })
        .await
    }
}

pub(crate) async fn install_definition(client: &Client) -> Result<()> {
    let api: Api<CustomResourceDefinition> = Api::all(client.clone());
    let definition = api::definition();
    let name = definition.name_any();
    api.patch(
        &name,
        &PatchParams::apply("test").force(),
        &Patch::Apply(&definition),
    )
    .await?;
    eventually("the definition is established", || async {
        let status = api.get(&name).await?.status.unwrap_or_default();
        let conditions = status.conditions.unwrap_or_default();
        Ok(conditions
            .iter()
            .any(|c| c.type_ == "Established" && c.status == "True")
            .then_some(()))
    })
    .await
}
