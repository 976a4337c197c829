//! The cluster, the platform of the tests in it, and everything needed to act on both.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use dev_cluster::Cluster;
use dev_cluster::images::ProductImages;
use dev_demo::call::Services;
use dev_demo::platform::{self, Release};
use dev_demo::run::{self, Callers};
use dev_rig::issuer::Issuer;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Pod, Secret};
use kube::api::{ListParams, Patch, PatchParams};
use kube::{Api, Client};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::{Mutex, MutexGuard};

use crate::database;

/// Namespace of the tests' platform.
pub const NAMESPACE: &str = "e2e";
/// Its name, and that of its database.
pub const PLATFORM: &str = "e2e";
/// Before the names of its topics: the demo's platform has those without.
pub const TOPIC_PREFIX: &str = "e2e.";
/// Namespace of the operator.
pub const OPERATOR_NAMESPACE: &str = "logistics-system";
/// What selects the operator's Deployment and pods.
pub const OPERATOR_LABEL: &str = "app.kubernetes.io/name=logistics-operator";
/// Port of the host end of the cluster's network where a test may listen for spans. It is in the platform's
/// specification from the start, so that no test has to roll the platform for it.
pub const OTLP_PORT: u16 = 14_317;

const FIELD_MANAGER: &str = "dev-e2e";
/// The platform must be Ready within this time, on a busy machine with two cores.
const READY_LIMIT: Duration = Duration::from_mins(4);

/// Where everything is.
pub struct Stage {
    /// A client of an administrator.
    pub client: Client,
    /// What `make cluster` has found out.
    pub facts: Facts,
    /// Signs the tokens that the platform trusts.
    pub issuer: Issuer,
    /// The platform's resource as the tests apply it.
    pub platform: Value,
    /// Stories disturb the one platform that they share: one at a time.
    _turn: MutexGuard<'static, ()>,
}

static TURN: Mutex<()> = Mutex::const_new(());

/// What `make cluster` has found out.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Facts {
    /// The administrator's kubeconfig.
    pub kubeconfig: PathBuf,
    /// The address of this machine as the cluster sees it.
    pub host_ip: String,
    /// Private key of the token issuer.
    pub issuer_key: PathBuf,
    /// The API server's audit log.
    pub audit_log: PathBuf,
    /// The backing services, as this machine reaches them.
    pub backing: Backing,
}

/// The backing services, as this machine reaches them.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Backing {
    /// PEM file of the authority that they are verified with.
    pub ca_file: PathBuf,
    /// `host:port`.
    pub postgres: String,
    /// `host:port`.
    pub kafka: String,
}

impl Stage {
    /// The platform, applied and Ready. Fails where no cluster runs or the operator is not installed.
    pub async fn ready() -> Result<Self> {
        let stage = Self::find(TURN.lock().await).await?;
        stage.apply(&stage.platform).await?;
        stage.wait_ready().await?;
        Ok(stage)
    }

    async fn find(turn: MutexGuard<'static, ()>) -> Result<Self> {
        let cluster = Cluster::locate()?;
        if !cluster.facts().exists() {
            bail!(
                "cluster {} does not run: the end-to-end tests need it; start it with `make cluster`",
                cluster.name()
            );
        }
        let facts: Facts = serde_json::from_str(&std::fs::read_to_string(cluster.facts())?)
            .with_context(|| format!("read {}", cluster.facts().display()))?;
        let images =
            ProductImages::read(&cluster.images())?.context("no images are loaded: run `make cluster`")?;
        let client = run::client(&facts.kubeconfig).await?;
        operator_is_installed(&client).await?;
        let sample = cluster.checkout().path().join("charts/samples/acme.yaml");
        let release = Release {
            version: Some(images.workloads),
            repository: Some(images.repository),
        };
        let sample = platform::sample(&sample, NAMESPACE, PLATFORM, &release)?;
        let auth = |name: &str| {
            sample["spec"]["auth"][name]
                .as_str()
                .with_context(|| format!("sample: auth.{name}"))
        };
        let issuer = Issuer::from_file(&facts.issuer_key, auth("issuer")?, auth("audience")?)?;
        let platform = own(sample, &facts);
        let stage = Self {
            client,
            facts,
            issuer,
            platform,
            _turn: turn,
        };
        stage.prepare().await?;
        Ok(stage)
    }

