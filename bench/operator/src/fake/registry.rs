//! A schema registry's Confluent API: subjects with one schema each, and their compatibility.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Result;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::Counter;

/// A running registry; it ends with the runtime.
pub(crate) struct Registry {
    /// Its base URL.
    pub(crate) url: String,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    subjects: Mutex<HashMap<String, Subject>>,
    requests: Counter,
}

#[derive(Default)]
struct Subject {
    id: i64,
    schema: Option<String>,
    compatibility: Option<String>,
}

type Answer = (StatusCode, Json<Value>);

/// Starts a registry.
pub(crate) async fn start() -> Result<Registry> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    let shared = Arc::new(Shared::default());
    let router = Router::new()
        .route("/subjects/{subject}", post(look_up))
        .route("/subjects/{subject}/versions", post(register))
        .route("/config/{subject}", get(config).put(set_config))
        .with_state(Arc::clone(&shared));
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(Registry { url, shared })
}

impl Registry {
    /// Requests so far.
    pub(crate) fn requests(&self) -> u64 {
        self.shared.requests.total()
    }
}

impl Shared {
    fn subjects(&self) -> MutexGuard<'_, HashMap<String, Subject>> {
        self.subjects.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn error(code: i64, message: &str) -> Answer {
    let status = StatusCode::NOT_FOUND;
    (status, Json(json!({"error_code": code, "message": message})))
}

fn schema(body: &Value) -> Option<String> {
    body["schema"].as_str().map(str::to_owned)
}

async fn look_up(
    State(shared): State<Arc<Shared>>,
    Path(name): Path<String>,
    Json(body): Json<Value>,
) -> Answer {
    shared.requests.count("look up");
    match shared.subjects().get(&name) {
        Some(subject) if subject.schema.is_some() && subject.schema == schema(&body) => {
            let found = json!({"subject": name, "id": subject.id, "version": 1, "schema": subject.schema});
            (StatusCode::OK, Json(found))
        }
        Some(subject) if subject.schema.is_some() => error(40403, "Schema not found"),
        _ => error(40401, "Subject not found"),
    }
}

async fn register(
    State(shared): State<Arc<Shared>>,
    Path(name): Path<String>,
    Json(body): Json<Value>,
) -> Answer {
    shared.requests.count("register");
    let mut subjects = shared.subjects();
    let id = i64::try_from(subjects.len()).unwrap_or_default() + 1;
    let subject = subjects.entry(name).or_default();
    subject.id = id;
    subject.schema = schema(&body);
    (StatusCode::OK, Json(json!({"id": id})))
}

async fn config(State(shared): State<Arc<Shared>>, Path(name): Path<String>) -> Answer {
    shared.requests.count("read compatibility");
    let compatibility = shared
        .subjects()
        .get(&name)
        .and_then(|subject| subject.compatibility.clone());
    match compatibility {
        Some(level) => (StatusCode::OK, Json(json!({"compatibilityLevel": level}))),
        None => error(
            40408,
            "Subject does not have subject-level compatibility configured",
        ),
    }
}

async fn set_config(
    State(shared): State<Arc<Shared>>,
    Path(name): Path<String>,
    Json(body): Json<Value>,
) -> Answer {
    shared.requests.count("set compatibility");
    let level = body["compatibility"].as_str().map(str::to_owned);
    shared.subjects().entry(name).or_default().compatibility = level;
    (StatusCode::OK, Json(body))
}
