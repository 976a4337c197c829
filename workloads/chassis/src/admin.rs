//! The HTTP port for probes and metrics: `/livez`, `/readyz`, `/metrics`.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::metrics::Metrics;

const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Whether requests may be sent here; clones share one state. Ready when nothing is waited for.
#[derive(Clone, Debug)]
pub struct Readiness {
    waiting: Arc<Mutex<BTreeSet<&'static str>>>,
    changed: watch::Sender<bool>,
}

impl Default for Readiness {
    fn default() -> Self {
        Self {
            waiting: Arc::default(),
            changed: watch::Sender::new(true),
        }
    }
}

impl Readiness {
    /// Not ready until [`Readiness::done`] is called with the same reason, for example "database".
    pub fn wait_for(&self, reason: &'static str) {
        self.update(|waiting| waiting.insert(reason));
    }

    /// The reason no longer stands.
    pub fn done(&self, reason: &'static str) {
        self.update(|waiting| waiting.remove(reason));
    }

    /// Why it is not ready; empty when it is.
    #[must_use]
    pub fn reasons(&self) -> Vec<&'static str> {
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.iter().copied().collect()
    }

    /// Follows whether it is ready.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<bool> {
        self.changed.subscribe()
    }

    fn update(&self, change: impl FnOnce(&mut BTreeSet<&'static str>) -> bool) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut waiting);
        let ready = waiting.is_empty();
        self.changed
            .send_if_modified(|was| std::mem::replace(was, ready) != ready);
    }
}

/// Serves the admin port for as long as the process lives: it answers while draining, too.
pub async fn serve(listener: TcpListener, readiness: Readiness, metrics: Metrics) -> std::io::Result<()> {
    let routes = Router::new()
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(readyz).with_state(readiness))
        .route("/metrics", get(render).with_state(metrics));
    axum::serve(listener, routes).await
}

async fn readyz(State(readiness): State<Readiness>) -> Response {
    let reasons = readiness.reasons();
    if reasons.is_empty() {
        return "ok\n".into_response();
    }
    let text = format!("waiting for: {}\n", reasons.join(", "));
    (StatusCode::SERVICE_UNAVAILABLE, text).into_response()
}

async fn render(State(metrics): State<Metrics>) -> Response {
    match metrics.encode() {
        Ok(text) => ([(header::CONTENT_TYPE, OPENMETRICS)], text).into_response(),
        Err(std::fmt::Error) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_means_that_nothing_is_waited_for() {
        let readiness = Readiness::default();
        let follower = readiness.subscribe();
        readiness.wait_for("database");
        readiness.wait_for("grpc");
        readiness.done("database");
        assert_eq!(readiness.reasons(), ["grpc"]);
        assert!(!*follower.borrow());
        readiness.done("grpc");
        assert!(*follower.borrow());
    }

    #[tokio::test]
    async fn the_port_answers_probes_and_metrics() {
        crate::crypto::install_provider();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (readiness, metrics) = (Readiness::default(), Metrics::new("abc123"));
        readiness.wait_for("database");
        metrics.register(|registry| {
            registry.register(
                "shipments",
                "Shipments",
                prometheus_client::metrics::counter::Counter::<u64>::default(),
            );
        });
        let served = tokio::spawn(serve(listener, readiness.clone(), metrics));
        let get = |path: &str| reqwest::get(format!("http://{address}{path}"));
        assert_eq!(get("/livez").await.unwrap().status(), 200);
        let unready = get("/readyz").await.unwrap();
        assert_eq!(unready.status(), 503);
        assert_eq!(unready.text().await.unwrap(), "waiting for: database\n");
        readiness.done("database");
        assert_eq!(get("/readyz").await.unwrap().status(), 200);
        let metrics = get("/metrics").await.unwrap().text().await.unwrap();
        assert!(
            metrics.contains("shipments_total{revision=\"abc123\"} 0"),
            "{metrics}"
        );
        served.abort();
    }
}