    /// What the platform refers to: namespace, database with its owner, authorities and keys.
    async fn prepare(&self) -> Result<()> {
        let namespace: Namespace = serde_json::from_value(json!({"metadata": {"name": NAMESPACE}}))?;
        let apply = PatchParams::apply(FIELD_MANAGER).force();
        Api::<Namespace>::all(self.client.clone())
            .patch(NAMESPACE, &apply, &Patch::Apply(with_kind(&namespace)?))
            .await?;
        for name in ["backing-ca", "acme-jwks"] {
            let source: ConfigMap = Api::namespaced(self.client.clone(), "logistics")
                .get(name)
                .await?;
            let copy = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": source.data});
            Api::<ConfigMap>::namespaced(self.client.clone(), NAMESPACE)
                .patch(name, &apply, &Patch::Apply(copy))
                .await?;
        }
        let secrets: Api<Secret> = Api::namespaced(self.client.clone(), NAMESPACE);
        let name = format!("{PLATFORM}-db");
        if secrets.get_opt(&name).await?.is_some() {
            return Ok(());
        }
        let password = uuid::Uuid::new_v4().simple().to_string();
        let backing = &self.facts.backing;
        let server = database::Server {
            address: &backing.postgres,
            ca_file: &backing.ca_file,
        };
        database::make(&self.client, &server, PLATFORM, &password).await?;
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "type": "kubernetes.io/basic-auth",
            "stringData": {"username": PLATFORM, "password": password},
        });
        secrets.patch(&name, &apply, &Patch::Apply(secret)).await?;
        Ok(())
    }

    /// Applies a version of the platform's resource.
    pub async fn apply(&self, platform: &Value) -> Result<()> {
        platform::apply(&self.client, platform).await.map(drop)
    }

    /// Waits until the platform is Ready, and says how long that took.
    pub async fn wait_ready(&self) -> Result<Duration> {
        let start = Instant::now();
        platform::ready(&self.client, NAMESPACE, PLATFORM, READY_LIMIT, |_, _| {}).await?;
        Ok(start.elapsed())
    }

    /// Clients of the platform's services over connections of their own.
    #[must_use]
    pub fn services(&self) -> Services {
        Services::of(&self.client, NAMESPACE, PLATFORM)
    }

    /// Callers of the three roles in an account.
    pub fn callers(&self, account: &str) -> Result<Callers> {
        run::callers(&self.issuer, account)
    }

    /// An account that no other test or run has used.
    #[must_use]
    pub fn new_account(&self, name: &str) -> String {
        format!("{name}-{}", &uuid::Uuid::new_v4().simple().to_string()[..8])
    }

    /// The pods that a label selects, in a namespace.
    pub async fn pods(&self, namespace: &str, label: &str) -> Result<Vec<Pod>> {
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), namespace);
        Ok(pods.list(&ListParams::default().labels(label)).await?.items)
    }

    /// The platform's resource with another log level: the smallest change that makes a new revision.
    #[must_use]
    pub fn with_log_level(&self, level: &str) -> Value {
        let mut platform = self.platform.clone();
        platform["spec"]["observability"]["logLevel"] = json!(level);
        platform
    }

    /// An administrator's connection to Kafka.
    pub fn kafka(&self) -> Result<logistics_kafka_admin::Admin> {
        let pem = std::fs::read_to_string(&self.facts.backing.ca_file)?;
        let trust = logistics_kafka_admin::Trust::Pem(pem);
        Ok(logistics_kafka_admin::Admin::new(
            &self.facts.backing.kafka,
            &trust,
            Duration::from_secs(20),
        )?)
    }

    /// The values of a topic's own configuration keys.
    pub async fn topic_configs(&self, topic: &str) -> Result<BTreeMap<String, String>> {
        let name = topic.to_owned();
        let mut topics = self.kafka()?.describe(std::slice::from_ref(&name)).await?;
        let topic = topics
            .remove(&name)
            .with_context(|| format!("topic {name} does not exist"))?;
        let own = topic.configs.into_iter().filter(|(_, config)| config.of_topic);
        Ok(own
            .filter_map(|(key, config)| Some((key, config.value?)))
            .collect())
    }
}

/// The sample as a platform of the tests' own.
fn own(mut platform: Value, facts: &Facts) -> Value {
    platform["spec"]["kafka"]["topicPrefix"] = json!(TOPIC_PREFIX);
    platform["spec"]["database"]["name"] = json!(PLATFORM);
    platform["spec"]["database"]["credentials"] = json!({"secretRef": {"name": format!("{PLATFORM}-db")}});
    // Only what a test traces itself is kept: traces follow the caller's decision.
    let endpoint = format!("http://{}:{OTLP_PORT}", facts.host_ip);
    platform["spec"]["observability"] =
        json!({"otlp": {"endpoint": endpoint, "samplingRatio": 0.0}, "logLevel": "info"});
    platform
}

async fn operator_is_installed(client: &Client) -> Result<()> {
    let deployments: Api<Deployment> = Api::namespaced(client.clone(), OPERATOR_NAMESPACE);
    let found = deployments
        .list(&ListParams::default().labels(OPERATOR_LABEL))
        .await?;
    ensure!(
        !found.items.is_empty(),
        "the operator is not installed in {OPERATOR_NAMESPACE}: run `make cluster`"
    );
    Ok(())
}

fn with_kind<K: serde::Serialize + kube::Resource<DynamicType = ()>>(object: &K) -> Result<Value> {
    let mut value = serde_json::to_value(object)?;
    value["apiVersion"] = json!(K::api_version(&()));
    value["kind"] = json!(K::kind(&()));
    Ok(value)
}
