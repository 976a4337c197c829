//! Reads through the cache: quicker while there is one, at most five seconds old, and right without it.

use std::time::Duration;

use anyhow::{Result, ensure};
use dev_rig::Redis;
use logistics_chassis::cache::TTL;
use logistics_schemas::grpc::logistics::r#type::v1::Status;
use logistics_testbed::eventually;
use tokio::time::Instant;
use tonic::Code;

use crate::support::{ACCOUNT, Bench, Service, Story};

/// What a busy machine may take beside the five seconds.
const SLACK: Duration = Duration::from_secs(2);

/// A platform with a Redis of its own.
async fn start() -> Result<(Bench, Redis)> {
    let redis = dev_rig::redis().await?;
    let mut bench = Bench::start().await?;
    bench.testbed.use_cache(&redis)?;
    Ok((bench, redis))
}

/// The number of events of a timeline.
async fn events(bench: &Bench, service: &Service, id: &str) -> Result<usize> {
    Ok(service.timeline(bench, ACCOUNT, id).await??.events.len())
}

/// Lookups that have ended like this.
async fn lookups(service: &Service, result: &str) -> Result<f64> {
    let name = format!("logistics_cache_lookups_total{{revision=\"test\",result=\"{result}\"}}");
    let all = service.metrics().await?;
    let value = all
        .lines()
        .find_map(|line| line.strip_prefix(&name)?.trim().parse().ok());
    Ok(value.unwrap_or_default())
}

/// Reads until an answer comes from Redis.
async fn until_hit(bench: &Bench, service: &Service, id: &str) -> Result<()> {
    eventually("an answer comes from Redis", || async {
        let before = lookups(service, "hit").await?;
        events(bench, service, id).await?;
        Ok((lookups(service, "hit").await? > before).then_some(()))
    })
    .await
}

/// Writes the story's events from `first` to `last`, and waits until so many are applied altogether.
async fn write(bench: &Bench, story: &Story, first: usize, last: usize) -> Result<()> {
    let records = story.records(&bench.codec)?;
    bench.testbed.log()?.write(&records[first - 1..last]).await?;
    bench.applied(last, 0).await
}

/// A service, and a story whose first two events it answers from Redis.
async fn kept(bench: &Bench) -> Result<(Story, Service)> {
    let story = Story::usual(1);
    let service = bench.service("a").await?;
    write(bench, &story, 1, 2).await?;
    until_hit(bench, &service, &story.id().to_string()).await?;
    Ok((story, service))
}

