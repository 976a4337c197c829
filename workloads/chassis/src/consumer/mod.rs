//! Reads topics in a consumer group, partition by partition in order, partitions side by side.
//!
//! Offsets are stored only after the handler has committed what a record does. A record may therefore come again (the
//! process died in between, or the partition moved), and never gets lost. An error of the handler is transient by
//! definition: the partition waits, and the same records come again until they are handled. What can never be handled
//! is the handler's own matter (see [`crate::projection`]).
//!
//! Partition `n` of all topics is handled by the same worker: records of one key then arrive together, whichever of
//! the topics they are in.

mod assignment;
mod metrics;
mod record;
mod worker;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use logistics_schemas::config::Kafka;
use logistics_schemas::topics::Topic;
use rdkafka::TopicPartitionList;
use rdkafka::consumer::{Consumer as _, ConsumerContext, StreamConsumer};
use rdkafka::error::KafkaError;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

pub use record::Record;
pub(crate) use record::header;

use crate::credential::CredentialError;
use crate::kafka;
use crate::metrics::Metrics;
use crate::service::Chassis;
use assignment::Assignment;
use metrics::ConsumerMetrics;
use worker::{Queue, Worker};

/// How long a member may be silent before its partitions go to others.
const SESSION_TIMEOUT: Duration = Duration::from_secs(10);
/// Batches that a process handles at one time: each holds a database connection, and requests need some too.
pub const CONCURRENT_BATCHES: usize = 4;

/// What is done with records.
pub trait Handler: Send + Sync + 'static {
    /// Why a batch could not be handled now.
    type Error: std::fmt::Display + Send;

    /// Handles records, which are in order for each partition, all or none. After an error the same records come
    /// again.
    fn handle(&self, batch: &[Record]) -> impl Future<Output = Result<(), Self::Error>> + Send;
}

impl<H: Handler> Handler for Arc<H> {
    type Error = H::Error;

    async fn handle(&self, batch: &[Record]) -> Result<(), Self::Error> {
        H::handle(self, batch).await
    }
}

/// Why a consumer ended by itself.
#[derive(Debug, thiserror::Error)]
pub enum ConsumerError {
    /// The credentials cannot be read.
    #[error(transparent)]
    Credential(#[from] CredentialError),
    /// The settings were refused.
    #[error("kafka: cannot make a consumer: {0}")]
    Settings(KafkaError),
    /// The client cannot go on.
    #[error("kafka: the consumer cannot go on: {0}")]
    Fatal(KafkaError),
    /// A worker panicked.
    #[error("a partition's worker ended: {0}")]
    Worker(tokio::task::JoinError),
}

/// What the consumers of a process share; so do clones.
#[derive(Clone, Debug)]
pub struct Consumers {
    metrics: ConsumerMetrics,
    permits: Arc<Semaphore>,
}

impl Consumers {
    /// Registers their metrics.
    #[must_use]
    pub fn register(metrics: &Metrics) -> Self {
        Self {
            metrics: ConsumerMetrics::register(metrics),
            permits: Arc::new(Semaphore::new(CONCURRENT_BATCHES)),
        }
    }
}

/// A consumer of some topics.
pub struct Consumer<H> {
    /// The cluster and the group.
    pub kafka: Kafka,
    /// Names the process in the broker's logs.
    pub client_id: String,
    /// What is read.
    pub topics: Vec<Topic>,
    /// What is done with it.
    pub handler: H,
    /// What it shares with others of the process.
    pub shared: Consumers,
}

impl<H: Handler> Consumer<H> {
    /// A service's, in this group.
    #[must_use]
    pub fn of(chassis: &Chassis, group: &str, topics: &[Topic], handler: H, shared: &Consumers) -> Self {
        let mut kafka = chassis.config.kafka.clone();
        group.clone_into(&mut kafka.group_id);
        Self {
            client_id: format!("{}/{}", chassis.process.service_name(), chassis.process.instance),
            topics: topics.to_vec(),
            handler,
            shared: shared.clone(),
            kafka,
        }
    }

    /// Reads as a task of the service, until its stop is asked for.
    pub fn start(self, chassis: &mut Chassis, task: &'static str) {
        let stop = chassis.shutdown.requested();
        chassis.spawn(task, async move { self.run(stop).await.map_err(Into::into) });
    }

    /// Reads until `stop`, then finishes the batches under way and leaves the group.
    pub async fn run(self, stop: CancellationToken) -> Result<(), ConsumerError> {
        let assignment = Assignment::new(self.shared.metrics.clone());
        let consumer: StreamConsumer<Assignment> = self
            .settings()?
            .create_with_context(assignment.clone())
            .map_err(ConsumerError::Settings)?;
        let consumer = Arc::new(consumer);
        let names: Vec<String> = self
            .topics
            .iter()
            .map(|topic| topic.full_name(&self.kafka.topic_prefix))
            .collect();
        let subscribed: Vec<&str> = names.iter().map(String::as_str).collect();
        consumer.subscribe(&subscribed).map_err(ConsumerError::Settings)?;

        let (drained, has_room) = mpsc::unbounded_channel();
        let mut dispatch = Dispatch {
            consumer: Arc::clone(&consumer),
            assignment,
            topics: self.topics.iter().copied().zip(names).collect(),
            handler: Arc::new(self.handler),
            metrics: self.shared.metrics,
            permits: self.shared.permits,
            queues: HashMap::new(),
            workers: JoinSet::new(),
            drained,
            stop: stop.child_token(),
        };
        let outcome = tokio::select! {
            outcome = dispatch.run(has_room, &stop) => outcome,
            never = kafka::follow_credentials(&self.kafka, consumer.client()) => match never {},
        };
        dispatch.finish().await;
        drop(dispatch);
        leave(consumer).await;
        outcome
    }

