//! Kafka, a schema registry and PostgreSQL in memory, with faults.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::future::BoxFuture;
use http::{Method, StatusCode};
use logistics_kafka_admin::{Config, Error, TopicDescription, TopicSpec};
use logistics_operator::backend::kafka::{Brokers, Kafka, Topics};
use logistics_operator::backend::postgres::{Postgres, Server};
use logistics_operator::backend::registry::{Http, Registry, SubjectState, Subjects};
use logistics_operator::backend::{BackendError, Outside};
use logistics_operator::reason::Reason;
use serde_json::{Value, json};

use crate::faults::Fault;
use crate::wire::World;

/// What is in the outside systems.
#[derive(Default)]
pub(crate) struct Systems {
    topics: Mutex<BTreeMap<String, TopicDescription>>,
    subjects: Mutex<BTreeMap<String, Subject>>,
}

#[derive(Clone, Default)]
struct Subject {
    schemas: Vec<String>,
    compatibility: Option<String>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Systems {
    /// How an operator reaches them.
    pub(crate) fn reached(self: &Arc<Self>, world: &Arc<World>, instance: u32) -> Outside {
        let link = Link {
            systems: self.clone(),
            world: world.clone(),
            instance,
        };
        let (other, third) = (link.clone(), link.clone());
        Outside {
            kafka: Kafka::new(Box::new(move |_| Ok(Box::new(link.clone())))),
            registry: Registry::new(Box::new(move |_| Ok(Box::new(other.clone())))),
            postgres: Postgres::new(Box::new(move |_| Ok(Box::new(third.clone())))),
        }
    }

    /// The topics.
    pub(crate) fn topics(&self) -> Topics {
        Topics(lock(&self.topics).clone())
    }

    /// The subjects, as a reader of these schemas finds them.
    pub(crate) fn subjects(&self, wanted: &[logistics_operator::backend::registry::Subject]) -> Subjects {
        let subjects = lock(&self.subjects);
        let state = |subject: &logistics_operator::backend::registry::Subject| {
            let found = subjects.get(&subject.name).cloned().unwrap_or_default();
            let state = SubjectState {
                exists: !found.schemas.is_empty(),
                registered: found.number(subject.schema).map(|number| (number, number)),
                compatibility: found.compatibility,
                refusal: None,
            };
            (subject.name.clone(), state)
        };
        Subjects(wanted.iter().map(state).collect())
    }

    /// Somebody sets a key of every topic.
    pub(crate) fn configure(&self, key: &str, value: &str) {
        for topic in lock(&self.topics).values_mut() {
            topic.configs.insert(key.to_owned(), set(value));
        }
    }

    /// Somebody deletes a topic.
    pub(crate) fn delete_topic(&self, index: usize) {
        let mut topics = lock(&self.topics);
        if let Some(name) = topics.keys().nth(index).cloned() {
            topics.remove(&name);
        }
    }

    /// Somebody sets the compatibility of every subject.
    pub(crate) fn set_compatibility(&self, mode: &str) {
        for subject in lock(&self.subjects).values_mut() {
            subject.compatibility = Some(mode.to_owned());
        }
    }
}

impl Subject {
    fn number(&self, schema: &str) -> Option<i64> {
        let index = self.schemas.iter().position(|known| known == schema)?;
        i64::try_from(index + 1).ok()
    }
}

fn set(value: &str) -> Config {
    Config {
        value: Some(value.to_owned()),
        of_topic: true,
    }
}

#[derive(Clone)]
struct Link {
    systems: Arc<Systems>,
    world: Arc<World>,
    instance: u32,
}

impl Link {
    /// Does something, with what goes wrong; `None` when there is no answer.
    async fn act<T>(&self, what: &str, is_write: bool, act: impl FnOnce() -> T) -> Option<T> {
        if is_write {
            self.world.monitor.wrote_outside(what, self.instance);
        }
        let fault = self.world.faults.request(what, is_write);
        if is_write || fault != Fault::None {
            self.world.monitor.note(format_args!("{what} meets {fault:?}"));
        }
        match fault {
            Fault::None => Some(act()),
            Fault::Conflict | Fault::TooMany(..) | Fault::ServerError(_) | Fault::Cut => None,
            Fault::Lost => {
                act();
                None
            }
            Fault::Slow(pause) | Fault::Ghost(pause) => {
                tokio::time::sleep(pause).await;
                Some(act())
            }
            Fault::Late(pause) => {
                let done = act();
                tokio::time::sleep(pause).await;
                Some(done)
            }
        }
    }
}

fn unanswered(operation: &'static str) -> Error {
    Error::Call {
        operation,
        reason: "the connection broke".into(),
    }
}

impl Brokers for Link {
    fn describe<'a>(
        &'a self,
        names: &'a [String],
    ) -> BoxFuture<'a, Result<BTreeMap<String, TopicDescription>, Error>> {
        Box::pin(async move {
            let read = || {
                let topics = lock(&self.systems.topics);
                let found = names.iter().filter_map(|name| topics.get_key_value(name));
                found.map(|(name, topic)| (name.clone(), topic.clone())).collect()
            };
            self.act("read topics", false, read)
                .await
                .ok_or_else(|| unanswered("reading topics"))
        })
    }

    fn create<'a>(&'a self, topic: &'a TopicSpec) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(async move {
            let create = || {
                let description = TopicDescription {
                    partitions: topic.partitions,
                    replication_factor: topic.replication_factor,
                    configs: topic
                        .configs
                        .iter()
                        .map(|(key, value)| (key.clone(), set(value)))
                        .collect(),
                };
                lock(&self.systems.topics)
                    .entry(topic.name.clone())
                    .or_insert(description);
            };
            let what = format!("create topic {}", topic.name);
            self.act(&what, true, create)
                .await
                .ok_or_else(|| unanswered("creation"))
        })
    }

    fn set_configs<'a>(
        &'a self,
        topic: &'a str,
        configs: &'a BTreeMap<String, String>,
    ) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(async move {
            let configure = || {
                if let Some(topic) = lock(&self.systems.topics).get_mut(topic) {
                    topic
                        .configs
                        .extend(configs.iter().map(|(key, value)| (key.clone(), set(value))));
                }
            };
            let what = format!("configure topic {topic}");
            self.act(&what, true, configure)
                .await
                .ok_or_else(|| unanswered("configuration"))
        })
    }

    fn delete<'a>(&'a self, topic: &'a str) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(async move {
            let delete = || {
                lock(&self.systems.topics).remove(topic);
            };
            let what = format!("delete topic {topic}");
            self.act(&what, true, delete)
                .await
                .ok_or_else(|| unanswered("deletion"))
        })
    }
}

