//! Poisoned records as dead letters: through the outbox, so that a dead letter topic that is away is no special case.

use chrono::{SecondsFormat, Utc};
use logistics_schemas::headers;
use logistics_schemas::topics::DLQ_SUFFIX;
use sqlx::PgConnection;
use uuid::Uuid;

use super::sql::{ParkedRecord, Parking};
use super::{Place, Poison};
use crate::consumer::Record;
use crate::outbox;
use crate::writes::Writes;

/// A poisoned record and why it is one.
pub(super) struct Letter {
    full_topic: String,
    partition: i32,
    offset: i64,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: Vec<(String, Vec<u8>)>,
    place: Option<Place>,
    poison: Poison,
}

impl Letter {
    /// The letter of a record that is parked now; `None` when it only waits.
    pub(super) fn of(parking: &Parking<'_>) -> Option<Self> {
        Some(Self {
            place: parking.shipment.zip(parking.seq),
            ..Self::of_unread(parking.record, parking.poison?.clone())
        })
    }

    /// The letter of a record that was parked before.
    pub(super) fn of_parked(row: ParkedRecord, topic_prefix: &str, poison: &Poison) -> Self {
        Self {
            full_topic: format!("{topic_prefix}{}", row.topic),
            partition: row.partition,
            offset: row.offset,
            key: row.key,
            value: row.value,
            headers: outbox::headers_from_json(&row.headers),
            place: Some((row.shipment_id, row.seq)),
            poison: poison.clone(),
        }
    }

    /// The letter of a record that is kept nowhere else.
    fn of_unread(record: &Record, poison: Poison) -> Self {
        Self {
            full_topic: record.full_topic.clone(),
            partition: record.partition,
            offset: record.offset,
            key: record.key.clone(),
            value: record.value.clone(),
            headers: record.headers.clone(),
            place: None,
            poison,
        }
    }

    fn into_record(self, group: &str) -> outbox::Record {
        let Self {
            full_topic,
            partition,
            offset,
            key,
            value,
            mut headers,
            place,
            poison,
        } = self;
        let now = Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true);
        // The same for the same record, whoever reads it.
        let id = Uuid::new_v5(
            &Uuid::NAMESPACE_OID,
            format!("{group}/{full_topic}/{partition}/{offset}").as_bytes(),
        );
        let topic = format!("{full_topic}{DLQ_SUFFIX}");
        for (header, text) in [
            (headers::DLQ_TOPIC, full_topic),
            (headers::DLQ_PARTITION, partition.to_string()),
            (headers::DLQ_OFFSET, offset.to_string()),
            (headers::DLQ_GROUP, group.to_owned()),
            (headers::DLQ_MESSAGE, poison.message),
            (headers::DLQ_CLASS, poison.class.to_owned()),
            // What cannot be read is not tried again.
            (headers::DLQ_ATTEMPTS, "1".to_owned()),
            (headers::DLQ_FIRST_FAILED_AT, now),
        ] {
            headers.push((header.name.to_owned(), text.into_bytes()));
        }
        let (aggregate_id, seq) = place.unwrap_or((id, offset));
        outbox::Record {
            id,
            aggregate_id,
            seq,
            topic,
            key,
            payload: value,
            headers,
        }
    }
}

/// Writes the letters to the outbox, keys and values unchanged.
pub(super) async fn send(
    connection: &mut PgConnection,
    group: &str,
    letters: Vec<Letter>,
) -> Result<(), sqlx::Error> {
    let records: Vec<outbox::Record> = letters
        .into_iter()
        .map(|letter| letter.into_record(group))
        .collect();
    let mut writes = Writes::default();
    outbox::append(&mut writes, &records);
    writes.execute(connection).await
}

/// Tells the dead letter topic of records that `group` goes on without; in the transaction of what it does instead, so
/// that each is told once.
pub async fn send_unread(
    connection: &mut PgConnection,
    group: &str,
    unread: Vec<(&Record, Poison)>,
) -> Result<(), sqlx::Error> {
    let letters = unread
        .into_iter()
        .map(|(record, poison)| Letter::of_unread(record, poison));
    send(connection, group, letters.collect()).await
}

#[cfg(test)]
mod tests {
    use logistics_schemas::topics::{self, Topic};

    use crate::projection::TOPICS;

    #[test]
    fn every_topic_that_is_read_has_a_dead_letter_topic() {
        let read = topics::ALL.into_iter().filter(|topic| !topic.readers.is_empty());
        for topic in read {
            let kept = topics::ALL
                .iter()
                .filter(|one| one.dead_letters_of() == Some(topic));
            assert_eq!(kept.count(), 1, "{}", topic.name);
        }
    }

    #[test]
    fn the_contract_names_the_topics_that_are_projected_as_read_by_several() {
        let read: Vec<Topic> = topics::ALL
            .into_iter()
            .filter(|topic| topic.readers.len() > 1)
            .collect();
        assert_eq!(read, TOPICS);
    }
}
