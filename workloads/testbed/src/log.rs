//! The event log, as a test sees it.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use anyhow::{Context as _, Result};
use logistics_schemas::topics::Topic;
use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::{Headers as _, Message as _};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

const TIMEOUT: Duration = Duration::from_secs(30);

/// A record of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogRecord {
    /// Partition.
    pub partition: i32,
    /// Offset.
    pub offset: i64,
    /// Key as text.
    pub key: String,
    /// Value; `None` for a tombstone.
    pub payload: Option<Vec<u8>>,
    /// Headers, in order.
    pub headers: Vec<(String, Vec<u8>)>,
}

impl LogRecord {
    /// The value of a header, where it is text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers.iter().find(|(header, _)| header == name)?;
        std::str::from_utf8(value).ok()
    }
}

/// The topics of one platform on one cluster.
#[derive(Clone, Debug)]
pub struct Log {
    /// `host:port` of the brokers.
    pub bootstrap_servers: String,
    /// Put before each topic's name.
    pub topic_prefix: String,
}

impl Log {
    /// Creates these topics, as the operator does.
    pub async fn create(&self, topics: &[Topic], partitions: i32) -> Result<()> {
        let admin: AdminClient<DefaultClientContext> = config(&self.bootstrap_servers).create()?;
        let names: Vec<String> = topics
            .iter()
            .map(|topic| topic.full_name(&self.topic_prefix))
            .collect();
        let new: Vec<NewTopic<'_>> = names
            .iter()
            .map(|name| NewTopic::new(name, partitions, TopicReplication::Fixed(1)))
            .collect();
        let options = AdminOptions::new().operation_timeout(Some(TIMEOUT));
        for result in admin.create_topics(&new, &options).await? {
            result.map_err(|(name, code)| anyhow::anyhow!("create topic {name}: {code}"))?;
        }
        Ok(())
    }

    /// Gives each of these topics more partitions.
    pub async fn grow(&self, topics: &[Topic], partitions: usize) -> Result<()> {
        let admin: AdminClient<DefaultClientContext> = config(&self.bootstrap_servers).create()?;
        let names: Vec<String> = topics
            .iter()
            .map(|topic| topic.full_name(&self.topic_prefix))
            .collect();
        let new: Vec<NewPartitions<'_>> = names
            .iter()
            .map(|name| NewPartitions::new(name, partitions))
            .collect();
        let options = AdminOptions::new().operation_timeout(Some(TIMEOUT));
        for result in admin.create_partitions(&new, &options).await? {
            result.map_err(|(name, code)| anyhow::anyhow!("grow topic {name}: {code}"))?;
        }
        Ok(())
    }

    /// Whether the brokers know a consumer group of this name.
    pub async fn has_group(&self, name: &str) -> Result<bool> {
        let (servers, name) = (self.bootstrap_servers.clone(), name.to_owned());
        tokio::task::spawn_blocking(move || {
            let client: BaseConsumer = config(&servers).create()?;
            let groups = client.fetch_group_list(None, TIMEOUT)?;
            Ok(groups.groups().iter().any(|group| group.name() == name))
        })
        .await?
    }

    /// Deletes a topic.
    pub async fn delete(&self, topic: &Topic) -> Result<()> {
        let admin: AdminClient<DefaultClientContext> = config(&self.bootstrap_servers).create()?;
        let name = topic.full_name(&self.topic_prefix);
        let options = AdminOptions::new().operation_timeout(Some(TIMEOUT));
        for result in admin.delete_topics(&[&name], &options).await? {
            result.map_err(|(name, code)| anyhow::anyhow!("delete topic {name}: {code}"))?;
        }
        Ok(())
    }

    /// How many records of these topics a consumer group has not handled yet.
    pub async fn lag(&self, group: &str, topics: &[Topic]) -> Result<i64> {
        let (servers, group) = (self.bootstrap_servers.clone(), group.to_owned());
        let names: Vec<String> = topics
            .iter()
            .map(|topic| topic.full_name(&self.topic_prefix))
            .collect();
        tokio::task::spawn_blocking(move || lag_blocking(&servers, &group, &names)).await?
    }

