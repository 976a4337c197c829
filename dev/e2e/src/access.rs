//! How the tests reach a platform's services and what stands behind them.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result};
use dev_demo::call::{Caller, Services};
use dev_demo::run::Callers;
use k8s_openapi::api::core::v1::Service;
use kube::Api;
use logistics_operator::names::GRPC_PORT;
use logistics_schemas::Workload;
use logistics_schemas::grpc::logistics::analytics::v1::analytics_service_client::AnalyticsServiceClient;
use logistics_schemas::grpc::logistics::shipment::v1::shipment_service_client::ShipmentServiceClient;
use logistics_schemas::grpc::logistics::tracking::v1::tracking_service_client::TrackingServiceClient;
use tonic::transport::Endpoint;

use crate::stage::{MAIN, Site, Stage};
use crate::{database, secrets};

impl Stage {
    /// Clients of the platform's services over connections of their own.
    #[must_use]
    pub fn services(&self) -> Services {
        self.services_at(MAIN)
    }

    /// The same, of another platform.
    #[must_use]
    pub fn services_at(&self, site: Site) -> Services {
        Services::of(&self.client, site.namespace, site.name)
    }

    /// Callers of the three roles in an account.
    pub fn callers(&self, account: &str) -> Result<Callers> {
        let caller = |role: &str| Caller::with_token(&self.token(role, account)?);
        Ok(Callers {
            admin: caller("admin")?,
            user: caller("user")?,
            shipman: caller("shipman")?,
        })
    }

    /// A token of somebody with a role in an account, noted as a secret value.
    pub fn token(&self, role: &str, account: &str) -> Result<String> {
        let token = self.issuer.token(&format!("e2e-{role}"), &[role], account)?;
        secrets::note(&token)?;
        Ok(token)
    }

    /// An account that no other test or run has used.
    #[must_use]
    pub fn new_account(&self, name: &str) -> String {
        format!("{name}-{}", &uuid::Uuid::new_v4().simple().to_string()[..8])
    }

    /// Clients that call the Services' addresses themselves, not through the API server.
    pub async fn direct_services(&self, site: Site) -> Result<Services> {
        let api: Api<Service> = Api::namespaced(self.client.clone(), site.namespace);
        let channel = |workload: Workload| {
            let api = &api;
            async move {
                let service = api.get(&format!("{}-{workload}", site.name)).await?;
                let address = service.spec.and_then(|spec| spec.cluster_ip);
                let address = address.with_context(|| format!("{workload}: no address"))?;
                let endpoint = Endpoint::from_shared(format!("http://{address}:{GRPC_PORT}"))?;
                anyhow::Ok(endpoint.connect_lazy())
            }
        };
        Ok(Services {
            shipment: ShipmentServiceClient::new(channel(Workload::Shipment).await?),
            tracking: TrackingServiceClient::new(channel(Workload::Tracking).await?),
            analytics: AnalyticsServiceClient::new(channel(Workload::Analytics).await?),
        })
    }

    /// Runs a statement as PostgreSQL's superuser and gives its answer.
    pub async fn sql(&self, sql: &str) -> Result<String> {
        database::statement(&self.client, &self.postgres(), "postgres", sql).await
    }

    /// The same in the platform's database.
    pub async fn platform_sql(&self, sql: &str) -> Result<String> {
        database::statement(&self.client, &self.postgres(), MAIN.database, sql).await
    }

    /// Whether a role may log in to the platform's database with a password.
    pub async fn logs_in(&self, user: &str, password: &str) -> Result<bool> {
        let login = database::Login {
            user: user.to_owned(),
            password: password.to_owned(),
        };
        match login.run(&self.postgres(), MAIN.database, "SELECT 1").await {
            Ok(_) => Ok(true),
            Err(error) if format!("{error:#}").contains("authentication failed") => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn postgres(&self) -> database::Server<'_> {
        database::Server {
            address: &self.facts.backing.postgres,
            ca_file: &self.facts.backing.ca_file,
        }
    }

    /// An administrator's connection to Kafka.
    pub fn kafka(&self) -> Result<logistics_kafka_admin::Admin> {
        let pem = std::fs::read_to_string(&self.facts.backing.ca_file)?;
        let trust = logistics_kafka_admin::Trust::Pem(pem);
        Ok(logistics_kafka_admin::Admin::new(
            &self.facts.backing.kafka,
            &trust,
            None,
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
