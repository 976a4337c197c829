//! Waits until something of a platform changes.

use std::pin::pin;
use std::time::Duration;

use futures::stream::{BoxStream, StreamExt as _, select_all};
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kube::Resource;
use kube::api::Api;
use kube::core::PartialObjectMeta;
use kube_runtime::{WatchStreamExt as _, watcher};
use logistics_operator::api::LogisticsPlatform;
use logistics_operator::names::{MANAGED_BY, MANAGER};
use tokio::time::{sleep, timeout};

use super::gather::Wanted;
use crate::connect::Cluster;

/// Changes come in groups; what is shown is read once for a group.
const SETTLE: Duration = Duration::from_millis(300);

/// Events and autoscalers are not watched; they are read again after this time.
const REFRESH: Duration = Duration::from_secs(15);

/// The changes of the objects that a status is made from. Only their metadata is sent.
pub(super) struct Changes(BoxStream<'static, ()>);

impl Changes {
    pub(super) fn new(cluster: &Cluster, wanted: &Wanted) -> Self {
        Self(
            select_all([
                of::<LogisticsPlatform>(cluster, wanted, ""),
                of::<Deployment>(cluster, wanted, &format!("{MANAGED_BY}={MANAGER}")),
                of::<Job>(cluster, wanted, &format!("{MANAGED_BY}={MANAGER}")),
                of::<Pod>(cluster, wanted, &format!("{MANAGED_BY}={MANAGER}")),
            ])
            .boxed(),
        )
    }

    /// Waits for a change, and until changes pause.
    pub(super) async fn next(&mut self) {
        if timeout(REFRESH, self.0.next()).await.is_ok() {
            let mut quiet = pin!(sleep(SETTLE));
            loop {
                tokio::select! {
                    () = &mut quiet => break,
                    _ = self.0.next() => {}
                }
            }
        }
    }
}

fn of<K>(cluster: &Cluster, wanted: &Wanted, selector: &str) -> BoxStream<'static, ()>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
        + Clone
        + std::fmt::Debug
        + serde::de::DeserializeOwned
        + Send
        + 'static,
{
    let api: Api<PartialObjectMeta<K>> = match &wanted.namespace {
        Some(namespace) => Api::namespaced(cluster.client.clone(), namespace),
        None => Api::all(cluster.client.clone()),
    };
    let config = watcher::Config::default().labels(selector);
    // A watch that fails starts again; what it missed is read at the next refresh.
    watcher(api, config)
        .default_backoff()
        .filter_map(async |event| event.ok().map(drop))
        .boxed()
}