    /// All records of a topic, partition by partition.
    pub async fn read(&self, topic: &Topic) -> Result<Vec<LogRecord>> {
        self.read_from(topic, &HashMap::new()).await
    }

    /// The records of a topic from these offsets of its partitions on, partition by partition; from the beginning where
    /// none is given.
    pub async fn read_from(&self, topic: &Topic, offsets: &HashMap<i32, i64>) -> Result<Vec<LogRecord>> {
        let (servers, topic) = (
            self.bootstrap_servers.clone(),
            topic.full_name(&self.topic_prefix),
        );
        let offsets = offsets.clone();
        tokio::task::spawn_blocking(move || read_blocking(&servers, &topic, &offsets)).await?
    }
}

fn lag_blocking(bootstrap: &str, group: &str, topics: &[String]) -> Result<i64> {
    let client: BaseConsumer = config(bootstrap).set("group.id", group).create()?;
    let mut asked = TopicPartitionList::new();
    for topic in topics {
        let metadata = client.fetch_metadata(Some(topic), TIMEOUT)?;
        let found = metadata.topics().first().context("the topic is gone")?;
        for partition in found.partitions() {
            asked.add_partition(topic, partition.id());
        }
    }
    let committed = client.committed_offsets(asked, TIMEOUT)?;
    let mut lag = 0;
    for one in committed.elements() {
        let (begin, end) = client.fetch_watermarks(one.topic(), one.partition(), TIMEOUT)?;
        lag += end - one.offset().to_raw().unwrap_or(begin).max(begin);
    }
    Ok(lag)
}

fn read_blocking(bootstrap: &str, topic: &str, offsets: &HashMap<i32, i64>) -> Result<Vec<LogRecord>> {
    let consumer: BaseConsumer = config(bootstrap)
        .set("group.id", "reader")
        .set("enable.auto.commit", "false")
        .create()?;
    let metadata = consumer.fetch_metadata(Some(topic), TIMEOUT)?;
    let partitions = metadata
        .topics()
        .first()
        .context("the topic is gone")?
        .partitions();
    // By partition: where its end is, for those that have something to be read.
    let mut ends = BTreeMap::new();
    let mut wanted = TopicPartitionList::new();
    for partition in partitions {
        let id = partition.id();
        let (_, end) = consumer.fetch_watermarks(topic, id, TIMEOUT)?;
        let begin = offsets.get(&id).copied().unwrap_or_default();
        if begin < end {
            ends.insert(id, end);
            wanted.add_partition_offset(topic, id, Offset::Offset(begin))?;
        }
    }
    consumer.assign(&wanted)?;
    let mut records: BTreeMap<i32, Vec<LogRecord>> = BTreeMap::new();
    while !ends.is_empty() {
        let message = consumer.poll(TIMEOUT).context("no record in time")??;
        let (partition, offset) = (message.partition(), message.offset());
        // Others may go on writing: what is behind the end of before is for the next reading.
        let Some(end) = ends.get(&partition).copied() else {
            continue;
        };
        if offset + 1 >= end {
            ends.remove(&partition);
        }
        records.entry(partition).or_default().push(LogRecord {
            partition,
            offset,
            key: text(message.key()),
            payload: message.payload().map(<[u8]>::to_vec),
            headers: message
                .headers()
                .into_iter()
                .flat_map(|headers| headers.iter())
                .map(|header| (header.key.to_owned(), header.value.unwrap_or_default().to_vec()))
                .collect(),
        });
    }
    Ok(records.into_values().flatten().collect())
}

fn text(bytes: Option<&[u8]>) -> String {
    String::from_utf8_lossy(bytes.unwrap_or_default()).into_owned()
}

fn config(bootstrap: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", bootstrap);
    config
}
