//! Parked records, looked at and taken up again. Whoever redrives holds the shipment's row, as the consumer does, so that
//! two redrives at once, or a redrive and a delivery, have one effect.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use chrono::{DateTime, SecondsFormat, Utc};
use logistics_schemas::dead_letters::{Content, DeadLetter, Page, Settled};
use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

use super::batch::{Batch, Counts};
use super::intake::{Intake, Read};
use super::{Failure, Place, Poison, Projection, ProjectionError, Projector, TOPICS};
use crate::audit::{self, Leaf};
use crate::consumer::Record;
use crate::outbox;
use crate::writes::Writes;

/// Where a record is in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LogPlace {
    pub(crate) topic: String,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
}

/// Why a request about a parked record is refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RedriveError {
    /// No such record is parked: it was applied in the meantime, or purged.
    #[error("no record {0} is parked; kubectl logistics dlq list shows those that are")]
    NotParked(String),
    /// A record that only waits is not to be given up.
    #[error("{0} is not the one that holds its shipment up; purge {1} instead")]
    NotFirst(String, String),
    /// Its predecessor never came: there is nothing to give up.
    #[error("{0} waits for event {1} of its shipment, which is not parked: it has to come from the log")]
    Gap(String, i64),
    /// Not now.
    #[error(transparent)]
    Projection(#[from] ProjectionError),
}

impl From<sqlx::Error> for RedriveError {
    fn from(error: sqlx::Error) -> Self {
        Self::Projection(error.into())
    }
}

impl std::fmt::Display for LogPlace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}/{}", self.topic, self.partition, self.offset)
    }
}

#[derive(Debug, sqlx::FromRow)]
struct Row {
    topic: String,
    partition: i32,
    offset: i64,
    shipment_id: Option<Uuid>,
    seq: Option<i64>,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: Value,
    poison_class: Option<String>,
    poison_message: Option<String>,
    parked_at: DateTime<Utc>,
    waiting: i64,
}

/// What is read of a parked record.
const COLUMNS: &str = r#"SELECT topic, partition, "offset", shipment_id, seq, key, value, headers, poison_class, poison_message,
       parked_at, (SELECT count(*) FROM parked behind
                   WHERE behind.shipment_id = parked.shipment_id AND behind.seq > parked.seq) AS waiting
FROM parked"#;

impl Row {
    fn place(&self) -> LogPlace {
        LogPlace {
            topic: self.topic.clone(),
            partition: self.partition,
            offset: self.offset,
        }
    }

    fn letter(&self) -> DeadLetter {
        DeadLetter {
            id: self.place().to_string(),
            shipment_id: self.shipment_id.map(|id| id.to_string()),
            seq: self.seq,
            class: self.poison_class.clone(),
            message: self.poison_message.clone(),
            parked_at: self.parked_at.to_rfc3339_opts(SecondsFormat::Millis, true),
            waiting: self.waiting,
        }
    }

    fn content(&self) -> Content {
        let text = |bytes: Vec<u8>| {
            String::from_utf8(bytes).unwrap_or_else(|error| BASE64.encode(error.into_bytes()))
        };
        let headers = outbox::headers_from_json(&self.headers);
        Content {
            letter: self.letter(),
            headers: headers
                .into_iter()
                .map(|(name, value)| (name, text(value)))
                .collect(),
            key: self.key.clone().map(text),
            value: self.value.as_ref().map(|value| BASE64.encode(value)),
        }
    }

    /// The record as the log told it.
    fn record(&self, topic_prefix: &str) -> Option<Record> {
        let topic = TOPICS.into_iter().find(|topic| topic.name == self.topic)?;
        Some(Record {
            full_topic: topic.full_name(topic_prefix),
            topic,
            partition: self.partition,
            offset: self.offset,
            key: self.key.clone(),
            value: self.value.clone(),
            headers: outbox::headers_from_json(&self.headers),
        })
    }
}

/// What is to become of a parked record.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Verb {
    /// The shipment's parked events are tried again.
    Redrive(Uuid),
    /// It did not tell whose it was, and does now: it is taken as if it came from the log.
    Reread,
    /// The shipment goes on without the event at this position.
    Purge(Uuid, i64),
}

