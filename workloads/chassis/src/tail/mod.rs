//! Reads the end of topics without a consumer group, so that every replica sees what happens now, whichever of them owns
//! the partition.
//!
//! Nothing is promised of completeness: what is written while the tail is starting, or is cut off from the brokers for
//! longer than the log keeps its records, is not seen. Whoever needs all of it has a store to ask.

mod metrics;
mod partitions;

use std::sync::Arc;
use std::time::Duration;

use logistics_schemas::config::Kafka;
use logistics_schemas::topics::Topic;
use rdkafka::TopicPartitionList;
use rdkafka::consumer::{Consumer as _, StreamConsumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Message as _};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

pub use metrics::TailMetrics;

use crate::consumer::{ConsumerError, Record, leave};
use crate::credential::CredentialError;
use crate::kafka;
use partitions::{Partitions, Start};

/// How often new partitions are looked for.
pub const REFRESH: Duration = Duration::from_secs(30);
/// How soon after a look that failed, or found a topic missing.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// Longest wait for the brokers' answer to a look.
const LOOK_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the tail is read on when nobody wants it any more.
const LINGER: Duration = Duration::from_mins(1);

/// What is done with records.
pub trait Observer: Send + Sync + 'static {
    /// Whether anybody wants records with this key. Asked of every record.
    fn wants(&self, key: &[u8]) -> bool;

    /// Takes a record. Those of one partition come in order; a record may come again.
    fn observe(&self, record: &Record) -> impl Future<Output = ()> + Send;
}

/// A reader of the end of some topics.
pub struct Tail<O> {
    /// The cluster. The group's name is not used for more than a name: no group is joined, no offset committed.
    pub kafka: Kafka,
    /// Names the process in the broker's logs.
    pub client_id: String,
    /// What is read.
    pub topics: Vec<Topic>,
    /// What is done with it.
    pub observer: O,
    /// What is counted.
    pub metrics: TailMetrics,
    /// How often new partitions are looked for; [`REFRESH`] but in tests.
    pub refresh: Duration,
}

impl<O: Observer> Tail<O> {
    /// Reads while somebody wants it, until `stop`.
    pub async fn run(
        self,
        mut wanted: watch::Receiver<bool>,
        stop: CancellationToken,
    ) -> Result<(), ConsumerError> {
        loop {
            let wait = wanted.wait_for(|wanted| *wanted);
            match stop.run_until_cancelled(wait).await {
                Some(Ok(_)) => {}
                // Stopped, or nobody is left who could want it.
                None | Some(Err(_)) => return Ok(()),
            }
            let consumer: Arc<StreamConsumer> =
                Arc::new(self.settings()?.create().map_err(ConsumerError::Settings)?);
            let outcome = tokio::select! {
                outcome = self.read(&consumer) => outcome,
                never = kafka::follow_credentials(&self.kafka, consumer.client()) => match never {},
                () = unwanted(&mut wanted) => Ok(()),
                () = stop.cancelled() => Ok(()),
            };
            self.metrics.partitions.set(0);
            leave(consumer).await;
            outcome?;
        }
    }

    fn settings(&self) -> Result<rdkafka::ClientConfig, CredentialError> {
        let mut config = kafka::client_config(&self.kafka, &format!("{}/tail", self.client_id))?;
        config
            // The client insists on a name.
            .set("group.id", &self.kafka.group_id)
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("auto.offset.reset", "latest")
            .set("isolation.level", "read_committed")
            .set("allow.auto.create.topics", "false")
            .set("topic.metadata.refresh.interval.ms", "30000")
            .set("queued.max.messages.kbytes", "16384");
        Ok(config)
    }

    async fn read(&self, consumer: &Arc<StreamConsumer>) -> Result<(), ConsumerError> {
        let topics: Vec<(Topic, String)> = self
            .topics
            .iter()
            .map(|topic| (*topic, topic.full_name(&self.kafka.topic_prefix)))
            .collect();
        tokio::select! {
            outcome = self.follow_partitions(consumer, &topics) => outcome,
            outcome = self.receive(consumer, &topics) => outcome,
        }
    }

