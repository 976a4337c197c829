//! Reaches a gRPC service from outside the cluster: through the API server's port-forward, to a pod that the Service
//! selects.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use hyper_util::rt::TokioIo;
use k8s_openapi::api::core::v1::{Pod, Service};
use kube::api::{Api, ListParams};
use kube::{Client, ResourceExt as _};
use tokio::io::DuplexStream;
use tonic::transport::{Channel, Endpoint};

/// The name of the container port, as the operator names it.
const PORT_NAME: &str = "grpc";
const CONNECT_LIMIT: Duration = Duration::from_secs(10);
const KEEP_ALIVE: Duration = Duration::from_secs(5);

/// A Service whose pods serve gRPC.
#[derive(Clone)]
pub struct Door {
    client: Client,
    namespace: String,
    service: String,
    next: Arc<AtomicUsize>,
}

impl Door {
    /// The Service with this name.
    #[must_use]
    pub fn new(client: Client, namespace: &str, service: &str) -> Self {
        Self {
            client,
            namespace: namespace.to_owned(),
            service: service.to_owned(),
            next: Arc::default(),
        }
    }

    /// A channel that connects when it is first used, and again whenever its connection is lost; each time to the next
    /// of the ready pods.
    #[must_use]
    pub fn channel(&self) -> Channel {
        let door = self.clone();
        let connector = tower::service_fn(move |_| {
            let door = door.clone();
            async move { door.dial().await.map(TokioIo::new).map_err(std::io::Error::other) }
        });
        Endpoint::from_static("http://in-cluster")
            .connect_timeout(CONNECT_LIMIT)
            .http2_keep_alive_interval(KEEP_ALIVE)
            .keep_alive_timeout(KEEP_ALIVE)
            .keep_alive_while_idle(true)
            .connect_with_connector_lazy(connector)
    }

    async fn dial(&self) -> Result<DuplexStream> {
        let what = || format!("reach Service {}/{}", self.namespace, self.service);
        let pods = self.ready_pods().await.with_context(what)?;
        let Some(pod) = pods.get(self.next.fetch_add(1, Ordering::Relaxed) % pods.len().max(1)) else {
            bail!("{}: it has no ready pod", what());
        };
        let name = pod.name_any();
        let port =
            grpc_port(pod).with_context(|| format!("pod {name} has no container port named {PORT_NAME}"))?;
        let api: Api<Pod> = Api::namespaced(self.client.clone(), &self.namespace);
        let mut forward = api
            .portforward(&name, &[port])
            .await
            .with_context(|| format!("port-forward to {name}"))?;
        forward
            .take_stream(port)
            .with_context(|| format!("no stream to {name}:{port}"))
    }

    async fn ready_pods(&self) -> Result<Vec<Pod>> {
        let service: Service = Api::namespaced(self.client.clone(), &self.namespace)
            .get(&self.service)
            .await?;
        let selector = service
            .spec
            .and_then(|spec| spec.selector)
            .context("it has no selector")?;
        let selector: Vec<String> = selector
            .iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), &self.namespace);
        let pods = pods
            .list(&ListParams::default().labels(&selector.join(",")))
            .await?;
        Ok(pods.items.into_iter().filter(is_ready).collect())
    }
}

/// Whether a pod takes calls: it is ready, and is not being deleted.
#[must_use]
pub fn is_ready(pod: &Pod) -> bool {
    let conditions = pod
        .status
        .iter()
        .flat_map(|status| status.conditions.iter().flatten());
    pod.metadata.deletion_timestamp.is_none()
        && conditions
            .into_iter()
            .any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

fn grpc_port(pod: &Pod) -> Option<u16> {
    let containers = pod.spec.iter().flat_map(|spec| &spec.containers);
    let port = containers
        .flat_map(|container| container.ports.iter().flatten())
        .find(|port| port.name.as_deref() == Some(PORT_NAME))?;
    u16::try_from(port.container_port).ok()
}
