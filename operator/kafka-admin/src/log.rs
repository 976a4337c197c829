//! What the client complains of. It is kept in its main queue, which nobody else reads: unread, it would only grow.

use std::ffi::{CStr, c_char, c_int};
use std::ptr;

use rdkafka::client::{Client, ClientContext};
use rdkafka_sys as sys;

use crate::native::owned;

/// What a client complains of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// The brokers do not accept its credentials.
    Refused(String),
    /// Anything else.
    Other(String),
}

/// Empties the queue; returns the newest complaint, if there was any.
pub(crate) fn drain<C: ClientContext>(client: &Client<C>) -> Option<Trouble> {
    let mut newest = None;
    // SAFETY: the client is alive. The queue that is given is a reference of our own, destroyed once below.
    let queue = unsafe { sys::rd_kafka_queue_get_main(client.native_ptr()) };
    loop {
        // SAFETY: the queue is alive; no waiting.
        let event = unsafe { sys::rd_kafka_queue_poll(queue, 0) };
        if event.is_null() {
            break;
        }
        // SAFETY: the event is not null; its text is copied before it is destroyed, once.
        unsafe {
            newest = refusal(event).or(line(event)).or(newest);
            sys::rd_kafka_event_destroy(event);
        }
    }
    // SAFETY: our own reference, destroyed once.
    unsafe { sys::rd_kafka_queue_destroy(queue) };
    newest
}

/// The text of an event that tells of refused credentials. It comes after the log's line of the same failure.
///
/// # Safety
/// `event` is a live event of librdkafka.
unsafe fn refusal(event: *mut sys::rd_kafka_event_t) -> Option<Trouble> {
    // SAFETY: the event is alive by this function's contract, and its text is copied.
    unsafe {
        let refused = sys::rd_kafka_event_type(event) == sys::RD_KAFKA_EVENT_ERROR
            && sys::rd_kafka_event_error(event)
                == sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR__AUTHENTICATION;
        refused.then(|| Trouble::Refused(owned(sys::rd_kafka_event_error_string(event))))
    }
}

/// The text of a log event.
///
/// # Safety
/// `event` is a live event of librdkafka.
unsafe fn line(event: *mut sys::rd_kafka_event_t) -> Option<Trouble> {
    let (mut facility, mut text): (*const c_char, *const c_char) = (ptr::null(), ptr::null());
    let mut level: c_int = 0;
    // SAFETY: the event is alive by this function's contract, the pointers are valid for writing, and what they are set
    // to lives as long as the event.
    unsafe {
        let code = sys::rd_kafka_event_log(event, &raw mut facility, &raw mut text, &raw mut level);
        if code != 0 || text.is_null() {
            return None;
        }
        Some(Trouble::Other(
            CStr::from_ptr(text).to_string_lossy().into_owned(),
        ))
    }
}
