//! A platform that can be broken: real servers, and several processes of each service.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use dev_rig::{Flow, Kafka, Postgres, Proxy, SchemaRegistry};
use futures::future::try_join_all;
use logistics_chassis::codec::Codec;
use logistics_chassis::projection;
use logistics_schemas::Workload;
use logistics_schemas::topics::{ANALYTICS_OBSERVED, LEARNING_GROUP_SUFFIX};
use logistics_testbed::Testbed;

use crate::service::{Plan, Service};
use crate::wait::until;

/// The processes, each with the number of its door at the broker.
const PROCESSES: [(&str, Workload); 5] = [
    ("shipment-a", Workload::Shipment),
    ("shipment-b", Workload::Shipment),
    ("tracking-a", Workload::Tracking),
    ("tracking-b", Workload::Tracking),
    ("analytics-a", Workload::Analytics),
];
/// The door of a process that comes and goes.
const GUEST: usize = PROCESSES.len();
/// How long what was begun may take to end, once nothing is broken any more.
const SETTLE: Duration = Duration::from_secs(90);

/// The services that apply events.
pub(crate) const PROJECTIONS: [Workload; 2] = [Workload::Tracking, Workload::Analytics];

/// Size of the database's disk, in MiB.
const DISK: u32 = 1_024;
/// Partitions of a topic that is made anew.
pub(crate) const PARTITIONS: i32 = logistics_testbed::PARTITIONS;

/// The servers behind the services.
pub struct Servers {
    pub(crate) postgres: &'static Postgres,
    pub(crate) kafka: &'static Kafka,
    pub(crate) registry: &'static SchemaRegistry,
    /// The services' way to the registry.
    pub(crate) registry_door: Proxy,
}

impl Servers {
    /// Starts them. They end with this process.
    pub async fn start() -> Result<Self> {
        let (postgres, registry, kafka) = tokio::try_join!(
            dev_rig::postgres_on_small_disk(DISK),
            dev_rig::shared::schema_registry(),
            dev_rig::kafka_with_doors(GUEST + 1),
        )?;
        let port: u16 = registry
            .url
            .strip_prefix("http://127.0.0.1:")
            .and_then(|rest| rest.split('/').next()?.parse().ok())
            .with_context(|| format!("the registry's port is not in {}", registry.url))?;
        Ok(Self {
            // What they stand for ends with the process, as the shared servers do.
            postgres: Box::leak(Box::new(postgres)),
            registry,
            kafka: Box::leak(Box::new(kafka)),
            registry_door: Proxy::start(port).await?,
        })
    }

    fn registry_url(&self) -> String {
        let (_, path) = self.registry.url.split_once("/apis").unwrap_or_default();
        format!("http://{}/apis{path}", self.registry_door.address())
    }
}

/// A platform on these servers, with a database and topics of its own.
pub(crate) struct Site<'a> {
    pub(crate) servers: &'a Servers,
    pub(crate) testbed: Testbed,
    pub(crate) services: Vec<Service>,
    pub(crate) codec: Codec,
    logistics: PathBuf,
}

impl<'a> Site<'a> {
    /// Starts the services of this program.
    pub(crate) async fn start(servers: &'a Servers, logistics: &Path) -> Result<Self> {
        let mut testbed = Testbed::on(servers.postgres).await?;
        testbed.use_log(&servers.kafka.bootstrap_servers).await?;
        testbed.use_registry(servers.registry).await?;
        migrate(&testbed, logistics).await?;
        // A key of the table would hide a second effect: what keeps effects from being repeated is `last_seq` alone.
        testbed
            .sql(
                "ALTER TABLE tracking.timeline DROP CONSTRAINT timeline_pkey;
                 CREATE INDEX timeline_shipment ON tracking.timeline (shipment_id, seq)",
            )
            .await?;
        let registry = servers.registry_url();
        let starts = PROCESSES.iter().enumerate().map(|(door, (name, workload))| {
            Service::start(Plan {
                testbed: &testbed,
                logistics,
                name,
                workload: *workload,
                kafka: &servers.kafka.doors[door],
                registry: &registry,
            })
        });
        let services = try_join_all(starts).await?;
        let config = testbed.config(Workload::Tracking);
        let codec = Codec::connect(
            &config.schema_registry,
            &config.kafka.topic_prefix,
            &projection::TOPICS,
        )
        .await?;
        Ok(Self {
            servers,
            testbed,
            services,
            codec,
            logistics: logistics.to_owned(),
        })
    }

    /// One more process of the tracking service.
    pub(crate) async fn guest(&self) -> Result<Service> {
        Service::start(Plan {
            testbed: &self.testbed,
            logistics: &self.logistics,
            name: "tracking-guest",
            workload: Workload::Tracking,
            kafka: &self.servers.kafka.doors[GUEST],
            registry: &self.servers.registry_url(),
        })
        .await
    }

    /// The processes of a service; `turn` chooses the first.
    pub(crate) fn of(&self, workload: Workload, turn: usize) -> &Service {
        let all: Vec<&Service> = self
            .services
            .iter()
            .filter(|service| service.workload == workload)
            .collect();
        all[turn % all.len()]
    }

    /// The processes that apply events, in turn.
    pub(crate) fn projector(&self, turn: usize) -> &Service {
        let all: Vec<&Service> = self
            .services
            .iter()
            .filter(|service| PROJECTIONS.contains(&service.workload))
            .collect();
        all[turn % all.len()]
    }

    /// How many events wait for the relays of the shipment service.
    pub(crate) async fn unsent(&self) -> Result<usize> {
        let rows = self.testbed.sql("SELECT count(*) FROM shipment.outbox").await?;
        Ok(rows.parse()?)
    }

    /// Ends everything that is broken.
    pub(crate) async fn heal(&self) -> Result<()> {
        self.servers.registry_door.set(Flow::Open);
        self.servers.kafka.resume();
        for service in &self.services {
            service.heal();
            if !service.runs() {
                service.start_again()?;
            }
        }
        for service in &self.services {
            service.ready().await?;
        }
        Ok(())
    }

    /// Waits until all that was written is sent, and all that was sent is handled. False: not in time.
    pub(crate) async fn settle(&self) -> Result<bool> {
        let settled = until(SETTLE, || async {
            if self.unsent().await? > 0 {
                return Ok(None);
            }
            for workload in PROJECTIONS {
                let group = self.testbed.config(workload).kafka.group_id;
                if self.testbed.log()?.lag(&group, &projection::TOPICS).await? > 0 {
                    return Ok(None);
                }
            }
            // What the handling of events has written.
            let rows = self
                .testbed
                .sql(
                    "SELECT (SELECT count(*) FROM tracking.outbox) + (SELECT count(*) FROM analytics.outbox)",
                )
                .await?;
            if rows != "0" {
                return Ok(None);
            }
            let group = self.testbed.config(Workload::Analytics).kafka.group_id + LEARNING_GROUP_SUFFIX;
            let unlearned = self.testbed.log()?.lag(&group, &[ANALYTICS_OBSERVED]).await?;
            Ok((unlearned == 0).then_some(()))
        });
        Ok(settled.await?.is_some())
    }
}

async fn migrate(testbed: &Testbed, logistics: &Path) -> Result<()> {
    let config = testbed.file("migrate.yaml");
    std::fs::write(&config, serde_norway::to_string(&testbed.migrate_config())?)?;
    let output = tokio::process::Command::new(logistics)
        .args(["migrate", "--config"])
        .arg(config)
        .kill_on_drop(true)
        .output()
        .await
        .with_context(|| format!("run {}", logistics.display()))?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "migrate: {errors}");
    Ok(())
}
