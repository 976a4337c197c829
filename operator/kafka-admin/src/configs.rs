//! `DescribeConfigs` of some keys only: librdkafka can ask for them, its safe wrapper asks for all, some thirty of each
//! topic.

use std::collections::BTreeMap;
use std::ffi::CStr;
use std::time::Duration;

use rdkafka::client::{Client, ClientContext};
use rdkafka_sys as sys;

use crate::Config;
use crate::native::{Event, Failure, Options, Queue, Resource, owned};

/// Configuration keys with their values.
pub(crate) type Configs = BTreeMap<String, Config>;

/// Describes keys of topics, all keys when none is named; a topic that does not exist is left out. Blocks until the broker
/// has answered, at most for `timeout`.
pub(crate) fn describe<C: ClientContext>(
    client: &Client<C>,
    topics: &[String],
    keys: &[&str],
    timeout: Duration,
) -> Result<BTreeMap<String, Configs>, Failure> {
    let resources = topics
        .iter()
        .map(|topic| Resource::new(topic))
        .collect::<Result<Vec<_>, _>>()?;
    for resource in &resources {
        for key in keys {
            resource.ask(key)?;
        }
    }
    let operation = sys::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS;
    let options = Options::new(client, operation, timeout)?;
    let queue = Queue::new(client);
    let mut pointers: Vec<_> = resources.iter().map(|resource| resource.0).collect();
    // SAFETY: the client, the resources, the options and the queue are alive until after the call, which copies what it
    // keeps; the count is the length of the array.
    unsafe {
        sys::rd_kafka_DescribeConfigs(
            client.native_ptr(),
            pointers.as_mut_ptr(),
            pointers.len(),
            options.0,
            queue.0,
        );
    }
    let event = queue.wait(timeout)?;
    // SAFETY: the event is alive.
    unsafe { read(&event) }
}

/// Reads an answer.
///
/// # Safety
/// The event is alive.
unsafe fn read(event: &Event) -> Result<BTreeMap<String, Configs>, Failure> {
    let mut found = BTreeMap::new();
    // SAFETY: what the event points to is alive as long as it, and each index is below the count that came with the array.
    unsafe {
        let result = sys::rd_kafka_event_DescribeConfigs_result(event.0);
        if result.is_null() {
            return Err(Failure::Call("the answer is of another kind".into()));
        }
        let mut count = 0;
        let resources = sys::rd_kafka_DescribeConfigs_result_resources(result, &raw mut count);
        for index in 0..count {
            let resource = *resources.add(index);
            let name = owned(sys::rd_kafka_ConfigResource_name(resource));
            let code = sys::rd_kafka_ConfigResource_error(resource);
            if code == sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART {
                continue;
            }
            if code != sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
                let reason = owned(sys::rd_kafka_err2str(code));
                return Err(Failure::Topic { topic: name, reason });
            }
            let mut count = 0;
            let entries = sys::rd_kafka_ConfigResource_configs(resource, &raw mut count);
            let configs = (0..count).map(|index| entry(*entries.add(index)));
            found.insert(name, configs.collect());
        }
    }
    Ok(found)
}

/// Reads one key.
///
/// # Safety
/// `entry` is an entry of an answer that is alive.
unsafe fn entry(entry: *const sys::rd_kafka_ConfigEntry_t) -> (String, Config) {
    // SAFETY: the entry is alive by this function's contract, and so are its texts while they are copied.
    unsafe {
        let value = sys::rd_kafka_ConfigEntry_value(entry);
        let value = (!value.is_null()).then(|| CStr::from_ptr(value).to_string_lossy().into_owned());
        let source = sys::rd_kafka_ConfigEntry_source(entry);
        let of_topic = source == sys::rd_kafka_ConfigSource_t::RD_KAFKA_CONFIG_SOURCE_DYNAMIC_TOPIC_CONFIG;
        let name = owned(sys::rd_kafka_ConfigEntry_name(entry));
        (name, Config { value, of_topic })
    }
}
