//! Records from key, value and headers to an event with its place.
//!
//! Input: an event's content, then what is changed in its record.

use std::sync::{Arc, LazyLock};

use arbitrary::{Result, Unstructured};
use futures::FutureExt as _;
use logistics_chassis::cloudevents::EventWriter;
use logistics_chassis::codec::Event;
use logistics_chassis::consumer::Record;
use logistics_chassis::projection::{Observed, ShipmentEvent, observe};
use logistics_chassis::telemetry::propagation;
use logistics_schemas::headers::{EVENT, ID, SEQUENCE};
use logistics_schemas::topics::Topic;
use uuid::Uuid;

use crate::codec::codec;
use crate::events;

static WRITER: LazyLock<EventWriter> = LazyLock::new(|| {
    let codec = Arc::new(codec().clone());
    EventWriter::named(
        "/logistics/test/acme/shipment".to_owned(),
        "acme.".to_owned(),
        codec,
    )
});

pub(crate) fn run(input: &[u8]) {
    // Fewer bytes than are wanted: nothing to be fed.
    let _ = feed(&mut Unstructured::new(input));
}

fn feed(bytes: &mut Unstructured<'_>) -> Result<()> {
    let id = Uuid::from_u128(u128::from(bytes.arbitrary::<u64>()?));
    let (mut record, event) = if bytes.arbitrary()? {
        let event = events::created(bytes)?;
        (written(id, &event), ShipmentEvent::Created(event))
    } else {
        let event = events::changed(bytes)?;
        (written(id, &event), ShipmentEvent::StatusChanged(event))
    };
    let whole = observed(&record);
    match &whole {
        Observed::Event {
            event_id,
            event: read,
            ..
        } => {
            assert_eq!(
                (*event_id, &**read),
                (id, &event),
                "a record is not read as it was written"
            );
        }
        // Its account cannot be kept.
        Observed::Unread { .. } => assert!(event.account_id().contains('\0')),
        Observed::Nothing => panic!("a record that was written says nothing"),
    }
    while !bytes.is_empty() {
        change(&mut record, bytes)?;
    }
    look(&record);
    Ok(())
}

/// The record as a consumer gets it.
fn written<E: Event>(id: Uuid, event: &E) -> Record {
    let record = match WRITER.record(id, chrono::DateTime::UNIX_EPOCH, event) {
        Ok(record) => record,
        Err(error) => panic!("an event cannot be written: {error}"),
    };
    of_topic(E::TOPIC, record)
}

fn of_topic(topic: Topic, record: logistics_chassis::outbox::Record) -> Record {
    assert_eq!(record.topic, topic.full_name("acme."));
    Record {
        topic,
        full_topic: record.topic,
        partition: 0,
        offset: 0,
        key: record.key,
        value: record.payload,
        headers: record.headers,
    }
}

fn change(record: &mut Record, bytes: &mut Unstructured<'_>) -> Result<()> {
    match bytes.int_in_range(0..=6)? {
        0_u8 => record.key = bytes.arbitrary()?,
        1 => record.value = bytes.arbitrary()?,
        2 => {
            // A byte of the value, as long as there is one.
            let (at, by) = (bytes.arbitrary::<u16>()?, bytes.arbitrary()?);
            if let Some(byte) = record
                .value
                .as_mut()
                .and_then(|value| value.get_mut(usize::from(at)))
            {
                *byte = by;
            }
        }
        3 => {
            let name = bytes.choose(&EVENT)?.name.to_owned();
            record.headers.push((name, bytes.arbitrary()?));
        }
        4 => record.headers.push((bytes.arbitrary()?, bytes.arbitrary()?)),
        5 => {
            let name = bytes.choose(&EVENT)?.name;
            record.headers.retain(|(one, _)| one != name);
        }
        _ => {
            let seq: i64 = bytes.arbitrary()?;
            record
                .headers
                .push((SEQUENCE.name.to_owned(), seq.to_string().into_bytes()));
        }
    }
    Ok(())
}

fn observed(record: &Record) -> Observed {
    match observe(codec(), record).now_or_never() {
        Some(observed) => observed,
        None => panic!("a record is waited for"),
    }
}

/// Whatever is told of a record is in it, and can be kept.
fn look(record: &Record) {
    propagation::set_parent(&tracing::Span::none(), |name| record.header(name));
    let key = record
        .key
        .as_deref()
        .and_then(|key| Uuid::try_parse_ascii(key).ok());
    let stated = record
        .header(SEQUENCE.name)
        .and_then(|seq| seq.parse::<i64>().ok());
    match observed(record) {
        Observed::Event {
            event_id,
            shipment_id,
            seq,
            event,
        } => {
            assert_eq!(
                key,
                Some(shipment_id),
                "an event of another shipment than its key says"
            );
            assert_eq!(seq == 1, matches!(*event, ShipmentEvent::Created(_)));
            assert!(seq >= 1 && stated.is_none_or(|stated| stated < 1 || stated == seq));
            let id = record.header(ID.name).and_then(|id| Uuid::parse_str(id).ok());
            assert_eq!(id, Some(event_id));
            assert!(
                !event.account_id().contains('\0'),
                "an account that PostgreSQL cannot keep"
            );
        }
        Observed::Unread { shipment_id, seq } => {
            assert_eq!((key, stated), (Some(shipment_id), Some(seq)));
            assert!(seq >= 1);
        }
        Observed::Nothing => {}
    }
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    [0_u8, 1, 3, 7, 0x41, 0x81]
        .into_iter()
        .flat_map(|fill| [90, 160, 400].map(|length| vec![fill; length]))
        .collect()
}
