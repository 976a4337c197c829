//! The backing services: taken away and brought back, and a second set of them for platforms that must not notice.

use std::time::Duration;

use anyhow::{Context as _, Result};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{ApiResource, DynamicObject, GroupVersionKind, ListParams, Patch, PatchParams};
use kube::{Api, Client};
use serde_json::{Value, json};

use crate::stage::Facts;
use crate::wait;

/// Namespace of the backing services.
pub const NAMESPACE: &str = "backing";

const AWAY_LIMIT: Duration = Duration::from_mins(1);
const READY_LIMIT: Duration = Duration::from_mins(3);
const FIELD_MANAGER: &str = "dev-e2e";
/// What is put after the names of the second set.
const SECOND: &str = "-two";
/// What the node's ports of the second set are higher by.
const PORT_STEP: u64 = 100;

/// A backing service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the services' own")]
pub enum Service {
    Kafka,
    Registry,
    Postgres,
    Redis,
}

impl Service {
    /// All, in the order in which they can start.
    pub const ALL: [Self; 4] = [Self::Redis, Self::Postgres, Self::Kafka, Self::Registry];
    /// Those without which a platform cannot do its work, in that order.
    const VITAL: [Self; 3] = [Self::Postgres, Self::Kafka, Self::Registry];

    /// Its name, and that of its objects.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Kafka => "kafka",
            Self::Registry => "registry",
            Self::Postgres => "postgres",
            Self::Redis => "redis",
        }
    }

    const fn kind(self) -> &'static str {
        match self {
            Self::Kafka | Self::Postgres => "StatefulSet",
            Self::Registry | Self::Redis => "Deployment",
        }
    }

    fn workloads(self, client: &Client) -> Api<DynamicObject> {
        api(client, "apps", self.kind())
    }

    /// Scales it to nothing and waits until its pod is gone.
    pub async fn take_away(self, client: &Client) -> Result<()> {
        self.scale(client, 0).await?;
        let pods: Api<Pod> = Api::namespaced(client.clone(), NAMESPACE);
        let label = ListParams::default().labels(&format!("app={}", self.name()));
        wait::until(&format!("the end of {}", self.name()), AWAY_LIMIT, || async {
            Ok(pods.list(&label).await?.items.is_empty().then_some(()))
        })
        .await
        .map(drop)
    }

    /// Scales it to one again and waits until it is ready.
    pub async fn bring_back(self, client: &Client) -> Result<()> {
        self.scale(client, 1).await?;
        self.wait_ready(client, self.name()).await
    }

    async fn scale(self, client: &Client, replicas: u8) -> Result<()> {
        let patch = Patch::Merge(json!({"spec": {"replicas": replicas}}));
        self.workloads(client)
            .patch(self.name(), &PatchParams::default(), &patch)
            .await
            .with_context(|| format!("scale {}", self.name()))?;
        Ok(())
    }

    async fn wait_ready(self, client: &Client, name: &str) -> Result<()> {
        let workloads = self.workloads(client);
        wait::until(&format!("{name} to be ready"), READY_LIMIT, || async {
            let ready = workloads.get(name).await?.data["status"]["readyReplicas"] == 1;
            Ok(ready.then_some(()))
        })
        .await
        .map(drop)
    }
}

fn api(client: &Client, group: &str, kind: &str) -> Api<DynamicObject> {
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, "v1", kind));
    Api::namespaced_with(client.clone(), NAMESPACE, &resource)
}

/// The addresses of the second set, on the node.
#[derive(Clone, Debug)]
pub struct Second {
    /// `host:port`.
    pub kafka: String,
    /// The base URL.
    pub registry: String,
    /// The host.
    pub postgres_host: String,
    /// The port.
    pub postgres_port: u64,
}

impl Second {
    /// The specification of a platform that stands on this set.
    #[must_use]
    pub fn under(&self, mut platform: Value) -> Value {
        let spec = &mut platform["spec"];
        spec["kafka"]["bootstrapServers"] = json!(self.kafka);
        // At the node's address nobody is asked who they are.
        if let Some(kafka) = spec["kafka"].as_object_mut() {
            kafka.remove("sasl");
        }
        spec["schemaRegistry"]["url"] = json!(self.registry);
        spec["database"]["host"] = json!(self.postgres_host);
        spec["database"]["port"] = json!(self.postgres_port);
        platform
    }

    /// `host:port` of PostgreSQL.
    #[must_use]
    pub fn postgres(&self) -> String {
        format!("{}:{}", self.postgres_host, self.postgres_port)
    }
}

