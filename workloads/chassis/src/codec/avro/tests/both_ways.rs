//! An event of a writer with our own schema is read straight, of any other by way of a value: neither takes what the other refuses.

use logistics_domain::delay::DelayReason;
use logistics_domain::eta::Estimate;
use logistics_domain::journey::Stay;
use logistics_domain::status::Status;
use uuid::Uuid;

use super::{Codec, assessed, at, changed, created, own, place, round_trip, topics};
use crate::codec::datum::Unreadable;
use crate::codec::{
    Arrival, Event, ProofOfDelivery, ShipmentCreated, ShipmentObserved, ShipmentStatusChanged,
};

fn observed() -> ShipmentObserved {
    let estimate = Estimate {
        delay: 12.5,
        low: -3.0,
        high: 40.0,
    };
    ShipmentObserved {
        shipment_id: Uuid::max(),
        seq: 5,
        account_id: "acct-1".into(),
        carrier: "UA".into(),
        origin: "EWR".into(),
        destination: "IAH".into(),
        stay: Some(Stay {
            status: Status::InTransit,
            minutes: 187.0,
        }),
        arrival: Some(Arrival {
            planned_departure: at(1),
            promised_arrival: at(7),
            departed_at: Some(at(2)),
            arrived_at: at(9),
            at_creation: Some(estimate),
            in_transit: None,
        }),
        recorded_at: at(11),
    }
}

/// Straight, a record is refused whose name is not the type's.
#[test]
fn an_observation_is_read_as_it_was_written() {
    for (stay, arrival) in [(true, true), (true, false), (false, true), (false, false)] {
        let event = ShipmentObserved {
            stay: observed().stay.filter(|_| stay),
            arrival: observed().arrival.filter(|_| arrival),
            ..observed()
        };
        assert_eq!(round_trip(&event), event);
    }
}

#[test]
fn a_cut_datum_is_an_error_at_every_length() {
    let own = own(topics::SHIPMENT_CREATED);
    let datum = own.encode(&created()).unwrap();
    for writer in [own.schema, &own.schema.clone()] {
        for length in 0..datum.len() {
            let cut = own.decode::<ShipmentCreated>(writer, &datum[..length]);
            assert!(matches!(cut, Err(Unreadable::CutOff)), "{length} bytes: {cut:?}");
        }
        let longer = [datum.as_slice(), &[0; 3]].concat();
        let longer = own.decode::<ShipmentCreated>(writer, &longer);
        assert!(matches!(longer, Err(Unreadable::Trailing(3))), "{longer:?}");
    }
}

/// Whatever somebody else has put into the bytes: straight or by way of a value, an event is the same, or none either.
#[test]
fn both_ways_read_the_same_of_bytes_that_were_changed() {
    both_ways(&created());
    both_ways(&assessed());
    both_ways(&observed());
    both_ways(&ShipmentStatusChanged {
        retracts: Some(Uuid::from_u128(9)),
        delay: Some(DelayReason::Weather),
        proof: Some(ProofOfDelivery::default()),
        ..changed(Status::PickedUp, Some(place("ORD")))
    });
}

fn both_ways<E: Event>(event: &E) {
    let own = own(E::TOPIC);
    let other = own.schema.clone();
    let right = own.encode(event).unwrap();
    let (mut taken, mut refused) = (0, 0);
    for place in 0..right.len() {
        for byte in [0, 1, 2, 3, 4, 0x3f, 0x7e, 0x7f, 0x80, 0xff] {
            let mut bytes = right.clone();
            bytes[place] = byte;
            let straight = own.decode::<E>(own.schema, &bytes);
            let resolved = own.decode::<E>(&other, &bytes);
            match (&straight, &resolved) {
                (Ok(straight), Ok(resolved)) => {
                    assert_eq!(own.encode(straight).unwrap(), own.encode(resolved).unwrap());
                    taken += 1;
                }
                (Err(_), Err(_)) => refused += 1,
                _ => panic!(
                    "byte {place} is {byte:#04x}: {:?}, {:?}",
                    straight.err(),
                    resolved.err()
                ),
            }
        }
    }
    assert!(taken > 0 && refused > 0, "{taken} taken, {refused} refused");
}

/// Else nothing would be wrong, and everything slow.
#[tokio::test]
async fn only_the_very_schema_that_is_our_own_is_read_straight() {
    let text = topics::SHIPMENT_CREATED.schema.unwrap();
    let reworded = text.replace("IATA code.", "An IATA code.");
    assert_ne!(reworded, text);
    let codec = Codec::offline(&[topics::SHIPMENT_CREATED], &[(1, text), (2, &reworded)]).unwrap();
    let own = own(topics::SHIPMENT_CREATED).schema;
    for (id, straight) in [(1, true), (2, false)] {
        let writer = codec.writer(id).await.unwrap();
        assert_eq!(
            std::ptr::eq(&raw const *writer.schema, own),
            straight,
            "schema {id}"
        );
    }
}