    fn settings(&self) -> Result<rdkafka::ClientConfig, CredentialError> {
        let mut config = kafka::client_config(&self.kafka, &self.client_id)?;
        config
            .set("group.id", &self.kafka.group_id)
            .set("auto.offset.reset", "earliest")
            .set("isolation.level", "read_committed")
            .set("partition.assignment.strategy", "cooperative-sticky")
            .set("session.timeout.ms", SESSION_TIMEOUT.as_millis().to_string())
            .set(
                "heartbeat.interval.ms",
                (SESSION_TIMEOUT.as_millis() / 4).to_string(),
            )
            // Stored by hand, after the database has committed; sent to the group in the background.
            .set("enable.auto.offset.store", "false")
            .set("enable.auto.commit", "true")
            .set("auto.commit.interval.ms", "1000")
            .set("allow.auto.create.topics", "false")
            // A topic that is created later, or gets partitions, is found within this time.
            .set("topic.metadata.refresh.interval.ms", "30000")
            .set("queued.max.messages.kbytes", "16384")
            .set("statistics.interval.ms", "5000");
        Ok(config)
    }
}

/// Gives records to the workers of their partitions.
struct Dispatch<H> {
    consumer: Arc<StreamConsumer<Assignment>>,
    assignment: Assignment,
    topics: Vec<(Topic, String)>,
    handler: Arc<H>,
    metrics: ConsumerMetrics,
    permits: Arc<Semaphore>,
    queues: HashMap<i32, Queue>,
    workers: JoinSet<()>,
    drained: mpsc::UnboundedSender<i32>,
    stop: CancellationToken,
}

impl<H: Handler> Dispatch<H> {
    async fn run(
        &mut self,
        mut has_room: mpsc::UnboundedReceiver<i32>,
        stop: &CancellationToken,
    ) -> Result<(), ConsumerError> {
        let consumer = Arc::clone(&self.consumer);
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                Some(ended) = self.workers.join_next() => ended.map_err(ConsumerError::Worker)?,
                Some(partition) = has_room.recv() => self.resume(partition),
                received = consumer.recv() => match received {
                    Ok(message) => self.dispatch(&message),
                    Err(error @ KafkaError::MessageConsumptionFatal(_)) => return Err(ConsumerError::Fatal(error)),
                    // Brokers that are away, topics that are not there yet: the client goes on trying.
                    Err(error) => {
                        self.metrics.read_errors.inc();
                        tracing::warn!(%error, "reading events");
                    }
                },
            }
        }
    }

    fn dispatch(&mut self, message: &rdkafka::message::BorrowedMessage<'_>) {
        let Some(record) = Record::read(message, &self.topics) else {
            return;
        };
        // `None`: the partition was revoked while the message was on its way.
        let Some(epoch) = self.assignment.epoch(&record.full_topic, record.partition) else {
            return;
        };
        let partition = record.partition;
        if !self.queues.contains_key(&partition) {
            let queue = self.start(partition);
            self.queues.insert(partition, queue);
        }
        if let Some(queue) = self.queues.get_mut(&partition)
            && queue.push(record, epoch)
        {
            self.metrics.pauses.inc();
            let paused = self.partitions(partition);
            if let Err(error) = self.consumer.pause(&paused) {
                tracing::warn!(%error, partition, "cannot pause");
            }
        }
    }

    fn start(&mut self, partition: i32) -> Queue {
        let (queue, work) = Queue::new(partition, self.drained.clone());
        let worker = Worker {
            consumer: Arc::clone(&self.consumer),
            assignment: self.assignment.clone(),
            handler: Arc::clone(&self.handler),
            metrics: self.metrics.clone(),
            permits: Arc::clone(&self.permits),
            stop: self.stop.clone(),
        };
        self.workers.spawn(worker.run(work));
        queue
    }

    fn resume(&self, partition: i32) {
        let paused = self.partitions(partition);
        if let Err(error) = self.consumer.resume(&paused) {
            tracing::warn!(%error, partition, "cannot resume");
        }
    }

    /// The partition with this number of each topic that is assigned here.
    fn partitions(&self, partition: i32) -> TopicPartitionList {
        let mut list = TopicPartitionList::new();
        for (_, name) in &self.topics {
            if self.assignment.epoch(name, partition).is_some() {
                list.add_partition(name, partition);
            }
        }
        list
    }

    /// Lets the workers finish what they have begun.
    async fn finish(&mut self) {
        self.stop.cancel();
        self.queues.clear();
        while self.workers.join_next().await.is_some() {}
    }
}

/// Ends a client. It leaves its group, so that others take over at once, and commits what is stored before. Blocks.
pub(crate) async fn leave<C: ConsumerContext + 'static>(consumer: Arc<StreamConsumer<C>>) {
    if let Err(error) = tokio::task::spawn_blocking(move || drop(consumer)).await {
        tracing::warn!(%error, "leaving the group");
    }
}
