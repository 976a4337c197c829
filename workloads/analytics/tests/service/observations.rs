//! What events teach goes through the log: learned once, whatever comes again, by whoever owns the account.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result};
use logistics_chassis::codec::{Arrival, ShipmentObserved};
use logistics_schemas::headers::{DLQ_CLASS, DLQ_GROUP, DLQ_TOPIC};
use logistics_schemas::topics::{ANALYTICS_OBSERVED, ANALYTICS_OBSERVED_DLQ, LEARNING_GROUP_SUFFIX};
use logistics_schemas::{Workload, grpc::logistics::analytics::v1::Lane};
use logistics_testbed::{FeedRecord, LogRecord, eventually};

use crate::support::{ACCOUNT, Bench, in_time, legs};

/// All that was learned, by scope: what two ways of learning the same must agree on.
async fn histories(bench: &Bench) -> Result<String> {
    bench
        .testbed
        .sql(
            "SELECT account_id, level, carrier, origin, destination, arrivals, late, md5(state::text)
             FROM analytics.histories ORDER BY account_id, level, carrier, origin, destination",
        )
        .await
}

async fn observations(bench: &Bench) -> Result<Vec<(LogRecord, ShipmentObserved)>> {
    let records = bench.testbed.log()?.read(&ANALYTICS_OBSERVED).await?;
    let mut all = Vec::with_capacity(records.len());
    for record in records {
        let payload = record.payload.as_deref().unwrap_or_default();
        let observed = bench.codec.decode(payload).await?;
        all.push((record, observed));
    }
    Ok(all)
}

/// Waits until a group that learns has handled all that the log has.
async fn handled(bench: &Bench, group: &str) -> Result<()> {
    eventually(&format!("{group} has read all"), || async {
        let lag = bench.testbed.log()?.lag(group, &[ANALYTICS_OBSERVED]).await?;
        Ok((lag == 0).then_some(()))
    })
    .await
}

