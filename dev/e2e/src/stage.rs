//! The cluster, the platform of the tests in it, and everything needed to act on both.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use dev_cluster::Cluster;
use dev_cluster::images::ProductImages;
use dev_demo::platform::{self, Condition, Release};
use dev_demo::run;
use dev_rig::issuer::Issuer;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{DeleteParams, ListParams};
use kube::{Api, Client, ResourceExt as _};
use logistics_operator::names::{COMPONENT, INSTANCE};
use logistics_schemas::Workload;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::{Mutex, MutexGuard};

use crate::kubectl::Kubectl;
use crate::operator::Operator;
pub use crate::site::{MAIN, NAMESPACE, NEIGHBOUR, PLATFORM, Site, TOPIC_PREFIX, TWIN};
use crate::{children, logs, wait};

/// Namespace of the operator.
pub const OPERATOR_NAMESPACE: &str = "logistics-system";
/// The operator's release: its name in helm, and that of its role.
pub const OPERATOR_RELEASE: &str = "logistics-operator";
/// What selects the operator's Deployment and pods.
pub const OPERATOR_LABEL: &str = "app.kubernetes.io/name=logistics-operator";
/// Port of the host end of the cluster's network where a test may listen for spans. It is in the platform's
/// specification from the start, so that no test has to roll the platform for it.
pub const OTLP_PORT: u16 = 14_317;

/// The platform must be Ready within this time, on a busy machine with two cores.
const READY_LIMIT: Duration = Duration::from_mins(4);
const GONE_LIMIT: Duration = Duration::from_mins(1);

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
    /// What people do with the cluster.
    pub kubectl: Kubectl,
    /// The operator as it is installed.
    pub operator: Operator,
    sample: Value,
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
    /// The cluster's kubectl.
    pub kubectl: PathBuf,
    /// The cluster's helm.
    pub helm: PathBuf,
    /// The only node's address.
    pub node_ip: String,
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
        logs::keep()?;
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
        let kubectl = Kubectl {
            program: facts.kubectl.clone(),
            kubeconfig: facts.kubeconfig.clone(),
        };
        let operator = Operator {
            client: client.clone(),
            helm: facts.helm.clone(),
            kubeconfig: facts.kubeconfig.clone(),
        };
        let stage = Self {
            platform: MAIN.specification(sample.clone(), &facts),
            client,
            facts,
            issuer,
            kubectl,
            operator,
            sample,
            _turn: turn,
        };
        MAIN.prepare(&stage.client, &stage.facts).await?;
        Ok(stage)
    }

    /// The resource of another platform, once what it refers to is there.
    pub async fn prepare(&self, site: Site) -> Result<Value> {
        site.prepare(&self.client, &self.facts).await?;
        Ok(site.specification(self.sample.clone(), &self.facts))
    }

    /// Deletes another platform and waits until its children are gone.
    pub async fn remove(&self, site: Site) -> Result<()> {
        let platforms = platform::api(&self.client, site.namespace);
        if platforms.get_opt(site.name).await?.is_none() {
            return Ok(());
        }
        platforms.delete(site.name, &DeleteParams::default()).await?;
        wait::until(&format!("the end of {site:?}"), GONE_LIMIT, || async {
            let gone = platforms.get_opt(site.name).await?.is_none()
                && children::all(&self.client, site).await?.is_empty();
            Ok(gone.then_some(()))
        })
        .await
        .map(drop)
    }

    /// Applies a version of the platform's resource.
    pub async fn apply(&self, platform: &Value) -> Result<()> {
        platform::apply(&self.client, platform).await.map(drop)
    }

    /// Waits until the platform is Ready, and says how long that took.
    pub async fn wait_ready(&self) -> Result<Duration> {
        self.wait_ready_at(MAIN).await
    }

    /// The same, of another platform.
    pub async fn wait_ready_at(&self, site: Site) -> Result<Duration> {
        let start = Instant::now();
        platform::ready(&self.client, site.namespace, site.name, READY_LIMIT, |_, _| {}).await?;
        Ok(start.elapsed())
    }

    /// Waits until a condition of a platform is as wanted, and gives it with the time that took.
    pub async fn wait_condition(
        &self,
        site: Site,
        kind: &str,
        limit: Duration,
        good: impl Fn(&Condition) -> bool,
    ) -> Result<(Condition, Duration)> {
        let api = platform::api(&self.client, site.namespace);
        let find = || async {
            let platform = api.get(site.name).await?;
            anyhow::Ok(
                platform::conditions(&platform)
                    .into_iter()
                    .find(|c| c.kind == kind),
            )
        };
        let waited = wait::until(&format!("condition {kind} of {site:?}"), limit, || async {
            Ok(find().await?.filter(&good))
        })
        .await;
        match waited {
            Ok(found) => Ok(found),
            Err(error) => Err(error.context(format!("it is {:?}", find().await?))),
        }
    }

    /// The pods of a platform's workloads that are not ending.
    pub async fn workload_pods(&self, site: Site) -> Result<Vec<Pod>> {
        let components = Workload::ALL.map(Workload::name).join(",");
        let label = format!("{INSTANCE}={},{COMPONENT} in ({components})", site.name);
        let mut pods = self.pods(site.namespace, &label).await?;
        pods.retain(|pod| pod.metadata.deletion_timestamp.is_none());
        Ok(pods)
    }

    /// The pods that a label selects, in a namespace.
    pub async fn pods(&self, namespace: &str, label: &str) -> Result<Vec<Pod>> {
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), namespace);
        Ok(pods.list(&ListParams::default().labels(label)).await?.items)
    }

    /// Uid and restarts of each of a platform's pods.
    pub async fn pod_states(&self, site: Site) -> Result<BTreeMap<String, (String, i32)>> {
        let pods = self.workload_pods(site).await?;
        ensure!(!pods.is_empty(), "{site:?} has no pods");
        let state = |pod: &Pod| {
            let statuses = pod
                .status
                .iter()
                .flat_map(|status| status.container_statuses.iter().flatten());
            let restarts = statuses.map(|status| status.restart_count).sum();
            (pod.name_any(), (pod.uid().unwrap_or_default(), restarts))
        };
        Ok(pods.iter().map(state).collect())
    }

    /// The platform's resource with another log level: the smallest change that makes a new revision.
    #[must_use]
    pub fn with_log_level(&self, level: &str) -> Value {
        let mut platform = self.platform.clone();
        platform["spec"]["observability"]["logLevel"] = json!(level);
        platform
    }
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
