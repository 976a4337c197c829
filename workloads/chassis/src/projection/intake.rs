//! Reads records: each is an event with its place, or poison, with or without a place.

use std::collections::BTreeMap;

use logistics_schemas::headers::{ID, SEQUENCE};
use logistics_schemas::topics::{SHIPMENT_CREATED, SHIPMENT_STATUS_CHANGED};
use uuid::Uuid;

use super::{Poison, Sequenced, ShipmentEvent};
use crate::codec::{Codec, DecodeError};
use crate::consumer::{Record, header};
use crate::telemetry::propagation;

/// The records of a batch, read.
pub(super) struct Intake<'a> {
    pub(super) records: &'a [Record],
    /// By index in the batch.
    pub(super) read: Vec<Read>,
    /// Indexes by shipment, in the order of delivery.
    pub(super) by_shipment: BTreeMap<Uuid, Vec<usize>>,
    /// Indexes of poison that does not tell whose it is.
    pub(super) nowhere: Vec<usize>,
}

/// A record, read.
pub(super) enum Read {
    /// An event.
    Event(Box<Sequenced>),
    /// What can never be read; its position, if it tells.
    Poison(Poison, Option<i64>),
}

impl<'a> Intake<'a> {
    /// Nothing new, of a shipment with parked records.
    pub(super) fn of_parked(shipment: Uuid) -> Self {
        Self {
            records: &[],
            read: Vec::new(),
            by_shipment: BTreeMap::from([(shipment, Vec::new())]),
            nowhere: Vec::new(),
        }
    }

    /// Reads a batch. Fails only when the registry is needed and away.
    pub(super) async fn read(codec: &Codec, records: &'a [Record]) -> Result<Self, DecodeError> {
        let mut intake = Self {
            records,
            read: Vec::with_capacity(records.len()),
            by_shipment: BTreeMap::new(),
            nowhere: Vec::new(),
        };
        for (index, record) in records.iter().enumerate() {
            let (shipment, read) = read_record(codec, record).await?;
            match shipment {
                Some(shipment) => intake.by_shipment.entry(shipment).or_default().push(index),
                None => intake.nowhere.push(index),
            }
            intake.read.push(read);
        }
        Ok(intake)
    }
}

async fn read_record(codec: &Codec, record: &Record) -> Result<(Option<Uuid>, Read), DecodeError> {
    let key = record
        .key
        .as_deref()
        .and_then(|key| Uuid::try_parse_ascii(key).ok());
    let seq = position(&record.headers);
    let value = record.value.as_deref().unwrap_or_default();
    let poison = match decode(codec, record.topic.name, value).await {
        Ok(event) => match sequence(event, key, &record.headers, record.topic.name) {
            Ok(event) => return Ok((key, Read::Event(Box::new(event)))),
            Err(poison) => poison,
        },
        Err(error) if error.is_transient() => return Err(error),
        Err(error) => Poison::new(error.class(), &error),
    };
    // Without a position there is no place to hold.
    Ok((seq.and(key), Read::Poison(poison, seq)))
}

/// Reads a record that was parked.
pub(super) async fn read_parked(
    codec: &Codec,
    topic: &str,
    shipment: Uuid,
    value: &[u8],
    headers: &[(String, Vec<u8>)],
) -> Result<Result<Sequenced, Poison>, DecodeError> {
    match decode(codec, topic, value).await {
        Ok(event) => Ok(sequence(event, Some(shipment), headers, topic)),
        Err(error) if error.is_transient() => Err(error),
        Err(error) => Ok(Err(Poison::new(error.class(), &error))),
    }
}

/// What a record at the end of the log tells of its shipment.
#[derive(Clone, Debug, PartialEq)]
pub enum Observed {
    /// An event, whether its turn has come or not.
    Event {
        /// The event's id.
        event_id: Uuid,
        /// The shipment.
        shipment_id: Uuid,
        /// Position among the shipment's events.
        seq: i64,
        /// The event.
        event: Box<ShipmentEvent>,
    },
    /// There is an event at this position, but the record cannot be read, or not now.
    Unread {
        /// The shipment.
        shipment_id: Uuid,
        /// Its position.
        seq: i64,
    },
    /// Nothing.
    Nothing,
}

