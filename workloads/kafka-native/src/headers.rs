//! The headers of a Kafka record, whatever bytes their names are.
//!
//! Kafka asks for no UTF-8 in a name. The safe wrapper panics at a name that is none, so one record of anybody who may write to
//! a topic would end every process that reads it, again after each restart.

use std::ffi::{CStr, c_char, c_void};
use std::ptr;

use rdkafka::message::BorrowedMessage;
use rdkafka_sys as sys;

/// A header: its name, and its value.
pub type Header = (String, Vec<u8>);

/// The headers of a record, in order. In a name, what is no UTF-8 is replaced; a value that is missing is empty.
#[must_use]
pub fn of(message: &BorrowedMessage<'_>) -> Vec<Header> {
    let mut headers = ptr::null_mut();
    // SAFETY: the message is alive as long as it is borrowed, and so are its headers, which stay its own.
    let code = unsafe { sys::rd_kafka_message_headers(message.ptr(), &raw mut headers) };
    if code != sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR || headers.is_null() {
        return Vec::new();
    }
    // SAFETY: librdkafka has just given them, and nobody changes them.
    unsafe { all(headers) }
}

/// # Safety
/// `headers` are alive, and are not changed in the meantime.
unsafe fn all(headers: *const sys::rd_kafka_headers_t) -> Vec<Header> {
    let mut found = Vec::new();
    loop {
        let mut name: *const c_char = ptr::null();
        let mut value: *const c_void = ptr::null();
        let mut length = 0;
        // SAFETY: as the caller promises; the places are there to be written to.
        let code = unsafe {
            sys::rd_kafka_header_get_all(
                headers,
                found.len(),
                &raw mut name,
                &raw mut value,
                &raw mut length,
            )
        };
        if code != sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR || name.is_null() {
            return found;
        }
        // SAFETY: librdkafka ends a name with a zero byte.
        let name = unsafe { CStr::from_ptr(name) };
        let value = if value.is_null() {
            Vec::new()
        } else {
            // SAFETY: the value has as many bytes as librdkafka says, and lives as long as the headers.
            unsafe { std::slice::from_raw_parts(value.cast::<u8>(), length) }.to_vec()
        };
        found.push((name.to_string_lossy().into_owned(), value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_name_and_any_value_is_read() {
        let given: [(&[u8], Option<&[u8]>); 4] = [
            (b"ce_id", Some(b"1")),
            (b"\xff\xfe", Some(b"\x00\xff")),
            (b"", Some(b"")),
            (b"ce_id", None),
        ];
        // SAFETY: made here, filled with names and values that are alive, read, and destroyed once.
        let found = unsafe {
            let headers = sys::rd_kafka_headers_new(given.len());
            for (name, value) in given {
                let (at, length) = value.map_or((ptr::null(), 0), |value| (value.as_ptr(), value.len()));
                let code = sys::rd_kafka_header_add(
                    headers,
                    name.as_ptr().cast(),
                    name.len().cast_signed(),
                    at.cast(),
                    length.cast_signed(),
                );
                assert_eq!(code, sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR);
            }
            let found = all(headers);
            sys::rd_kafka_headers_destroy(headers);
            found
        };
        let expected = [
            ("ce_id", b"1".as_slice()),
            ("\u{fffd}\u{fffd}", b"\x00\xff"),
            ("", b""),
            ("ce_id", b""),
        ];
        assert_eq!(
            found,
            expected.map(|(name, value)| (name.to_owned(), value.to_vec()))
        );
    }
}
