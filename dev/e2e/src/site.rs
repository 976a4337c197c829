//! Where the tests' platforms are, and what each of them calls its own.

use std::path::Path;

use anyhow::{Context as _, Result};
use dev_demo::platform;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Secret};
use kube::api::{Patch, PatchParams};
use kube::{Api, Client};
use serde_json::{Value, json};

use crate::stage::{Facts, OTLP_PORT};
use crate::{database, secrets};

/// Namespace of the platform that most stories share.
pub const NAMESPACE: &str = "e2e";
/// Its name, and that of its database.
pub const PLATFORM: &str = "e2e";
/// Before the names of its topics: the demo's platform has those without.
pub const TOPIC_PREFIX: &str = "e2e.";

const FIELD_MANAGER: &str = "dev-e2e";

/// Where a platform is, and what it has of its own in the backing services.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Site {
    /// Its namespace.
    pub namespace: &'static str,
    /// Its name.
    pub name: &'static str,
    /// Before the names of its topics.
    pub topic_prefix: &'static str,
    /// Its database, and the database's owner.
    pub database: &'static str,
    /// Pods of each workload.
    pub replicas: u8,
    /// Whether an autoscaler chooses the number of tracking's pods.
    pub autoscaled: bool,
    /// Whether it keeps timelines in Redis.
    pub cached: bool,
    /// Whether it says to Kafka who it is.
    pub known_to_kafka: bool,
}

/// The platform that most stories share.
pub const MAIN: Site = Site {
    namespace: NAMESPACE,
    name: PLATFORM,
    topic_prefix: TOPIC_PREFIX,
    database: PLATFORM,
    replicas: 2,
    autoscaled: true,
    cached: true,
    known_to_kafka: false,
};

/// One of the same name in another namespace.
pub const NEIGHBOUR: Site = Site {
    namespace: "e2e-neighbour",
    name: PLATFORM,
    topic_prefix: "neighbour.",
    database: "neighbour",
    replicas: 1,
    autoscaled: false,
    cached: false,
    known_to_kafka: true,
};

/// Another one in the same namespace.
pub const TWIN: Site = Site {
    namespace: NAMESPACE,
    name: "twin",
    topic_prefix: "twin.",
    database: "twin",
    replicas: 1,
    autoscaled: false,
    cached: false,
    known_to_kafka: false,
};

impl Site {
    /// The Secret with the credentials of the database's owner.
    #[must_use]
    pub fn owner_secret(self) -> String {
        format!("{}-db", self.name)
    }

    /// The sample as this platform.
    #[must_use]
    pub(crate) fn specification(self, mut sample: Value, facts: &Facts) -> Value {
        sample["metadata"]["namespace"] = json!(self.namespace);
        sample["metadata"]["name"] = json!(self.name);
        let spec = &mut sample["spec"];
        spec["kafka"]["topicPrefix"] = json!(self.topic_prefix);
        spec["database"]["name"] = json!(self.database);
        spec["database"]["credentials"] = json!({"secretRef": {"name": self.owner_secret()}});
        for workload in logistics_schemas::Workload::ALL {
            spec["workloads"][workload.name()]["replicas"] = json!(self.replicas);
        }
        if self.autoscaled {
            // So much that the number never changes while other stories look at the pods.
            spec["workloads"]["tracking"]["autoscaling"] =
                json!({"minReplicas": self.replicas, "maxReplicas": self.replicas + 1, "cpu": 1000});
        }
        if self.cached {
            platform::use_cache(&mut sample);
        }
        if self.known_to_kafka {
            platform::use_kafka_user(&mut sample);
        }
        let spec = &mut sample["spec"];
        // Only what a test traces itself is kept: traces follow the caller's decision.
        let endpoint = format!("http://{}:{OTLP_PORT}", facts.host_ip);
        spec["observability"] =
            json!({"otlp": {"endpoint": endpoint, "samplingRatio": 0.0}, "logLevel": "info"});
        sample
    }

    /// Makes what the platform refers to: namespace, database with its owner, authorities and keys.
    pub(crate) async fn prepare(self, client: &Client, facts: &Facts) -> Result<()> {
        let apply = PatchParams::apply(FIELD_MANAGER).force();
        let namespace =
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.namespace}});
        Api::<Namespace>::all(client.clone())
            .patch(self.namespace, &apply, &Patch::Apply(namespace))
            .await?;
        for name in ["backing-ca", "acme-jwks"] {
            let source: ConfigMap = Api::namespaced(client.clone(), "logistics").get(name).await?;
            let copy = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": source.data});
            Api::<ConfigMap>::namespaced(client.clone(), self.namespace)
                .patch(name, &apply, &Patch::Apply(copy))
                .await?;
        }
        let secrets: Api<Secret> = Api::namespaced(client.clone(), self.namespace);
        if self.cached {
            self.copy_credentials(client, "acme-redis", &platform::redis_secret(self.name))
                .await?;
        }
        if self.known_to_kafka {
            self.copy_credentials(client, "acme-kafka", &platform::kafka_secret(self.name))
                .await?;
        }
        if secrets.get_opt(&self.owner_secret()).await?.is_some() {
            return Ok(());
        }
        self.new_owner_password(client, facts, &facts.backing.postgres)
            .await
            .map(drop)
    }

    /// Gives the platform credentials that the development cluster has made.
    async fn copy_credentials(self, client: &Client, source: &str, name: &str) -> Result<()> {
        let made: Secret = Api::namespaced(client.clone(), "logistics").get(source).await?;
        let password = made.data.as_ref().and_then(|data| data.get("password"));
        let password = password.with_context(|| format!("Secret logistics/{source} has no password"))?;
        secrets::note(std::str::from_utf8(&password.0)?)?;
        let copy = json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "type": made.type_, "data": made.data,
        });
        Api::<Secret>::namespaced(client.clone(), self.namespace)
            .patch(
                name,
                &PatchParams::apply(FIELD_MANAGER).force(),
                &Patch::Apply(copy),
            )
            .await?;
        Ok(())
    }

    /// Gives the database's owner a new password, in PostgreSQL and in the Secret that the platform refers to.
    pub async fn new_owner_password(self, client: &Client, facts: &Facts, address: &str) -> Result<String> {
        let password = uuid::Uuid::new_v4().simple().to_string();
        secrets::note(&password)?;
        let server = server(address, &facts.backing.ca_file);
        database::make(client, &server, self.database, &password).await?;
        let name = self.owner_secret();
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "type": "kubernetes.io/basic-auth",
            "stringData": {"username": self.database, "password": password},
        });
        Api::<Secret>::namespaced(client.clone(), self.namespace)
            .patch(
                &name,
                &PatchParams::apply(FIELD_MANAGER).force(),
                &Patch::Apply(secret),
            )
            .await
            .with_context(|| format!("apply Secret {}/{name}", self.namespace))?;
        Ok(password)
    }
}

fn server<'s>(address: &'s str, ca_file: &'s Path) -> database::Server<'s> {
    database::Server { address, ca_file }
}