impl Verb {
    const fn method(self) -> &'static str {
        match self {
            Self::Redrive(_) | Self::Reread => REDRIVE,
            Self::Purge(..) => PURGE,
        }
    }

    /// Makes sure that the record is parked still, as of a lock that all who apply events take, and takes it out where it
    /// is not to be found there.
    async fn begin(self, connection: &mut PgConnection, place: &LogPlace) -> Result<(), RedriveError> {
        match self {
            Self::Redrive(shipment) => {
                lock(connection, shipment).await?;
                still_parked(connection, place).await
            }
            Self::Reread => delete(connection, place).await,
            Self::Purge(shipment, seq) => skip(connection, shipment, seq, place).await,
        }
    }

    /// Why something is parked still.
    fn problem(self, poisoned: &HashMap<Place, Poison>, counts: &Counts) -> Option<String> {
        let of = |((_, seq), poison): (&Place, &Poison)| format!("event {seq}: {}", poison.message);
        let waits = counts.applied == 0 && self.method() == REDRIVE;
        let waits = waits.then(|| "it waits for an event before it that did not come yet".to_owned());
        poisoned.iter().map(of).next().or(waits)
    }
}

/// The methods in the audit log.
const REDRIVE: &str = "dlq redrive";
const PURGE: &str = "dlq purge";

impl<P: Projector> Projection<P> {
    /// A page of the parked records after one: those that are poisoned, or all.
    pub(crate) async fn parked(
        &self,
        all: bool,
        after: Option<&LogPlace>,
        limit: u16,
    ) -> Result<Page, RedriveError> {
        let sql = format!(
            r#"{COLUMNS} WHERE ($1 OR poison_class IS NOT NULL) AND (topic, partition, "offset") > ($2, $3, $4)
               ORDER BY topic, partition, "offset" LIMIT $5"#
        );
        let mut rows: Vec<Row> = sqlx::query_as(sqlx::AssertSqlSafe(sql))
            .bind(all)
            .bind(after.map_or("", |place| place.topic.as_str()))
            .bind(after.map_or(-1, |place| place.partition))
            .bind(after.map_or(-1, |place| place.offset))
            .bind(i64::from(limit) + 1)
            .fetch_all(&self.pool)
            .await?;
        let more = rows.len() > usize::from(limit);
        rows.truncate(limit.into());
        Ok(Page {
            next: rows.last().filter(|_| more).map(|row| row.place().to_string()),
            items: rows.iter().map(Row::letter).collect(),
        })
    }

    /// A parked record with what it holds.
    pub(crate) async fn content(&self, place: &LogPlace) -> Result<Content, RedriveError> {
        Ok(self.row(place).await?.content())
    }

    /// Tries a parked record again, and what waits for it.
    pub(crate) async fn redrive(&self, place: &LogPlace, subject: &str) -> Result<Settled, RedriveError> {
        let row = self.row(place).await?;
        match row.shipment_id {
            Some(shipment) => {
                self.settle(
                    &Intake::of_parked(shipment),
                    Verb::Redrive(shipment),
                    &row,
                    subject,
                )
                .await
            }
            None => self.read_again(&row, subject).await,
        }
    }

    /// Gives a poisoned record up, so that its shipment goes on without that event.
    pub(crate) async fn purge(&self, place: &LogPlace, subject: &str) -> Result<Settled, RedriveError> {
        let row = self.row(place).await?;
        if let (Some(shipment), Some(seq)) = (row.shipment_id, row.seq) {
            let verb = Verb::Purge(shipment, seq);
            return self
                .settle(&Intake::of_parked(shipment), verb, &row, subject)
                .await;
        }
        let mut transaction = self.pool.begin().await?;
        delete(&mut transaction, place).await?;
        note(&mut transaction, PURGE, &row, subject).await?;
        transaction.commit().await?;
        Ok(settled(place, 0, None))
    }

