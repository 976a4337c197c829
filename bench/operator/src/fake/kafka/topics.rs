//! The topics of the counting cluster.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use kafka_protocol::messages::create_topics_response::CreatableTopicResult;
use kafka_protocol::messages::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResult,
};
use kafka_protocol::messages::incremental_alter_configs_response::AlterConfigsResourceResponse;
use kafka_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::messages::{
    BrokerId, CreateTopicsRequest, CreateTopicsResponse, DescribeConfigsRequest, DescribeConfigsResponse,
    IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse, MetadataRequest, MetadataResponse,
    TopicName,
};
use kafka_protocol::protocol::StrBytes;

/// Error codes of the protocol.
const UNKNOWN_TOPIC: i16 = 3;
const EXISTS: i16 = 36;

/// Where a configuration value comes from.
const OF_TOPIC: i8 = 1;
const DEFAULT: i8 = 5;

/// The operation that sets a key.
const SET: i8 = 0;

/// What a resource is.
const TOPIC: i8 = 2;

/// The keys that a broker tells of each topic, with its defaults: an answer has the length of a real one.
const DEFAULTS: [(&str, &str); 30] = [
    ("cleanup.policy", "delete"),
    ("compression.gzip.level", "-1"),
    ("compression.lz4.level", "9"),
    ("compression.type", "producer"),
    ("compression.zstd.level", "3"),
    ("delete.retention.ms", "86400000"),
    ("file.delete.delay.ms", "60000"),
    ("flush.messages", "9223372036854775807"),
    ("flush.ms", "9223372036854775807"),
    ("follower.replication.throttled.replicas", ""),
    ("index.interval.bytes", "4096"),
    ("leader.replication.throttled.replicas", ""),
    ("local.retention.bytes", "-2"),
    ("local.retention.ms", "-2"),
    ("max.compaction.lag.ms", "9223372036854775807"),
    ("max.message.bytes", "1048588"),
    ("message.timestamp.after.max.ms", "3600000"),
    ("message.timestamp.before.max.ms", "9223372036854775807"),
    ("message.timestamp.type", "CreateTime"),
    ("min.cleanable.dirty.ratio", "0.5"),
    ("min.compaction.lag.ms", "0"),
    ("min.insync.replicas", "1"),
    ("preallocate", "false"),
    ("remote.storage.enable", "false"),
    ("retention.bytes", "-1"),
    ("retention.ms", "604800000"),
    ("segment.bytes", "1073741824"),
    ("segment.index.bytes", "10485760"),
    ("segment.jitter.ms", "0"),
    ("segment.ms", "604800000"),
];

struct Topic {
    partitions: i32,
    configs: BTreeMap<String, String>,
}

/// The topics, and the port of the broker that leads them.
pub(super) struct Topics {
    port: u16,
    topics: Mutex<HashMap<String, Topic>>,
}

impl Topics {
    pub(super) fn new(port: u16) -> Self {
        let topics = Mutex::default();
        Self { port, topics }
    }

    pub(super) fn len(&self) -> usize {
        self.topics().len()
    }

    fn topics(&self) -> MutexGuard<'_, HashMap<String, Topic>> {
        self.topics.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn describe(&self, asked: &MetadataRequest) -> MetadataResponse {
        let topics = self.topics();
        let described: Vec<_> = match &asked.topics {
            None => topics.iter().map(|(name, topic)| metadata(name, topic)).collect(),
            Some(asked) => {
                let names = asked.iter().filter_map(|topic| topic.name.clone());
                let describe = |name: TopicName| match topics.get(name.as_str()) {
                    Some(topic) => metadata(name.as_str(), topic),
                    None => MetadataResponseTopic::default()
                        .with_error_code(UNKNOWN_TOPIC)
                        .with_name(Some(name)),
                };
                names.map(describe).collect()
            }
        };
        let broker = MetadataResponseBroker::default()
            .with_node_id(BrokerId(1))
            .with_host(StrBytes::from_static_str("127.0.0.1"))
            .with_port(i32::from(self.port));
        MetadataResponse::default()
            .with_brokers(vec![broker])
            .with_cluster_id(Some(StrBytes::from_static_str("counting")))
            .with_controller_id(BrokerId(1))
            .with_topics(described)
    }

