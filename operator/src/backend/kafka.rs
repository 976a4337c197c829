//! Kafka: the platform's topics and their configuration.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use futures::future::BoxFuture;
use logistics_kafka_admin::{Admin, Config, Error, Sasl, TopicDescription, TopicSpec, Trust};
use logistics_schemas::topics;

use super::{Backend, BackendError, BackendPlan, CALL_TIMEOUT, Refused};
use crate::reason::Reason;
use crate::validate::ValidPlatform;

/// How long a change is waited for to show; after that the next read tells.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(3);

/// How often it is looked for.
const SETTLE_INTERVAL: Duration = Duration::from_millis(50);

/// The configuration keys that are set, and asked for.
const KEYS: [&str; 2] = ["cleanup.policy", "retention.ms"];

/// A topic as it should be.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Topic {
    /// Its name, prefix included.
    pub name: String,
    /// Number of partitions.
    pub partitions: i32,
    /// Copies of each partition.
    pub replication_factor: i32,
    /// The configuration keys that we want; all others are somebody else's.
    pub configs: BTreeMap<String, String>,
}

/// The topics that a platform needs.
#[must_use]
pub fn wanted(valid: &ValidPlatform) -> Vec<Topic> {
    let kafka = &valid.kafka;
    let values = ["delete".to_owned(), kafka.retention.as_millis().to_string()];
    let configs: BTreeMap<_, _> = KEYS.map(str::to_owned).into_iter().zip(values).collect();
    let topic = |topic: &topics::Topic| Topic {
        name: topic.full_name(&kafka.topic_prefix),
        partitions: kafka.partitions,
        replication_factor: kafka.replication_factor,
        configs: configs.clone(),
    };
    topics::ALL.iter().map(topic).collect()
}

/// The topics that exist.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Topics(pub BTreeMap<String, TopicDescription>);

impl Topics {
    /// Whether a topic is there and nothing about it has to change or is refused.
    #[must_use]
    pub fn fits(&self, topic: &Topic) -> bool {
        let mut plan = BackendPlan::default();
        self.compare(topic, &mut plan);
        plan.changes.is_empty() && plan.refused.is_empty()
    }

    fn compare(&self, topic: &Topic, plan: &mut BackendPlan<Change>) {
        let Some(found) = self.0.get(&topic.name) else {
            plan.changes.push(Change::Create(topic.clone()));
            return;
        };
        if found.partitions != topic.partitions {
            plan.refused.push(refused_partitions(topic, found.partitions));
        }
        if found.replication_factor != topic.replication_factor {
            plan.refused
                .push(refused_replicas(topic, found.replication_factor));
        }
        let differs = |(key, value): &(&String, &String)| {
            found.configs.get(*key).is_none_or(|found| !is_set(found, value))
        };
        let set: BTreeMap<_, _> = topic
            .configs
            .iter()
            .filter(differs)
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        if !set.is_empty() {
            plan.changes.push(Change::SetConfigs {
                topic: topic.name.clone(),
                configs: set,
            });
        }
    }
}

/// A key is as wanted only when it was set for the topic: a broker's default may change behind our back.
fn is_set(found: &Config, value: &str) -> bool {
    found.of_topic && found.value.as_deref() == Some(value)
}

fn refused_partitions(topic: &Topic, found: i32) -> Refused {
    let (name, wanted) = (&topic.name, topic.partitions);
    let remedy = if found < wanted {
        "more partitions would move keys to other partitions and break their order"
    } else {
        "Kafka cannot take partitions away"
    };
    Refused {
        reason: Reason::NotSupported,
        message: format!(
            "topic {name} has {found} partitions, spec.kafka.topics.partitions says {wanted}: {remedy}; \
             write {found}, or set another spec.kafka.topicPrefix"
        ),
    }
}

fn refused_replicas(topic: &Topic, found: i32) -> Refused {
    let (name, wanted) = (&topic.name, topic.replication_factor);
    Refused {
        reason: Reason::NotSupported,
        message: format!(
            "topic {name} has replication factor {found}, spec.kafka.topics.replicationFactor says {wanted}: \
             moving replicas is left to Kafka's own tools; write {found}, or reassign the replicas"
        ),
    }
}

