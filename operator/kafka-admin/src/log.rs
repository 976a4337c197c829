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

/// Empties the queue; returns the newest complaint, or the `former` one where there is none.
pub(crate) fn drain<C: ClientContext>(client: &Client<C>, former: Option<Trouble>) -> Option<Trouble> {
    let mut newest = former;
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
            newest = error(event).or_else(|| after(newest, line(event)));
            sys::rd_kafka_event_destroy(event);
        }
    }
    // SAFETY: our own reference, destroyed once.
    unsafe { sys::rd_kafka_queue_destroy(queue) };
    newest
}

/// What is left of a complaint after a line of the log. That no broker is left is said after a refusal, too: it does not
/// count, and any other failure of a connection is an error event besides.
fn after(former: Option<Trouble>, line: Option<String>) -> Option<Trouble> {
    match (former, line) {
        (Some(Trouble::Refused(why)), _) => Some(Trouble::Refused(why)),
        (former, line) => line.map(Trouble::Other).or(former),
    }
}

/// The failure of a connection that an event tells of.
///
/// # Safety
/// `event` is a live event of librdkafka.
unsafe fn error(event: *mut sys::rd_kafka_event_t) -> Option<Trouble> {
    // SAFETY: the event is alive by this function's contract, and its text is copied.
    let (code, text) = unsafe {
        if sys::rd_kafka_event_type(event) != sys::RD_KAFKA_EVENT_ERROR {
            return None;
        }
        let text = owned(sys::rd_kafka_event_error_string(event));
        (sys::rd_kafka_event_error(event), text)
    };
    match code {
        sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN => None,
        sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR__AUTHENTICATION => Some(Trouble::Refused(steady(&text))),
        _ => Some(Trouble::Other(text)),
    }
}

/// The text of a failure without how long it took and how often it came: it is shown in a condition, which should not
/// change each time.
fn steady(text: &str) -> String {
    text.rsplit_once(" (after ")
        .map_or(text, |(text, _)| text)
        .to_owned()
}

/// The text of a log event.
///
/// # Safety
/// `event` is a live event of librdkafka.
unsafe fn line(event: *mut sys::rd_kafka_event_t) -> Option<String> {
    let (mut facility, mut text): (*const c_char, *const c_char) = (ptr::null(), ptr::null());
    let mut level: c_int = 0;
    // SAFETY: the event is alive by this function's contract, the pointers are valid for writing, and what they are set
    // to lives as long as the event.
    unsafe {
        let code = sys::rd_kafka_event_log(event, &raw mut facility, &raw mut text, &raw mut level);
        if code != 0 || text.is_null() {
            return None;
        }
        Some(CStr::from_ptr(text).to_string_lossy().into_owned())
    }
}
