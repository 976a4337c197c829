//! A bare loop: insert a row and commit, produce a record, consume it, insert a row and commit. No requests, no outbox, no
//! order, no check for repetition; the shortest way that there is. It is a process on the server's core.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use chrono::Utc;
use logistics_chassis::{kafka, storage};
use logistics_schemas::Workload;
use logistics_schemas::config::{Database, Kafka};
use logistics_schemas::topics::SHIPMENT_CREATED_DLQ;
use rdkafka::consumer::{Consumer as _, StreamConsumer};
use rdkafka::message::Message as _;
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::{Offset, TopicPartitionList};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use tokio::task::JoinSet;
use tokio::time::Instant;
use uuid::Uuid;

use crate::load::percentile;
use crate::loops::{answer, in_process};
use crate::stage::{Platform, Stage};
use crate::visible::RATE;

const INSERT: &str = include_str!("../../peers/sql/one/shipments.sql");
const PROJECT: &str = "INSERT INTO shipments (shipment_id, account_id, carrier, tracking_number, origin_code,
    origin_facility, destination_code, destination_facility, planned_departure, promised_arrival, status)
    VALUES ($1, 'acct-1', 'UA', '1545', 'EWR', '', 'IAH', '', $2, $2, 'CREATED')";
/// Before anything is measured.
const WARM_UP: u32 = 100;
const TIMEOUT: Duration = Duration::from_secs(30);

/// What the loop is told.
#[derive(Serialize, Deserialize)]
struct Order {
    shipment: Database,
    tracking: Database,
    kafka: Kafka,
    load: Duration,
}

/// What it tells: milliseconds from the intended time to the return of the last commit.
#[derive(Serialize, Deserialize)]
pub(crate) struct Told {
    pub(crate) p50: f64,
    pub(crate) p99: f64,
}

/// Measures the loop.
pub(crate) async fn measure(stage: &Stage, platform: &Platform, load: Duration) -> Result<Told> {
    let config = |workload| platform.testbed.config(workload);
    let order = Order {
        shipment: config(Workload::Shipment).database,
        tracking: config(Workload::Tracking).database,
        kafka: config(Workload::Tracking).kafka,
        load,
    };
    in_process(stage, platform, "chain", &order).await
}

/// The loop.
pub(crate) async fn run(file: &Path) -> Result<()> {
    let order: Order = serde_json::from_str(&std::fs::read_to_string(file)?)?;
    let chain = Chain {
        shipments: storage::open(&order.shipment, Workload::Shipment.name())?.0,
        timelines: storage::open(&order.tracking, Workload::Tracking.name())?.0,
        // No service reads it.
        topic: SHIPMENT_CREATED_DLQ.full_name(&order.kafka.topic_prefix),
        producer: kafka::client_config(&order.kafka, "chain")?
            .set("acks", "all")
            .set("linger.ms", "0")
            .create()?,
    };
    let consumer = Arc::new(consumer(&order.kafka, &chain.topic).await?);
    chain.pass(&consumer, WARM_UP).await?;
    let number = RATE * u32::try_from(order.load.as_secs())?;
    let mut latencies = chain.pass(&consumer, number).await?;
    latencies.sort_unstable();
    let told = Told {
        p50: percentile(&latencies, 50),
        p99: percentile(&latencies, 99),
    };
    std::fs::write(answer(file), serde_json::to_string(&told)?)?;
    Ok(())
}

/// A consumer of what comes from now on.
async fn consumer(config: &Kafka, topic: &str) -> Result<StreamConsumer> {
    let consumer: StreamConsumer = kafka::client_config(config, "chain")?
        .set("group.id", "chain")
        .set("enable.auto.commit", "false")
        .create()?;
    let topic = topic.to_owned();
    tokio::task::spawn_blocking(move || {
        let metadata = consumer.fetch_metadata(Some(&topic), TIMEOUT)?;
        let partitions = metadata.topics().first().context("no topic")?.partitions();
        let mut all = TopicPartitionList::new();
        for partition in partitions {
            let (_, end) = consumer.fetch_watermarks(&topic, partition.id(), TIMEOUT)?;
            all.add_partition_offset(&topic, partition.id(), Offset::Offset(end))?;
        }
        consumer.assign(&all)?;
        Ok(consumer)
    })
    .await?
}

#[derive(Clone)]
struct Chain {
    shipments: PgPool,
    timelines: PgPool,
    topic: String,
    producer: FutureProducer,
}

impl Chain {
    /// Sends so many at a steady rate; gives the times from each one's intended time to the return of its last commit.
    async fn pass(&self, consumer: &Arc<StreamConsumer>, number: u32) -> Result<Vec<Duration>> {
        let begin = Instant::now();
        let mut inserts = JoinSet::new();
        let (own, log) = (self.clone(), Arc::clone(consumer));
        let projecting = tokio::spawn(async move { own.project(&log, begin, number).await });
        for at in 0..number {
            tokio::time::sleep_until(due(begin, at)).await;
            inserts.spawn(self.clone().insert(at));
        }
        while let Some(insert) = inserts.join_next().await {
            insert??;
        }
        tokio::time::timeout(TIMEOUT, projecting)
            .await
            .context("the log does not give what was sent")??
    }

    async fn insert(self, at: u32) -> Result<()> {
        let (id, now) = (Uuid::now_v7(), Utc::now());
        sqlx::query(INSERT)
            .bind(id)
            .bind("acct-1")
            .bind("bench")
            .bind("UA")
            .bind("1545")
            .bind("EWR")
            .bind("")
            .bind("IAH")
            .bind("")
            .bind(now)
            .bind(now)
            .bind("CREATED")
            .bind(1_i64)
            .bind(now)
            .bind(now)
            .execute(&self.shipments)
            .await?;
        let (key, value) = (id.to_string(), at.to_string());
        let record = FutureRecord::to(&self.topic).key(&key).payload(&value);
        match self.producer.send(record, TIMEOUT).await {
            Ok(_) => Ok(()),
            Err((error, _)) => bail!("produce: {error}"),
        }
    }

    async fn project(&self, consumer: &StreamConsumer, begin: Instant, number: u32) -> Result<Vec<Duration>> {
        let mut inserts = JoinSet::new();
        for _ in 0..number {
            let record = consumer.recv().await?;
            let text = |bytes: Option<&[u8]>| String::from_utf8_lossy(bytes.unwrap_or_default()).into_owned();
            let (id, at): (Uuid, u32) = (text(record.key()).parse()?, text(record.payload()).parse()?);
            let pool = self.timelines.clone();
            inserts.spawn(async move {
                sqlx::query(PROJECT)
                    .bind(id)
                    .bind(Utc::now())
                    .execute(&pool)
                    .await?;
                anyhow::Ok(due(begin, at).elapsed())
            });
        }
        inserts.join_all().await.into_iter().collect()
    }
}

fn due(begin: Instant, at: u32) -> Instant {
    begin + Duration::from_secs(1) / RATE * at
}
