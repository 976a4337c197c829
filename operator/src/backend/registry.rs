//! The schema registry: subjects with the release's schemas, and their compatibility.

mod http;

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::{self, StreamExt, TryStreamExt};
use logistics_kafka_admin::{Credentials, Trust};
use logistics_schemas::topics;
use reqwest::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use self::http::HttpClient;
use super::{Backend, BackendError, BackendPlan, Refused};
use crate::reason::Reason;
use crate::validate::ValidPlatform;

/// Error code of the Confluent API: there is no such subject.
const SUBJECT_NOT_FOUND: i64 = 40401;

/// The compatibility under which a subject accepts every schema.
const ACCEPTS_ALL: &str = "NONE";

/// Calls to a registry at the same time.
const CALLS: usize = 8;

/// Most characters of a registry's answer that are shown.
const SHOWN: usize = 400;

/// A subject as it should be.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Subject {
    /// Its name.
    pub name: String,
    /// The Avro schema that has to be registered.
    pub schema: &'static str,
    /// The compatibility mode.
    pub compatibility: &'static str,
}

/// The subjects that a platform needs.
#[must_use]
pub fn wanted(valid: &ValidPlatform) -> Vec<Subject> {
    let subject = |topic: &topics::Topic| {
        Some(Subject {
            name: topic.subject(&valid.kafka.topic_prefix)?,
            schema: topic.schema?,
            compatibility: valid.registry.compatibility.as_str(),
        })
    };
    topics::ALL.iter().filter_map(subject).collect()
}

/// Whether a subject is that of a topic, whose full name is given.
#[must_use]
pub fn is_of(subject: &Subject, topic: &str) -> bool {
    topics::ALL
        .iter()
        .filter_map(|known| {
            topic
                .strip_suffix(known.name)
                .and_then(|prefix| known.subject(prefix))
        })
        .any(|name| name == subject.name)
}

/// What is known about one subject.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SubjectState {
    /// Whether the subject has any schema.
    pub exists: bool,
    /// Identifier and version of the wanted schema, when it is registered.
    pub registered: Option<(i64, i64)>,
    /// The compatibility that was set for the subject.
    pub compatibility: Option<String>,
    /// Why the subject would refuse the wanted schema, where it has others already.
    pub refusal: Option<String>,
}

/// The subjects, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subjects(pub BTreeMap<String, SubjectState>);

impl Subjects {
    /// Whether a subject's schema is registered.
    #[must_use]
    pub fn has(&self, subject: &Subject) -> bool {
        self.0
            .get(&subject.name)
            .is_some_and(|state| state.registered.is_some())
    }
}

/// A change of a subject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// The schema is missing.
    Register(Subject),
    /// The compatibility differs.
    SetCompatibility(Subject),
    /// The subject belongs to a platform that is deleted.
    Delete(String),
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Register(subject) => write!(f, "register the schema of subject {}", subject.name),
            Self::Delete(name) => write!(f, "delete subject {name}"),
            Self::SetCompatibility(subject) => {
                write!(
                    f,
                    "set compatibility {} of subject {}",
                    subject.compatibility, subject.name
                )
            }
        }
    }
}

/// Where a registry is.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Target {
    /// Base URL.
    pub url: String,
    /// How it is verified.
    pub trust: Trust,
    /// Who asks; `None` for a registry that asks nobody.
    pub credentials: Option<Credentials>,
}

/// A registry's HTTP interface.
pub trait Http: Send + Sync {
    /// Calls a path below the base URL; the answer's status and body, whatever they are.
    fn call<'a>(
        &'a self,
        method: Method,
        path: &'a str,
        body: Option<Value>,
    ) -> BoxFuture<'a, Result<(StatusCode, Vec<u8>), BackendError>>;
}

/// An open connection to a registry.
pub type Connection = Box<dyn Http>;

/// Makes a client; it need not reach the registry yet.
type Connect = dyn Fn(&Target) -> Result<Connection, BackendError> + Send + Sync;

/// A registry with the Confluent API.
pub struct Registry {
    connect: Box<Connect>,
}

impl Registry {
    /// A registry that is reached by `connect`.
    #[must_use]
    pub fn new(connect: Box<Connect>) -> Self {
        Self { connect }
    }
}

impl Default for Registry {
    fn default() -> Self {
        Self::new(Box::new(|target| Ok(Box::new(HttpClient::new(target)?))))
    }
}

#[derive(Deserialize)]
struct Registered {
    id: i64,
    version: i64,
}