    pub(super) fn create(&self, asked: CreateTopicsRequest) -> CreateTopicsResponse {
        let mut topics = self.topics();
        let create = |new: kafka_protocol::messages::create_topics_request::CreatableTopic| {
            let result = CreatableTopicResult::default()
                .with_name(new.name.clone())
                .with_num_partitions(new.num_partitions)
                .with_replication_factor(1);
            if topics.contains_key(new.name.as_str()) {
                return result.with_error_code(EXISTS);
            }
            let config = |config: &kafka_protocol::messages::create_topics_request::CreatableTopicConfig| {
                let value = config.value.as_ref().map(ToString::to_string);
                (config.name.to_string(), value.unwrap_or_default())
            };
            let topic = Topic {
                partitions: new.num_partitions,
                configs: new.configs.iter().map(config).collect(),
            };
            topics.insert(new.name.to_string(), topic);
            result
        };
        CreateTopicsResponse::default().with_topics(asked.topics.into_iter().map(create).collect())
    }

    pub(super) fn configs(&self, asked: &DescribeConfigsRequest) -> DescribeConfigsResponse {
        let topics = self.topics();
        let describe =
            |resource: &kafka_protocol::messages::describe_configs_request::DescribeConfigsResource| {
                let result = DescribeConfigsResult::default()
                    .with_resource_type(TOPIC)
                    .with_resource_name(resource.resource_name.clone());
                match topics.get(&*resource.resource_name) {
                    Some(topic) => {
                        let asked = resource.configuration_keys.as_deref();
                        result.with_configs(entries(topic, asked))
                    }
                    None => result.with_error_code(UNKNOWN_TOPIC),
                }
            };
        DescribeConfigsResponse::default().with_results(asked.resources.iter().map(describe).collect())
    }

    pub(super) fn alter(&self, asked: IncrementalAlterConfigsRequest) -> IncrementalAlterConfigsResponse {
        let mut topics = self.topics();
        let alter =
            |resource: kafka_protocol::messages::incremental_alter_configs_request::AlterConfigsResource| {
                let result = AlterConfigsResourceResponse::default()
                    .with_resource_type(TOPIC)
                    .with_resource_name(resource.resource_name.clone());
                let Some(topic) = topics.get_mut(&*resource.resource_name) else {
                    return result.with_error_code(UNKNOWN_TOPIC);
                };
                for config in resource.configs {
                    let value = config.value.filter(|_| config.config_operation == SET);
                    match value {
                        Some(value) => topic.configs.insert(config.name.to_string(), value.to_string()),
                        None => topic.configs.remove(&*config.name),
                    };
                }
                result
            };
        let responses = asked.resources.into_iter().map(alter).collect();
        IncrementalAlterConfigsResponse::default().with_responses(responses)
    }
}

fn metadata(name: &str, topic: &Topic) -> MetadataResponseTopic {
    let partition = |index| {
        MetadataResponsePartition::default()
            .with_partition_index(index)
            .with_leader_id(BrokerId(1))
            .with_leader_epoch(0)
            .with_replica_nodes(vec![BrokerId(1)])
            .with_isr_nodes(vec![BrokerId(1)])
    };
    MetadataResponseTopic::default()
        .with_name(Some(TopicName(StrBytes::from_string(name.to_owned()))))
        .with_partitions((0..topic.partitions).map(partition).collect())
}

fn entries(topic: &Topic, asked: Option<&[StrBytes]>) -> Vec<DescribeConfigsResourceResult> {
    let is_asked =
        |(key, _): &&(&'static str, &str)| asked.is_none_or(|asked| asked.iter().any(|name| **name == **key));
    let entry = |(key, default): &(&'static str, &'static str)| {
        let (value, source) = match topic.configs.get(*key) {
            Some(value) => (StrBytes::from_string(value.clone()), OF_TOPIC),
            None => (StrBytes::from_static_str(default), DEFAULT),
        };
        DescribeConfigsResourceResult::default()
            .with_name(StrBytes::from_static_str(key))
            .with_value(Some(value))
            .with_config_source(source)
    };
    DEFAULTS.iter().filter(is_asked).map(entry).collect()
}
