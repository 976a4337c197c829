use chrono::{DateTime, TimeDelta, Utc};
use logistics_domain::delay::DelayReason;
use logistics_domain::status::{Classifier, Disposition, Kind, Status};
use logistics_schemas::topics;
use uuid::Uuid;

use apache_avro::writer::datum::GenericDatumWriter;

use super::*;
use crate::codec::{
    Location, ProofOfDelivery, RiskReason, ShipmentAssessed, ShipmentCreated, ShipmentStatusChanged,
    Unbounded,
};

fn at(micros: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::microseconds(micros)
}

fn place(code: &str) -> Location {
    Location {
        code: code.into(),
        facility: "Terminal C".into(),
    }
}

fn created() -> ShipmentCreated {
    ShipmentCreated {
        shipment_id: Uuid::from_u128(0x0123_4567_89ab_cdef_0123_4567_89ab_cdef),
        seq: 1,
        account_id: "acct-1".into(),
        actor: "demo".into(),
        carrier: "UA".into(),
        tracking_number: "1545".into(),
        origin: place("EWR"),
        destination: place("IAH"),
        planned_departure: at(1_357_034_100_000_000),
        promised_arrival: at(1_357_047_000_123_456),
        recorded_at: at(1_700_000_000_000_001),
    }
}

fn changed(status: Status, location: Option<Location>) -> ShipmentStatusChanged {
    ShipmentStatusChanged {
        shipment_id: Uuid::from_u128(7),
        seq: 2,
        account_id: "acct-1".into(),
        actor: "scanner".into(),
        reported: status,
        status,
        classifier: Classifier::Estimated,
        disposition: Disposition::Conflict,
        occurred_at: at(-1),
        recorded_at: at(5),
        location,
        reason: "weather".into(),
        kind: Kind::Scan,
        retracts: None,
        delay: None,
        notice: None,
        proof: None,
        assignee: String::new(),
    }
}

fn assessed() -> ShipmentAssessed {
    let reason = RiskReason {
        factor: "lane_history".into(),
        contribution: -0.25,
        text: "often early".into(),
    };
    ShipmentAssessed {
        shipment_id: Uuid::max(),
        seq: 3,
        account_id: "acct-1".into(),
        risk: 0.125,
        reasons: vec![reason],
        estimated_arrival: at(10),
        earliest_arrival: at(5),
        latest_arrival: at(15),
        assessed_at: at(1),
    }
}

fn own(topic: Topic) -> &'static Prepared {
    Prepared::of(topic.schema.unwrap()).unwrap()
}

fn round_trip<E: Event>(event: &E) -> E {
    let own = own(E::TOPIC);
    let datum = own.encode(event).unwrap();
    let straight: E = own.decode(own.schema, &datum).unwrap();
    // The same by the way that other writers' events go.
    let resolved: E = own.decode(&own.schema.clone(), &datum).unwrap();
    assert_eq!(
        serde_json::to_value(&straight).unwrap(),
        serde_json::to_value(&resolved).unwrap()
    );
    straight
}

#[test]
fn a_creation_is_read_as_it_was_written() {
    assert_eq!(round_trip(&created()), created());
}

#[test]
fn every_status_and_a_missing_place_are_read_as_they_were_written() {
    for status in Status::ALL {
        for location in [None, Some(place("ORD"))] {
            let event = changed(status, location);
            assert_eq!(round_trip(&event), event);
        }
    }
}

#[test]
fn every_kind_and_all_that_only_one_has_are_read_as_they_were_written() {
    for kind in Kind::ALL {
        for delay in DelayReason::ALL.map(Some).into_iter().chain([None]) {
            let event = ShipmentStatusChanged {
                kind,
                retracts: Some(Uuid::from_u128(9)),
                delay,
                notice: delay,
                proof: Some(ProofOfDelivery {
                    signer: "Bob".into(),
                    image_ref: "s3://proofs/1.jpg".into(),
                    signature_ref: String::new(),
                }),
                assignee: "carl".into(),
                ..changed(Status::Delivered, None)
            };
            assert_eq!(round_trip(&event), event);
            let json = serde_json::to_vec(&event).unwrap();
            assert_eq!(decode_json::<ShipmentStatusChanged>(&json).unwrap(), event);
        }
    }
}

/// What the log may still hold: written before an event could be taken back, tell of a delay, or carry a proof.
#[test]
fn an_event_of_the_last_release_is_a_scan() {
    let old = Schema::parse_str(include_str!(
        "../../../../../schemas/baseline/avro/shipment.status_changed.avsc"
    ))
    .unwrap();
    let own = own(topics::SHIPMENT_STATUS_CHANGED);
    let expected = changed(Status::PickedUp, Some(place("ORD")));
    let apache_avro::types::Value::Record(mut fields) = apache_avro::to_value(&expected).unwrap() else {
        panic!("no record");
    };
    let apache_avro::Schema::Record(record) = &old else {
        panic!("no record");
    };
    fields.retain(|(name, _)| record.fields.iter().any(|field| field.name == *name));
    let datum = write(&old, &apache_avro::types::Value::Record(fields.clone()));
    assert_eq!(
        own.decode::<ShipmentStatusChanged>(&old, &datum).unwrap(),
        expected
    );

    let mut json = serde_json::to_value(&expected).unwrap();
    json.as_object_mut()
        .unwrap()
        .retain(|name, _| record.fields.iter().any(|field| field.name == *name));
    assert_eq!(
        decode_json::<ShipmentStatusChanged>(json.to_string().as_bytes()).unwrap(),
        expected
    );
}