#[derive(Deserialize)]
struct Compatibility {
    #[serde(rename = "compatibilityLevel")]
    level: String,
}

#[derive(Deserialize)]
struct Verdict {
    is_compatible: bool,
    #[serde(default)]
    messages: Vec<String>,
}

async fn state(http: &dyn Http, subject: &Subject) -> Result<SubjectState, BackendError> {
    let path = format!("/subjects/{}", subject.name);
    let schema = json!({"schema": subject.schema, "schemaType": "AVRO"});
    let (status, body) = http.call(Method::POST, &path, Some(schema)).await?;
    let mut state = SubjectState::default();
    if status.is_success() {
        let found: Registered = parse(&path, &body)?;
        state.registered = Some((found.id, found.version));
        state.exists = true;
    } else if let Some(code) = not_found(status, &body) {
        state.exists = code != SUBJECT_NOT_FOUND;
    } else {
        return Err(refused(&path, status, &body));
    }
    let path = format!("/config/{}", subject.name);
    let (status, body) = http.call(Method::GET, &path, None).await?;
    if status.is_success() {
        state.compatibility = Some(parse::<Compatibility>(&path, &body)?.level);
    } else if not_found(status, &body).is_none() {
        return Err(refused(&path, status, &body));
    }
    // A mode that accepts all of them need not be asked; some registries say of a subject without a rule that it refuses.
    if state.exists && state.registered.is_none() && subject.compatibility != ACCEPTS_ALL {
        state.refusal = refusal(http, subject).await?;
    }
    Ok(state)
}

/// Asks a subject whether it would accept a schema, under the compatibility that it has now.
async fn refusal(http: &dyn Http, subject: &Subject) -> Result<Option<String>, BackendError> {
    let path = format!("/compatibility/subjects/{}/versions?verbose=true", subject.name);
    let schema = json!({"schema": subject.schema, "schemaType": "AVRO"});
    let (status, body) = http.call(Method::POST, &path, Some(schema)).await?;
    // Its last schema was deleted in the meantime; or the registry cannot tell beforehand, and tells when it is asked to
    // register the schema.
    if status == StatusCode::NOT_FOUND {
        return Ok(None);
    }
    if !status.is_success() {
        return Err(refused(&path, status, &body));
    }
    let verdict: Verdict = parse(&path, &body)?;
    let why = if verdict.messages.is_empty() {
        "it is not compatible with what is registered".to_owned()
    } else {
        verdict.messages.join("; ").chars().take(SHOWN).collect()
    };
    Ok((!verdict.is_compatible).then_some(why))
}

impl Backend for Registry {
    const NAME: &'static str = "schema-registry";
    const BATCH: usize = 32;
    // Two requests for each subject: fifty a second.
    const PACE: Duration = Duration::from_millis(40);
    type Target = Target;
    type Connection = Connection;
    type Item = Subject;
    type Seen = Subjects;
    type Change = Change;

    fn connect(&self, target: &Target) -> Result<Self::Connection, BackendError> {
        (self.connect)(target)
    }

    async fn observe(
        &self,
        connection: &Self::Connection,
        items: &[Subject],
    ) -> Result<Subjects, BackendError> {
        let read = |subject: Subject| async move {
            let state = state(&**connection, &subject).await?;
            Ok((subject.name, state))
        };
        let reading = stream::iter(items.to_vec()).map(read).buffer_unordered(CALLS);
        reading.try_collect().await.map(Subjects)
    }

    fn part(items: &[Subject], seen: &Subjects) -> Subjects {
        let part = |subject: &Subject| Some((subject.name.clone(), seen.0.get(&subject.name)?.clone()));
        Subjects(items.iter().filter_map(part).collect())
    }

    fn plan(items: &[Subject], seen: &Subjects) -> BackendPlan<Change> {
        let mut plan = BackendPlan::default();
        let known = |subject: &Subject| seen.0.get(&subject.name).cloned().unwrap_or_default();
        let differs =
            |subject: &Subject| known(subject).compatibility.as_deref() != Some(subject.compatibility);
        // All schemas of a release are registered, or none.
        let mut held = false;
        for subject in items {
            let Some(why) = known(subject).refusal else {
                continue;
            };
            held = true;
            // What another mode says of the schema does not count: the mode is set first, then it is asked again.
            if !differs(subject) {
                plan.refused.push(Refused {
                    reason: Reason::IncompatibleSchema,
                    message: incompatible(subject, &why),
                });
            }
        }
        for subject in items {
            let state = known(subject);
            // The mode decides whether a schema is accepted, so it goes first; but a subject that has no schema yet
            // cannot be configured in every registry.
            if differs(subject) && state.exists {
                plan.changes.push(Change::SetCompatibility(subject.clone()));
            }
            if held {
                continue;
            }
            if state.registered.is_none() {
                plan.changes.push(Change::Register(subject.clone()));
            }
            if differs(subject) && !state.exists {
                plan.changes.push(Change::SetCompatibility(subject.clone()));
            }
        }
        plan
    }

