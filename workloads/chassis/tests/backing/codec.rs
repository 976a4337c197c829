//! The codec over a real schema registry: one that is filled late, that has newer schemas, and that goes away.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use apache_avro::Schema;
use apache_avro::types::Value;
use apache_avro::writer::datum::GenericDatumWriter;
use chrono::DateTime;
use logistics_chassis::codec::{
    Codec, CodecMetrics, DecodeError, Encoding, Location, Lookup, ShipmentCreated,
};
use logistics_schemas::Workload;
use logistics_schemas::config::{self, SchemaRegistry, Tls, TlsMode};
use logistics_schemas::topics::SHIPMENT_CREATED;
use logistics_testbed::{Testbed, eventually};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::support::MIGRATIONS;

pub(crate) const PREFIX: &str = "codec.";

pub(crate) fn event() -> ShipmentCreated {
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
pub(crate) async fn register(url: &str, schema: &str) -> Result<u32> {
    let subject = SHIPMENT_CREATED.subject(PREFIX).context("no subject")?;
    register_as(url, &subject, schema).await
}

async fn register_as(url: &str, subject: &str, schema: &str) -> Result<u32> {
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

fn plain(url: &str) -> SchemaRegistry {
    SchemaRegistry {
        url: url.to_owned(),
        tls: Tls {
            mode: TlsMode::Disabled,
            ca_file: None,
        },
        credentials: None,
        encoding: config::Encoding::Avro,
    }
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
    let config = plain(&registry.url);
    let mut early = Box::pin(Codec::connect(&config, PREFIX, &[SHIPMENT_CREATED]));
    let answered = tokio::time::timeout(Duration::from_millis(300), &mut early).await;
    assert!(answered.is_err(), "the schema is not registered yet");
    let schema = SHIPMENT_CREATED.schema.context("no schema")?;
    let id = register(&registry.url, schema).await?;
    let codec = early.await?;
    let value = codec.encode(&event())?.bytes;
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

/// The database of a service.
pub(crate) async fn pool(testbed: &Testbed) -> Result<PgPool> {
    testbed.migrate(&[&MIGRATIONS]).await?;
    Ok(testbed
        .chassis(Workload::Shipment, "codec", &MIGRATIONS)
        .await?
        .pool)
}

pub(crate) async fn open(config: &SchemaRegistry, pool: &PgPool) -> Result<(Codec, Lookup)> {
    let metrics = CodecMetrics::default();
    Ok(Codec::open(config, PREFIX, &[SHIPMENT_CREATED], pool.clone(), metrics).await?)
}

/// The id that a value in Avro names.
fn id_of(value: &[u8]) -> Option<u32> {
    Some(u32::from_be_bytes(value.get(1..5)?.try_into().ok()?))
}

/// Who asks for JSON gets it, and reads what others write.
#[tokio::test(flavor = "multi_thread")]
async fn json_is_written_where_it_is_asked_for_and_avro_is_read() -> Result<()> {
    let testbed = Testbed::database_only().await?;
    let pool = pool(&testbed).await?;
    let registry = dev_rig::schema_registry().await?;
    let avro = plain(&registry.url);
    let json = SchemaRegistry {
        encoding: config::Encoding::Json,
        ..avro.clone()
    };
    register(&registry.url, SHIPMENT_CREATED.schema.context("no schema")?).await?;
    let (writes_avro, _) = open(&avro, &pool).await?;
    let (writes_json, _) = open(&json, &pool).await?;
    let (first, second) = (writes_avro.encode(&event())?, writes_json.encode(&event())?);
    assert_eq!(
        (first.encoding, second.encoding),
        (Encoding::Avro, Encoding::Json)
    );
    for codec in [&writes_avro, &writes_json] {
        for value in [&first.bytes, &second.bytes] {
            assert_eq!(codec.decode::<ShipmentCreated>(value).await?, event());
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_registry_events_are_json_and_what_was_seen_is_avro() -> Result<()> {
    let testbed = Testbed::database_only().await?;
    let pool = pool(&testbed).await?;
    let registry = dev_rig::schema_registry().await?;
    let config = plain(&registry.url);
    let schema = SHIPMENT_CREATED.schema.context("no schema")?;

    // Never seen, and away: JSON, which is read again.
    registry.kill();
    let (codec, lookup) = open(&config, &pool).await?;
    let fallback = codec.encode(&event())?;
    assert_eq!(fallback.encoding, Encoding::Json);
    assert_eq!(codec.decode::<ShipmentCreated>(&fallback.bytes).await?, event());
    let broken = codec.decode::<ShipmentCreated>(b"{\"seq\": 1}").await;
    assert!(
        matches!(&broken, Err(error) if error.class() == "json_mismatch" && !error.is_transient()),
        "{broken:?}"
    );

    // It is back: Avro from then on, and both are read.
    let stop = CancellationToken::new();
    let looking = tokio::spawn(lookup.run(stop.clone()));
    registry.start_again().await?;
    let id = register(&registry.url, schema).await?;
    let value = eventually("the id is known", || async {
        let encoded = codec.encode(&event())?;
        Ok((encoded.encoding == Encoding::Avro).then_some(encoded.bytes))
    })
    .await?;
    looking.await?;
    assert_eq!(id_of(&value), Some(id));
    for value in [&value, &fallback.bytes] {
        assert_eq!(codec.decode::<ShipmentCreated>(value).await?, event());
    }

    // Seen, and away: Avro at once.
    registry.kill();
    let start = Instant::now();
    let (codec, lookup) = open(&config, &pool).await?;
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
    assert_eq!(codec.encode(&event())?.bytes, value);
    assert_eq!(codec.decode::<ShipmentCreated>(&value).await?, event());

    // A registry that was made anew gives other ids; what was written before is read as ever.
    registry.start_again().await?;
    register_as(
        &registry.url,
        "another",
        r#"{"type": "record", "name": "Other", "fields": []}"#,
    )
    .await?;
    let other = register(&registry.url, schema).await?;
    assert_ne!(other, id);
    lookup.run(stop).await;
    assert_eq!(id_of(&codec.encode(&event())?.bytes), Some(other));
    assert_eq!(codec.decode::<ShipmentCreated>(&value).await?, event());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_remembered_schema_that_does_not_fit_is_asked_for_again() -> Result<()> {
    let testbed = Testbed::database_only().await?;
    let pool = pool(&testbed).await?;
    let registry = dev_rig::schema_registry().await?;
    let schema = SHIPMENT_CREATED.schema.context("no schema")?;
    let id = register(&registry.url, schema).await?;
    // Of a registry that was there before this one.
    let strange = r#"{"type": "record", "name": "Other", "fields": [{"name": "x", "type": "double"}]}"#;
    let newer = schema
        .trim_end()
        .trim_end_matches('}')
        .trim_end()
        .trim_end_matches(']');
    let newer = format!(r#"{newer}, {{"name": "weight_grams", "type": "long", "default": 0}}]}}"#);
    let newer_id = register(&registry.url, &newer).await?;
    sqlx::query("INSERT INTO seen_schemas (id, schema) VALUES ($1, $2)")
        .bind(i64::from(newer_id))
        .bind(strange)
        .execute(&pool)
        .await?;
    let (codec, _) = open(&plain(&registry.url), &pool).await?;
    let value = written_with(&newer, newer_id)?;
    assert_eq!(codec.decode::<ShipmentCreated>(&value).await?, event());
    let kept: String = sqlx::query_scalar("SELECT schema FROM seen_schemas WHERE id = $1")
        .bind(i64::from(newer_id))
        .fetch_one(&pool)
        .await?;
    assert!(kept.contains("weight_grams"), "{kept}");
    assert_ne!(newer_id, id);
    Ok(())
}
