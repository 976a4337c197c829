//! Consumers of one process: together they hold no more connections than requests can spare.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::Result;
use logistics_chassis::consumer::{CONCURRENT_BATCHES, Consumer, Consumers, Handler, Record};
use logistics_chassis::metrics::Metrics;
use logistics_schemas::Workload;
use logistics_schemas::topics::{SHIPMENT_CREATED, SHIPMENT_STATUS_CHANGED, Topic};
use logistics_testbed::{FeedRecord, Testbed, eventually};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

const TOPICS: [Topic; 2] = [SHIPMENT_CREATED, SHIPMENT_STATUS_CHANGED];
/// Enough that every partition of both topics has some.
const RECORDS: usize = 200;

/// Holds every batch until the test opens the gate.
#[derive(Clone)]
struct Gate {
    held: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
    handled: Arc<AtomicUsize>,
    open: Arc<Semaphore>,
}

impl Handler for Gate {
    type Error = Infallible;

    async fn handle(&self, batch: &[Record]) -> Result<(), Infallible> {
        let held = 1 + self.held.fetch_add(1, Ordering::SeqCst);
        self.most.fetch_max(held, Ordering::SeqCst);
        // An error means that it is open for good.
        let _ = self.open.acquire().await;
        self.held.fetch_sub(1, Ordering::SeqCst);
        self.handled.fetch_add(batch.len(), Ordering::SeqCst);
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_consumers_share_the_batches_of_one() -> Result<()> {
    let testbed = Testbed::start(&[]).await?;
    let kafka = testbed.config(Workload::Tracking).kafka;
    let record = |number: usize| FeedRecord {
        topic: TOPICS[number % 2],
        key: Some(number.to_string().into_bytes()),
        value: b"value".to_vec(),
        headers: Vec::new(),
    };
    let records: Vec<_> = (0..RECORDS).map(record).collect();
    testbed.log()?.write(&records).await?;

    let (metrics, stop) = (Metrics::new("test"), CancellationToken::new());
    let shared = Consumers::register(&metrics);
    let gate = Gate {
        held: Arc::default(),
        most: Arc::default(),
        handled: Arc::default(),
        open: Arc::new(Semaphore::new(0)),
    };
    let tasks = TOPICS.map(|topic| {
        let mut kafka = kafka.clone();
        kafka.group_id.push_str(topic.name);
        let consumer = Consumer {
            kafka,
            client_id: topic.name.to_owned(),
            topics: vec![topic],
            handler: gate.clone(),
            shared: shared.clone(),
        };
        tokio::spawn(consumer.run(stop.clone()))
    });
    let assigned = format!(
        "logistics_consumer_assigned_partitions{{revision=\"test\"}} {}",
        TOPICS.len() * usize::try_from(logistics_testbed::PARTITIONS)?
    );
    eventually(
        "both have their partitions, and as many batches are held as may be",
        || async {
            let all = metrics.encode()?.contains(&assigned);
            Ok((all && gate.held.load(Ordering::SeqCst) >= CONCURRENT_BATCHES).then_some(()))
        },
    )
    .await?;
    // That no other begins cannot be awaited.
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(gate.held.load(Ordering::SeqCst), CONCURRENT_BATCHES);

    gate.open.close();
    eventually("all records are handled", || async {
        Ok((gate.handled.load(Ordering::SeqCst) >= RECORDS).then_some(()))
    })
    .await?;
    assert_eq!(gate.most.load(Ordering::SeqCst), CONCURRENT_BATCHES);
    stop.cancel();
    for task in tasks {
        task.await??;
    }
    Ok(())
}
