//! Reads what the log holds, and what the services have made of it.

use std::collections::{BTreeMap, HashMap, HashSet};

use anyhow::{Context as _, Result};
use logistics_chassis::codec::ShipmentStatusChanged;
use logistics_schemas::headers;
use logistics_schemas::topics::{self, SHIPMENT_CREATED, SHIPMENT_STATUS_CHANGED, Topic};
use logistics_testbed::LogRecord;
use uuid::Uuid;

use crate::check::{Effect, Effects, Logged};
use crate::site::{PROJECTIONS, Site};

/// Header of the records that no service has written.
pub(crate) const FOREIGN: &str = "x-fault";

/// Reads the topics of shipments, each record once.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    next: HashMap<&'static str, HashMap<i32, i64>>,
    /// The shipments of earlier readings. What comes of them later can only be there again: nothing was missing.
    past: HashSet<Uuid>,
}

impl Reader {
    /// What the services have written since the last time.
    pub(crate) async fn read(&mut self, site: &Site<'_>) -> Result<Vec<Logged>> {
        let mut log = Vec::new();
        for topic in [SHIPMENT_CREATED, SHIPMENT_STATUS_CHANGED] {
            for record in self.topic(site, &topic).await? {
                if record.header(FOREIGN).is_none() {
                    log.push(logged(site, topic, &record).await?);
                }
            }
        }
        log.retain(|record| !self.past.contains(&record.place.0));
        self.past.extend(log.iter().map(|record| record.place.0));
        Ok(log)
    }

    /// The new records of a topic.
    pub(crate) async fn topic(&mut self, site: &Site<'_>, topic: &Topic) -> Result<Vec<LogRecord>> {
        let next = self.next.entry(topic.name).or_default();
        let records = site.testbed.log()?.read_from(topic, next).await?;
        for record in &records {
            next.insert(record.partition, record.offset + 1);
        }
        Ok(records)
    }
}

async fn logged(site: &Site<'_>, topic: Topic, record: &LogRecord) -> Result<Logged> {
    let header = |name: headers::Header| {
        let place = || format!("{}/{}/{}", topic.name, record.partition, record.offset);
        record
            .header(name.name)
            .with_context(|| format!("{}: no header {}", place(), name.name))
    };
    let status = if topic.name == topics::SHIPMENT_STATUS_CHANGED.name {
        let value = record.payload.as_deref().unwrap_or_default();
        let event: ShipmentStatusChanged = site.codec.decode(value).await?;
        Some(event.status.as_str().to_owned())
    } else {
        None
    };
    Ok(Logged {
        place: (record.key.parse()?, header(headers::SEQUENCE)?.parse()?),
        event: header(headers::ID)?.parse()?,
        topic: topic.name,
        partition: record.partition,
        status,
    })
}

/// What the services have made of an account's events.
pub(crate) async fn effects(site: &Site<'_>, account: &str) -> Result<Effects> {
    let timeline = format!(
        "SELECT shipment_id, seq, event_id FROM tracking.timeline
         WHERE shipment_id IN (SELECT shipment_id FROM tracking.shipments WHERE account_id = '{account}')"
    );
    let effect = |row: Vec<String>| {
        let [shipment, seq, event] = row.as_slice() else {
            anyhow::bail!("three columns were asked for");
        };
        Ok(Effect {
            place: (shipment.parse()?, seq.parse()?),
            event: event.parse()?,
        })
    };
    let timeline = rows(site, &timeline)
        .await?
        .into_iter()
        .map(effect)
        .collect::<Result<_>>()?;
    let statuses =
        format!("SELECT shipment_id, status FROM tracking.shipments WHERE account_id = '{account}'");
    let mut last_seqs = BTreeMap::new();
    for workload in PROJECTIONS {
        let sql =
            format!("SELECT shipment_id, last_seq FROM {workload}.projected WHERE account_id = '{account}'");
        let by_shipment: HashMap<Uuid, i64> = pairs(site, &sql).await?;
        last_seqs.insert(workload.name(), by_shipment);
    }
    let number = async |sql: String| anyhow::Ok(site.testbed.sql(&sql).await?.trim().parse::<usize>()?);
    let arrived = format!(
        "SELECT count(*) FROM analytics.shipments WHERE account_id = '{account}' AND arrived_at IS NOT NULL"
    );
    let learned = format!(
        "SELECT coalesce(sum(arrivals), 0) FROM analytics.histories WHERE account_id = '{account}' AND level = 'overall'"
    );
    Ok(Effects {
        timeline,
        statuses: pairs(site, &statuses).await?,
        last_seqs,
        arrived: number(arrived).await?,
        learned: number(learned).await?,
    })
}

async fn pairs<T>(site: &Site<'_>, sql: &str) -> Result<HashMap<Uuid, T>>
where
    T: std::str::FromStr<Err: std::error::Error + Send + Sync + 'static>,
{
    let pair = |row: Vec<String>| {
        let [id, value] = row.as_slice() else {
            anyhow::bail!("two columns were asked for");
        };
        Ok((id.parse()?, value.parse()?))
    };
    rows(site, sql).await?.into_iter().map(pair).collect()
}

/// The rows of a query, column by column.
async fn rows(site: &Site<'_>, sql: &str) -> Result<Vec<Vec<String>>> {
    let text = site.testbed.sql(sql).await?;
    let columns = |line: &str| line.split('|').map(str::to_owned).collect();
    Ok(text.lines().map(columns).collect())
}