/// Changes the database below the service.
async fn rename_carrier(bench: &Bench, carrier: &str) -> Result<()> {
    let sql = format!("UPDATE tracking.shipments SET carrier = '{carrier}'");
    bench.testbed.sql(&sql).await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn timelines_come_from_redis_until_an_event_or_five_seconds_end_that() -> Result<()> {
    let (bench, redis) = start().await?;
    let story = Story::usual(1);
    let id = story.id().to_string();
    let service = bench.service("a").await?;
    write(&bench, &story, 1, 3).await?;
    until_hit(&bench, &service, &id).await?;

    let kept_at = Instant::now();
    rename_carrier(&bench, "XX").await?;
    let kept = service.timeline(&bench, ACCOUNT, &id).await??;
    let batch = service.timelines(&bench, ACCOUNT, vec![id.clone()]).await??;
    if kept_at.elapsed() + SLACK < TTL {
        assert_eq!(kept.carrier, "UA", "it was read from the database");
        assert_eq!(batch.timelines, [kept], "one and many share what is kept");
    }
    eventually("the change below is seen", || async {
        let now = service.timeline(&bench, ACCOUNT, &id).await??;
        Ok((now.carrier == "XX").then_some(()))
    })
    .await?;
    let took = kept_at.elapsed();
    ensure!(took < TTL + SLACK, "{took:?}");

    // An event shows at once.
    until_hit(&bench, &service, &id).await?;
    write(&bench, &story, 4, 4).await?;
    eventually("the event shows", || async {
        Ok((events(&bench, &service, &id).await? == 4).then_some(()))
    })
    .await?;

    // Nobody else gets it, whether it is kept or not.
    until_hit(&bench, &service, &id).await?;
    let refusal = service.timeline(&bench, "acct-2", &id).await?.err();
    assert_eq!(refusal.map(|status| status.code()), Some(Code::NotFound));
    let others = service.timelines(&bench, "acct-2", vec![id.clone()]).await??;
    assert_eq!(
        (others.timelines.len(), others.missing.as_slice()),
        (0, [id.clone()].as_slice())
    );
    assert_eq!(
        events(&bench, &service, &id).await?,
        4,
        "its own account still does"
    );

    let keys = redis.execute(&["KEYS", "*"]).await?;
    let expected = format!(
        "logistics:test:{}:tracking:timeline:{id}",
        bench.testbed.database.name
    );
    assert!(keys.lines().all(|key| key == expected), "{keys}");
    service.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn many_are_read_from_both_and_each_is_kept() -> Result<()> {
    let (bench, _redis) = start().await?;
    let stories: Vec<Story> = (0..20).map(Story::usual).collect();
    let service = bench.service("a").await?;
    bench.testbed.log()?.write(&bench.records(&stories)?).await?;
    bench.applied(20 * 7, 0).await?;
    let ids: Vec<String> = stories.iter().map(|story| story.id().to_string()).collect();
    until_hit(&bench, &service, &ids[3]).await?;

    let hits = lookups(&service, "hit").await?;
    let first = service.timelines(&bench, ACCOUNT, ids.clone()).await??;
    eventually("all of them come from Redis", || async {
        let before = lookups(&service, "hit").await?;
        let again = service.timelines(&bench, ACCOUNT, ids.clone()).await??;
        ensure!(again == first, "{again:?}");
        Ok((lookups(&service, "hit").await? - before >= 20.0).then_some(()))
    })
    .await?;
    assert!(lookups(&service, "hit").await? > hits);
    let order: Vec<&str> = first
        .timelines
        .iter()
        .map(|one| one.shipment_id.as_str())
        .collect();
    assert_eq!(order, ids);
    service.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn without_redis_reads_go_on_and_afterwards_too() -> Result<()> {
    let (bench, redis) = start().await?;
    let (story, service) = kept(&bench).await?;
    let id = story.id().to_string();

    redis.kill();
    for last in 3..=5 {
        write(&bench, &story, last, last).await?;
        let (began, read) = (Instant::now(), events(&bench, &service, &id).await?);
        assert_eq!(read, last, "without a cache an event shows at once");
        println!("a read without Redis: {:?}", began.elapsed());
    }
    let metrics = service.metrics().await?;
    assert!(
        metrics.contains("logistics_cache_circuit_open{revision=\"test\"} 1"),
        "{metrics}"
    );

    redis.start_again().await?;
    until_hit(&bench, &service, &id).await?;
    assert_eq!(events(&bench, &service, &id).await?, 5);
    let delivered = service.timeline(&bench, ACCOUNT, &id).await??;
    assert_ne!(delivered.status(), Status::Delivered);
    write(&bench, &story, 6, 7).await?;
    eventually("the last event shows", || async {
        let now = service.timeline(&bench, ACCOUNT, &id).await??;
        Ok((now.status() == Status::Delivered).then_some(()))
    })
    .await?;
    service.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_hangs_costs_little_and_what_it_kept_is_soon_forgotten() -> Result<()> {
    let (bench, redis) = start().await?;
    let (story, service) = kept(&bench).await?;
    let id = story.id().to_string();

    redis.pause();
    let mut slowest = Duration::ZERO;
    for _ in 0..50 {
        let (began, read) = (Instant::now(), events(&bench, &service, &id).await?);
        slowest = slowest.max(began.elapsed());
        assert_eq!(read, 2);
    }
    println!("the slowest read while Redis hangs: {slowest:?}");
    ensure!(slowest < Duration::from_secs(1), "{slowest:?}");
    write(&bench, &story, 3, 3).await?;
    let committed = Instant::now();
    assert_eq!(events(&bench, &service, &id).await?, 3, "from the database");
    redis.resume();
    // What Redis kept from before the event may be told for as long as it is believed, and no longer.
    eventually("Redis is asked again and the event shows", || async {
        let before = lookups(&service, "hit").await?;
        let read = events(&bench, &service, &id).await?;
        let age = committed.elapsed();
        ensure!(
            read == 3 || age < TTL + SLACK,
            "{read} events {age:?} after the third"
        );
        Ok((read == 3 && lookups(&service, "hit").await? > before).then_some(()))
    })
    .await?;
    service.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn events_that_are_delivered_again_let_go_of_what_is_older() -> Result<()> {
    let (mut bench, redis) = start().await?;
    let story = Story::usual(1);
    let id = story.id().to_string();
    // As if a process had ended between its commit and what it says to Redis.
    bench.testbed.use_no_cache();
    let silent = bench.service("silent").await?;
    write(&bench, &story, 1, 7).await?;
    silent.stop().await?;

    bench.testbed.use_cache(&redis)?;
    let again = bench.forgetful_service().await?;
    let key = format!(
        "logistics:test:{}:tracking:timeline:{id}",
        bench.testbed.database.name
    );
    let entry = eventually("Redis is told of the last event", || async {
        let entry = redis.execute(&["GET", &key]).await?;
        Ok((!entry.is_empty()).then_some(entry))
    })
    .await?;
    assert_eq!(entry, format!("{:020}0", 7), "a position, without a value");
    eventually("all were applied before", || async {
        let metrics = again.metrics().await?;
        let all = "logistics_projection_repeated_total{revision=\"test\"} 7";
        Ok(metrics.lines().any(|line| line == all).then_some(()))
    })
    .await?;
    again.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_is_ready_without_its_redis() -> Result<()> {
    let (bench, redis) = start().await?;
    redis.kill();
    let story = Story::usual(1);
    let service = bench.service("a").await?;
    write(&bench, &story, 1, 7).await?;
    assert_eq!(events(&bench, &service, &story.id().to_string()).await?, 7);
    assert!(lookups(&service, "skipped").await? > 0.0);
    service.stop().await
}
