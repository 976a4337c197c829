//! Records that no service would write: the same again, and what cannot be read.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Context as _, Result};
use logistics_schemas::headers;
use logistics_schemas::topics::{
    SHIPMENT_CREATED, SHIPMENT_CREATED_DLQ, SHIPMENT_STATUS_CHANGED, SHIPMENT_STATUS_CHANGED_DLQ,
};
use logistics_testbed::{FeedRecord, LogRecord};
use uuid::Uuid;

use super::{Injected, Scene};
use crate::check::Findings;
use crate::inspect::{FOREIGN, Reader};
use crate::site::{PARTITIONS, PROJECTIONS, Site};
use crate::wait::until;

/// A record that can never be applied, and that each service has to tell the dead letter topic of.
#[derive(Clone, Debug)]
pub(crate) struct Foreign {
    /// In the header [`FOREIGN`].
    mark: String,
    key: String,
    value: Vec<u8>,
}

/// Not in any format.
const GARBAGE: &[u8] = b"\x07no event at all";

/// Writes the newest records of the topic of changes again.
pub(super) async fn repeat(scene: Scene<'_>) -> Result<usize> {
    let log = scene.site.testbed.log()?;
    let records = Reader::default()
        .topic(scene.site, &SHIPMENT_STATUS_CHANGED)
        .await?;
    let again: Vec<FeedRecord> = records
        .iter()
        .rev()
        .filter(|record| record.header(FOREIGN).is_none())
        .take(scene.step)
        .map(|record| FeedRecord {
            topic: SHIPMENT_STATUS_CHANGED,
            key: Some(record.key.clone().into_bytes()),
            value: record.payload.clone().unwrap_or_default(),
            headers: marked(record.headers.clone(), "again"),
        })
        .collect();
    log.write(&again).await?;
    Ok(again.len())
}

fn marked(mut headers: Vec<(String, Vec<u8>)>, mark: &str) -> Vec<(String, Vec<u8>)> {
    headers.push((FOREIGN.to_owned(), mark.as_bytes().to_vec()));
    headers
}

/// Garbage: of nobody, of a shipment of its own, or in the place of an event that a shipment is about to have.
pub(super) async fn poison(scene: Scene<'_>, turn: usize, injected: &mut Injected) -> Result<()> {
    let own = Uuid::new_v4().to_string();
    match turn % 3 {
        0 => lettered(scene, None, Some(1), GARBAGE, injected).await,
        1 => lettered(scene, Some(own), Some(1), GARBAGE, injected).await,
        _ => {
            let Some((shipment, seq)) = scene.traffic.some_shipment(turn) else {
                return lettered(scene, Some(own), None, GARBAGE, injected).await;
            };
            // The event that belongs there may be faster: then nobody takes note of this one.
            write(scene, Some(shipment.to_string()), Some(seq + 2), GARBAGE, "ahead").await
        }
    }
}

/// A record that names a schema which is in the registry and is not that of the topic's events.
pub(super) async fn misfit(scene: Scene<'_>, turn: usize, injected: &mut Injected) -> Result<()> {
    let registry = scene.site.servers.registry;
    let schema = r#"{"type":"record","name":"Stranger","fields":[{"name":"weight","type":"double"}]}"#;
    let url = format!("{}/subjects/stranger-value/versions", registry.url);
    let answer = reqwest::Client::new()
        .post(url)
        .json(&serde_json::json!({ "schema": schema }))
        .send()
        .await?
        .error_for_status()?;
    let answer: serde_json::Value = answer.json().await?;
    let id = answer["id"].as_u64().and_then(|id| u32::try_from(id).ok());
    // The wire format: a zero byte, the schema's id, the datum.
    let mut value = vec![0];
    value.extend(id.context("the registry gives no id")?.to_be_bytes());
    value.extend(f64::from(u8::try_from(turn)?).to_le_bytes());
    let key = turn.is_multiple_of(2).then(|| Uuid::new_v4().to_string());
    lettered(scene, key, Some(1), &value, injected).await
}