    async fn row(&self, place: &LogPlace) -> Result<Row, RedriveError> {
        let sql = format!(r#"{COLUMNS} WHERE topic = $1 AND partition = $2 AND "offset" = $3"#);
        let row = sqlx::query_as(sqlx::AssertSqlSafe(sql))
            .bind(&place.topic)
            .bind(place.partition)
            .bind(place.offset)
            .fetch_optional(&self.pool)
            .await?;
        row.ok_or_else(|| RedriveError::NotParked(place.to_string()))
    }

    /// Applies what came or is parked, as far as it goes.
    async fn settle(
        &self,
        intake: &Intake<'_>,
        verb: Verb,
        row: &Row,
        subject: &str,
    ) -> Result<Settled, RedriveError> {
        let place = row.place();
        let mut poisoned = HashMap::new();
        let mut one_by_one = false;
        loop {
            let mut transaction = self.pool.begin().await?;
            verb.begin(&mut transaction, &place).await?;
            let batch = Batch {
                projection: self,
                intake,
                poisoned: &poisoned,
                one_by_one,
                forgiving: matches!(verb, Verb::Redrive(_)),
            };
            match batch.run(&mut transaction).await {
                Ok(done) => {
                    note(&mut transaction, verb.method(), row, subject).await?;
                    transaction.commit().await?;
                    let problem = verb.problem(&poisoned, &done.counts);
                    return Ok(settled(&place, self.settled(done).await, problem));
                }
                Err(Failure::Transient(error)) => return Err(error.into()),
                Err(Failure::Somewhere) => one_by_one = true,
                Err(Failure::Poisoned(at, poison)) => {
                    poisoned.insert(at, poison);
                    one_by_one = false;
                }
            }
        }
    }

    /// Reads a record again that did not tell whose it is.
    async fn read_again(&self, row: &Row, subject: &str) -> Result<Settled, RedriveError> {
        let place = row.place();
        let records: Vec<_> = row.record(&self.topic_prefix).into_iter().collect();
        let intake = Intake::read(&self.codec, &records)
            .await
            .map_err(ProjectionError::Registry)?;
        match intake.read.first() {
            Some(Read::Event(_)) => {}
            Some(Read::Poison(poison, _)) => return Ok(settled(&place, 0, Some(poison.message.clone()))),
            None => {
                let why = format!("this release reads no topic {}", row.topic);
                return Ok(settled(&place, 0, Some(why)));
            }
        }
        self.settle(&intake, Verb::Reread, row, subject).await
    }
}

fn settled(place: &LogPlace, applied: u64, problem: Option<String>) -> Settled {
    Settled {
        id: place.to_string(),
        applied,
        problem,
    }
}

/// Locks the row by which all who apply events of a shipment take turns; gives what is applied.
async fn lock(connection: &mut PgConnection, shipment: Uuid) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar("SELECT last_seq FROM projected WHERE shipment_id = $1 FOR UPDATE")
        .bind(shipment)
        .fetch_one(connection)
        .await
}

async fn still_parked(connection: &mut PgConnection, place: &LogPlace) -> Result<(), RedriveError> {
    let parked: bool = sqlx::query_scalar(
        r#"SELECT EXISTS (SELECT FROM parked WHERE topic = $1 AND partition = $2 AND "offset" = $3)"#,
    )
    .bind(&place.topic)
    .bind(place.partition)
    .bind(place.offset)
    .fetch_one(connection)
    .await?;
    if parked {
        return Ok(());
    }
    Err(RedriveError::NotParked(place.to_string()))
}

/// Has a shipment go on without the event at `seq`, which has to be the next one.
async fn skip(
    connection: &mut PgConnection,
    shipment: Uuid,
    seq: i64,
    place: &LogPlace,
) -> Result<(), RedriveError> {
    let last_seq = lock(connection, shipment).await?;
    delete(connection, place).await?;
    if last_seq + 1 != seq {
        let first: Option<(String, i32, i64)> = sqlx::query_as(
            r#"SELECT topic, partition, "offset" FROM parked WHERE shipment_id = $1 AND seq = $2"#,
        )
        .bind(shipment)
        .bind(last_seq + 1)
        .fetch_optional(connection)
        .await?;
        return Err(match first {
            Some((topic, partition, offset)) => {
                RedriveError::NotFirst(place.to_string(), format!("{topic}/{partition}/{offset}"))
            }
            None => RedriveError::Gap(place.to_string(), last_seq + 1),
        });
    }
    sqlx::query("UPDATE projected SET last_seq = $2 WHERE shipment_id = $1")
        .bind(shipment)
        .bind(seq)
        .execute(connection)
        .await?;
    Ok(())
}

async fn delete(connection: &mut PgConnection, place: &LogPlace) -> Result<(), RedriveError> {
    let done = sqlx::query(r#"DELETE FROM parked WHERE topic = $1 AND partition = $2 AND "offset" = $3"#)
        .bind(&place.topic)
        .bind(place.partition)
        .bind(place.offset)
        .execute(connection)
        .await?;
    // Another request was faster.
    if done.rows_affected() == 0 {
        return Err(RedriveError::NotParked(place.to_string()));
    }
    Ok(())
}

async fn note(
    connection: &mut PgConnection,
    method: &'static str,
    row: &Row,
    subject: &str,
) -> Result<(), sqlx::Error> {
    let leaf = Leaf::of_operator(
        subject,
        method,
        &row.place().to_string(),
        row.shipment_id.unwrap_or_default(),
    );
    let mut writes = Writes::default();
    audit::append(&mut writes, &[leaf]);
    writes.execute(connection).await
}
