//! The codec over a real schema registry: one that is filled late, that has newer schemas, and that goes away.

use std::time::Duration;

use anyhow::{Context as _, Result};
use apache_avro::Schema;
use apache_avro::types::Value;
use apache_avro::writer::datum::GenericDatumWriter;
use chrono::DateTime;
use logistics_chassis::codec::{Codec, DecodeError, Location, ShipmentCreated};
use logistics_schemas::config::{SchemaRegistry, Tls, TlsMode};
use logistics_schemas::topics::SHIPMENT_CREATED;
use uuid::Uuid;

const PREFIX: &str = "codec.";

fn event() -> ShipmentCreated {
    let place = |code: &str| Location {
        code: code.to_owned(),
        facility: String::new(),
    };
    ShipmentCreated {
        shipment_id: Uuid::from_u128(7),
        seq: 1,
        account_id: "acct-1".to_owned(),
        actor: "ann".to_owned(),
        carrier: "UA".to_owned(),
        tracking_number: "1545".to_owned(),
        origin: place("EWR"),
        destination: place("IAH"),
        planned_departure: DateTime::UNIX_EPOCH,
        promised_arrival: DateTime::UNIX_EPOCH,
        recorded_at: DateTime::UNIX_EPOCH,
    }
}

/// Registers a schema, as the operator does; gives its id.
async fn register(url: &str, schema: &str) -> Result<u32> {
    let subject = SHIPMENT_CREATED.subject(PREFIX).context("no subject")?;
    let answer: serde_json::Value = reqwest::Client::new()
        .post(format!("{url}/subjects/{subject}/versions"))
        .json(&serde_json::json!({ "schema": schema }))
        .send()
        .await?
        .error_for_status()?
        .json()
        .await?;
    Ok(u32::try_from(answer["id"].as_u64().context("no id")?)?)
}

fn framed(id: u32, datum: &[u8]) -> Vec<u8> {
    [&[0], id.to_be_bytes().as_slice(), datum].concat()
}

/// What a newer release would write: one field more.
fn written_with(newer: &str, id: u32) -> Result<Vec<u8>> {
    let mut value = apache_avro::to_value(event())?;
    if let Value::Record(fields) = &mut value {
        fields.push(("weight_grams".to_owned(), Value::Long(7)));
    }
    let schema = Schema::parse_str(newer)?;
    let value = value.resolve(&schema)?;
    let datum = GenericDatumWriter::builder(&schema)
        .build()?
        .write_value_to_vec(value)?;
    Ok(framed(id, &datum))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_codec_waits_for_the_registry_and_outlives_it() -> Result<()> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let registry = dev_rig::schema_registry().await?;
    let config = SchemaRegistry {
        url: registry.url.clone(),
        tls: Tls {
            mode: TlsMode::Disabled,
            ca_file: None,
        },
    };
    let mut early = Box::pin(Codec::connect(&config, PREFIX, &[SHIPMENT_CREATED]));
    let answered = tokio::time::timeout(Duration::from_millis(300), &mut early).await;
    assert!(answered.is_err(), "the schema is not registered yet");
    let schema = SHIPMENT_CREATED.schema.context("no schema")?;
    let id = register(&registry.url, schema).await?;
    let codec = early.await?;
    let value = codec.encode(&event())?;
    assert_eq!(value[..5], framed(id, &[]));
    assert_eq!(codec.decode::<ShipmentCreated>(&value).await?, event());

    let field = r#"{"name": "weight_grams", "type": "long", "default": 0}"#;
    let newer = schema
        .trim_end()
        .trim_end_matches('}')
        .trim_end()
        .trim_end_matches(']')
        .to_owned();
    let newer = format!("{newer}, {field}]}}");
    let newer_id = register(&registry.url, &newer).await?;
    assert_ne!(newer_id, id);
    let newer_value = written_with(&newer, newer_id)?;
    assert_eq!(codec.decode::<ShipmentCreated>(&newer_value).await?, event());
    let unknown = codec.decode::<ShipmentCreated>(&framed(4_000_000, b"")).await;
    assert!(
        matches!(unknown, Err(DecodeError::UnknownSchema { id: 4_000_000 })),
        "{unknown:?}"
    );

    registry.kill();
    assert_eq!(codec.decode::<ShipmentCreated>(&value).await?, event());
    assert_eq!(codec.decode::<ShipmentCreated>(&newer_value).await?, event());
    let away = codec.decode::<ShipmentCreated>(&framed(4_000_001, b"")).await;
    assert!(away.as_ref().is_err_and(DecodeError::is_transient), "{away:?}");
    Ok(())
}
