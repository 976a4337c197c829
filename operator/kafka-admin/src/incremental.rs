//! `IncrementalAlterConfigs`, which librdkafka has and its safe wrapper has not. The wrapper's `alter_configs` replaces
//! all of a topic's configuration, so keys that somebody else set would be lost.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::client::{Client, ClientContext};
use rdkafka_sys as sys;

use crate::Error;
use crate::native::{Event, Options, Queue, Resource, owned};

const OPERATION: &str = "change of the configuration";

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
    let resource = Resource::new(topic).map_err(&fail)?;
    for (key, value) in configs {
        resource.set(key, value).map_err(&fail)?;
    }
    let operation = sys::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_INCREMENTALALTERCONFIGS;
    let options = Options::new(client, operation, timeout).map_err(&fail)?;
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
    let event = queue.wait(timeout).map_err(&fail)?;
    // SAFETY: the event is alive.
    unsafe { outcome(&event) }.map_err(fail)
}

/// Reads an answer.
///
/// # Safety
/// The event is alive.
unsafe fn outcome(event: &Event) -> Result<(), String> {
    // SAFETY: the event is alive by this function's contract, and so is what it points to.
    unsafe {
        let result = sys::rd_kafka_event_IncrementalAlterConfigs_result(event.0);
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
