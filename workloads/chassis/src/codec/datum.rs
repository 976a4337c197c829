//! Events as Avro data, without the registry's prefix.

use std::io::Read;

use apache_avro::Schema;
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::writer::datum::GenericDatumWriter;

use super::event::Event;

pub(super) fn encode_datum<E: Event>(schema: &Schema, event: &E) -> Result<Vec<u8>, apache_avro::Error> {
    GenericDatumWriter::builder(schema)
        .build()?
        .write_ser_to_vec(event)
}

/// The bytes of an event. The decoder takes the end of its input for a null where it may stand, so it is noticed here.
pub(super) struct Datum<'a> {
    pub(super) rest: &'a [u8],
    /// Whether more was asked for than there is.
    pub(super) cut_off: bool,
}

impl<'a> Datum<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self {
            rest: bytes,
            cut_off: false,
        }
    }
}

impl Read for Datum<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.cut_off |= self.rest.is_empty() && !buffer.is_empty();
        self.rest.read(buffer)
    }
}

pub(super) fn decode_datum<E: Event>(
    writer: &Schema,
    reader: &Schema,
    datum: &mut impl Read,
) -> Result<E, apache_avro::Error> {
    let value = GenericDatumReader::builder(writer)
        .reader_schema(reader)
        .build()?
        .read_value(datum)?;
    apache_avro::from_value(&value)
}