/// A change of a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// The topic is missing.
    Create(Topic),
    /// Keys are not set as wanted.
    SetConfigs {
        /// The topic.
        topic: String,
        /// The keys that differ, with the wanted values.
        configs: BTreeMap<String, String>,
    },
    /// The topic belongs to a platform that is deleted.
    Delete(String),
}

impl Change {
    fn topic(&self) -> &str {
        match self {
            Self::Create(topic) => &topic.name,
            Self::SetConfigs { topic, .. } | Self::Delete(topic) => topic,
        }
    }

    /// Whether a change shows, by what is found of its topic.
    fn is_made(&self, found: Option<&TopicDescription>) -> bool {
        let Some(found) = found else {
            return matches!(self, Self::Delete(_));
        };
        match self {
            Self::Create(_) => true,
            Self::Delete(_) => false,
            Self::SetConfigs { configs, .. } => configs
                .iter()
                .all(|(key, value)| found.configs.get(key).is_some_and(|found| is_set(found, value))),
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Create(topic) => write!(f, "create topic {}", topic.name),
            Self::Delete(topic) => write!(f, "delete topic {topic}"),
            Self::SetConfigs { topic, configs } => {
                let pairs: Vec<_> = configs
                    .iter()
                    .map(|(key, value)| format!("{key}={value}"))
                    .collect();
                write!(f, "set {} of topic {topic}", pairs.join(" "))
            }
        }
    }
}

/// Where a Kafka cluster is.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Target {
    /// Comma-separated `host:port`.
    pub bootstrap_servers: String,
    /// How brokers are verified.
    pub trust: Trust,
    /// Who connects; `None` for brokers that ask nobody.
    pub sasl: Option<Sasl>,
}

/// What the operator asks of a Kafka cluster.
pub trait Brokers: Send + Sync {
    /// Describes those of the named topics that exist.
    fn describe<'a>(
        &'a self,
        names: &'a [String],
    ) -> BoxFuture<'a, Result<BTreeMap<String, TopicDescription>, Error>>;

    /// Creates a topic; one that exists already is no error.
    fn create<'a>(&'a self, topic: &'a TopicSpec) -> BoxFuture<'a, Result<(), Error>>;

    /// Sets configuration keys of a topic; all other keys stay as they are.
    fn set_configs<'a>(
        &'a self,
        topic: &'a str,
        configs: &'a BTreeMap<String, String>,
    ) -> BoxFuture<'a, Result<(), Error>>;

    /// Deletes a topic with its records. One that does not exist is no error.
    fn delete<'a>(&'a self, topic: &'a str) -> BoxFuture<'a, Result<(), Error>>;
}

impl Brokers for Admin {
    fn delete<'a>(&'a self, topic: &'a str) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(self.delete(topic))
    }

    fn describe<'a>(
        &'a self,
        names: &'a [String],
    ) -> BoxFuture<'a, Result<BTreeMap<String, TopicDescription>, Error>> {
        Box::pin(self.describe_keys(names, &KEYS))
    }

    fn create<'a>(&'a self, topic: &'a TopicSpec) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(self.create(topic))
    }

    fn set_configs<'a>(
        &'a self,
        topic: &'a str,
        configs: &'a BTreeMap<String, String>,
    ) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(self.set_configs(topic, configs))
    }
}

/// An open connection to a cluster.
pub type Connection = Box<dyn Brokers>;

/// Makes a connection to a cluster; it need not reach it yet.
type Connect = dyn Fn(&Target) -> Result<Connection, Error> + Send + Sync;

/// Apache Kafka and what speaks its protocol.
pub struct Kafka {
    connect: Box<Connect>,
}

impl Kafka {
    /// Kafka that is reached by `connect`.
    #[must_use]
    pub fn new(connect: Box<Connect>) -> Self {
        Self { connect }
    }
}

impl Default for Kafka {
    fn default() -> Self {
        Self::new(Box::new(|target| {
            let Target {
                bootstrap_servers,
                trust,
                sasl,
            } = target;
            let admin = Admin::new(bootstrap_servers, trust, sasl.as_ref(), CALL_TIMEOUT)?;
            Ok(Box::new(admin))
        }))
    }
}