/// Starts a second set of backing services beside the first, or finds it, and waits until it is ready. Clients use the
/// node's address, for which the certificates are valid too.
pub async fn second(client: &Client, facts: &Facts) -> Result<Second> {
    let mut ports = Vec::new();
    for service in Service::VITAL {
        ports.push(copy_service(client, service).await?);
    }
    let (postgres_port, kafka_port, registry_port) = (ports[0], ports[1], ports[2]);
    let node = &facts.node_ip;
    let replacements = [
        (facts.backing.kafka.clone(), format!("{node}:{kafka_port}")),
        (
            "postgres.backing.svc:5432".to_owned(),
            format!("{node}:{postgres_port}"),
        ),
    ];
    for (kind, name) in [
        ("ConfigMap", "postgres"),
        ("ConfigMap", "kafka"),
        ("Secret", "registry-config"),
    ] {
        copy_content(client, kind, name, &replacements).await?;
    }
    for service in Service::VITAL {
        copy_workload(client, service).await?;
    }
    for service in Service::VITAL {
        service
            .wait_ready(client, &format!("{}{SECOND}", service.name()))
            .await?;
    }
    Ok(Second {
        kafka: format!("{node}:{kafka_port}"),
        registry: format!("https://{node}:{registry_port}/apis/ccompat/v7"),
        postgres_host: node.clone(),
        postgres_port,
    })
}

/// Removes what [`second`] has made.
pub async fn remove_second(client: &Client) -> Result<()> {
    let delete = kube::api::DeleteParams::background();
    for service in Service::VITAL {
        let name = format!("{}{SECOND}", service.name());
        for api in [service.workloads(client), api(client, "", "Service")] {
            if api.get_opt(&name).await?.is_some() {
                api.delete(&name, &delete).await?;
            }
        }
    }
    Ok(())
}

/// Gives the port on the node that clients use.
async fn copy_service(client: &Client, service: Service) -> Result<u64> {
    let services = api(client, "", "Service");
    let original = services.get(service.name()).await?;
    let name = format!("{}{SECOND}", service.name());
    // Kafka has ports for pods, and one for who uses the node's address: the last one.
    let ports = original.data["spec"]["ports"].as_array();
    let mut port = ports
        .and_then(|ports| ports.last())
        .with_context(|| format!("Service {}: no port", service.name()))?
        .clone();
    let chosen = port["nodePort"].as_u64().unwrap_or_default() + PORT_STEP;
    port["nodePort"] = json!(chosen);
    let copy = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": name},
        "spec": {"type": "NodePort", "selector": {"app": name}, "ports": [port]},
    });
    put(&services, &name, &copy).await?;
    Ok(chosen)
}

async fn copy_content(
    client: &Client,
    kind: &str,
    name: &str,
    replacements: &[(String, String)],
) -> Result<()> {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    let objects = api(client, "", kind);
    let original = objects.get(name).await?;
    let mut data = original.data["data"].clone();
    for value in data.as_object_mut().into_iter().flat_map(|map| map.values_mut()) {
        let text = value.as_str().unwrap_or_default();
        let mut text = match kind {
            "Secret" => String::from_utf8(STANDARD.decode(text)?)?,
            _ => text.to_owned(),
        };
        for (from, to) in replacements {
            text = text.replace(from, to);
        }
        *value = match kind {
            "Secret" => json!(STANDARD.encode(text)),
            _ => json!(text),
        };
    }
    let name = format!("{name}{SECOND}");
    let copy = json!({"apiVersion": "v1", "kind": kind, "metadata": {"name": name}, "data": data});
    put(&objects, &name, &copy).await
}

async fn copy_workload(client: &Client, service: Service) -> Result<()> {
    let workloads = service.workloads(client);
    let original = workloads.get(service.name()).await?;
    let name = format!("{}{SECOND}", service.name());
    let mut spec = original.data["spec"].clone();
    spec["replicas"] = json!(1);
    spec["selector"] = json!({"matchLabels": {"app": name}});
    let template = &mut spec["template"];
    template["metadata"] = json!({"labels": {"app": name}});
    for volume in template["spec"]["volumes"].as_array_mut().into_iter().flatten() {
        if volume["persistentVolumeClaim"].is_object() {
            *volume = json!({"name": volume["name"], "emptyDir": {}});
        }
        for (source, key) in [("configMap", "name"), ("secret", "secretName")] {
            let of = volume[source][key].as_str().map(str::to_owned);
            if let Some(of) = of.filter(|of| matches!(of.as_str(), "postgres" | "kafka" | "registry-config"))
            {
                volume[source][key] = json!(format!("{of}{SECOND}"));
            }
        }
    }
    let copy =
        json!({"apiVersion": "apps/v1", "kind": service.kind(), "metadata": {"name": name}, "spec": spec});
    put(&workloads, &name, &copy).await
}

async fn put(objects: &Api<DynamicObject>, name: &str, object: &Value) -> Result<()> {
    objects
        .patch(
            name,
            &PatchParams::apply(FIELD_MANAGER).force(),
            &Patch::Apply(object),
        )
        .await
        .with_context(|| format!("apply {} {name}", object["kind"]))?;
    Ok(())
}
