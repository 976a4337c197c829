//! `Metadata` of named topics. The safe wrapper asks for all topics of the cluster, or for one in a way that may create
//! it; librdkafka's `DescribeTopics` asks for some and creates none.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{CStr, CString};
use std::time::Duration;

use rdkafka::client::{Client, ClientContext};
use rdkafka_sys as sys;

use crate::TopicDescription;
use crate::native::{Event, Failure, Options, Queue, owned};

/// Describes those of the named topics that exist, without their configuration. Blocks until the broker has answered, at
/// most for `timeout`.
pub(crate) fn describe<C: ClientContext>(
    client: &Client<C>,
    names: &[String],
    timeout: Duration,
) -> Result<BTreeMap<String, TopicDescription>, Failure> {
    // A name that is asked for twice is refused.
    let names: BTreeSet<&str> = names.iter().map(String::as_str).collect();
    if names.is_empty() {
        return Ok(BTreeMap::new());
    }
    let topics = Collection::new(&names)?;
    let operation = sys::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS;
    let options = Options::new(client, operation, timeout)?;
    let queue = Queue::new(client);
    // SAFETY: the client, the topics, the options and the queue are alive until after the call, which copies what it
    // keeps.
    unsafe { sys::rd_kafka_DescribeTopics(client.native_ptr(), topics.0, options.0, queue.0) }
    let event = queue.wait(timeout)?;
    // SAFETY: the event is alive.
    unsafe { read(&event) }
}

/// Names of topics.
struct Collection(*mut sys::rd_kafka_TopicCollection_t);

impl Collection {
    fn new(names: &BTreeSet<&str>) -> Result<Self, String> {
        let text = |name: &&str| CString::new(*name).map_err(|_| format!("topic {name:?} holds a zero byte"));
        let names = names.iter().map(text).collect::<Result<Vec<_>, _>>()?;
        let mut pointers: Vec<_> = names.iter().map(|name| name.as_ptr()).collect();
        // SAFETY: the names outlive the call, which copies them; the count is the length of the array.
        Ok(Self(unsafe {
            sys::rd_kafka_TopicCollection_of_topic_names(pointers.as_mut_ptr(), pointers.len())
        }))
    }
}

impl Drop for Collection {
    fn drop(&mut self) {
        // SAFETY: made by `new`, owned by this value, destroyed once.
        unsafe { sys::rd_kafka_TopicCollection_destroy(self.0) }
    }
}

/// Reads an answer.
///
/// # Safety
/// The event is alive.
unsafe fn read(event: &Event) -> Result<BTreeMap<String, TopicDescription>, Failure> {
    let mut found = BTreeMap::new();
    // SAFETY: what the event points to is alive as long as it, and each index is below the count that came with the array.
    unsafe {
        let result = sys::rd_kafka_event_DescribeTopics_result(event.0);
        if result.is_null() {
            return Err(Failure::Call("the answer is of another kind".into()));
        }
        let mut count = 0;
        let topics = sys::rd_kafka_DescribeTopics_result_topics(result, &raw mut count);
        for index in 0..count {
            let topic = *topics.add(index);
            let name = CStr::from_ptr(sys::rd_kafka_TopicDescription_name(topic))
                .to_string_lossy()
                .into_owned();
            let error = sys::rd_kafka_TopicDescription_error(topic);
            let code = sys::rd_kafka_error_code(error);
            if code == sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART {
                continue;
            }
            if code != sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
                let reason = owned(sys::rd_kafka_error_string(error));
                return Err(Failure::Topic { topic: name, reason });
            }
            let mut partitions = 0;
            let list = sys::rd_kafka_TopicDescription_partitions(topic, &raw mut partitions);
            let mut replicas = 0;
            if partitions > 0 {
                sys::rd_kafka_TopicPartitionInfo_replicas(*list, &raw mut replicas);
            }
            let number = |count: usize| i32::try_from(count).unwrap_or(i32::MAX);
            let description = TopicDescription {
                partitions: number(partitions),
                replication_factor: number(replicas),
                configs: BTreeMap::new(),
            };
            found.insert(name, description);
        }
    }
    Ok(found)
}
