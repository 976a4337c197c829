//! A service without requests: only its outbox and its relay.

use anyhow::Result;
use logistics_chassis::metrics::Metrics;
use logistics_chassis::migrate::ServiceMigrations;
use logistics_chassis::outbox::{self, Record, Waker};
use logistics_chassis::relay;
use logistics_chassis::service::RunError;
use logistics_chassis::shutdown::Shutdown;
use logistics_chassis::writes::Writes;
use logistics_schemas::Workload;
use logistics_testbed::{Testbed, eventually};
use sqlx::PgPool;
use sqlx::migrate::Migrator;
use tokio::task::JoinHandle;
use tonic::service::Routes;
use uuid::Uuid;

/// A service that has the common tables only.
pub(crate) static MIGRATIONS: ServiceMigrations =
    ServiceMigrations::new(Workload::Shipment, Migrator::DEFAULT);

/// A running relay.
pub(crate) struct Sender {
    pub(crate) pool: PgPool,
    pub(crate) waker: Waker,
    pub(crate) metrics: Metrics,
    shutdown: Shutdown,
    ended: JoinHandle<Result<(), RunError>>,
}

impl Sender {
    pub(crate) async fn start(testbed: &Testbed, instance: &str) -> Result<Self> {
        let mut chassis = testbed.chassis(Workload::Shipment, instance, &MIGRATIONS).await?;
        Ok(Self {
            pool: chassis.pool.clone(),
            waker: relay::start(&mut chassis),
            metrics: chassis.metrics.clone(),
            shutdown: chassis.shutdown.clone(),
            ended: tokio::spawn(chassis.serve(Routes::default())),
        })
    }

    pub(crate) async fn stop(self) -> Result<()> {
        self.shutdown.request();
        Ok(self.ended.await??)
    }

    /// Drops everything where it stands.
    pub(crate) async fn kill(self) {
        self.ended.abort();
        // The abort is over when the task is.
        let _ = self.ended.await;
    }

    /// The value of a metric without labels of its own.
    pub(crate) fn metric(&self, name: &str) -> Result<f64> {
        let text = self.metrics.encode()?;
        let line = text.lines().find(|line| line.starts_with(&format!("{name}{{")));
        let value = line.and_then(|line| line.rsplit(' ').next()).unwrap_or("NaN");
        Ok(value.parse()?)
    }

    pub(crate) async fn append(&self, records: &[Record]) -> Result<()> {
        let mut writes = Writes::default();
        outbox::append(&mut writes, records);
        writes.execute(&self.pool).await?;
        self.waker.wake();
        Ok(())
    }
}

/// The record number `seq` of an aggregate.
pub(crate) fn record(testbed: &Testbed, topic: &str, aggregate_id: Uuid, seq: i64) -> Result<Record> {
    Ok(Record {
        id: Uuid::now_v7(),
        aggregate_id,
        seq,
        topic: format!("{}{topic}", testbed.log()?.topic_prefix),
        key: Some(aggregate_id.to_string().into_bytes()),
        payload: Some(seq.to_string().into_bytes()),
        headers: Vec::new(),
    })
}

pub(crate) async fn outbox_is_empty(testbed: &Testbed) -> Result<()> {
    eventually("the outbox is empty", || async {
        Ok((testbed.sql("SELECT count(*) FROM shipment.outbox").await? == "0").then_some(()))
    })
    .await
}