/// Looks at a record without processing it.
pub async fn observe(codec: &Codec, record: &Record) -> Observed {
    let key = record
        .key
        .as_deref()
        .and_then(|key| Uuid::try_parse_ascii(key).ok());
    let value = record.value.as_deref().unwrap_or_default();
    if let Ok(event) = decode(codec, record.topic.name, value).await
        && let Ok((event_id, shipment_id, seq)) = place(&event, key, &record.headers, record.topic.name)
    {
        return Observed::Event {
            event_id,
            shipment_id,
            seq,
            event: Box::new(event),
        };
    }
    match (key, position(&record.headers)) {
        (Some(shipment_id), Some(seq)) => Observed::Unread { shipment_id, seq },
        _ => Observed::Nothing,
    }
}

async fn decode(codec: &Codec, topic: &str, value: &[u8]) -> Result<ShipmentEvent, DecodeError> {
    if topic == SHIPMENT_CREATED.name {
        codec.decode(value).await.map(ShipmentEvent::Created)
    } else {
        debug_assert_eq!(
            topic, SHIPMENT_STATUS_CHANGED.name,
            "projections read shipments only"
        );
        codec.decode(value).await.map(ShipmentEvent::StatusChanged)
    }
}

/// Gives an event its place, or says why its key, headers and value do not fit together.
fn sequence(
    event: ShipmentEvent,
    key: Option<Uuid>,
    headers: &[(String, Vec<u8>)],
    topic: &str,
) -> Result<Sequenced, Poison> {
    let (event_id, shipment_id, seq) = place(&event, key, headers, topic)?;
    let span = tracing::info_span!(
        "process event",
        otel.name = format!("process {topic}"),
        otel.kind = "consumer",
        messaging.system = "kafka",
        messaging.destination.name = topic,
        messaging.operation.type = "process",
        logistics.shipment.id = %shipment_id,
        logistics.shipment.seq = seq,
    );
    propagation::set_parent(&span, |name| header(headers, name));
    Ok(Sequenced {
        event_id,
        shipment_id,
        seq,
        event,
        span,
    })
}

/// The event's id, shipment and position, where its key, headers and value agree on them.
fn place(
    event: &ShipmentEvent,
    key: Option<Uuid>,
    headers: &[(String, Vec<u8>)],
    topic: &str,
) -> Result<(Uuid, Uuid, i64), Poison> {
    let (shipment_id, seq, first) = match event {
        ShipmentEvent::Created(event) => (event.shipment_id, event.seq, true),
        ShipmentEvent::StatusChanged(event) => (event.shipment_id, event.seq, false),
    };
    let misfit = |message: String| Err(Poison::new("misfit", &message));
    if key != Some(shipment_id) {
        return misfit(format!(
            "the record's key is not the event's shipment {shipment_id}"
        ));
    }
    if seq < 1 || (seq == 1) != first {
        return misfit(format!("an event of topic {topic} cannot be at position {seq}"));
    }
    if event.account_id().contains('\0') {
        return misfit("the event's account holds a zero byte, which PostgreSQL cannot keep".to_owned());
    }
    if position(headers).is_some_and(|header| header != seq) {
        return misfit(format!(
            "the header {} is not the event's position {seq}",
            SEQUENCE.name
        ));
    }
    let Some(event_id) = header(headers, ID.name).and_then(|id| Uuid::parse_str(id).ok()) else {
        return misfit(format!("the header {} is missing, or no UUID", ID.name));
    };
    Ok((event_id, shipment_id, seq))
}

fn position(headers: &[(String, Vec<u8>)]) -> Option<i64> {
    header(headers, SEQUENCE.name)?
        .parse()
        .ok()
        .filter(|seq| *seq > 0)
}
