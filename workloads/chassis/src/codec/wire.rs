//! The registry's wire format: one zero byte, the schema's id (4 bytes, big-endian), the Avro datum.

const MAGIC: u8 = 0;
const HEADER_BYTES: usize = 5;

/// Longest value that is written or read. An event has a few hundred bytes; Kafka's own limit is 1 MiB.
pub const MAX_VALUE_BYTES: usize = 256 * 1024;

/// Bytes that are not in the wire format.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// A tombstone, or no value at all.
    #[error("the record has no value")]
    Missing,
    /// Over [`MAX_VALUE_BYTES`].
    #[error("the value has {0} bytes; at most {MAX_VALUE_BYTES} are taken")]
    TooLong(usize),
    /// Shorter than its own header.
    #[error("the value has {0} bytes; {HEADER_BYTES} (a zero byte and a schema id) come before the event")]
    TooShort(usize),
    /// Another format.
    #[error("the value starts with byte {0:#04x}; the wire format of the schema registry starts with 0x00")]
    Magic(u8),
}

/// Puts the header before an Avro datum.
pub(super) fn frame(schema_id: u32, datum: &[u8]) -> Result<Vec<u8>, WireError> {
    let length = HEADER_BYTES + datum.len();
    if length > MAX_VALUE_BYTES {
        return Err(WireError::TooLong(length));
    }
    let mut bytes = Vec::with_capacity(length);
    bytes.push(MAGIC);
    bytes.extend_from_slice(&schema_id.to_be_bytes());
    bytes.extend_from_slice(datum);
    Ok(bytes)
}

/// Splits a value into the id of its writer's schema and the Avro datum.
pub(super) fn unframe(value: &[u8]) -> Result<(u32, &[u8]), WireError> {
    match value {
        [] => Err(WireError::Missing),
        _ if value.len() > MAX_VALUE_BYTES => Err(WireError::TooLong(value.len())),
        [MAGIC, a, b, c, d, datum @ ..] => Ok((u32::from_be_bytes([*a, *b, *c, *d]), datum)),
        [MAGIC, ..] => Err(WireError::TooShort(value.len())),
        [other, ..] => Err(WireError::Magic(*other)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_framed_is_read_back() {
        let framed = frame(0x0102_0304, b"datum").unwrap();
        assert_eq!(framed, b"\x00\x01\x02\x03\x04datum");
        assert_eq!(unframe(&framed), Ok((0x0102_0304, b"datum".as_slice())));
    }

    #[test]
    fn what_is_no_frame_is_named() {
        let cases: [(&str, Vec<u8>, WireError); 4] = [
            ("tombstone", vec![], WireError::Missing),
            ("JSON", b"{\"a\":1}".to_vec(), WireError::Magic(b'{')),
            ("cut short", vec![0, 0, 1], WireError::TooShort(3)),
            (
                "huge",
                vec![0; MAX_VALUE_BYTES + 1],
                WireError::TooLong(MAX_VALUE_BYTES + 1),
            ),
        ];
        for (name, value, error) in cases {
            assert_eq!(unframe(&value), Err(error), "{name}");
        }
        assert!(frame(1, &vec![0; MAX_VALUE_BYTES]).is_err());
    }
}
