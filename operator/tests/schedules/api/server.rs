//! Requests and answers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use http::Method;
use serde_json::{Value, json};

use super::answer::Refusal;
use super::discovery::discovery;
use super::store::{Deletion, Key, Store};
use super::watching::{Selector, Watch};

/// A request.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// Its method.
    pub method: Method,
    /// Plural name of the kind.
    pub plural: String,
    /// Namespace; `None` means all.
    pub namespace: Option<String>,
    /// Name of the object.
    pub name: Option<String>,
    /// `status` or nothing.
    pub part: Option<String>,
    /// The rest of the path, of discovery.
    pub path: String,
    query: BTreeMap<String, String>,
    content_type: String,
    metadata_only: bool,
    user_agent: String,
    body: Vec<u8>,
}

/// An answer.
pub(crate) enum Answer {
    /// A body.
    Body(u16, Arc<Value>),
    /// Events.
    Watch(Watch),
    /// A refusal.
    Refused(Refusal),
}

impl Request {
    /// Reads a request.
    pub(crate) fn new(parts: &http::request::Parts, body: Vec<u8>) -> Self {
        let path = parts.uri.path().trim_matches('/').to_owned();
        let segments: Vec<&str> = path.split('/').collect();
        let rest = match segments.as_slice() {
            ["api", _, rest @ ..] | ["apis", _, _, rest @ ..] => rest,
            _ => &[],
        };
        let text = |text: &&str| (*text).to_owned();
        let (namespace, rest) = match rest {
            ["namespaces", namespace, rest @ ..] if !rest.is_empty() => (Some(text(namespace)), rest),
            rest => (None, rest),
        };
        let query = parts.uri.query().unwrap_or_default();
        let query = query.split('&').filter_map(|pair| pair.split_once('='));
        let header = |name| {
            let value = parts.headers.get(name).and_then(|value| value.to_str().ok());
            value.unwrap_or_default().to_owned()
        };
        Self {
            method: parts.method.clone(),
            plural: rest.first().map(text).unwrap_or_default(),
            namespace,
            name: rest.get(1).map(text),
            part: rest.get(2).map(text),
            query: query.map(|(name, value)| (name.into(), decode(value))).collect(),
            content_type: header(http::header::CONTENT_TYPE),
            metadata_only: header(http::header::ACCEPT).contains("as=PartialObjectMetadata"),
            user_agent: header(http::header::USER_AGENT),
            body,
            path,
        }
    }

    /// Whether it changes something.
    pub(crate) fn is_write(&self) -> bool {
        self.method != Method::GET
    }

    /// Whether it is a watch.
    pub(crate) fn is_watch(&self) -> bool {
        self.query
            .get("watch")
            .is_some_and(|value| value == "true" || value == "1")
    }

    /// What a list or a watch is of.
    pub(crate) fn watched(&self) -> String {
        let selector = |name: &str| self.query.get(name).map_or("", String::as_str);
        format!(
            "{} {}{}",
            self.path,
            selector("labelSelector"),
            selector("fieldSelector")
        )
    }

    /// The object that it is about.
    pub(crate) fn key(&self) -> Key {
        let name = self.name.clone().unwrap_or_else(|| {
            let body: Value = serde_json::from_slice(&self.body).unwrap_or_default();
            body["metadata"]["name"].as_str().unwrap_or_default().to_owned()
        });
        Key {
            plural: self.plural.clone(),
            namespace: self.namespace.clone().unwrap_or_default(),
            name,
        }
    }

    /// Its body as JSON.
    pub(crate) fn object(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// Changes its body.
    pub(crate) fn edit(&mut self, act: impl FnOnce(&mut Value)) {
        let mut body = self.object();
        act(&mut body);
        self.body = body.to_string().into_bytes();
    }

    /// Whether it is a server-side apply.
    pub(crate) fn is_apply(&self) -> bool {
        self.content_type.contains("apply-patch")
    }

    /// What it does, in one word.
    pub(crate) fn verb(&self) -> &'static str {
        match (self.method.as_str(), self.is_apply()) {
            ("GET", _) if self.is_watch() => "watch",
            ("GET", _) if self.name.is_none() => "list",
            ("GET", _) => "get",
            ("PATCH", true) => "apply",
            ("PATCH", false) => "patch",
            ("PUT", _) => "put",
            ("DELETE", _) => "delete",
            _ => "create",
        }
    }

    fn manager(&self) -> String {
        let agent = || self.user_agent.split('/').next().unwrap_or_default().to_owned();
        self.query.get("fieldManager").cloned().unwrap_or_else(agent)
    }

    fn selector(&self) -> Selector {
        Selector::new(
            self.plural.clone(),
            self.namespace.clone(),
            self.query.get("labelSelector").map_or("", String::as_str),
            self.query.get("fieldSelector").map_or("", String::as_str),
        )
    }
}

impl std::fmt::Display for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.verb(), self.plural)?;
        if self.name.is_some() || self.method == Method::POST {
            write!(f, "/{}", self.key().name)?;
        }
        match &self.part {
            Some(part) => write!(f, "/{part}"),
            None => Ok(()),
        }
    }
}

