//! The event log, as a test sees it.

use std::time::Duration;

use anyhow::{Context as _, Result};
use logistics_schemas::topics;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
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
    /// Value.
    pub payload: Vec<u8>,
    /// Headers with a text value.
    pub headers: Vec<(String, String)>,
}

impl LogRecord {
    /// The value of a header.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(header, _)| header == name)
            .map(|(_, value)| value.as_str())
    }
}

pub(crate) async fn create_topics(bootstrap: &str, prefix: &str, partitions: i32) -> Result<()> {
    let admin: AdminClient<DefaultClientContext> = config(bootstrap).create()?;
    let names: Vec<String> = topics::ALL.iter().map(|topic| topic.full_name(prefix)).collect();
    let new: Vec<NewTopic<'_>> = names
        .iter()
        .map(|name| NewTopic::new(name, partitions, TopicReplication::Fixed(1)))
        .collect();
    for result in admin
        .create_topics(&new, &AdminOptions::new().operation_timeout(Some(TIMEOUT)))
        .await?
    {
        result.map_err(|(name, code)| anyhow::anyhow!("create topic {name}: {code}"))?;
    }
    Ok(())
}

pub(crate) async fn read(bootstrap: &str, topic: &str) -> Result<Vec<LogRecord>> {
    let (bootstrap, topic) = (bootstrap.to_owned(), topic.to_owned());
    tokio::task::spawn_blocking(move || read_blocking(&bootstrap, &topic)).await?
}

fn read_blocking(bootstrap: &str, topic: &str) -> Result<Vec<LogRecord>> {
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
    let mut records = Vec::new();
    for partition in partitions {
        let (_, end) = consumer.fetch_watermarks(topic, partition.id(), TIMEOUT)?;
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(topic, partition.id(), Offset::Beginning)?;
        consumer.assign(&list)?;
        let mut next = 0;
        while next < end {
            let message = consumer.poll(TIMEOUT).context("no record in time")??;
            next = message.offset() + 1;
            records.push(LogRecord {
                partition: message.partition(),
                offset: message.offset(),
                key: text(message.key()),
                payload: message.payload().unwrap_or_default().to_vec(),
                headers: message
                    .headers()
                    .into_iter()
                    .flat_map(|headers| headers.iter())
                    .map(|header| (header.key.to_owned(), text(header.value)))
                    .collect(),
            });
        }
    }
    Ok(records)
}

fn text(bytes: Option<&[u8]>) -> String {
    String::from_utf8_lossy(bytes.unwrap_or_default()).into_owned()
}

fn config(bootstrap: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", bootstrap);
    config
}
