//! `kill -9` of the writer: what was acknowledged is in the database and in the log, once and in order.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use futures::future::try_join_all;
use logistics_schemas::Workload;
use logistics_schemas::grpc::logistics::shipment::v1::shipment_service_client::ShipmentServiceClient;
use logistics_schemas::grpc::logistics::r#type::v1::Status as ShipmentStatus;
use logistics_schemas::topics::{SHIPMENT_CREATED, SHIPMENT_STATUS_CHANGED, Topic};
use logistics_testbed::{Testbed, eventually, order, scan};
use tokio::sync::watch;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::Channel;
use tonic::{Code, Request, Status};

use crate::support::{Process, client, migrate};

const CALLERS: usize = 12;
const SCANS: i64 = 15;
const KILLS: usize = 4;

type Client = ShipmentServiceClient<Channel>;

/// Calls until it is answered, whichever process then runs; always with the same idempotency key.
async fn insist<T, F>(clients: &watch::Receiver<Client>, call: impl Fn(Client) -> F) -> Result<T>
where
    F: Future<Output = Result<T, Status>>,
{
    eventually("an answer", || async {
        let client = clients.borrow().clone();
        match call(client).await {
            Ok(answer) => Ok(Some(answer)),
            // What a client sees of a process that is gone.
            Err(status)
                if matches!(
                    status.code(),
                    Code::Unavailable | Code::Unknown | Code::Cancelled | Code::Internal
                ) =>
            {
                Ok(None)
            }
            Err(status) => Err(status.into()),
        }
    })
    .await
}

/// Creates a shipment and scans it; gives its id.
async fn caller(
    clients: watch::Receiver<Client>,
    bearer: MetadataValue<Ascii>,
    number: usize,
) -> Result<String> {
    let with_token = |client: Client| (client, bearer.clone());
    let created = insist(&clients, |client| {
        let (mut client, bearer) = with_token(client);
        async move {
            let mut request = Request::new(order(&format!("order {number}")));
            request.metadata_mut().insert("authorization", bearer);
            client.create_shipment(request).await
        }
    })
    .await?;
    let id = created.into_inner().shipment.context("no shipment")?.shipment_id;
    for at in 0..SCANS {
        let answer = insist(&clients, |client| {
            let (mut client, bearer) = with_token(client);
            let key = format!("scan {at} of {number}");
            let mut request = Request::new(scan(&key, &id, ShipmentStatus::InTransit, 1_357_034_100 + at));
            async move {
                request.metadata_mut().insert("authorization", bearer);
                client.record_event(request).await
            }
        })
        .await?;
        let seq = answer.into_inner().event.context("no event")?.seq;
        ensure!(seq == at + 2, "scan {at} got position {seq}");
    }
    Ok(id)
}

/// The positions of each key in a topic, each at its first occurrence, and how many records came again.
async fn first_occurrences(testbed: &Testbed, topic: &Topic) -> Result<(BTreeMap<String, Vec<i64>>, usize)> {
    let mut keys: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    let mut again = 0;
    for record in testbed.log()?.read(topic).await? {
        let seq = record.header("ce_sequence").context("no ce_sequence")?.parse()?;
        let seen = keys.entry(record.key).or_default();
        if seen.contains(&seq) {
            again += 1;
        } else {
            seen.push(seq);
        }
    }
    Ok((keys, again))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_writer_keeps_every_promise() -> Result<()> {
    let testbed = Arc::new(Testbed::start(&[]).await?);
    migrate(&testbed).await?;
    let mut process = Process::start(&testbed, Workload::Shipment, None).await?;
    let (sender, clients) = watch::channel(client(&process)?);
    let bearer = testbed.bearer("ann", &["admin"], "acme")?;
    let callers = (0..CALLERS).map(|number| tokio::spawn(caller(clients.clone(), bearer.clone(), number)));
    let callers: Vec<_> = callers.collect();
    for kill in 1..=KILLS {
        // In the middle of the work: each time when a further share of it is done.
        let share = CALLERS * (usize::try_from(SCANS)? + 1) * kill / (KILLS + 1);
        eventually("a share of the work is done", || async {
            let events: usize = testbed
                .sql("SELECT count(*) FROM shipment.shipment_events")
                .await?
                .parse()?;
            Ok((events >= share).then_some(()))
        })
        .await?;
        process.kill().await?;
        process = Process::start(&testbed, Workload::Shipment, None).await?;
        sender.send(client(&process)?)?;
    }
    let mut ids = BTreeSet::new();
    for id in try_join_all(callers).await? {
        ids.insert(id?);
    }
    eventually("the outbox is empty", || async {
        Ok((testbed.sql("SELECT count(*) FROM shipment.outbox").await? == "0").then_some(()))
    })
    .await?;

    let kept = testbed
        .sql("SELECT count(*), sum(seq) FROM shipment.shipments")
        .await?;
    assert_eq!(
        kept,
        format!("{CALLERS}|{}", i64::try_from(CALLERS)? * (SCANS + 1))
    );
    let (created, created_again) = first_occurrences(&testbed, &SHIPMENT_CREATED).await?;
    assert_eq!(created.keys().cloned().collect::<BTreeSet<_>>(), ids);
    let (scanned, scanned_again) = first_occurrences(&testbed, &SHIPMENT_STATUS_CHANGED).await?;
    assert_eq!(scanned.keys().cloned().collect::<BTreeSet<_>>(), ids);
    for (key, positions) in scanned {
        assert_eq!(positions, (2..=SCANS + 1).collect::<Vec<_>>(), "{key}");
    }
    println!(
        "records that came again after {KILLS} kills: {}",
        created_again + scanned_again
    );
    Ok(())
}
