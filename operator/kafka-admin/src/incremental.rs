//! `IncrementalAlterConfigs`, which librdkafka has and its safe wrapper has not. The wrapper's `alter_configs` replaces
//! all of a topic's configuration, so keys that somebody else set would be lost.

use std::collections::BTreeMap;
use std::ffi::{CStr, CString, c_char};
use std::time::Duration;

use rdkafka::client::{Client, ClientContext};
use rdkafka_sys as sys;

use crate::Error;

const OPERATION: &str = "change of the configuration";

/// Room for an error text of librdkafka.
const ERROR_TEXT: usize = 512;

/// Sets keys of a topic. Blocks until the broker has answered, at most for `timeout`.
pub(crate) fn set<C: ClientContext>(
    client: &Client<C>,
    topic: &str,
    configs: &BTreeMap<String, String>,
    timeout: Duration,
) -> Result<(), Error> {
    let fail = |reason: String| Error::Topic {
        operation: OPERATION,
        topic: topic.to_owned(),
        reason,
    };
    let milliseconds = i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX);
    let resource = Resource::new(topic).map_err(&fail)?;
    for (key, value) in configs {
        resource.set(key, value).map_err(&fail)?;
    }
    let options = Options::new(client, milliseconds).map_err(&fail)?;
    let queue = Queue::new(client);
    let mut resources = [resource.0];
    // SAFETY: the client, the resource, the options and the queue are alive until after the call, which copies what it
    // keeps; the count is the length of the array.
    unsafe {
        sys::rd_kafka_IncrementalAlterConfigs(
            client.native_ptr(),
            resources.as_mut_ptr(),
            resources.len(),
            options.0,
            queue.0,
        );
    }
    // A little longer than the request's own time-out, which then says more.
    queue.wait(milliseconds.saturating_add(1000)).map_err(fail)
}

/// A topic with the keys to set.
struct Resource(*mut sys::rd_kafka_ConfigResource_t);

impl Resource {
    fn new(topic: &str) -> Result<Self, String> {
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

    fn set(&self, key: &str, value: &str) -> Result<(), String> {
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
}

impl Drop for Resource {
    fn drop(&mut self) {
        // SAFETY: made by `new`, owned by this value, destroyed once.
        unsafe { sys::rd_kafka_ConfigResource_destroy(self.0) }
    }
}

/// Options of the request.
struct Options(*mut sys::rd_kafka_AdminOptions_t);

impl Options {
    fn new<C: ClientContext>(client: &Client<C>, milliseconds: i32) -> Result<Self, String> {
        // SAFETY: the client is alive.
        let options = unsafe {
            sys::rd_kafka_AdminOptions_new(
                client.native_ptr(),
                sys::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_INCREMENTALALTERCONFIGS,
            )
        };
        if options.is_null() {
            return Err("librdkafka does not know the operation".into());
        }
        let options = Self(options);
        let mut text: [c_char; ERROR_TEXT] = [0; ERROR_TEXT];
        // SAFETY: the options are alive, and the buffer is as long as it is said to be.
        let code = unsafe {
            sys::rd_kafka_AdminOptions_set_request_timeout(
                options.0,
                milliseconds,
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

/// The queue on which the answer arrives.
struct Queue(*mut sys::rd_kafka_queue_t);

impl Queue {
    fn new<C: ClientContext>(client: &Client<C>) -> Self {
        // SAFETY: the client is alive; a queue keeps what it needs of it.
        Self(unsafe { sys::rd_kafka_queue_new(client.native_ptr()) })
    }

    fn wait(&self, milliseconds: i32) -> Result<(), String> {
        // SAFETY: the queue is alive.
        let event = unsafe { sys::rd_kafka_queue_poll(self.0, milliseconds) };
        if event.is_null() {
            return Err("no broker answered in time".into());
        }
        // SAFETY: the event is not null; what it holds is copied before it is destroyed, once.
        unsafe {
            let result = outcome(event);
            sys::rd_kafka_event_destroy(event);
            result
        }
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        // SAFETY: made by `new`, owned by this value, destroyed once.
        unsafe { sys::rd_kafka_queue_destroy(self.0) }
    }
}

/// Reads an answer.
///
/// # Safety
/// `event` is a live event of librdkafka.
unsafe fn outcome(event: *mut sys::rd_kafka_event_t) -> Result<(), String> {
    // SAFETY: the event is alive by this function's contract, and so is what it points to.
    unsafe {
        if sys::rd_kafka_event_error(event) != sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
            return Err(owned(sys::rd_kafka_event_error_string(event)));
        }
        let result = sys::rd_kafka_event_IncrementalAlterConfigs_result(event);
        if result.is_null() {
            return Err("the answer is of another kind".into());
        }
        let mut count = 0;
        let resources = sys::rd_kafka_IncrementalAlterConfigs_result_resources(result, &raw mut count);
        for index in 0..count {
            let resource = *resources.add(index);
            let code = sys::rd_kafka_ConfigResource_error(resource);
            if code != sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
                let text = sys::rd_kafka_ConfigResource_error_string(resource);
                return Err(if text.is_null() {
                    format!("{code:?}")
                } else {
                    owned(text)
                });
            }
        }
        Ok(())
    }
}

/// Copies a text of librdkafka.
///
/// # Safety
/// `text` is null or a C string.
unsafe fn owned(text: *const c_char) -> String {
    if text.is_null() {
        return "no reason given".into();
    }
    // SAFETY: not null, and a C string by this function's contract.
    unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
}
