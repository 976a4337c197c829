//! The end of the log without a group: what comes from now on, in every partition, also in those that are added.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Result, ensure};
use logistics_chassis::consumer::Record;
use logistics_chassis::metrics::Metrics;
use logistics_chassis::tail::{Observer, Tail, TailMetrics};
use logistics_schemas::Workload;
use logistics_schemas::topics::{SHIPMENT_CREATED, SHIPMENT_STATUS_CHANGED, Topic};
use logistics_testbed::{FeedRecord, Testbed, eventually};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

const TOPICS: [Topic; 2] = [SHIPMENT_CREATED, SHIPMENT_STATUS_CHANGED];

/// Key and partition of what was observed.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<BTreeSet<(String, i32)>>>);

impl Seen {
    fn lock(&self) -> MutexGuard<'_, BTreeSet<(String, i32)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keys(&self, prefix: &str) -> BTreeSet<String> {
        let seen = self.lock();
        seen.iter()
            .map(|(key, _)| key.clone())
            .filter(|key| key.starts_with(prefix))
            .collect()
    }

    fn partitions(&self) -> BTreeSet<i32> {
        self.lock().iter().map(|(_, partition)| *partition).collect()
    }
}

impl Observer for Seen {
    fn wants(&self, key: &[u8]) -> bool {
        !key.starts_with(b"unwanted")
    }

    async fn observe(&self, record: &Record) {
        let key = String::from_utf8_lossy(record.key.as_deref().unwrap_or_default()).into_owned();
        self.lock().insert((key, record.partition));
    }
}

fn records(name: &str) -> Vec<FeedRecord> {
    let record = |number: usize| FeedRecord {
        topic: TOPICS[number % 2],
        key: Some(format!("{name} {number}").into_bytes()),
        value: b"value".to_vec(),
        headers: Vec::new(),
    };
    (0..100).map(record).collect()
}

fn metric(metrics: &Metrics, name: &str) -> Result<u64> {
    let text = metrics.encode()?;
    let line = text.lines().find(|line| line.starts_with(&format!("{name}{{")));
    Ok(line
        .and_then(|line| line.rsplit(' ').next())
        .unwrap_or("0")
        .parse()?)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tail_sees_what_comes_in_all_partitions_and_leaves_no_trace() -> Result<()> {
    let mut testbed = Testbed::database_only().await?;
    testbed.use_shared_servers().await?;
    let log = testbed.log()?;
    let mut kafka = testbed.config(Workload::Tracking).kafka;
    kafka.group_id.push_str(".nobody");
    let group = kafka.group_id.clone();
    let (metrics, seen, stop) = (Metrics::new("test"), Seen::default(), CancellationToken::new());
    let (want, wanted) = watch::channel(false);
    let tail = Tail {
        kafka,
        client_id: "test".to_owned(),
        topics: TOPICS.to_vec(),
        observer: seen.clone(),
        metrics: TailMetrics::register(&metrics),
        refresh: Duration::from_millis(200),
    };
    let ended = tokio::spawn(tail.run(wanted, stop.clone()));
    log.write(&records("early")).await?;
    want.send(true)?;
    eventually("all partitions are read", || async {
        Ok((metric(&metrics, "logistics_tail_partitions")? == 12).then_some(()))
    })
    .await?;
    // An end is looked up a moment after it was asked for: markers tell when all ends are known.
    eventually("the tail has begun everywhere", || async {
        log.write(&records("marker")).await?;
        Ok((seen.partitions().len() == 6).then_some(()))
    })
    .await?;
    log.write(&records("unwanted")).await?;
    log.write(&records("later")).await?;
    eventually("all that came is seen", || async {
        Ok((seen.keys("later").len() == 100).then_some(()))
    })
    .await?;
    assert_eq!(
        seen.keys("early").len(),
        0,
        "what was there before is not the tail's"
    );
    assert_eq!(seen.keys("unwanted").len(), 0);

    log.grow(&TOPICS, 9).await?;
    log.write(&records("grown")).await?;
    eventually("new partitions are read from their beginning", || async {
        Ok((seen.keys("grown").len() == 100).then_some(()))
    })
    .await?;
    assert_eq!(seen.partitions().len(), 9);
    ensure!(!log.has_group(&group).await?, "a group was made");
    stop.cancel();
    ended.await??;
    assert_eq!(metric(&metrics, "logistics_tail_partitions")?, 0);
    ensure!(!log.has_group(&group).await?, "a group was made at the end");
    Ok(())
}