fn group(bench: &Bench) -> String {
    let group = bench.testbed.config(Workload::Analytics).kafka.group_id;
    format!("{group}{LEARNING_GROUP_SUFFIX}")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_has_one_owner_and_its_observations_one_partition() -> Result<()> {
    let bench = Bench::start().await?;
    let service = bench.service("a").await?;
    let legs = legs(60);
    let happenings = in_time(&legs);
    bench.feed(&happenings).await?;
    bench.applied(happenings.len()).await?;
    bench.learned().await?;

    let all = observations(&bench).await?;
    let partitions: BTreeSet<i32> = all.iter().map(|(record, _)| record.partition).collect();
    assert_eq!(partitions.len(), 1, "{partitions:?}");
    assert!(all.iter().all(|(record, _)| record.key == ACCOUNT));
    // One for each leg that arrived: its way, and how it went.
    let flown = legs.iter().filter(|leg| leg.delays.is_some());
    let mut told: Vec<_> = all
        .iter()
        .filter(|(_, one)| one.arrival.is_some())
        .map(|(_, one)| (one.shipment_id, one.seq))
        .collect();
    told.sort_unstable();
    let mut expected: Vec<_> = flown.map(|leg| (leg.id(), 3)).collect();
    expected.sort_unstable();
    assert_eq!(told, expected);
    let foretold = |arrival: &Arrival| arrival.at_creation.is_some() && arrival.in_transit.is_some();
    assert!(
        all.iter()
            .filter_map(|(_, one)| one.arrival.as_ref())
            .all(foretold),
        "{all:?}"
    );
    service.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_log_repeats_is_learned_once() -> Result<()> {
    let bench = Bench::start().await?;
    let service = bench.service("a").await?;
    let happenings = in_time(&legs(90));
    bench.feed(&happenings).await?;
    bench.applied(happenings.len()).await?;
    bench.learned().await?;
    let before = histories(&bench).await?;
    assert!(!before.trim().is_empty());

    // As a relay does that ended before it noted what it had sent.
    let all = observations(&bench).await?;
    let again: Result<Vec<FeedRecord>> = all
        .iter()
        .map(|(_, observed)| FeedRecord::of(&bench.codec, observed))
        .collect();
    bench.testbed.log()?.write(&again?).await?;
    handled(&bench, &group(&bench)).await?;
    assert_eq!(histories(&bench).await?, before);
    service.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn two_owners_at_one_time_learn_once() -> Result<()> {
    let bench = Bench::start().await?;
    // Of two groups, so that both have every partition: one of them should have lost it.
    let (owner, former) = tokio::try_join!(bench.service("a"), bench.forgetful_service())?;
    let legs = legs(300);
    let happenings = in_time(&legs);
    for piece in happenings.chunks(150) {
        bench.feed(piece).await?;
    }
    bench.applied(happenings.len()).await?;
    bench.learned().await?;
    let others = format!(
        "{}.again{LEARNING_GROUP_SUFFIX}",
        bench.testbed.config(Workload::Analytics).kafka.group_id
    );
    for group in [group(&bench), others] {
        handled(&bench, &group).await?;
    }

    let flown = legs.iter().filter(|leg| leg.delays.is_some()).count();
    let lanes: Vec<Lane> = owner.lanes(&bench, ACCOUNT, 100).await?;
    let arrivals: i64 = lanes.iter().map(|lane| lane.arrivals).sum();
    assert_eq!(arrivals, i64::try_from(flown)?);
    let overall = bench
        .testbed
        .sql("SELECT arrivals FROM analytics.histories WHERE level = 'overall'")
        .await?;
    assert_eq!(overall.trim(), flown.to_string());
    tokio::try_join!(owner.stop(), former.stop())?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nothing_can_be_learned_from_is_told_and_stops_nobody() -> Result<()> {
    let bench = Bench::start().await?;
    let service = bench.service("a").await?;
    let happenings = in_time(&legs(30));
    bench.feed(&happenings).await?;
    bench.applied(happenings.len()).await?;
    bench.learned().await?;
    let (_, good) = observations(&bench).await?.pop().context("nothing observed")?;
    let before = histories(&bench).await?;

    let zero = ShipmentObserved {
        carrier: "U\0".to_owned(),
        seq: good.seq + 1,
        ..good.clone()
    };
    let next = ShipmentObserved {
        seq: good.seq + 2,
        ..good.clone()
    };
    let garbage = FeedRecord {
        value: b"no event".to_vec(),
        ..FeedRecord::of(&bench.codec, &good)?
    };
    let records = [
        FeedRecord::of(&bench.codec, &zero)?,
        garbage.clone(),
        FeedRecord::of(&bench.codec, &next)?,
    ];
    bench.testbed.log()?.write(&records).await?;
    bench.learned_of(good.shipment_id, next.seq).await?;
    assert_ne!(
        histories(&bench).await?,
        before,
        "what came behind was not learned"
    );

    let mut letters = eventually("two dead letters", || async {
        let letters = bench.testbed.log()?.read(&ANALYTICS_OBSERVED_DLQ).await?;
        Ok((letters.len() == 2).then_some(letters))
    })
    .await?;
    letters.sort_by_key(|letter| letter.header(DLQ_CLASS.name).map(str::to_owned));
    let classes: Vec<_> = letters
        .iter()
        .map(|letter| letter.header(DLQ_CLASS.name).unwrap_or_default())
        .collect();
    assert_eq!(
        classes.iter().filter(|class| **class == "misfit").count(),
        1,
        "{classes:?}"
    );
    let told = |letter: &&LogRecord| letter.payload.as_deref() == Some(garbage.value.as_slice());
    let letter = letters.iter().find(told).context("the garbage was not told")?;
    assert_eq!(letter.key, ACCOUNT);
    assert_eq!(letter.header(DLQ_GROUP.name), Some(group(&bench).as_str()));
    let topic = ANALYTICS_OBSERVED.full_name(&bench.testbed.log()?.topic_prefix);
    assert_eq!(letter.header(DLQ_TOPIC.name), Some(topic.as_str()));
    service.stop().await
}
