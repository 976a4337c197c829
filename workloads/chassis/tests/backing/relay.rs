//! Faults of the relay: killed, raced, cut off from the brokers, stuck on one topic.

use std::time::Duration;

use anyhow::Result;
use futures::future::try_join_all;
use logistics_schemas::topics::{
    Key, SHIPMENT_CREATED, SHIPMENT_CREATED_DLQ, SHIPMENT_STATUS_CHANGED, Topic,
};
use logistics_testbed::{Testbed, eventually};
use uuid::Uuid;

use crate::order;
use crate::support::{MIGRATIONS, Sender, outbox_is_empty, record};

const TOPIC: Topic = SHIPMENT_STATUS_CHANGED;

/// Writes records `from..=to` of each aggregate: each aggregate by one writer, all writers at once.
async fn write(
    testbed: &Testbed,
    senders: &[&Sender],
    aggregates: &[Uuid],
    from: i64,
    to: i64,
) -> Result<()> {
    try_join_all(aggregates.iter().enumerate().map(|(at, aggregate)| async move {
        for seq in from..=to {
            let sender = senders[(at + usize::try_from(seq)?) % senders.len()];
            sender
                .append(&[record(testbed, TOPIC.name, *aggregate, seq)?])
                .await?;
        }
        anyhow::Ok(())
    }))
    .await?;
    Ok(())
}

fn aggregates(count: usize) -> Vec<Uuid> {
    (0..count).map(|_| Uuid::now_v7()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_relays_lose_nothing_and_keep_the_order() -> Result<()> {
    let testbed = Testbed::start(&[&MIGRATIONS]).await?;
    let aggregates = aggregates(40);
    for round in 0..4 {
        let sender = Sender::start(&testbed, &format!("relay {round}")).await?;
        write(&testbed, &[&sender], &aggregates, round * 25 + 1, round * 25 + 25).await?;
        // In the middle of its work: the last records were committed a moment ago.
        sender.kill().await;
    }
    let last = Sender::start(&testbed, "last").await?;
    outbox_is_empty(&testbed).await?;
    order::check(&testbed.log()?.read(&TOPIC).await?, 40, 100)?;
    last.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn two_relays_share_the_shards_and_the_second_takes_over() -> Result<()> {
    let testbed = Testbed::start(&[&MIGRATIONS]).await?;
    let (a, b) = (
        Sender::start(&testbed, "a").await?,
        Sender::start(&testbed, "b").await?,
    );
    eventually("each has half of the shards", || async {
        let shares = (a.metric("outbox_shards")?, b.metric("outbox_shards")?);
        Ok((shares == (32.0, 32.0)).then_some(()))
    })
    .await?;

    let aggregates = aggregates(30);
    write(&testbed, &[&a, &b], &aggregates, 1, 30).await?;
    a.kill().await;
    write(&testbed, &[&b], &aggregates, 31, 40).await?;
    outbox_is_empty(&testbed).await?;
    eventually("the other has all", || async {
        Ok((b.metric("outbox_shards")? >= 64.0).then_some(()))
    })
    .await?;
    order::check(&testbed.log()?.read(&TOPIC).await?, 30, 40)?;
    b.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopping_relay_sends_what_is_left() -> Result<()> {
    let testbed = Testbed::start(&[&MIGRATIONS]).await?;
    let sender = Sender::start(&testbed, "a").await?;
    let aggregates = aggregates(20);
    write(&testbed, &[&sender], &aggregates, 1, 20).await?;
    sender.stop().await?;
    assert_eq!(testbed.sql("SELECT count(*) FROM shipment.outbox").await?, "0");
    let duplicates = order::check(&testbed.log()?.read(&TOPIC).await?, 20, 20)?;
    assert_eq!(duplicates, 0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crashed_broker_delays_and_loses_nothing() -> Result<()> {
    let mut testbed = Testbed::database_only().await?;
    testbed.migrate(&[&MIGRATIONS]).await?;
    let kafka = dev_rig::kafka().await?;
    testbed.use_log(&kafka.bootstrap_servers).await?;
    let sender = Sender::start(&testbed, "a").await?;
    let aggregates = aggregates(20);
    write(&testbed, &[&sender], &aggregates, 1, 20).await?;
    kafka.kill();
    write(&testbed, &[&sender], &aggregates, 21, 30).await?;
    assert_ne!(testbed.sql("SELECT count(*) FROM shipment.outbox").await?, "0");
    kafka.start_again().await?;
    write(&testbed, &[&sender], &aggregates, 31, 40).await?;
    outbox_is_empty(&testbed).await?;
    order::check(&testbed.log()?.read(&TOPIC).await?, 20, 40)?;
    sender.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_topic_holds_up_only_its_own_records() -> Result<()> {
    const LATER: Topic = Topic {
        name: "later",
        schema: None,
        key: Key::Shipment,
        meaning: "Of this test only.",
        writers: &[],
        readers: &[],
    };
    let testbed = Testbed::start(&[&MIGRATIONS]).await?;
    let sender = Sender::start(&testbed, "a").await?;
    // In shards of their own: the last byte is the shard.
    let stuck = Uuid::from_u128(0x0198_0000_0000_7000_8000_0000_0000_0001);
    let free = Uuid::from_u128(0x0198_0000_0000_7000_8000_0000_0000_0002);
    for seq in 1..=3 {
        sender
            .append(&[record(&testbed, LATER.name, stuck, seq)?])
            .await?;
    }
    eventually("the failure is counted", || async {
        Ok((sender.metric("outbox_failures_total")? > 0.0).then_some(()))
    })
    .await?;
    let begin = tokio::time::Instant::now();
    for seq in 1..=3 {
        sender.append(&[record(&testbed, TOPIC.name, free, seq)?]).await?;
    }
    eventually("only the stuck records are left", || async {
        Ok((testbed.sql("SELECT count(*) FROM shipment.outbox").await? == "3").then_some(()))
    })
    .await?;
    assert!(begin.elapsed() < Duration::from_secs(20), "{:?}", begin.elapsed());

    testbed.log()?.create(&[LATER], 1).await?;
    outbox_is_empty(&testbed).await?;
    order::check(&testbed.log()?.read(&LATER).await?, 1, 3)?;
    sender.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_keeps_its_bytes() -> Result<()> {
    let testbed = Testbed::start(&[&MIGRATIONS]).await?;
    let sender = Sender::start(&testbed, "a").await?;
    let odd = vec![0xff, 0x00, 0x7f];
    let mut letter = record(&testbed, SHIPMENT_CREATED_DLQ.name, Uuid::now_v7(), 1)?;
    letter.key = Some(b"a key".to_vec());
    letter.payload = Some(odd.clone());
    letter.headers = vec![
        ("odd".to_owned(), odd.clone()),
        ("__dlq.errors.class".to_owned(), b"Wire".to_vec()),
    ];
    let mut tombstone = record(&testbed, SHIPMENT_CREATED.name, Uuid::now_v7(), 1)?;
    tombstone.payload = None;
    sender.append(&[letter.clone(), tombstone]).await?;
    outbox_is_empty(&testbed).await?;

    let dead = testbed.log()?.read(&SHIPMENT_CREATED_DLQ).await?;
    assert_eq!(
        (dead[0].key.as_str(), &dead[0].payload),
        ("a key", &letter.payload)
    );
    assert_eq!(dead[0].headers, letter.headers);
    assert_eq!(testbed.log()?.read(&SHIPMENT_CREATED).await?[0].payload, None);
    sender.stop().await
}
