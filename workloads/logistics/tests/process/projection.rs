//! `kill -9` of the readers: wherever they die, between a commit and the note of its offset too, each event has its
//! effect once.

use anyhow::Result;
use chrono::{DateTime, TimeDelta};
use logistics_chassis::codec::{Codec, Location, ShipmentCreated, ShipmentStatusChanged};
use logistics_chassis::projection;
use logistics_domain::status::{Classifier, Disposition, Kind, Status};
use logistics_schemas::Workload;
use logistics_testbed::{FeedRecord, Testbed, eventually};
use uuid::Uuid;

use crate::support::{Process, migrate};

const SHIPMENTS: usize = 400;
const EVENTS_OF_EACH: usize = 3;
const KILLS: usize = 2;

/// Ordered, left, arrived.
fn shipment(codec: &Codec, number: usize) -> Result<Vec<FeedRecord>> {
    let minutes = TimeDelta::minutes(i64::try_from(number)?);
    let start = DateTime::UNIX_EPOCH + TimeDelta::days(16_000) + minutes;
    let place = |code: &str| Location {
        code: code.to_owned(),
        facility: String::new(),
    };
    let created = ShipmentCreated {
        shipment_id: Uuid::new_v4(),
        seq: 1,
        account_id: "acme".to_owned(),
        actor: "ann".to_owned(),
        carrier: "UA".to_owned(),
        tracking_number: number.to_string(),
        origin: place("EWR"),
        destination: place("IAH"),
        planned_departure: start,
        promised_arrival: start + TimeDelta::hours(4),
        recorded_at: start,
    };
    let changed = |seq, status, occurred_at| ShipmentStatusChanged {
        shipment_id: created.shipment_id,
        seq,
        account_id: created.account_id.clone(),
        actor: created.actor.clone(),
        reported: status,
        status,
        classifier: Classifier::Actual,
        disposition: Disposition::Applied,
        occurred_at,
        recorded_at: occurred_at,
        location: None,
        reason: String::new(),
        kind: Kind::Scan,
        retracts: None,
        delay: None,
        notice: None,
        proof: None,
        assignee: String::new(),
    };
    Ok(vec![
        FeedRecord::of(codec, &created)?,
        FeedRecord::of(codec, &changed(2, Status::InTransit, start + minutes))?,
        FeedRecord::of(
            codec,
            &changed(
                3,
                Status::AvailableForPickup,
                start + TimeDelta::hours(4) + minutes,
            ),
        )?,
    ])
}

async fn applied(testbed: &Testbed, workload: Workload) -> Result<usize> {
    let applied = testbed
        .sql(&format!(
            "SELECT coalesce(sum(last_seq), 0) FROM {workload}.projected"
        ))
        .await?;
    Ok(applied.trim().parse()?)
}

/// Kills a service again and again while it reads, then lets it finish.
async fn kill_while_it_reads(testbed: &Testbed, workload: Workload) -> Result<()> {
    let all = SHIPMENTS * EVENTS_OF_EACH;
    let mut process = Process::start(testbed, workload, None).await?;
    for kill in 1..=KILLS {
        let share = all * kill / (2 * KILLS);
        eventually("a share is applied", || async {
            Ok((applied(testbed, workload).await? >= share).then_some(()))
        })
        .await?;
        process.kill().await?;
        process = Process::start(testbed, workload, None).await?;
    }
    eventually("all is applied", || async {
        Ok((applied(testbed, workload).await? == all).then_some(()))
    })
    .await?;
    assert!(process.stop().await?.success());
    let parked = testbed
        .sql(&format!("SELECT count(*) FROM {workload}.parked"))
        .await?;
    assert_eq!(parked.trim(), "0", "{workload}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_reader_repeats_no_effect_and_misses_none() -> Result<()> {
    let testbed = Testbed::start(&[]).await?;
    migrate(&testbed).await?;
    let config = testbed.config(Workload::Tracking);
    let codec = Codec::connect(
        &config.schema_registry,
        &config.kafka.topic_prefix,
        &projection::TOPICS,
    )
    .await?;
    let mut records = Vec::new();
    for number in 0..SHIPMENTS {
        records.extend(shipment(&codec, number)?);
    }
    let feed = async {
        for piece in records.chunks(60) {
            testbed.log()?.write(piece).await?;
        }
        Ok(())
    };
    tokio::try_join!(
        feed,
        kill_while_it_reads(&testbed, Workload::Tracking),
        kill_while_it_reads(&testbed, Workload::Analytics),
    )?;
    let all = SHIPMENTS * EVENTS_OF_EACH;
    let timeline = testbed
        .sql("SELECT count(*), count(DISTINCT event_id), count(DISTINCT shipment_id) FROM tracking.timeline")
        .await?;
    assert_eq!(timeline.trim(), format!("{all}|{all}|{SHIPMENTS}"));
    // A sum that is taken twice would show: arrivals, in the lane and in the account's accuracy.
    let learned = testbed
        .sql(
            "SELECT (SELECT sum(arrivals) FROM analytics.histories WHERE level = 'lane'), arrivals, round(error_of_promise)
             FROM analytics.accuracy",
        )
        .await?;
    let minutes = (0..SHIPMENTS).sum::<usize>();
    assert_eq!(learned.trim(), format!("{SHIPMENTS}|{SHIPMENTS}|{minutes}"));
    Ok(())
}
