//! The backing servers crash under the service. A test binary of its own: no other test shares these servers.

#[path = "../service/support.rs"]
#[allow(dead_code, reason = "the other tests need more of it")]
mod support;

use anyhow::Result;
use dev_rig::shared;
use logistics_testbed::eventually;

use support::{ACCOUNT, Bench, Story, next_seqs};

const EVENTS_OF_EACH: usize = 7;
/// The tests kill servers that they share.
static ONE_AT_A_TIME: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

#[tokio::test(flavor = "multi_thread")]
async fn a_database_and_a_broker_that_crash_cost_time_and_nothing_else() -> Result<()> {
    let _alone = ONE_AT_A_TIME.lock().await;
    let bench = Bench::start().await?;
    let stories: Vec<Story> = (0..400).map(Story::usual).collect();
    let records = bench.records(&stories)?;
    let pieces: Vec<_> = records.chunks(records.len() / 4).collect();
    let service = bench.service("a").await?;
    let (postgres, kafka) = (shared::postgres().await?, shared::kafka().await?);

    bench.testbed.log()?.write(pieces[0]).await?;
    eventually("the first events are applied", || async {
        let some = bench
            .testbed
            .sql("SELECT count(*) > 0 FROM tracking.timeline")
            .await?;
        Ok((some.trim() == "t").then_some(()))
    })
    .await?;
    postgres.kill();
    bench.testbed.log()?.write(pieces[1]).await?;
    eventually("the service notices", || async {
        let metrics = service.metrics().await?;
        let retries = metrics
            .lines()
            .find(|line| line.starts_with("logistics_consumer_retries_total"));
        Ok(retries.is_some_and(|line| !line.ends_with(" 0")).then_some(()))
    })
    .await?;
    postgres.start_again().await?;
    bench.testbed.log()?.write(pieces[2]).await?;
    kafka.kill();
    kafka.start_again().await?;
    for piece in &pieces[3..] {
        bench.testbed.log()?.write(piece).await?;
    }

    bench.applied(stories.len() * EVENTS_OF_EACH, 0).await?;
    let counted = bench
        .testbed
        .sql("SELECT count(*), count(DISTINCT event_id) FROM tracking.timeline")
        .await?;
    assert_eq!(counted.trim(), format!("{0}|{0}", records.len()));
    service.stop().await
}

/// A live stream outlives both: it waits, and misses nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_live_stream_outlives_a_database_and_a_broker_that_crash() -> Result<()> {
    let _alone = ONE_AT_A_TIME.lock().await;
    let bench = Bench::start().await?;
    let story = Story::usual(1);
    let (records, id) = (story.records(&bench.codec)?, story.id().to_string());
    let service = bench.service("a").await?;
    let (postgres, kafka) = (shared::postgres().await?, shared::kafka().await?);
    bench.testbed.log()?.write(&records[..2]).await?;
    bench.applied(2, 0).await?;
    let mut stream = service.stream(&bench, ("ann", ACCOUNT), &id, 0).await??;
    assert_eq!(next_seqs(&mut stream, 2).await?, [1, 2]);
    service.tails().await?;

    kafka.kill();
    kafka.start_again().await?;
    bench.testbed.log()?.write(&records[2..4]).await?;
    assert_eq!(next_seqs(&mut stream, 2).await?, [3, 4]);

    postgres.kill();
    // What the log tells is enough, as long as nothing is missing.
    bench.testbed.log()?.write(&records[4..5]).await?;
    assert_eq!(next_seqs(&mut stream, 1).await?, [5]);
    postgres.start_again().await?;
    bench.testbed.log()?.write(&records[5..]).await?;
    assert_eq!(next_seqs(&mut stream, 2).await?, [6, 7]);
    service.stop().await
}