impl Http for Link {
    fn call<'a>(
        &'a self,
        method: Method,
        path: &'a str,
        body: Option<Value>,
    ) -> BoxFuture<'a, Result<(StatusCode, Vec<u8>), BackendError>> {
        Box::pin(async move {
            let is_write = method == Method::PUT || path.ends_with("/versions");
            let what = format!("{method} {path}");
            let answer = self.act(&what, is_write, || {
                self.systems.registry(&method, path, &body.unwrap_or_default())
            });
            let (code, body) = answer.await.ok_or_else(|| BackendError {
                reason: Reason::Unreachable,
                message: format!("{path}: the connection broke"),
            })?;
            Ok((code, body.to_string().into_bytes()))
        })
    }
}

impl Server for Link {
    fn ask(&self) -> BoxFuture<'_, Result<(), BackendError>> {
        Box::pin(async move {
            let begun = self.act("begin a session", false, || ()).await;
            begun.ok_or_else(|| BackendError {
                reason: Reason::Unreachable,
                message: "the connection broke".into(),
            })
        })
    }
}

impl Systems {
    fn registry(&self, method: &Method, path: &str, body: &Value) -> (StatusCode, Value) {
        let mut subjects = lock(&self.subjects);
        let segments: Vec<_> = path.trim_matches('/').split('/').collect();
        let schema = body["schema"].as_str().unwrap_or_default();
        let missing = |code: u32, message: &str| {
            (
                StatusCode::NOT_FOUND,
                json!({"error_code": code, "message": message}),
            )
        };
        match (method.as_str(), segments.as_slice()) {
            ("POST", ["subjects", name]) => {
                match subjects.get(*name).filter(|subject| !subject.schemas.is_empty()) {
                    None => missing(40401, "Subject not found"),
                    Some(subject) => match subject.number(schema) {
                        Some(number) => (
                            StatusCode::OK,
                            json!({"subject": name, "id": number, "version": number}),
                        ),
                        None => missing(40403, "Schema not found"),
                    },
                }
            }
            ("POST", ["subjects", name, "versions"]) => {
                let subject = subjects.entry((*name).to_owned()).or_default();
                if subject.number(schema).is_none() {
                    subject.schemas.push(schema.to_owned());
                }
                (StatusCode::OK, json!({"id": subject.number(schema)}))
            }
            ("GET", ["config", name]) => match subjects
                .get(*name)
                .and_then(|subject| subject.compatibility.clone())
            {
                Some(level) => (StatusCode::OK, json!({"compatibilityLevel": level})),
                None => missing(40408, "Subject has no compatibility level"),
            },
            ("PUT", ["config", name]) => {
                let mode = body["compatibility"].as_str().map(str::to_owned);
                subjects.entry((*name).to_owned()).or_default().compatibility = mode;
                (StatusCode::OK, body.clone())
            }
            _ => missing(404, "no such path"),
        }
    }
}
