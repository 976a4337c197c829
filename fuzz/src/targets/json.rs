//! Values in JSON.
//!
//! Input: which event it is to be, the value. Odd numbers: the rest is an event's content instead.

use arbitrary::Unstructured;
use logistics_chassis::codec::{
    DecodeError, Event, ShipmentAssessed, ShipmentCreated, ShipmentStatusChanged,
};

use super::avro::same_when_written;
use crate::codec::decode;
use crate::events;

pub(crate) fn run(input: &[u8]) {
    let Some((kind, value)) = input.split_first() else {
        return;
    };
    let mut bytes = Unstructured::new(value);
    match kind % 6 {
        0 => read::<ShipmentCreated>(value),
        2 => read::<ShipmentStatusChanged>(value),
        4 => read::<ShipmentAssessed>(value),
        1 => write(events::created(&mut bytes)),
        3 => write(events::changed(&mut bytes)),
        _ => write(events::assessed(&mut bytes)),
    }
}

fn read<E: Event>(value: &[u8]) {
    if value.first() != Some(&b'{') {
        return;
    }
    match decode::<E>(value) {
        Ok(event) => same(&event),
        Err(DecodeError::Json { .. } | DecodeError::Wire(_)) => {}
        Err(error) => panic!("JSON is refused as something else: {error}"),
    }
}

fn write<E: Event>(event: arbitrary::Result<E>) {
    if let Ok(event) = event {
        same(&event);
    }
}

/// The event is the same in Avro and in JSON.
fn same<E: Event>(event: &E) {
    same_when_written(event);
    let text = serde_json::to_vec(event).unwrap_or_default();
    match decode::<E>(&text) {
        Ok(again) => assert_eq!(
            serde_json::to_vec(&again).ok(),
            Some(text),
            "an event changes when it is written as JSON and read"
        ),
        // JSON has no number for these.
        Err(_) if text.windows(4).any(|part| part == b"null") && has_odd_number(&text) => {}
        Err(error) => panic!(
            "what was written cannot be read: {error}: {}",
            String::from_utf8_lossy(&text)
        ),
    }
}

/// Whether a number became `null`: it was infinite or none.
fn has_odd_number(text: &[u8]) -> bool {
    let value: serde_json::Value = serde_json::from_slice(text).unwrap_or_default();
    let none_in = |reasons: &serde_json::Value| {
        reasons
            .as_array()
            .is_some_and(|all| all.iter().any(|one| one["contribution"].is_null()))
    };
    value.get("risk").is_some_and(serde_json::Value::is_null) || value.get("reasons").is_some_and(none_in)
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for fill in [0, 3, 7, 0x41, 0x81] {
        let bytes = [fill; 160];
        for kind in [1, 3, 5] {
            seeds.push([&[kind], bytes.as_slice()].concat());
        }
        let mut bytes = Unstructured::new(&bytes);
        seeds.extend(text(0, events::created(&mut bytes)));
        seeds.extend(text(2, events::changed(&mut bytes)));
        seeds.extend(text(4, events::assessed(&mut bytes)));
    }
    seeds
}

fn text<E: Event>(kind: u8, event: arbitrary::Result<E>) -> Option<Vec<u8>> {
    let mut input = vec![kind];
    serde_json::to_writer(&mut input, &event.ok()?).ok()?;
    Some(input)
}
