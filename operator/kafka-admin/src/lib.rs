//! Kafka administration as the operator needs it: what topics there are, how they are configured, creating topics, and
//! changing single configuration keys without touching the others.

mod incremental;
mod log;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::admin::{
    AdminClient, AdminOptions, ConfigSource, NewTopic, ResourceSpecifier, TopicReplication,
};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::{ClientConfig, FromClientConfig, RDKafkaLogLevel};
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode;

/// How brokers are verified.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Trust {
    /// TLS against the system's authorities.
    System,
    /// TLS against these PEM certificates.
    Pem(String),
    /// Plain text.
    Disabled,
}

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

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The client could not be made from its configuration.
    #[error("the Kafka client refuses its configuration: {0}")]
    Configuration(#[source] KafkaError),
    /// The call did not reach a broker or the broker refused it as a whole.
    #[error("{operation} failed: {reason}")]
    Call {
        /// What was tried.
        operation: &'static str,
        /// What the client says, with its last connection error.
        reason: String,
    },
    /// There are fewer brokers than copies of each partition are wanted.
    #[error("creation of topic {topic} failed: {reason}")]
    TooFewBrokers {
        /// The topic.
        topic: String,
        /// What the broker says.
        reason: String,
    },
    /// The broker refused a topic.
    #[error("{operation} of topic {topic} failed: {reason}")]
    Topic {
        /// What was tried.
        operation: &'static str,
        /// The topic.
        topic: String,
        /// What the broker says.
        reason: String,
    },
}

/// A connection to one Kafka cluster. Dropping it ends its threads.
pub struct Admin {
    client: Arc<AdminClient<DefaultClientContext>>,
    bootstrap_servers: String,
    timeout: Duration,
}

impl Admin {
    /// Makes a client; it connects when it is used.
    ///
    /// `timeout` bounds each call.
    ///
    /// # Errors
    /// When the configuration is refused, for example certificates that are not PEM.
    pub fn new(bootstrap_servers: &str, trust: &Trust, timeout: Duration) -> Result<Self, Error> {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", bootstrap_servers)
            .set("client.id", "logistics-operator")
            .set("allow.auto.create.topics", "false")
            .set("socket.timeout.ms", timeout.as_millis().to_string())
            .set("reconnect.backoff.max.ms", "5000");
        match trust {
            Trust::Disabled => config.set("security.protocol", "plaintext"),
            Trust::System => config
                .set("security.protocol", "ssl")
                .set("ssl.ca.location", "probe"),
            Trust::Pem(pem) => config.set("security.protocol", "ssl").set("ssl.ca.pem", pem),
        };
        config.set_log_level(RDKafkaLogLevel::Warning);
        let client = AdminClient::from_config(&config).map_err(Error::Configuration)?;
        Ok(Self {
            client: Arc::new(client),
            bootstrap_servers: bootstrap_servers.to_owned(),
            timeout,
        })
    }

    fn options(&self) -> AdminOptions {
        AdminOptions::new()
            .request_timeout(Some(self.timeout))
            .operation_timeout(Some(self.timeout))
    }

    /// The client's newest log line says more than the time-out that follows from it.
    fn call_error(&self, operation: &'static str, error: &KafkaError) -> Error {
        let cause = log::drain(self.client.inner())
            .map_or_else(|| error.to_string(), |line| format!("{error}: {line}"));
        let reason = format!("{cause} (brokers {})", self.bootstrap_servers);
        Error::Call { operation, reason }
    }

    /// Describes those of the named topics that exist. Reading never creates a topic.
    ///
    /// # Errors
    /// When no broker answers in time, or one refuses.
    pub async fn describe(&self, names: &[String]) -> Result<BTreeMap<String, TopicDescription>, Error> {
        let mut found = self.metadata(names).await?;
        let resources: Vec<_> = found.keys().map(|name| ResourceSpecifier::Topic(name)).collect();
        if resources.is_empty() {
            return Ok(found);
        }
        let operation = "describing topic configurations";
        let call = self.client.describe_configs(&resources, &self.options());
        let results = call.await.map_err(|error| self.call_error(operation, &error))?;
        let mut configs = BTreeMap::new();
        for result in results {
            let resource = result.map_err(|code| Error::Call {
                operation,
                reason: code.to_string(),
            })?;
            if let rdkafka::admin::OwnedResourceSpecifier::Topic(name) = resource.specifier {
                let of_topic = |entry: rdkafka::admin::ConfigEntry| {
                    let of_topic = entry.source == ConfigSource::DynamicTopic;
                    (
                        entry.name,
                        Config {
                            value: entry.value,
                            of_topic,
                        },
                    )
                };
                configs.insert(name, resource.entries.into_iter().map(of_topic).collect());
            }
        }
        for (name, topic) in &mut found {
            topic.configs = configs.remove(name).unwrap_or_default();
        }
        log::drain(self.client.inner());
        Ok(found)
    }

    /// Partitions and replicas. All topics are asked for, because asking for one by name may create it.
    async fn metadata(&self, names: &[String]) -> Result<BTreeMap<String, TopicDescription>, Error> {
        let (client, timeout) = (Arc::clone(&self.client), self.timeout);
        let operation = "reading topics";
        let read = tokio::task::spawn_blocking(move || client.inner().fetch_metadata(None, timeout));
        let metadata = read
            .await
            .map_err(|error| Error::Call {
                operation,
                reason: error.to_string(),
            })?
            .map_err(|error| self.call_error(operation, &error))?;
        let describe = |topic: &rdkafka::metadata::MetadataTopic| TopicDescription {
            partitions: i32::try_from(topic.partitions().len()).unwrap_or(i32::MAX),
            replication_factor: topic.partitions().first().map_or(0, |partition| {
                i32::try_from(partition.replicas().len()).unwrap_or(i32::MAX)
            }),
            configs: BTreeMap::new(),
        };
        let wanted = metadata
            .topics()
            .iter()
            .filter(|topic| names.iter().any(|name| name == topic.name()));
        Ok(wanted
            .map(|topic| (topic.name().to_owned(), describe(topic)))
            .collect())
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
