//! Events as Avro data, without the registry's prefix.

use std::collections::HashMap;
use std::fmt;
use std::io::Read;
use std::sync::{LazyLock, Mutex, PoisonError};

use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::writer::datum::GenericDatumWriter;
use apache_avro::{Error, Schema};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Why bytes are no event.
#[derive(Debug)]
pub(super) enum Unreadable {
    /// They end within it.
    CutOff,
    /// So many are left over.
    Trailing(usize),
    /// They do not fit the schemas.
    Misfit(Box<Error>),
}

/// One of our own schemas, with all that can be known before there is an event: to look its names up for each event takes up
/// to half of the time that the event takes.
pub(super) struct Prepared {
    pub(super) schema: &'static Schema,
    writer: GenericDatumWriter<'static>,
    reader: GenericDatumReader<'static>,
}

impl fmt::Debug for Prepared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prepared").finish_non_exhaustive()
    }
}

/// Never forgotten: their texts are part of the program, so they are few.
static PREPARED: LazyLock<Mutex<HashMap<&'static str, &'static Prepared>>> = LazyLock::new(Mutex::default);

impl Prepared {
    /// The schema with this text.
    pub(super) fn of(text: &'static str) -> Result<&'static Self, Error> {
        let mut all = PREPARED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = all.get(text) {
            return Ok(known);
        }
        let schema: &'static Schema = Box::leak(Box::new(Schema::parse_str(text)?));
        let prepared: &'static Self = Box::leak(Box::new(Self {
            schema,
            writer: GenericDatumWriter::builder(schema).build()?,
            reader: GenericDatumReader::builder(schema).build()?,
        }));
        all.insert(text, prepared);
        Ok(prepared)
    }

    /// The bytes of an event.
    pub(super) fn encode<E: Serialize>(&self, event: &E) -> Result<Vec<u8>, Error> {
        self.writer.write_ser_to_vec(event)
    }

    /// The event in these bytes, all of which are its own. Of a writer with this very schema it is read straight; of others,
    /// a value is made that is then resolved (docs/decisions/0012).
    pub(super) fn decode<E: DeserializeOwned>(&self, writer: &Schema, bytes: &[u8]) -> Result<E, Unreadable> {
        if std::ptr::eq(writer, self.schema) {
            whole(bytes, |datum| self.reader.read_deser(datum))
        } else {
            resolved(writer, self.schema, bytes)
        }
    }
}

/// The event in these bytes, all of which are its own, by whatever schemas.
pub(super) fn resolved<E: DeserializeOwned>(
    writer: &Schema,
    reader: &Schema,
    bytes: &[u8],
) -> Result<E, Unreadable> {
    whole(bytes, |datum| {
        let value = GenericDatumReader::builder(writer)
            .reader_schema(reader)
            .build()?
            .read_value(datum)?;
        apache_avro::from_value(&value)
    })
}

fn whole<E>(bytes: &[u8], read: impl FnOnce(&mut Datum<'_>) -> Result<E, Error>) -> Result<E, Unreadable> {
    let mut datum = Datum {
        rest: bytes,
        cut_off: false,
    };
    let event = read(&mut datum);
    // Said first: what is missing may have been taken for null, and then be wrong or not.
    if datum.cut_off {
        return Err(Unreadable::CutOff);
    }
    let event = event.map_err(|source| Unreadable::Misfit(Box::new(source)))?;
    match datum.rest.len() {
        0 => Ok(event),
        left => Err(Unreadable::Trailing(left)),
    }
}

/// The bytes of an event. The decoder takes the end of its input for a null where it may stand, so it is noticed here.
struct Datum<'a> {
    rest: &'a [u8],
    /// Whether more was asked for than there is.
    cut_off: bool,
}

impl Read for Datum<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.cut_off |= self.rest.is_empty() && !buffer.is_empty();
        self.rest.read(buffer)
    }
}
