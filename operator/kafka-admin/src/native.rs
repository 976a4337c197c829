//! What calls of librdkafka that its safe wrapper lacks have in common: resources, options, the queue of answers, and answers.

use std::ffi::{CStr, CString, c_char};
use std::time::Duration;

use rdkafka::client::{Client, ClientContext};
use rdkafka_sys as sys;

/// Room for an error text of librdkafka.
const ERROR_TEXT: usize = 512;

/// Why a read failed.
pub(crate) enum Failure {
    /// As a whole: no broker answered, or not as it should.
    Call(String),
    /// A broker does not tell of one topic.
    Topic {
        /// The topic.
        topic: String,
        /// What the broker says.
        reason: String,
    },
}

impl From<String> for Failure {
    fn from(reason: String) -> Self {
        Self::Call(reason)
    }
}

/// A time-out as librdkafka takes it.
pub(crate) fn milliseconds(timeout: Duration) -> i32 {
    i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX)
}

/// Options of a request.
pub(crate) struct Options(pub(crate) *mut sys::rd_kafka_AdminOptions_t);

impl Options {
    pub(crate) fn new<C: ClientContext>(
        client: &Client<C>,
        operation: sys::rd_kafka_admin_op_t,
        timeout: Duration,
    ) -> Result<Self, String> {
        // SAFETY: the client is alive.
        let options = unsafe { sys::rd_kafka_AdminOptions_new(client.native_ptr(), operation) };
        if options.is_null() {
            return Err("librdkafka does not know the operation".into());
        }
        let options = Self(options);
        let mut text: [c_char; ERROR_TEXT] = [0; ERROR_TEXT];
        // SAFETY: the options are alive, and the buffer is as long as it is said to be.
        let code = unsafe {
            sys::rd_kafka_AdminOptions_set_request_timeout(
                options.0,
                milliseconds(timeout),
                text.as_mut_ptr(),
                text.len(),
            )
        };
        if code == sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
            Ok(options)
        } else {
            // SAFETY: librdkafka ends the text in the buffer with a zero byte.
            Err(unsafe { owned(text.as_ptr()) })
        }
    }
}

impl Drop for Options {
    fn drop(&mut self) {
        // SAFETY: made by `new`, owned by this value, destroyed once.
        unsafe { sys::rd_kafka_AdminOptions_destroy(self.0) }
    }
}

/// A topic with keys of its configuration.
pub(crate) struct Resource(pub(crate) *mut sys::rd_kafka_ConfigResource_t);

impl Resource {
    pub(crate) fn new(topic: &str) -> Result<Self, String> {
        let name = CString::new(topic).map_err(|_| "its name holds a zero byte".to_owned())?;
        // SAFETY: the name is a C string that outlives the call, which copies it.
        let resource = unsafe {
            sys::rd_kafka_ConfigResource_new(
                sys::rd_kafka_ResourceType_t::RD_KAFKA_RESOURCE_TOPIC,
                name.as_ptr(),
            )
        };
        if resource.is_null() {
            Err("librdkafka refuses its name".into())
        } else {
            Ok(Self(resource))
        }
    }

    /// Names a key that is set.
    pub(crate) fn set(&self, key: &str, value: &str) -> Result<(), String> {
        let text = |text: &str| CString::new(text).map_err(|_| format!("{key} holds a zero byte"));
        let (name, value) = (text(key)?, text(value)?);
        // SAFETY: the resource is alive, and both C strings outlive the call, which copies them.
        let error = unsafe {
            sys::rd_kafka_ConfigResource_add_incremental_config(
                self.0,
                name.as_ptr(),
                sys::rd_kafka_AlterConfigOpType_t::RD_KAFKA_ALTER_CONFIG_OP_TYPE_SET,
                value.as_ptr(),
            )
        };
        if error.is_null() {
            return Ok(());
        }
        // SAFETY: the error is not null and is destroyed once, after its text has been copied.
        unsafe {
            let reason = owned(sys::rd_kafka_error_string(error));
            sys::rd_kafka_error_destroy(error);
            Err(reason)
        }
    }

    /// Names a key that is asked for.
    pub(crate) fn ask(&self, key: &str) -> Result<(), String> {
        let name = CString::new(key).map_err(|_| format!("{key:?} holds a zero byte"))?;
        // SAFETY: the resource is alive, and both C strings outlive the call, which copies them.
        let code = unsafe { sys::rd_kafka_ConfigResource_set_config(self.0, name.as_ptr(), c"".as_ptr()) };
        if code == sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
            Ok(())
        } else {
            // SAFETY: the text is a constant of librdkafka.
            Err(unsafe { owned(sys::rd_kafka_err2str(code)) })
        }
    }
}

impl Drop for Resource {
    fn drop(&mut self) {
        // SAFETY: made by `new`, owned by this value, destroyed once.
        unsafe { sys::rd_kafka_ConfigResource_destroy(self.0) }
    }
}

/// The queue on which an answer arrives.
pub(crate) struct Queue(pub(crate) *mut sys::rd_kafka_queue_t);

impl Queue {
    pub(crate) fn new<C: ClientContext>(client: &Client<C>) -> Self {
        // SAFETY: the client is alive; a queue keeps what it needs of it.
        Self(unsafe { sys::rd_kafka_queue_new(client.native_ptr()) })
    }

    /// Waits for the answer to a request that has a time-out itself, a little longer than that: its error says more.
    pub(crate) fn wait(&self, timeout: Duration) -> Result<Event, String> {
        let limit = milliseconds(timeout).saturating_add(1000);
        // SAFETY: the queue is alive.
        let event = unsafe { sys::rd_kafka_queue_poll(self.0, limit) };
        if event.is_null() {
            return Err("no broker answered in time".into());
        }
        let event = Event(event);
        // SAFETY: the event is alive, and so is its text while it is copied.
        unsafe {
            if sys::rd_kafka_event_error(event.0) == sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
                Ok(event)
            } else {
                Err(owned(sys::rd_kafka_event_error_string(event.0)))
            }
        }
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        // SAFETY: made by `new`, owned by this value, destroyed once.
        unsafe { sys::rd_kafka_queue_destroy(self.0) }
    }
}

/// An answer.
pub(crate) struct Event(pub(crate) *mut sys::rd_kafka_event_t);

impl Drop for Event {
    fn drop(&mut self) {
        // SAFETY: not null, owned by this value, destroyed once.
        unsafe { sys::rd_kafka_event_destroy(self.0) }
    }
}

/// Copies a text of librdkafka.
///
/// # Safety
/// `text` is null or a C string.
pub(crate) unsafe fn owned(text: *const c_char) -> String {
    if text.is_null() {
        return "no reason given".into();
    }
    // SAFETY: not null, and a C string by this function's contract.
    unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
}
