//! Kafka administration as the operator needs it: what topics there are, how they are configured, creating topics, and
//! changing single configuration keys without touching the others.

mod access;
mod configs;
mod error;
mod incremental;
mod log;
mod native;
mod topics;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

pub use access::{Credentials, Sasl, Trust};
pub use error::Error;
use log::Trouble;
use native::Failure;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::{ClientConfig, FromClientConfig, RDKafkaLogLevel};
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode;

/// A topic as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicDescription {
    /// Number of partitions.
    pub partitions: i32,
    /// Copies of each partition (of the first one, where they differ).
    pub replication_factor: i32,
    /// Configuration keys with their values.
    pub configs: BTreeMap<String, Config>,
}

/// The value of a configuration key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The value; `None` when it is sensitive.
    pub value: Option<String>,
    /// Whether it was set for this topic, and does not come from a broker's defaults.
    pub of_topic: bool,
}

/// A topic to create.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicSpec {
    /// Its name.
    pub name: String,
    /// Number of partitions.
    pub partitions: i32,
    /// Copies of each partition.
    pub replication_factor: i32,
    /// Configuration keys to set.
    pub configs: BTreeMap<String, String>,
}

/// A connection to one Kafka cluster. Dropping it ends its threads.
pub struct Admin {
    client: Arc<AdminClient<DefaultClientContext>>,
    bootstrap_servers: String,
    timeout: Duration,
    /// What the client last complained of. It does so once in half a minute only, however often it is refused.
    trouble: Mutex<Option<Trouble>>,
}

impl Admin {
    /// Makes a client; it connects when it is used.
    ///
    /// `timeout` bounds each call.
    ///
    /// # Errors
    /// When the configuration is refused, for example certificates that are not PEM.
    pub fn new(
        bootstrap_servers: &str,
        trust: &Trust,
        sasl: Option<&Sasl>,
        timeout: Duration,
    ) -> Result<Self, Error> {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", bootstrap_servers)
            .set("client.id", "logistics-operator")
            .set("allow.auto.create.topics", "false")
            .set("socket.timeout.ms", timeout.as_millis().to_string())
            .set("reconnect.backoff.max.ms", "5000");
        access::configure(&mut config, trust, sasl);
        config.set_log_level(RDKafkaLogLevel::Warning);
        let client = AdminClient::from_config(&config).map_err(Error::Configuration)?;
        Ok(Self {
            client: Arc::new(client),
            bootstrap_servers: bootstrap_servers.to_owned(),
            timeout,
            trouble: Mutex::default(),
        })
    }

    fn options(&self) -> AdminOptions {
        AdminOptions::new()
            .request_timeout(Some(self.timeout))
            .operation_timeout(Some(self.timeout))
    }

    /// The client's newest log line says more than the time-out that follows from it.
    fn call_error(&self, operation: &'static str, error: &KafkaError) -> Error {
        self.reason(operation, &error.to_string())
    }

    fn reason(&self, operation: &'static str, error: &str) -> Error {
        let mut trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        *trouble = log::drain(self.client.inner(), trouble.take());
        let servers = &self.bootstrap_servers;
        match &*trouble {
            Some(Trouble::Refused(why)) => Error::Authentication {
                operation,
                reason: format!("{why} (brokers {servers})"),
            },
            Some(Trouble::Other(why)) => Error::Call {
                operation,
                reason: format!("{error}: {why} (brokers {servers})"),
            },
            None => Error::Call {
                operation,
                reason: format!("{error} (brokers {servers})"),
            },
        }
    }

