//! The servers behind all that is measured, and platforms on them.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use dev_rig::cost;
use logistics_schemas::Workload;
use logistics_schemas::config::ServiceConfig;
use logistics_schemas::topics::{ANALYTICS_OBSERVED, SHIPMENT_CREATED, Topic};
use logistics_testbed::{Testbed, eventually};
use tonic::metadata::{Ascii, MetadataValue};

use crate::cores::Cores;
use crate::peers::Peers;
use crate::progress;

/// The account of all shipments.
const ACCOUNT: &str = "acct-1";

/// The servers.
pub(crate) struct Stage {
    pub(crate) cores: Cores,
    /// The services' program.
    pub(crate) logistics: PathBuf,
    pub(crate) peers: Option<Peers>,
    pub(crate) postgres: &'static dev_rig::Postgres,
}

impl Stage {
    /// Starts the database, whose commits wait for the disk.
    pub(crate) async fn start(cores: Cores, logistics: PathBuf, peers: Option<Peers>) -> Result<Self> {
        progress(format!(
            "core {} for what is measured; core {} for the generator, PostgreSQL, Kafka and the schema registry",
            cores.server, cores.generator
        ));
        // The testbed wants a server that lives as long as the process; it ends with it.
        let postgres = Box::leak(Box::new(dev_rig::durable_postgres().await?));
        Ok(Self {
            cores,
            logistics,
            peers,
            postgres,
        })
    }

    /// A platform of its own: database, topics, subjects, tokens.
    pub(crate) async fn platform(&self) -> Result<Platform> {
        let mut testbed = Testbed::on(self.postgres).await?;
        testbed.use_shared_servers().await?;
        testbed
            .migrate(&[
                &logistics_shipment::MIGRATIONS,
                &logistics_tracking::MIGRATIONS,
                &logistics_analytics::MIGRATIONS,
            ])
            .await?;
        let bearer = testbed.bearer("bench", &["admin", "user", "shipman"], ACCOUNT)?;
        Ok(Platform { testbed, bearer })
    }

    /// CPU time of the database so far, in seconds.
    pub(crate) fn database_cpu(&self) -> Result<f64> {
        cost::cpu_of_family(self.postgres.id().context("PostgreSQL was killed")?)
    }
}

/// A platform.
pub(crate) struct Platform {
    pub(crate) testbed: Testbed,
    pub(crate) bearer: MetadataValue<Ascii>,
}

impl Platform {
    /// A service's configuration, with ports that are free.
    pub(crate) fn config(&self, workload: Workload) -> Result<ServiceConfig> {
        let mut config = self.testbed.config(workload);
        for listener in [&mut config.grpc, &mut config.admin] {
            listener.listen.set_port(dev_rig::free_port()?);
        }
        Ok(config)
    }

    /// The id that the registry has given to the schema of a shipment's creation.
    pub(crate) async fn schema_id(&self) -> Result<i64> {
        let config = self.testbed.config(Workload::Shipment);
        let subject = SHIPMENT_CREATED.subject(&config.kafka.topic_prefix);
        let subject = subject.context("the topic has no schema")?;
        let url = format!(
            "{}/subjects/{subject}/versions/latest",
            config.schema_registry.url
        );
        let answer: serde_json::Value = reqwest::get(url).await?.error_for_status()?.json().await?;
        answer["id"].as_i64().context("the registry gives no id")
    }

    /// Waits until the event log has all that the shipment service's tables tell of.
    pub(crate) async fn relayed(&self) -> Result<()> {
        eventually("the outbox is empty", || async {
            let left = self
                .testbed
                .sql("SELECT EXISTS (SELECT FROM shipment.outbox)")
                .await?;
            Ok((left.trim() == "f").then_some(()))
        })
        .await
    }

    /// Forgets all shipments of the shipment service.
    pub(crate) async fn clear_shipments(&self) -> Result<()> {
        self.clear(
            "shipment",
            &[
                "shipments",
                "shipment_events",
                "idempotency",
                "audit_leaves",
                "outbox",
            ],
        )
        .await
    }

    /// Forgets all that a service has projected.
    pub(crate) async fn clear_projection(&self, workload: Workload) -> Result<()> {
        let own: &[&str] = match workload {
            Workload::Analytics => &[
                "histories",
                "learned",
                "accuracy",
                "anomalies",
                "watermarks",
                "outbox",
            ],
            _ => &["timeline"],
        };
        let all = [&["shipments", "projected", "parked"], own].concat();
        self.clear(workload.name(), &all).await?;
        if workload == Workload::Analytics {
            self.empty(&ANALYTICS_OBSERVED).await?;
        }
        Ok(())
    }

    /// Makes a topic anew.
    async fn empty(&self, topic: &Topic) -> Result<()> {
        let log = self.testbed.log()?;
        log.delete(topic).await?;
        // The cluster refuses it until the former one is gone.
        eventually("the topic is made anew", || async {
            Ok(log.create(&[*topic], logistics_testbed::PARTITIONS).await.ok())
        })
        .await
    }

    async fn clear(&self, schema: &str, tables: &[&str]) -> Result<()> {
        let tables: Vec<_> = tables.iter().map(|table| format!("{schema}.{table}")).collect();
        self.testbed
            .sql(&format!("TRUNCATE {} CASCADE", tables.join(", ")))
            .await?;
        // Now, so that it is not in the middle of what is measured next.
        self.testbed.sql("CHECKPOINT").await.map(drop)
    }

    /// How many rows a table has.
    pub(crate) async fn count(&self, table: &str) -> Result<u32> {
        let count = self.testbed.sql(&format!("SELECT count(*) FROM {table}")).await?;
        Ok(count.trim().parse()?)
    }
}