#[test]
fn an_assessment_is_read_as_it_was_written() {
    assert_eq!(round_trip(&assessed()), assessed());
}

/// The bytes that any other Avro implementation would write: enums as indexes, the uuid as text, times as zigzag longs.
#[test]
fn the_bytes_are_those_of_the_avro_specification() {
    let datum = own(topics::SHIPMENT_STATUS_CHANGED)
        .encode(&changed(Status::PickedUp, None))
        .unwrap();
    let mut expected = vec![72];
    expected.extend_from_slice(b"00000000-0000-0000-0000-000000000007");
    expected.push(4);
    expected.extend_from_slice(b"\x0cacct-1\x0escanner");
    expected.extend_from_slice(&[2, 2, 2, 4, 1, 10, 0]);
    expected.extend_from_slice(b"\x0eweather");
    expected.extend_from_slice(&[0, 0, 0, 0, 0, 0]);
    assert_eq!(datum, expected);
}

#[test]
fn a_newer_writer_and_an_older_writer_are_both_understood() {
    let own = own(topics::SHIPMENT_CREATED);
    let text = topics::SHIPMENT_CREATED.schema.unwrap();
    let newer = text.replace(
        r#"{"name": "recorded_at""#,
        r#"{"name": "weight_grams", "type": "long", "default": 9}, {"name": "recorded_at""#,
    );
    let older = text
        .replace(r#"{"name": "facility", "type": "string", "default": ""}"#, "")
        .replace("IATA code.\"},\n      \n", "IATA code.\"}\n");
    assert_ne!(newer, text);
    assert_ne!(older, text);
    let (newer, older) = (
        Schema::parse_str(&newer).unwrap(),
        Schema::parse_str(&older).unwrap(),
    );

    let mut json = apache_avro::to_value(created()).unwrap();
    if let apache_avro::types::Value::Record(fields) = &mut json {
        fields.insert(10, ("weight_grams".into(), apache_avro::types::Value::Long(7)));
    }
    let datum = write(&newer, &json);
    assert_eq!(own.decode::<ShipmentCreated>(&newer, &datum).unwrap(), created());

    let strip =
        |fields: &mut Vec<(String, apache_avro::types::Value)>| fields.retain(|(name, _)| name != "facility");
    let mut value = apache_avro::to_value(created()).unwrap();
    if let apache_avro::types::Value::Record(fields) = &mut value {
        for (_, field) in fields.iter_mut() {
            if let apache_avro::types::Value::Record(inner) = field {
                strip(inner);
            }
        }
    }
    let datum = write(&older, &value);
    let mut expected = created();
    expected.origin.facility = String::new();
    expected.destination.facility = String::new();
    assert_eq!(own.decode::<ShipmentCreated>(&older, &datum).unwrap(), expected);
}

fn write(schema: &Schema, value: &apache_avro::types::Value) -> Vec<u8> {
    let value = value.clone().resolve(schema).unwrap();
    GenericDatumWriter::builder(schema)
        .build()
        .unwrap()
        .write_value_to_vec(value)
        .unwrap()
}

/// What is missing at the end might be taken for null.
#[tokio::test]
async fn an_event_that_may_end_in_null_is_not_one_when_it_is_cut_off() {
    let text = topics::SHIPMENT_STATUS_CHANGED.schema.unwrap();
    let mut older: serde_json::Value = serde_json::from_str(text).unwrap();
    older["fields"].as_array_mut().unwrap().pop();
    let older = older.to_string();
    let codec = Codec::offline(&[topics::SHIPMENT_STATUS_CHANGED], &[(1, text), (2, &older)]).unwrap();
    let mut value = codec.encode(&changed(Status::PickedUp, None)).unwrap().bytes;
    // All but the last field, an empty text.
    value.pop();
    value[4] = 2;
    assert_eq!(
        codec.decode::<ShipmentStatusChanged>(&value).await.unwrap(),
        changed(Status::PickedUp, None)
    );
    for length in 5..value.len() {
        let cut = codec.decode::<ShipmentStatusChanged>(&value[..length]).await;
        assert!(
            matches!(cut, Err(DecodeError::CutOff { id: 2 })),
            "{length} bytes: {cut:?}"
        );
    }
}

/// Anybody's schema may be named. This one would make a value as deep as it is long.
#[tokio::test]
async fn a_value_that_is_deeper_than_the_stack_is_not_read() {
    let text = topics::SHIPMENT_CREATED.schema.unwrap();
    let mut deep: serde_json::Value = serde_json::from_str(text).unwrap();
    let node = serde_json::json!({"type": "record", "name": "Node", "fields": [{"name": "next", "type": ["null", "Node"]}]});
    let field = serde_json::json!({"name": "chain", "type": node});
    deep["fields"].as_array_mut().unwrap().insert(0, field);
    let refused = Codec::offline(&[topics::SHIPMENT_CREATED], &[(1, &deep.to_string())]);
    assert!(matches!(
        refused,
        Err(StartError::Writer(DecodeError::Unbounded {
            id: 1,
            source: Unbounded::Recursive
        }))
    ));
}

mod both_ways;
