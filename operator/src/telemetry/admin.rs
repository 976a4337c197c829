//! `/livez`, `/readyz` and `/metrics` over HTTP.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::Metrics;

/// How long a watch may fail without a break before the process is not alive any more: a restart then helps more than
/// another try. An API server that is away makes this true too, so it is long.
const STALLED: Duration = Duration::from_mins(10);

/// Which watches have delivered, and which fail.
#[derive(Default)]
pub struct Health(Mutex<HashMap<String, Watch>>);

#[derive(Default)]
struct Watch {
    synced: bool,
    failing_since: Option<Instant>,
}

impl Health {
    fn change(&self, watch: &str, act: impl FnOnce(&mut Watch)) {
        let mut watches = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match watches.get_mut(watch) {
            Some(known) => act(known),
            None => act(watches.entry(watch.to_owned()).or_default()),
        }
    }

    /// A watch is started.
    pub fn expect(&self, watch: &str) {
        self.change(watch, |_| {});
    }

    /// A watch has delivered all objects.
    pub fn synced(&self, watch: &str) {
        self.change(watch, |watch| watch.synced = true);
    }

    /// A watch has delivered something.
    pub fn progressed(&self, watch: &str) {
        self.change(watch, |watch| watch.failing_since = None);
    }

    /// A watch has failed.
    pub fn failed(&self, watch: &str) {
        self.change(watch, |watch| {
            watch.failing_since.get_or_insert_with(Instant::now);
        });
    }

    /// Whether all watches have delivered all objects.
    #[must_use]
    pub fn ready(&self) -> bool {
        let watches = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        !watches.is_empty() && watches.values().all(|watch| watch.synced)
    }

    /// Reports for how long each watch has failed.
    pub fn report(&self, metrics: &Metrics) {
        for (name, watch) in self.0.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            let time = watch
                .failing_since
                .map_or(Duration::ZERO, |since| since.elapsed());
            metrics.watch_failing(name, time);
        }
    }

    fn alive(&self) -> bool {
        let watches = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        !watches
            .values()
            .any(|watch| watch.failing_since.is_some_and(|since| since.elapsed() > STALLED))
    }
}

/// Serves until `stop` is cancelled.
///
/// # Errors
/// When the address cannot be listened on, or the listener fails.
pub async fn serve(
    listen: SocketAddr,
    health: Arc<Health>,
    metrics: Arc<Metrics>,
    stop: CancellationToken,
) -> io::Result<()> {
    let listener = TcpListener::bind(listen).await?;
    let router = Router::new()
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .route("/metrics", get(text))
        .with_state((health, metrics));
    axum::serve(listener, router)
        .with_graceful_shutdown(stop.cancelled_owned())
        .await
}

type Shared = State<(Arc<Health>, Arc<Metrics>)>;

async fn livez(State((health, _)): Shared) -> (StatusCode, &'static str) {
    if health.alive() {
        (StatusCode::OK, "ok\n")
    } else {
        (
            StatusCode::SERVICE_UNAVAILABLE,
            "a watch has failed for ten minutes\n",
        )
    }
}

async fn readyz(State((health, _)): Shared) -> (StatusCode, &'static str) {
    if health.ready() {
        (StatusCode::OK, "ok\n")
    } else {
        (
            StatusCode::SERVICE_UNAVAILABLE,
            "the first list of a watch is not complete\n",
        )
    }
}

async fn text(
    State((health, metrics)): Shared,
) -> Result<([(&'static str, &'static str); 1], String), StatusCode> {
    health.report(&metrics);
    let text = metrics.text().map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
    Ok((
        [(
            "content-type",
            "application/openmetrics-text; version=1.0.0; charset=utf-8",
        )],
        text,
    ))
}
