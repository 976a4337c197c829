//! The client's log lines. They are kept in its main queue, which nobody else reads: unread, it would only grow.

use std::ffi::{CStr, c_char, c_int};
use std::ptr;

use rdkafka::client::{Client, ClientContext};
use rdkafka_sys as sys;

/// Empties the queue; returns the newest line, if there was any.
pub(crate) fn drain<C: ClientContext>(client: &Client<C>) -> Option<String> {
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
            newest = line(event).or(newest);
            sys::rd_kafka_event_destroy(event);
        }
    }
    // SAFETY: our own reference, destroyed once.
    unsafe { sys::rd_kafka_queue_destroy(queue) };
    newest
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