    /// Looks for partitions, again and again, and reads those that are new.
    async fn follow_partitions(
        &self,
        consumer: &Arc<StreamConsumer>,
        topics: &[(Topic, String)],
    ) -> Result<(), ConsumerError> {
        let mut partitions = Partitions::default();
        loop {
            let mut complete = false;
            match look(consumer, topics).await {
                Ok(counts) => {
                    complete = counts.len() == topics.len();
                    self.assign(consumer, &partitions.found(&counts))?;
                }
                Err(error) => {
                    self.metrics.read_errors.inc();
                    tracing::warn!(%error, "looking for partitions");
                }
            }
            let pause = if complete { self.refresh } else { LOOK_AGAIN };
            tokio::time::sleep(pause).await;
        }
    }

    fn assign(&self, consumer: &StreamConsumer, new: &[(String, i32, Start)]) -> Result<(), ConsumerError> {
        if new.is_empty() {
            return Ok(());
        }
        let mut list = TopicPartitionList::new();
        for (topic, partition, start) in new {
            list.add_partition_offset(topic, *partition, start.offset())
                .map_err(ConsumerError::Settings)?;
        }
        consumer
            .incremental_assign(&list)
            .map_err(ConsumerError::Settings)?;
        let count = i64::try_from(new.len()).unwrap_or(i64::MAX);
        let all = self.metrics.partitions.inc_by(count) + count;
        tracing::info!(new = count, all, "reading the tail of the log");
        Ok(())
    }

    /// Receives records, and ends only with an error that the client cannot get over.
    async fn receive(
        &self,
        consumer: &StreamConsumer,
        topics: &[(Topic, String)],
    ) -> Result<(), ConsumerError> {
        loop {
            match consumer.recv().await {
                Ok(message) => self.take(&message, topics).await,
                Err(error @ KafkaError::MessageConsumptionFatal(_)) => {
                    return Err(ConsumerError::Fatal(error));
                }
                // Brokers that are away: the client goes on trying, from where it was.
                Err(error) => {
                    self.metrics.read_errors.inc();
                    tracing::warn!(%error, "reading the tail of the log");
                }
            }
        }
    }

    async fn take(&self, message: &BorrowedMessage<'_>, topics: &[(Topic, String)]) {
        self.metrics.records.inc();
        if message.key().is_some_and(|key| self.observer.wants(key))
            && let Some(record) = Record::read(message, topics)
        {
            self.observer.observe(&record).await;
        }
    }
}

/// Ends when nobody has wanted the tail for a while.
async fn unwanted(wanted: &mut watch::Receiver<bool>) {
    loop {
        if wanted.wait_for(|wanted| !*wanted).await.is_err() {
            return;
        }
        match tokio::time::timeout(LINGER, wanted.wait_for(|wanted| *wanted)).await {
            Ok(Ok(_)) => {}
            Ok(Err(_)) | Err(_) => return,
        }
    }
}

/// How many partitions each topic has that exists.
async fn look(
    consumer: &Arc<StreamConsumer>,
    topics: &[(Topic, String)],
) -> Result<Vec<(String, i32)>, KafkaError> {
    let consumer = Arc::clone(consumer);
    let names: Vec<String> = topics.iter().map(|(_, name)| name.clone()).collect();
    // The client's own call blocks.
    let counts = tokio::task::spawn_blocking(move || {
        let mut counts = Vec::new();
        for name in names {
            let metadata = consumer.fetch_metadata(Some(&name), LOOK_TIMEOUT)?;
            let topic = metadata.topics().iter().find(|topic| topic.name() == name);
            let count = topic.map_or(0, |topic| topic.partitions().len());
            if count > 0 {
                counts.push((name, i32::try_from(count).unwrap_or(i32::MAX)));
            }
        }
        Ok(counts)
    });
    // It is cancelled only together with the runtime.
    counts.await.unwrap_or(Err(KafkaError::Canceled))
}
