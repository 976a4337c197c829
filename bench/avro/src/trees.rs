//! `babbel_avro`, which reads into trees of its own: what they are is up to the caller.

use anyhow::{Context as _, Result, bail};
use babbel_avro::{AvroSchema, from_bytes_with_schemas};
use babbel_core::Value;
use serde::Deserialize as _;
use serde_json::Value as Json;

use crate::readers::Probe;

pub(crate) fn read(writer: &str, reader: &str, datum: &[u8]) -> Result<Probe> {
    let tree = tree(&schema(writer)?, &schema(reader)?, datum)?;
    Ok(Probe::deserialize(json(tree)?)?)
}

/// A schema.
pub(crate) fn schema(text: &str) -> Result<AvroSchema> {
    AvroSchema::parse_str(text).map_err(|error| anyhow::anyhow!("{error:?}"))
}

/// A value, not yet of our types.
pub(crate) fn tree(writer: &AvroSchema, reader: &AvroSchema, datum: &[u8]) -> Result<Value> {
    from_bytes_with_schemas(datum, writer, reader).map_err(|error| anyhow::anyhow!("{error:?}"))
}

fn json(tree: Value) -> Result<Json> {
    Ok(match tree {
        Value::Null => Json::Null,
        Value::Bool(flag) => flag.into(),
        Value::Integer(number) => i64::try_from(number)?.into(),
        Value::Float(number) => serde_json::Number::from_f64(number).context("no number")?.into(),
        Value::String(text) => text.into(),
        Value::Array(items) => items.into_iter().map(json).collect::<Result<_>>()?,
        Value::Object(fields) => {
            let fields = fields.into_iter().map(|(name, field)| Ok((name, json(field)?)));
            Json::Object(fields.collect::<Result<_>>()?)
        }
        Value::Bytes(_) => bail!("bytes instead of text"),
    })
}