/// Poison while there is nowhere to tell of it.
pub(super) async fn without_dead_letter_topics(scene: Scene<'_>, injected: &mut Injected) -> Result<()> {
    let log = scene.site.testbed.log()?;
    let topics = [SHIPMENT_CREATED_DLQ, SHIPMENT_STATUS_CHANGED_DLQ];
    // Letters of before go with their topics: they are looked at first.
    let told = until(Duration::from_secs(30), || async {
        let findings = dead_letters(scene.site, &injected.foreign).await?;
        Ok(findings.clean().then_some(()))
    });
    told.await?.context("dead letters are missing")?;
    injected.foreign.clear();
    for topic in &topics {
        log.delete(topic).await?;
    }
    for _ in 0..5 {
        let key = Some(Uuid::new_v4().to_string());
        lettered(scene, key, Some(1), GARBAGE, injected).await?;
    }
    let waiting = until(Duration::from_secs(30), || async {
        let rows = scene
            .site
            .testbed
            .sql("SELECT count(*) FROM tracking.outbox")
            .await?;
        Ok((rows != "0").then_some(()))
    });
    waiting.await?.context("no dead letter waits in the outbox")?;
    scene.traffic.more(scene.step).await?;
    // A topic that is being deleted cannot be made yet.
    let made = until(Duration::from_secs(30), || async {
        Ok(log.create(&topics, PARTITIONS).await.ok())
    });
    made.await?
        .context("the dead letter topics cannot be made again")?;
    Ok(())
}

async fn lettered(
    scene: Scene<'_>,
    key: Option<String>,
    seq: Option<i64>,
    value: &[u8],
    injected: &mut Injected,
) -> Result<()> {
    let mark = Uuid::new_v4().to_string();
    injected.foreign.push(Foreign {
        mark: mark.clone(),
        key: key.clone().unwrap_or_default(),
        value: value.to_vec(),
    });
    write(scene, key, seq, value, &mark).await
}

async fn write(
    scene: Scene<'_>,
    key: Option<String>,
    seq: Option<i64>,
    value: &[u8],
    mark: &str,
) -> Result<()> {
    let sequence = seq.map(|seq| (headers::SEQUENCE.name.to_owned(), seq.to_string().into_bytes()));
    let record = FeedRecord {
        topic: if seq == Some(1) {
            SHIPMENT_CREATED
        } else {
            SHIPMENT_STATUS_CHANGED
        },
        key: key.map(String::into_bytes),
        value: value.to_vec(),
        headers: marked(sequence.into_iter().collect(), mark),
    };
    scene.site.testbed.log()?.write(&[record]).await
}

/// Each service has told of each poisoned record once, key and value unchanged.
pub(crate) async fn dead_letters(site: &Site<'_>, foreign: &[Foreign]) -> Result<Findings> {
    let mut findings = Findings::default();
    if foreign.is_empty() {
        return Ok(findings);
    }
    // By mark and group: the letters, each by its id. The log may have one again.
    let mut letters: BTreeMap<(String, String), BTreeMap<String, LogRecord>> = BTreeMap::new();
    for topic in [SHIPMENT_CREATED_DLQ, SHIPMENT_STATUS_CHANGED_DLQ] {
        for letter in site.testbed.log()?.read(&topic).await? {
            let header = |name: &str| letter.header(name).unwrap_or_default().to_owned();
            let place = (header(FOREIGN), header(headers::DLQ_GROUP.name));
            // Where the record was: the same for each copy of a letter.
            let id = format!(
                "{}/{}",
                header(headers::DLQ_PARTITION.name),
                header(headers::DLQ_OFFSET.name)
            );
            letters.entry(place).or_default().insert(id, letter);
        }
    }
    let groups: BTreeSet<String> = PROJECTIONS
        .iter()
        .map(|workload| site.testbed.config(*workload).kafka.group_id)
        .collect();
    for record in foreign {
        for group in &groups {
            let told = letters.get(&(record.mark.clone(), group.clone()));
            let same = |letter: &LogRecord| {
                letter.key == record.key && letter.payload.as_deref() == Some(record.value.as_slice())
            };
            let told: Vec<&LogRecord> = told.into_iter().flat_map(BTreeMap::values).collect();
            if !told.iter().any(|letter| same(letter)) {
                findings.effects_missing += 1;
                findings.example(|| format!("{group} wrote no dead letter of the record {}", record.mark));
            }
            if told.len() > 1 {
                findings.effects_repeated += told.len() - 1;
                findings.example(|| format!("{group} wrote {} dead letters of {}", told.len(), record.mark));
            }
        }
    }
    Ok(findings)
}
