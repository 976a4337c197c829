//! arrow-avro, which reads into columns: a record is a row of them.

use anyhow::{Context as _, Result, bail, ensure};
use arrow_array::cast::AsArray as _;
use arrow_array::types::{Float64Type, Int32Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{Array as _, RecordBatch};
use arrow_avro::reader::{Decoder, DecoderMode, ReaderBuilder};
use arrow_avro::schema::{AvroSchema, SchemaStore};

use crate::readers::{Kind, Place, Probe};

/// A decoder of so many records at a time.
pub(crate) fn decoder(writer: &str, reader: &str, rows: usize) -> Result<Decoder> {
    let mut store = SchemaStore::new();
    let fingerprint = store.register(AvroSchema::new(writer.to_owned()))?;
    Ok(ReaderBuilder::new()
        .with_writer_schema_store(store)
        .with_active_fingerprint(fingerprint)
        .with_decoder_mode(DecoderMode::UnframedDatum)
        .with_reader_schema(AvroSchema::new(reader.to_owned()))
        .with_batch_size(rows)
        .build_decoder()?)
}

pub(crate) fn read(writer: &str, reader: &str, datum: &[u8]) -> Result<Probe> {
    let mut decoder = decoder(writer, reader, 1)?;
    ensure!(decoder.decode(datum)? == datum.len(), "bytes are left over");
    probe(&decoder.flush()?.context("no row")?)
}

fn probe(batch: &RecordBatch) -> Result<Probe> {
    let column = |name: &str| batch.column_by_name(name).with_context(|| name.to_owned());
    let text = |name: &str| -> Result<String> {
        let column = column(name)?.as_string_opt::<i32>().context("no text")?;
        Ok(column.value(0).to_owned())
    };
    let kinds = column("kind")?
        .as_dictionary_opt::<Int32Type>()
        .context("no dictionary")?;
    let symbol = kinds.key(0).context("no symbol")?;
    let symbols = kinds.values().as_string_opt::<i32>().context("no symbols")?;
    let place = column("place")?.as_struct_opt().context("no record")?;
    let part = |name: &str| -> Result<String> {
        let column = place.column_by_name(name).context("no field")?;
        Ok(column
            .as_string_opt::<i32>()
            .context("no text")?
            .value(0)
            .to_owned())
    };
    let tags = column("tags")?.as_list_opt::<i32>().context("no list")?.value(0);
    let tags = tags.as_string_opt::<i32>().context("no texts")?;
    Ok(Probe {
        id: text("id")?,
        seq: column("seq")?
            .as_primitive_opt::<Int64Type>()
            .context("no long")?
            .value(0),
        share: column("share")?
            .as_primitive_opt::<Float64Type>()
            .context("no double")?
            .value(0),
        kind: match symbols.value(symbol) {
            "SCAN" => Kind::Scan,
            "ORDER" => Kind::Order,
            "DELAY" => Kind::Delay,
            other => bail!("kind {other}"),
        },
        place: Place {
            code: part("code")?,
            facility: part("facility")?,
        },
        tags: tags.iter().flatten().map(str::to_owned).collect(),
        channel: text("channel")?,
        note: if column("note")?.is_null(0) {
            None
        } else {
            Some(text("note")?)
        },
        at: column("at")?
            .as_primitive_opt::<TimestampMicrosecondType>()
            .context("no time")?
            .value(0),
    })
}
