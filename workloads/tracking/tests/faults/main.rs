//! The backing servers crash under the service. A test binary of its own: no other test shares these servers.

#[path = "../service/support.rs"]
#[allow(dead_code, reason = "the other tests need more of it")]
mod support;

use anyhow::Result;
use dev_rig::shared;
use logistics_testbed::eventually;

use support::{Bench, Story};

const EVENTS_OF_EACH: usize = 7;

#[tokio::test(flavor = "multi_thread")]
async fn a_database_and_a_broker_that_crash_cost_time_and_nothing_else() -> Result<()> {
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