impl Backend for Kafka {
    const NAME: &'static str = "kafka";
    const BATCH: usize = 128;
    // One request tells of a whole batch.
    const PACE: Duration = Duration::from_millis(1);
    type Target = Target;
    type Connection = Connection;
    type Item = Topic;
    type Seen = Topics;
    type Change = Change;

    fn connect(&self, target: &Target) -> Result<Self::Connection, BackendError> {
        // The addresses are valid by now, so it is the certificates that the client refuses.
        (self.connect)(target).map_err(|error| BackendError {
            reason: Reason::InvalidAuthority,
            message: error.to_string(),
        })
    }

    async fn observe(&self, admin: &Self::Connection, items: &[Topic]) -> Result<Topics, BackendError> {
        let names: Vec<_> = items.iter().map(|topic| topic.name.clone()).collect();
        admin
            .describe(&names)
            .await
            .map(Topics)
            .map_err(|error| BackendError {
                reason: reason(&error, Reason::Unreachable),
                message: format!("{error}{}", remedy(&error)),
            })
    }

    fn part(items: &[Topic], seen: &Topics) -> Topics {
        let part = |topic: &Topic| Some((topic.name.clone(), seen.0.get(&topic.name)?.clone()));
        Topics(items.iter().filter_map(part).collect())
    }

    fn plan(items: &[Topic], seen: &Topics) -> BackendPlan<Change> {
        let mut plan = BackendPlan::default();
        for topic in items {
            seen.compare(topic, &mut plan);
        }
        plan
    }

    fn teardown(items: &[Topic], seen: &Topics) -> Vec<Change> {
        let names = items.iter().map(|topic| &topic.name);
        names
            .filter(|name| seen.0.contains_key(*name))
            .map(|name| Change::Delete(name.clone()))
            .collect()
    }

    async fn apply(&self, admin: &Self::Connection, change: &Change) -> Result<(), BackendError> {
        let result = match change {
            Change::Create(topic) => {
                let spec = TopicSpec {
                    name: topic.name.clone(),
                    partitions: topic.partitions,
                    replication_factor: topic.replication_factor,
                    configs: topic.configs.clone(),
                };
                admin.create(&spec).await
            }
            Change::SetConfigs { topic, configs } => admin.set_configs(topic, configs).await,
            Change::Delete(topic) => admin.delete(topic).await,
        };
        let failed = |error| BackendError {
            reason: reason(&error, Reason::TopicFailed),
            message: format!("{change}: {error}{}", remedy(&error)),
        };
        result.map_err(failed)?;
        settle(&**admin, change).await.map_err(failed)
    }
}

/// Waits until the brokers show a change: they learn of it from their controller a moment after it answered.
async fn settle(admin: &dyn Brokers, change: &Change) -> Result<(), Error> {
    let names = [change.topic().to_owned()];
    let deadline = tokio::time::Instant::now() + SETTLE_TIMEOUT;
    loop {
        let seen = admin.describe(&names).await?;
        if change.is_made(seen.get(change.topic())) || tokio::time::Instant::now() > deadline {
            return Ok(());
        }
        tokio::time::sleep(SETTLE_INTERVAL).await;
    }
}

/// What the user can do about an error, where it is the spec that has to change.
fn remedy(error: &Error) -> &'static str {
    match error {
        Error::TooFewBrokers { .. } => {
            "; set spec.kafka.topics.replicationFactor to the number of brokers at most, or add brokers"
        }
        Error::Authentication { .. } => {
            "; correct spec.kafka.sasl, or the user in the Secret that it names: both are tried again by themselves"
        }
        _ => "",
    }
}

fn reason(error: &Error, otherwise: Reason) -> Reason {
    match (error, otherwise) {
        (Error::Authentication { .. }, _) => Reason::AuthenticationFailed,
        // The broker is there: it does not tell of the topic.
        (Error::Topic { .. }, Reason::Unreachable) => Reason::Refused,
        _ => otherwise,
    }
}

#[cfg(test)]
mod tests;
