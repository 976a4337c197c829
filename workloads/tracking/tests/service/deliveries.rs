//! Whatever the log delivers, the projection is the same.

use std::time::Instant;

use anyhow::Result;
use logistics_domain::status::Status;
use logistics_testbed::Numbers;

use crate::support::{Bench, Story};

const EVENTS_OF_EACH: usize = 7;

#[tokio::test(flavor = "multi_thread")]
async fn any_order_with_repetitions_ends_in_the_projection_of_the_right_order() -> Result<()> {
    let (straight, tangled) = tokio::try_join!(Bench::start(), Bench::start())?;
    let stories: Vec<Story> = (0..60).map(Story::usual).collect();
    let records = straight.records(&stories)?;
    let mut deliveries = tangled.records(&stories)?;
    deliveries.extend(tangled.records(&stories[..30])?);
    Numbers::new(3).shuffle(&mut deliveries);

    let (first, second) = tokio::try_join!(straight.service("a"), tangled.service("a"))?;
    straight.testbed.log()?.write(&records).await?;
    // In pieces, so that gaps are there to be seen, and not only within one batch.
    for piece in deliveries.chunks(40) {
        tangled.testbed.log()?.write(piece).await?;
    }
    straight.applied(records.len(), 0).await?;
    tangled.applied(records.len(), 0).await?;
    assert_eq!(straight.dump().await?, tangled.dump().await?);
    tokio::try_join!(first.stop(), second.stop())?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_is_read_twice_has_its_effects_once() -> Result<()> {
    let bench = Bench::start().await?;
    let stories: Vec<Story> = (0..50).map(Story::usual).collect();
    bench.testbed.log()?.write(&bench.records(&stories)?).await?;
    let service = bench.service("a").await?;
    bench.applied(50 * EVENTS_OF_EACH, 0).await?;
    service.stop().await?;
    let before = bench.dump().await?;

    // All offsets are forgotten, as if each process had died before it stored one.
    let again = bench.forgetful_service().await?;
    let more = Story::usual(1_000);
    bench.testbed.log()?.write(&more.records(&bench.codec)?).await?;
    bench.applied(51 * EVENTS_OF_EACH, 0).await?;
    again.stop().await?;
    let rows = bench
        .testbed
        .sql(&format!(
            "DELETE FROM tracking.timeline WHERE shipment_id = '{id}'; DELETE FROM tracking.shipments WHERE shipment_id = '{id}'",
            id = more.id()
        ))
        .await;
    rows?;
    assert_eq!(bench.dump().await?, before);
    Ok(())
}

/// A second replica takes partitions over in mid-stream, then the first one leaves.
#[tokio::test(flavor = "multi_thread")]
async fn partitions_that_move_take_nothing_along_and_leave_nothing_behind() -> Result<()> {
    let bench = Bench::start().await?;
    let stories: Vec<Story> = (0..300).map(Story::usual).collect();
    let records = bench.records(&stories)?;
    let first = bench.service("a").await?;
    let mut pieces = records.chunks(records.len() / 3 + 1);
    let mut piece = || pieces.next().unwrap_or_default();
    bench.testbed.log()?.write(piece()).await?;
    let second = bench.service("b").await?;
    bench.testbed.log()?.write(piece()).await?;
    first.stop().await?;
    bench.testbed.log()?.write(piece()).await?;
    bench.applied(records.len(), 0).await?;
    let counted = bench
        .testbed
        .sql("SELECT count(*), count(DISTINCT event_id) FROM tracking.timeline")
        .await?;
    assert_eq!(counted.trim(), format!("{0}|{0}", records.len()));
    second.stop().await
}

/// What is read anew after a stop is only what was not handled: the offsets were committed on the way out.
#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_was_stopped_goes_on_where_it_was() -> Result<()> {
    let bench = Bench::start().await?;
    let service = bench.service("a").await?;
    bench
        .testbed
        .log()?
        .write(&Story::usual(1).records(&bench.codec)?)
        .await?;
    bench.applied(EVENTS_OF_EACH, 0).await?;
    service.stop().await?;

    let service = bench.service("b").await?;
    bench
        .testbed
        .log()?
        .write(&Story::usual(2).records(&bench.codec)?)
        .await?;
    bench.applied(2 * EVENTS_OF_EACH, 0).await?;
    let metrics = service.metrics().await?;
    assert!(
        metrics.contains("logistics_projection_repeated_total{revision=\"test\"} 0\n"),
        "{metrics}"
    );
    assert!(
        metrics.contains("logistics_projection_applied_total{revision=\"test\"} 7\n"),
        "{metrics}"
    );
    service.stop().await
}

/// More than is held in memory waits in one partition: reading it is paused, and goes on.
#[tokio::test(flavor = "multi_thread")]
async fn a_long_story_is_read_in_pieces() -> Result<()> {
    let bench = Bench::start().await?;
    let story = Story::new(1, &[Status::InTransit; 6_000]);
    bench.testbed.log()?.write(&story.records(&bench.codec)?).await?;
    let service = bench.service("a").await?;
    bench.applied(6_001, 0).await?;
    let metrics = service.metrics().await?;
    assert!(
        !metrics.contains("logistics_consumer_pauses_total{revision=\"test\"} 0\n"),
        "{metrics}"
    );
    service.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_events_take_seconds() -> Result<()> {
    let bench = Bench::start().await?;
    let stories: Vec<Story> = (0..1_430).map(Story::usual).collect();
    let records = bench.records(&stories)?;
    bench.testbed.log()?.write(&records).await?;
    let begin = Instant::now();
    let service = bench.service("a").await?;
    bench.applied(records.len(), 0).await?;
    let took = begin.elapsed();
    let rate = records.len() as u128 * 1_000 / took.as_millis().max(1);
    println!(
        "{} events projected in {took:.2?}, start of the service included: {rate}/s",
        records.len()
    );
    assert!(took.as_secs() < 60, "{took:?}");
    service.stop().await
}
