//! Brokers that ask who is there: the relay, the consumer and the tail say it, and go on when the password is another.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Result, ensure};
use logistics_chassis::consumer::{Consumer, ConsumerError, Consumers, Handler, Record};
use logistics_chassis::metrics::Metrics;
use logistics_chassis::tail::{self, Observer, Tail, TailMetrics};
use logistics_schemas::Workload;
use logistics_schemas::config::SaslMechanism;
use logistics_schemas::topics::{SHIPMENT_STATUS_CHANGED, Topic};
use logistics_testbed::{Testbed, eventually};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::support::{MIGRATIONS, Sender, outbox_is_empty, record};

const TOPIC: Topic = SHIPMENT_STATUS_CHANGED;

/// Counts what arrives.
#[derive(Clone, Default)]
struct Count(Arc<AtomicUsize>);

impl Count {
    async fn becomes(&self, what: &str, at_least: usize) -> Result<()> {
        eventually(what, || async {
            Ok((self.0.load(Ordering::SeqCst) >= at_least).then_some(()))
        })
        .await
    }
}

impl Handler for Count {
    type Error = std::convert::Infallible;

    async fn handle(&self, batch: &[Record]) -> Result<(), Self::Error> {
        self.0.fetch_add(batch.len(), Ordering::SeqCst);
        Ok(())
    }
}

impl Observer for Count {
    fn wants(&self, _: &[u8]) -> bool {
        true
    }

    async fn observe(&self, _: &Record) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// Every kind of client that a service has, in one process.
struct Clients {
    relay: Sender,
    handled: Count,
    seen: Count,
    metrics: Metrics,
    stop: CancellationToken,
    tasks: Vec<JoinHandle<Result<(), ConsumerError>>>,
    _want: watch::Sender<bool>,
}

impl Clients {
    async fn start(testbed: &Testbed) -> Result<Self> {
        let kafka = testbed.config(Workload::Tracking).kafka;
        let (metrics, stop) = (Metrics::new("test"), CancellationToken::new());
        let (handled, seen) = (Count::default(), Count::default());
        let (want, wanted) = watch::channel(true);
        let consumer = Consumer {
            kafka: kafka.clone(),
            client_id: "consumer".to_owned(),
            topics: vec![TOPIC],
            handler: handled.clone(),
            shared: Consumers::register(&metrics),
        };
        let tail = Tail {
            kafka,
            client_id: "tail".to_owned(),
            topics: vec![TOPIC],
            observer: seen.clone(),
            metrics: TailMetrics::register(&metrics),
            refresh: tail::REFRESH,
        };
        let tasks = vec![
            tokio::spawn(consumer.run(stop.clone())),
            tokio::spawn(tail.run(wanted, stop.clone())),
        ];
        Ok(Self {
            relay: Sender::start(testbed, "relay").await?,
            handled,
            seen,
            metrics,
            stop,
            tasks,
            _want: want,
        })
    }

    /// Writes records, each of another aggregate.
    async fn write(&self, testbed: &Testbed, count: usize) -> Result<()> {
        for _ in 0..count {
            self.relay
                .append(&[record(testbed, TOPIC.name, Uuid::now_v7(), 1)?])
                .await?;
        }
        Ok(())
    }

    /// Waits until records that are written from now on pass through all of the clients.
    async fn all_work(&self, testbed: &Testbed) -> Result<()> {
        let before = self.handled.0.load(Ordering::SeqCst);
        let seen = self.seen.0.load(Ordering::SeqCst);
        // The tail has begun when it sees one.
        eventually("the tail sees what comes", || async {
            self.write(testbed, 1).await?;
            Ok((self.seen.0.load(Ordering::SeqCst) > seen).then_some(()))
        })
        .await?;
        self.handled
            .becomes("the consumer gets what was written", before + 1)
            .await?;
        outbox_is_empty(testbed).await
    }

    async fn is_refused(&self, metric: &str) -> Result<()> {
        let before = self.count(metric)?;
        eventually(&format!("{metric} grows"), || async {
            Ok((self.count(metric)? > before).then_some(()))
        })
        .await
    }

    fn count(&self, metric: &str) -> Result<f64> {
        let text = self.metrics.encode()?;
        let line = text.lines().find(|line| line.starts_with(&format!("{metric}{{")));
        Ok(line
            .and_then(|line| line.rsplit(' ').next())
            .unwrap_or("0")
            .parse()?)
    }

    async fn stop(self) -> Result<()> {
        self.stop.cancel();
        for task in self.tasks {
            task.await??;
        }
        self.relay.stop().await
    }
}

async fn guarded(kafka: &dev_rig::Kafka, mechanism: SaslMechanism) -> Result<Testbed> {
    let mut testbed = Testbed::database_only().await?;
    testbed.use_guarded_log(kafka, mechanism).await?;
    testbed.migrate(&[&MIGRATIONS]).await?;
    Ok(testbed)
}

#[tokio::test(flavor = "multi_thread")]
async fn records_pass_under_each_mechanism() -> Result<()> {
    let kafka = dev_rig::shared::kafka().await?;
    for mechanism in [
        SaslMechanism::ScramSha512,
        SaslMechanism::ScramSha256,
        SaslMechanism::Plain,
    ] {
        let testbed = guarded(kafka, mechanism).await?;
        let clients = Clients::start(&testbed).await?;
        clients.all_work(&testbed).await?;
        clients.stop().await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_wrong_password_records_wait_and_pass_when_it_is_mended() -> Result<()> {
    let kafka = dev_rig::shared::kafka().await?;
    let testbed = guarded(kafka, SaslMechanism::ScramSha512).await?;
    testbed.write_kafka_password("wrong")?;
    let clients = Clients::start(&testbed).await?;
    clients.write(&testbed, 10).await?;
    clients.is_refused("logistics_consumer_read_errors_total").await?;
    clients.is_refused("logistics_tail_read_errors_total").await?;
    assert_eq!(testbed.sql("SELECT count(*) FROM shipment.outbox").await?, "10");
    ensure!(
        testbed.log()?.read(&TOPIC).await?.is_empty(),
        "a record passed with a wrong password"
    );

    testbed.write_kafka_password(&kafka.password)?;
    clients
        .handled
        .becomes("what waited is read, by the same process", 10)
        .await?;
    clients.all_work(&testbed).await?;
    clients.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotated_password_reaches_a_process_that_runs() -> Result<()> {
    // Of this test alone: other tests go on using the password.
    let kafka = dev_rig::kafka().await?;
    let testbed = guarded(&kafka, SaslMechanism::Plain).await?;
    let clients = Clients::start(&testbed).await?;
    clients.all_work(&testbed).await?;

    let password = kafka.start_again_with_another_password().await?;
    clients.is_refused("logistics_consumer_read_errors_total").await?;
    clients.write(&testbed, 10).await?;
    let before = clients.handled.0.load(Ordering::SeqCst);

    testbed.write_kafka_password(&password)?;
    clients
        .handled
        .becomes("what waited is read, by the same process", before + 10)
        .await?;
    clients.all_work(&testbed).await?;
    clients.stop().await
}