    fn teardown(items: &[Subject], seen: &Subjects) -> Vec<Change> {
        let exists = |name: &String| seen.0.get(name).is_some_and(|state| state.exists);
        let names = items.iter().map(|subject| &subject.name);
        names
            .filter(|name| exists(name))
            .map(|name| Change::Delete(name.clone()))
            .collect()
    }

    async fn apply(&self, connection: &Self::Connection, change: &Change) -> Result<(), BackendError> {
        let (method, path, body) = match change {
            Change::Delete(name) => return delete(&**connection, name).await,
            Change::Register(subject) => {
                let schema = json!({"schema": subject.schema, "schemaType": "AVRO"});
                (
                    Method::POST,
                    format!("/subjects/{}/versions", subject.name),
                    schema,
                )
            }
            Change::SetCompatibility(subject) => {
                let mode = json!({"compatibility": subject.compatibility});
                (Method::PUT, format!("/config/{}", subject.name), mode)
            }
        };
        let (status, body) = connection.call(method, &path, Some(body)).await?;
        match (status, change) {
            (StatusCode::CONFLICT, Change::Register(subject)) => Err(BackendError {
                reason: Reason::IncompatibleSchema,
                message: incompatible(subject, &text(&body)),
            }),
            (status, _) if !status.is_success() => Err(refused(&path, status, &body)),
            _ => Ok(()),
        }
    }
}

/// Deletes a subject with all its schemas: the Confluent API asks for it twice, and a registry that does it at once has
/// nothing left the second time.
async fn delete(http: &dyn Http, name: &str) -> Result<(), BackendError> {
    for query in ["", "?permanent=true"] {
        let path = format!("/subjects/{name}{query}");
        let (status, body) = http.call(Method::DELETE, &path, None).await?;
        if !status.is_success() && status != StatusCode::NOT_FOUND {
            return Err(refused(&path, status, &body));
        }
    }
    Ok(())
}

fn parse<T: for<'de> Deserialize<'de>>(path: &str, body: &[u8]) -> Result<T, BackendError> {
    serde_json::from_slice(body).map_err(|error| BackendError {
        reason: Reason::UnexpectedAnswer,
        message: format!("{path}: the registry's answer is not of the Confluent API: {error}"),
    })
}

/// The error code of a registry that does not have something. A server that is no registry has no such code.
fn not_found(status: StatusCode, body: &[u8]) -> Option<i64> {
    let code = serde_json::from_slice::<Value>(body)
        .ok()?
        .get("error_code")?
        .as_i64()?;
    (status == StatusCode::NOT_FOUND && code / 100 == 404).then_some(code)
}

fn refused(path: &str, status: StatusCode, body: &[u8]) -> BackendError {
    let (reason, remedy) = match status {
        StatusCode::UNAUTHORIZED => (
            Reason::AuthenticationFailed,
            "; correct spec.schemaRegistry.credentials, or the user in the Secret that it names: both are tried again by \
             themselves",
        ),
        _ => (Reason::Refused, ""),
    };
    let said = text(body);
    let said = if said.is_empty() {
        said
    } else {
        format!(": {said}")
    };
    BackendError {
        reason,
        message: format!("{path}: the registry answered {status}{said}{remedy}"),
    }
}

fn incompatible(subject: &Subject, why: &str) -> String {
    format!(
        "subject {} refuses the release's schema under {}: {why}; return to a release whose schema is compatible, or set \
         spec.schemaRegistry.compatibility",
        subject.name, subject.compatibility
    )
}

/// The beginning of an answer, or its message when it has one.
fn text(body: &[u8]) -> String {
    let message = serde_json::from_slice::<Value>(body)
        .ok()
        .and_then(|v| Some(v.get("message")?.as_str()?.to_owned()));
    let text = message.unwrap_or_else(|| String::from_utf8_lossy(body).into_owned());
    text.chars().take(SHOWN).collect()
}

#[cfg(test)]
mod tests;
