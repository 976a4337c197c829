//! A live stream on the replica that does not own the shipment's partition, while the one that does is killed.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use chrono::{DateTime, TimeDelta};
use logistics_chassis::codec::{Codec, Location, ShipmentCreated, ShipmentStatusChanged};
use logistics_chassis::projection;
use logistics_domain::status::{Classifier, Disposition, Kind, Status};
use logistics_schemas::Workload;
use logistics_schemas::grpc::logistics::tracking::v1::tracking_service_client::TrackingServiceClient;
use logistics_schemas::grpc::logistics::tracking::v1::{StreamTrackingRequest, StreamTrackingResponse};
use logistics_schemas::topics::{SHIPMENT_CREATED, SHIPMENT_STATUS_CHANGED};
use logistics_testbed::{FeedRecord, Testbed, eventually};
use tonic::transport::Channel;
use tonic::{Code, Request, Streaming};
use uuid::Uuid;

use crate::support::{Process, migrate};

const ACCOUNT: &str = "acme";
/// Of both topics.
const ALL_PARTITIONS: usize = 12;

/// A shipment with its order and `scans` scans.
fn shipment(codec: &Codec, scans: i64) -> Result<(Uuid, Vec<FeedRecord>)> {
    let id = Uuid::new_v4();
    let start = DateTime::UNIX_EPOCH + TimeDelta::days(16_000);
    let place = |code: &str| Location {
        code: code.to_owned(),
        facility: String::new(),
    };
    let created = ShipmentCreated {
        shipment_id: id,
        seq: 1,
        account_id: ACCOUNT.to_owned(),
        actor: "ann".to_owned(),
        carrier: "UA".to_owned(),
        tracking_number: "T1".to_owned(),
        origin: place("EWR"),
        destination: place("IAH"),
        planned_departure: start,
        promised_arrival: start + TimeDelta::hours(4),
        recorded_at: start,
    };
    let mut records = vec![FeedRecord::of(codec, &created)?];
    for seq in 2..=scans + 1 {
        let at = start + TimeDelta::minutes(seq);
        records.push(FeedRecord::of(
            codec,
            &ShipmentStatusChanged {
                shipment_id: id,
                seq,
                account_id: ACCOUNT.to_owned(),
                actor: "scanner".to_owned(),
                reported: Status::InTransit,
                status: Status::InTransit,
                classifier: Classifier::Actual,
                disposition: Disposition::Applied,
                occurred_at: at,
                recorded_at: at,
                location: None,
                reason: String::new(),
                kind: Kind::Scan,
                retracts: None,
                delay: None,
                notice: None,
                proof: None,
                assignee: String::new(),
            },
        )?);
    }
    Ok((id, records))
}

/// The partitions that a process owns by its log, for example `shipment.created/3`.
fn owned(process: &Process, prefix: &str) -> Result<BTreeSet<String>> {
    let mut owned = BTreeSet::new();
    for line in process.log()? {
        let Some(text) = line["partitions"].as_str() else {
            continue;
        };
        let names = text
            .split(['[', ']', '"', ',', ' '])
            .filter_map(|name| name.strip_prefix(prefix));
        for name in names {
            if line["message"] == "revoked" {
                owned.remove(name);
            } else {
                owned.insert(name.to_owned());
            }
        }
    }
    Ok(owned)
}

async fn open(
    testbed: &Testbed,
    process: &Process,
    id: Uuid,
    after_seq: i64,
) -> Result<Streaming<StreamTrackingResponse>> {
    let channel = Channel::from_shared(process.grpc.clone())?.connect().await?;
    let mut request = Request::new(StreamTrackingRequest {
        shipment_id: id.to_string(),
        after_seq,
    });
    request
        .metadata_mut()
        .insert("authorization", testbed.bearer("ann", &["user"], ACCOUNT)?);
    Ok(TrackingServiceClient::new(channel)
        .stream_tracking(request)
        .await?
        .into_inner())
}

