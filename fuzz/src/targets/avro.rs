//! Values in the registry's wire format, written with any schema that is known.
//!
//! Input: the place of the writer's schema, the datum.

use logistics_chassis::codec::{Event, ShipmentAssessed, ShipmentCreated, ShipmentStatusChanged};
use logistics_schemas::topics::{SHIPMENT_CREATED, SHIPMENT_STATUS_CHANGED};

use crate::codec::{WRITERS, decode, encode, reworded};

pub(crate) fn run(input: &[u8]) {
    let Some((writer, datum)) = input.split_first() else {
        return;
    };
    let id = usize::from(*writer) % WRITERS.len();
    let topic = WRITERS[id].topic;
    if topic == SHIPMENT_CREATED {
        read::<ShipmentCreated>(id, datum);
    } else if topic == SHIPMENT_STATUS_CHANGED {
        read::<ShipmentStatusChanged>(id, datum);
    } else {
        read::<ShipmentAssessed>(id, datum);
    }
}

fn read<E: Event>(id: usize, datum: &[u8]) {
    let framed = |id: u32| [&[0], id.to_be_bytes().as_slice(), datum].concat();
    let value = framed(u32::try_from(id).unwrap_or_default());
    let read = decode::<E>(&value);
    // An event of a writer with our own schema is read straight; by way of a value it is the same, or none either.
    if let Some(reworded) = reworded(id) {
        match (&read, decode::<E>(&framed(reworded))) {
            (Ok(straight), Ok(resolved)) => assert_eq!(encode(straight), encode(&resolved)),
            (Err(_), Err(_)) => {}
            (straight, resolved) => panic!(
                "schema {id}: one way reads what the other refuses: {:?}, {:?}",
                straight.as_ref().err(),
                resolved.err()
            ),
        }
    }
    let Ok(event) = read else {
        return;
    };
    same_when_written(&event);
    // Where an event ends is in the event: nothing that is cut off can be one.
    for length in [value.len() - 1, usize::midpoint(5, value.len())] {
        assert!(
            datum.is_empty() || decode::<E>(&value[..length]).is_err(),
            "schema {id}: {length} of {} bytes are an event too",
            value.len()
        );
    }
}

/// What was read can be written, and is then read as the same. Bytes are compared: not every number equals itself.
pub(crate) fn same_when_written<E: Event>(event: &E) {
    let written = encode(event);
    match decode::<E>(&written) {
        Ok(again) => assert_eq!(
            encode(&again),
            written,
            "an event changes when it is written and read"
        ),
        Err(error) => panic!("what was written cannot be read: {error}"),
    }
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let mut seeds: Vec<Vec<u8>> = (0..WRITERS.len())
        .filter_map(|id| Some(vec![u8::try_from(id).ok()?]))
        .collect();
    for value in samples::all() {
        // The wire format's header ends with the id, which is less than 256 here.
        seeds.push(value[4..].to_vec());
    }
    seeds
}

/// Events of each kind, as values.
pub(crate) mod samples {
    use arbitrary::Unstructured;

    use crate::codec::encode;
    use crate::events;

    pub(crate) fn all() -> Vec<Vec<u8>> {
        let mut values = Vec::new();
        for fill in [0, 3, 7, 0x41, 0x81, 0xff] {
            let bytes = [fill; 160];
            let mut bytes = Unstructured::new(&bytes);
            values.extend(events::created(&mut bytes).ok().map(|event| encode(&event)));
            values.extend(events::changed(&mut bytes).ok().map(|event| encode(&event)));
            values.extend(events::assessed(&mut bytes).ok().map(|event| encode(&event)));
        }
        values
    }
}