    /// The brokers answer: whatever the client complained of is over.
    fn well(&self) {
        log::drain(self.client.inner(), None);
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Describes those of the named topics that exist, with all configuration keys. Reading never creates a topic.
    ///
    /// # Errors
    /// When no broker answers in time, or one refuses.
    pub async fn describe(&self, names: &[String]) -> Result<BTreeMap<String, TopicDescription>, Error> {
        self.describe_keys(names, &[]).await
    }

    /// Describes those of the named topics that exist, with some configuration keys, or all when none is named. Reading
    /// never creates a topic.
    ///
    /// # Errors
    /// When no broker answers in time, or one refuses.
    pub async fn describe_keys(
        &self,
        names: &[String],
        keys: &'static [&'static str],
    ) -> Result<BTreeMap<String, TopicDescription>, Error> {
        let (client, names, timeout) = (Arc::clone(&self.client), names.to_vec(), self.timeout);
        let operation = "reading topics";
        let read = move || topics::describe(client.inner(), &names, timeout);
        let topics = self.wait(operation, read).await?;
        self.well();
        if topics.is_empty() {
            return Ok(topics);
        }
        let operation = "describing topic configurations";
        let (client, names): (_, Vec<_>) = (Arc::clone(&self.client), topics.keys().cloned().collect());
        let read = move || configs::describe(client.inner(), &names, keys, timeout);
        let mut configs = self.wait(operation, read).await?;
        // One that has just been deleted has no configuration.
        let with_configs = |(name, topic)| {
            let configs = configs.remove(&name)?;
            Some((name, TopicDescription { configs, ..topic }))
        };
        Ok(topics.into_iter().filter_map(with_configs).collect())
    }

    /// Makes a call that blocks.
    async fn wait<T: Send + 'static>(
        &self,
        operation: &'static str,
        call: impl FnOnce() -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Error> {
        match tokio::task::spawn_blocking(call).await {
            Ok(result) => result.map_err(|failure| match failure {
                Failure::Call(error) => self.reason(operation, &error),
                Failure::Topic { topic, reason } => Error::Topic {
                    operation: "reading",
                    topic,
                    reason,
                },
            }),
            Err(error) => Err(self.reason(operation, &error.to_string())),
        }
    }

    /// Creates a topic. One that exists already is no error: the next description shows whether it fits.
    ///
    /// # Errors
    /// When no broker answers in time, or one refuses.
    pub async fn create(&self, topic: &TopicSpec) -> Result<(), Error> {
        let operation = "creation";
        let mut new = NewTopic::new(
            &topic.name,
            topic.partitions,
            TopicReplication::Fixed(topic.replication_factor),
        );
        for (key, value) in &topic.configs {
            new = new.set(key, value);
        }
        let call = self.client.create_topics([&new], &self.options());
        for result in call
            .await
            .map_err(|error| self.call_error("creating a topic", &error))?
        {
            match result {
                Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
                Err((topic, RDKafkaErrorCode::InvalidReplicationFactor)) => {
                    let reason = RDKafkaErrorCode::InvalidReplicationFactor.to_string();
                    return Err(Error::TooFewBrokers { topic, reason });
                }
                Err((topic, code)) => {
                    let reason = code.to_string();
                    return Err(Error::Topic {
                        operation,
                        topic,
                        reason,
                    });
                }
            }
        }
        Ok(())
    }

    /// Deletes a topic with its records. One that does not exist is no error.
    ///
    /// # Errors
    /// When no broker answers in time, or one refuses.
    pub async fn delete(&self, topic: &str) -> Result<(), Error> {
        let operation = "deletion";
        let call = self.client.delete_topics(&[topic], &self.options());
        for result in call
            .await
            .map_err(|error| self.call_error("deleting a topic", &error))?
        {
            match result {
                Ok(_)
                | Err((_, RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic)) => {}
                Err((topic, code)) => {
                    let reason = code.to_string();
                    return Err(Error::Topic {
                        operation,
                        topic,
                        reason,
                    });
                }
            }
        }
        Ok(())
    }

    /// Sets configuration keys of a topic; all other keys stay as they are.
    ///
    /// # Errors
    /// When no broker answers in time, or one refuses.
    pub async fn set_configs(&self, topic: &str, configs: &BTreeMap<String, String>) -> Result<(), Error> {
        let (client, timeout) = (Arc::clone(&self.client), self.timeout);
        let (topic, configs) = (topic.to_owned(), configs.clone());
        let operation = "changing a topic's configuration";
        tokio::task::spawn_blocking(move || incremental::set(client.inner(), &topic, &configs, timeout))
            .await
            .map_err(|error| Error::Call {
                operation,
                reason: error.to_string(),
            })?
    }
}