async fn next(stream: &mut Streaming<StreamTrackingResponse>) -> Result<i64> {
    let message = tokio::time::timeout(Duration::from_mins(1), stream.message()).await??;
    Ok(message
        .context("the stream ended")?
        .event
        .context("no event")?
        .seq)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_on_another_replica_outlives_the_owner_of_its_partition() -> Result<()> {
    const EVENTS: i64 = 40;
    let testbed = Testbed::start(&[]).await?;
    migrate(&testbed).await?;
    let config = testbed.config(Workload::Tracking);
    let prefix = config.kafka.topic_prefix.clone();
    let codec = Codec::connect(
        &config.schema_registry,
        &config.kafka.topic_prefix,
        &projection::TOPICS,
    )
    .await?;
    let one = Process::start_as("one", &testbed, Workload::Tracking, None).await?;
    let two = Process::start_as("two", &testbed, Workload::Tracking, None).await?;
    let of_one = eventually("the partitions are shared", || async {
        let (of_one, of_two) = (owned(&one, &prefix)?, owned(&two, &prefix)?);
        let shared = of_one.len() == ALL_PARTITIONS / 2 && of_two.len() == ALL_PARTITIONS / 2;
        Ok((shared && of_one.is_disjoint(&of_two)).then_some(of_one))
    })
    .await?;

    let (id, records) = shipment(&codec, EVENTS - 1)?;
    testbed.log()?.write(&records[..1]).await?;
    let orders = testbed.log()?.read(&SHIPMENT_CREATED).await?;
    // A key has the same place in both topics.
    let partition = orders.first().context("no order in the log")?.partition;
    let scans = format!("{}/{partition}", SHIPMENT_STATUS_CHANGED.name);
    let (owner, mut other) = if of_one.contains(&scans) {
        (one, two)
    } else {
        (two, one)
    };
    let mut stream = eventually("the stream opens", || async {
        Ok(open(&testbed, &other, id, 0).await.ok())
    })
    .await?;
    assert_eq!(next(&mut stream).await?, 1);
    eventually("the other replica reads the end of the log", || async {
        let metrics = other.metrics().await?;
        Ok(metrics
            .lines()
            .any(|line| line.starts_with("logistics_tail_partitions") && line.ends_with(" 12"))
            .then_some(()))
    })
    .await?;

    let mut stream_of_owner = open(&testbed, &owner, id, 0).await?;
    assert_eq!(next(&mut stream_of_owner).await?, 1);
    let (before, rest) = records[1..].split_at(13);
    testbed.log()?.write(before).await?;
    for seq in 2..=14 {
        assert_eq!(next(&mut stream).await?, seq);
    }
    let begin = std::time::Instant::now();
    owner.kill().await?;
    testbed.log()?.write(rest).await?;
    for seq in 15..=EVENTS {
        assert_eq!(next(&mut stream).await?, seq);
    }
    let took = begin.elapsed();
    // The group gives the dead owner's partitions away after its session timeout; the stream does not wait for that.
    println!("{} events after the owner's death, {took:.2?}", rest.len());
    ensure!(took < Duration::from_secs(8), "{took:?}");

    // The owner's own client sees its end, and goes on with the other replica where it was.
    let mut last = 1;
    let code = loop {
        match tokio::time::timeout(Duration::from_mins(1), stream_of_owner.message()).await? {
            Ok(Some(message)) => {
                let seq = message.event.context("no event")?.seq;
                assert_eq!(seq, last + 1);
                last = seq;
            }
            Ok(None) => anyhow::bail!("a killed replica said OK"),
            Err(status) => break status.code(),
        }
    };
    ensure!(
        matches!(
            code,
            Code::Unknown | Code::Unavailable | Code::Internal | Code::Cancelled
        ),
        "{code:?}"
    );
    let mut again = open(&testbed, &other, id, last).await?;
    for seq in last + 1..=EVENTS {
        assert_eq!(next(&mut again).await?, seq);
    }
    let metrics = other.metrics().await?;
    ensure!(
        metrics
            .lines()
            .any(|line| line.starts_with("logistics_stream_events_total")
                && line.contains("source=\"log\"")
                && !line.ends_with(" 0")),
        "{metrics}"
    );
    assert!(other.stop().await?.success());
    Ok(())
}
