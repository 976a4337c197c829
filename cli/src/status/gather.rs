//! Reads what a status is made from: a few lists, whatever the number of platforms.

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Event, Pod};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::jiff::Timestamp;
use kube::api::{Api, ListParams};
use kube::{Resource, ResourceExt};
use logistics_operator::api::LogisticsPlatform;
use logistics_operator::names::{INSTANCE, MANAGED_BY, MANAGER};
use serde::de::DeserializeOwned;

use crate::connect::{Cluster, ClusterError, refusal};

/// Which platforms.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// One platform, or all.
    pub name: Option<String>,
    /// Of one namespace, or of all.
    pub namespace: Option<String>,
}

/// One platform with all that belongs to it.
#[derive(Debug)]
pub struct Snapshot {
    /// When it was read.
    pub now: Timestamp,
    /// The object.
    pub platform: LogisticsPlatform,
    /// Its Deployments.
    pub deployments: Vec<Deployment>,
    /// Its pods.
    pub pods: Vec<Pod>,
    /// Its Jobs.
    pub jobs: Vec<Job>,
    /// Its autoscalers.
    pub autoscalers: Vec<HorizontalPodAutoscaler>,
    /// Its disruption budgets.
    pub budgets: Vec<PodDisruptionBudget>,
    /// Warnings about any of these.
    pub warnings: Vec<Event>,
    /// What could not be read, and why.
    pub unreadable: Vec<(&'static str, String)>,
}

#[derive(Default)]
struct Lists {
    deployments: Vec<Deployment>,
    pods: Vec<Pod>,
    jobs: Vec<Job>,
    autoscalers: Vec<HorizontalPodAutoscaler>,
    budgets: Vec<PodDisruptionBudget>,
    events: Vec<Event>,
    unreadable: Vec<(&'static str, String)>,
}

/// Reads the platforms that are wanted.
///
/// # Errors
/// When the platforms cannot be read, or the one that is named is not there. What else cannot be read is told in the
/// snapshot.
pub async fn gather(cluster: &Cluster, wanted: &Wanted) -> Result<Vec<Snapshot>, ClusterError> {
    let platforms = platforms(cluster, wanted).await?;
    if platforms.is_empty() {
        return Ok(Vec::new());
    }
    let lists = lists(cluster, wanted).await?;
    let now = Timestamp::now();
    Ok(platforms
        .into_iter()
        .map(|platform| lists.of(platform, now))
        .collect())
}

async fn platforms(cluster: &Cluster, wanted: &Wanted) -> Result<Vec<LogisticsPlatform>, ClusterError> {
    let api: Api<LogisticsPlatform> = api(cluster, wanted);
    let list = api.list(&ListParams::default()).await;
    let mut all = list
        .map_err(|error| cluster.error("LogisticsPlatforms", &error))?
        .items;
    let Some(name) = &wanted.name else { return Ok(all) };
    let known: Vec<_> = all.iter().map(ResourceExt::name_any).collect();
    all.retain(|platform| platform.name_any() == *name);
    if all.is_empty() {
        return Err(ClusterError::NotFound {
            name: name.clone(),
            namespace: wanted.namespace.clone().unwrap_or_default(),
            known: match known.as_slice() {
                [] => "is none at all; try -n NAMESPACE or -A".into(),
                names => format!("is {}", names.join(", ")),
            },
        });
    }
    Ok(all)
}

fn api<K>(cluster: &Cluster, wanted: &Wanted) -> Api<K>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
{
    match &wanted.namespace {
        Some(namespace) => Api::namespaced(cluster.client.clone(), namespace),
        None => Api::all(cluster.client.clone()),
    }
}

async fn lists(cluster: &Cluster, wanted: &Wanted) -> Result<Lists, ClusterError> {
    let mut selector = format!("{MANAGED_BY}={MANAGER}");
    if let Some(name) = &wanted.name {
        selector = format!("{selector},{INSTANCE}={name}");
    }
    let ours = ListParams::default().labels(&selector);
    let warnings = ListParams::default().fields("type=Warning");
    let mut lists = Lists::default();
    let (deployments, pods, jobs, autoscalers, budgets, events) = tokio::try_join!(
        list::<Deployment>(cluster, wanted, "Deployments", &ours),
        list::<Pod>(cluster, wanted, "Pods", &ours),
        list::<Job>(cluster, wanted, "Jobs", &ours),
        list::<HorizontalPodAutoscaler>(cluster, wanted, "HorizontalPodAutoscalers", &ours),
        list::<PodDisruptionBudget>(cluster, wanted, "PodDisruptionBudgets", &ours),
        list::<Event>(cluster, wanted, "Events", &warnings),
    )?;
    let unreadable = &mut lists.unreadable;
    lists.deployments = take(deployments, unreadable);
    lists.pods = take(pods, unreadable);
    lists.jobs = take(jobs, unreadable);
    lists.autoscalers = take(autoscalers, unreadable);
    lists.budgets = take(budgets, unreadable);
    lists.events = take(events, unreadable);
    Ok(lists)
}

type Listed<K> = Result<Vec<K>, (&'static str, String)>;

/// A list, or why the API server refuses it.
async fn list<K>(
    cluster: &Cluster,
    wanted: &Wanted,
    what: &'static str,
    parameters: &ListParams,
) -> Result<Listed<K>, ClusterError>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
        + Clone
        + std::fmt::Debug
        + DeserializeOwned,
{
    match api::<K>(cluster, wanted).list(parameters).await {
        Ok(list) => Ok(Ok(list.items)),
        Err(kube::Error::Api(status)) => Ok(Err((what, refusal(what, status.code, &status.message)))),
        Err(error) => Err(cluster.error(what, &error)),
    }
}

fn take<K>(listed: Listed<K>, unreadable: &mut Vec<(&'static str, String)>) -> Vec<K> {
    listed.unwrap_or_else(|problem| {
        unreadable.push(problem);
        Vec::new()
    })
}

impl Lists {
    /// What belongs to one platform.
    fn of(&self, platform: LogisticsPlatform, now: Timestamp) -> Snapshot {
        let (namespace, name) = (platform.namespace(), platform.name_any());
        let deployments = of(&self.deployments, namespace.as_deref(), &name);
        let pods = of(&self.pods, namespace.as_deref(), &name);
        let jobs = of(&self.jobs, namespace.as_deref(), &name);
        let mut known: Vec<_> = pods.iter().map(ResourceExt::name_any).collect();
        known.extend(deployments.iter().map(ResourceExt::name_any));
        known.extend(jobs.iter().map(ResourceExt::name_any));
        known.push(name.clone());
        let concerns = |event: &&Event| {
            let about = event.involved_object.name.as_deref().unwrap_or_default();
            // A ReplicaSet is named after its Deployment, and a pod that is gone after both.
            event.metadata.namespace == namespace
                && known.iter().any(|known| {
                    about == known
                        || (*known != name
                            && about
                                .strip_prefix(known.as_str())
                                .is_some_and(|rest| rest.starts_with('-')))
                })
        };
        Snapshot {
            now,
            warnings: self.events.iter().filter(concerns).cloned().collect(),
            autoscalers: of(&self.autoscalers, namespace.as_deref(), &name),
            budgets: of(&self.budgets, namespace.as_deref(), &name),
            deployments,
            pods,
            jobs,
            platform,
            unreadable: self.unreadable.clone(),
        }
    }
}

fn of<K: Resource + Clone>(all: &[K], namespace: Option<&str>, platform: &str) -> Vec<K> {
    all.iter()
        .filter(|object| object.meta().namespace.as_deref() == namespace)
        .filter(|object| object.labels().get(INSTANCE).is_some_and(|name| name == platform))
        .cloned()
        .collect()
}