fn decode(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let hex = tail.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        match (first, hex.and_then(|hex| u8::from_str_radix(hex, 16).ok())) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            (b'+', _) => {
                bytes.push(b' ');
                rest = tail;
            }
            _ => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Answers a request. `page_size` bounds the pages of lists.
pub(crate) fn serve(store: &Store, request: &Request, page_size: usize) -> Answer {
    answer(store, request, page_size).unwrap_or_else(Answer::Refused)
}

fn answer(store: &Store, request: &Request, page_size: usize) -> Result<Answer, Refusal> {
    let key = request.key();
    let Some(kind) = store.kind(&request.plural) else {
        return discovery(store, &request.path);
    };
    let manager = request.manager();
    match request.verb() {
        "watch" => {
            let from = request
                .query
                .get("resourceVersion")
                .and_then(|text| text.parse().ok());
            let seconds = request
                .query
                .get("timeoutSeconds")
                .and_then(|text| text.parse().ok());
            Ok(Answer::Watch(Watch {
                selector: request.selector(),
                from: from.unwrap_or_else(|| store.version()),
                metadata_only: request.metadata_only,
                timeout: Duration::from_secs(seconds.unwrap_or(1800)),
            }))
        }
        "list" => {
            let limit = request.query.get("limit").and_then(|text| text.parse().ok());
            let selector = request.selector();
            let (items, version, token) = store.list(
                |key, object| selector.selects(key, object),
                limit.unwrap_or(usize::MAX).min(page_size),
                request
                    .query
                    .get("continue")
                    .filter(|token| !token.is_empty())
                    .map(String::as_str),
            )?;
            let items: Vec<_> = items
                .iter()
                .map(|item| shown(item, request.metadata_only))
                .collect();
            let mut list = json!({
                "apiVersion": kind.api_version(), "kind": format!("{}List", kind.name),
                "metadata": {"resourceVersion": version.to_string()}, "items": items,
            });
            if request.metadata_only {
                list["apiVersion"] = "meta.k8s.io/v1".into();
                list["kind"] = "PartialObjectMetadataList".into();
            }
            if let Some(token) = token {
                list["metadata"]["continue"] = token.into();
            }
            Ok(Answer::Body(200, Arc::new(list)))
        }
        "get" => {
            let found = store
                .get(&key)
                .ok_or_else(|| Refusal::not_found(&key.plural, &key.name))?;
            Ok(Answer::Body(200, found))
        }
        "create" => Ok(Answer::Body(201, store.create(&manager, &key, request.object())?)),
        "apply" => {
            let force = request.query.get("force").is_some_and(|value| value == "true");
            if manager.is_empty() {
                return Err(Refusal::bad_request("fieldManager is required for apply patch"));
            }
            let (object, made) = store.apply(&manager, force, &key, &request.object())?;
            Ok(Answer::Body(if made { 201 } else { 200 }, object))
        }
        "patch" => {
            let patch = request.object();
            let merge = |live: &Value| {
                let mut object = live.clone();
                merge(&mut object, &patch);
                Ok(object)
            };
            let status = request.part.as_deref() == Some("status");
            Ok(Answer::Body(200, store.replace(&manager, &key, status, merge)?))
        }
        "put" => {
            let object = request.object();
            if request.part.is_none() && store.get(&key).is_none() {
                return Err(Refusal::not_found(&key.plural, &key.name));
            }
            let status = request.part.as_deref() == Some("status");
            Ok(Answer::Body(
                200,
                store.replace(&manager, &key, status, |_| Ok(object))?,
            ))
        }
        _ => delete(store, request, &key),
    }
}

fn delete(store: &Store, request: &Request, key: &Key) -> Result<Answer, Refusal> {
    let options = request.object();
    let deletion = Deletion {
        uid: options["preconditions"]["uid"].as_str().map(str::to_owned),
        foreground: options["propagationPolicy"] == "Foreground",
    };
    let uid = store.get(key).map(|object| object["metadata"]["uid"].clone());
    if let Some(waiting) = store.delete(key, &deletion)? {
        return Ok(Answer::Body(200, waiting));
    }
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success",
        "details": {"name": key.name, "kind": key.plural, "uid": uid},
    });
    Ok(Answer::Body(200, Arc::new(status)))
}

/// An object as lists and watches show it.
pub(crate) fn shown(object: &Value, metadata_only: bool) -> Value {
    if metadata_only {
        return json!({
            "apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata", "metadata": object["metadata"],
        });
    }
    object.clone()
}

/// Changes an object as a JSON merge patch does (RFC 7396).
fn merge(object: &mut Value, patch: &Value) {
    let Value::Object(fields) = patch else {
        object.clone_from(patch);
        return;
    };
    if !object.is_object() {
        *object = json!({});
    }
    for (name, change) in fields {
        if change.is_null() {
            object.as_object_mut().map(|object| object.remove(name));
        } else {
            merge(&mut object[name.as_str()], change);
        }
    }
}
