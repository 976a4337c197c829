//! `/livez`, `/readyz` and `/metrics` over HTTP.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use kube::Client;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::Metrics;

/// How long a watch may not be opened, while the API server answers, before the process is not alive any more: a
/// restart then helps more than another try. It is many times the longest pause between two tries of a watch.
const STALLED: Duration = Duration::from_mins(5);

/// After how long without another failure a watch is open: the longest pause between two tries, and the longest wait for
/// an answer. Nothing else tells, for an open watch may have nothing to deliver.
const QUIET: Duration = Duration::from_mins(6);

/// How often the API server is asked for a sign of life while a watch fails, and how long it has to answer.
const PROBE: (Duration, Duration) = (Duration::from_secs(15), Duration::from_secs(5));

/// Which watches have delivered, and which fail.
#[derive(Default)]
pub struct Health {
    watches: Mutex<HashMap<String, Watch>>,
    /// Since when the API server has answered without a break; known only while a watch fails.
    answers_since: Mutex<Option<Instant>>,
}

#[derive(Default)]
struct Watch {
    synced: bool,
    failing: Option<Failing>,
}

/// A watch that cannot be opened: since when, and when it was last tried.
#[derive(Clone, Copy)]
struct Failing {
    since: Instant,
    last: Instant,
}

impl Health {
    fn change(&self, watch: &str, act: impl FnOnce(&mut Watch)) {
        let mut watches = lock(&self.watches);
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

    /// A watch is open, or was until now.
    pub fn opened(&self, watch: &str) {
        self.change(watch, |watch| watch.failing = None);
    }

    /// A watch could not be opened.
    pub fn failed(&self, watch: &str) {
        let last = Instant::now();
        self.change(watch, |watch| {
            let since = watch.failing.map_or(last, |failing| failing.since);
            watch.failing = Some(Failing { since, last });
        });
    }

    /// Whether all watches have delivered all objects.
    #[must_use]
    pub fn ready(&self) -> bool {
        let watches = lock(&self.watches);
        !watches.is_empty() && watches.values().all(|watch| watch.synced)
    }

    /// Reports for how long each watch has failed.
    pub fn report(&self, metrics: &Metrics) {
        for (name, watch) in lock(&self.watches).iter() {
            let failing = watch.failing.filter(|failing| failing.last.elapsed() < QUIET);
            let time = failing.map_or(Duration::ZERO, |failing| failing.last - failing.since);
            metrics.watch_failing(name, time);
        }
    }

    /// Whether a restart would not help: it does only where watches fail although the API server answers.
    fn alive(&self, now: Instant) -> bool {
        let answers_since = *lock(&self.answers_since);
        let watches = lock(&self.watches);
        !watches
            .values()
            .any(|watch| stalled(watch.failing, answers_since, now))
    }

    fn fails(&self) -> bool {
        let watches = lock(&self.watches);
        watches.values().any(|watch| watch.failing.is_some())
    }

    /// While a watch fails, asks the API server for a sign of life; never ends.
    pub async fn probe(self: Arc<Self>, client: Client) {
        loop {
            tokio::time::sleep(PROBE.0).await;
            let answers = self.fails() && answers(&client).await;
            let mut since = lock(&self.answers_since);
            *since = answers.then(|| since.unwrap_or_else(Instant::now));
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn stalled(failing: Option<Failing>, answers_since: Option<Instant>, now: Instant) -> bool {
    let (Some(failing), Some(answers)) = (failing, answers_since) else {
        return false;
    };
    let since = failing.since.max(answers);
    failing.last.saturating_duration_since(since) > STALLED
        && now.saturating_duration_since(failing.last) < QUIET
}

/// Whether the API server answers. To refuse is an answer too; to be overloaded is not.
async fn answers(client: &Client) -> bool {
    let Ok(request) = axum::http::Request::get("/version").body(Vec::new()) else {
        return false;
    };
    match tokio::time::timeout(PROBE.1, client.request_text(request)).await {
        Ok(Ok(_)) => true,
        Ok(Err(kube::Error::Api(status))) => status.code < 500 && status.code != 429,
        Ok(Err(_)) | Err(_) => false,
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
    if health.alive(Instant::now()) {
        (StatusCode::OK, "ok\n")
    } else {
        (
            StatusCode::SERVICE_UNAVAILABLE,
            "a watch has failed for minutes although the API server answers\n",
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A restart while the API server is away would help nobody, and lose the caches.
    #[test]
    fn only_watches_that_fail_while_the_api_server_answers_end_the_process() {
        let start = Instant::now();
        let at = |minutes: u64| start + Duration::from_mins(minutes);
        // Minutes: the first and the last failure, since when the API server answers, and now.
        for (name, failing, answers, now, dead) in [
            ("all is well", None, None, 60, false),
            ("it was away, and all is well again", None, Some(0), 60, false),
            ("it is away for an hour", Some((0, 60)), None, 60, false),
            ("it is back after an hour", Some((0, 61)), Some(60), 61, false),
            (
                "it is back, and a watch still fails",
                Some((0, 66)),
                Some(60),
                66,
                true,
            ),
            ("a watch alone fails", Some((0, 5)), Some(0), 5, false),
            ("a watch alone fails for long", Some((0, 6)), Some(0), 6, true),
            (
                "a watch failed once and is quiet since",
                Some((0, 0)),
                Some(0),
                6,
                false,
            ),
            (
                "a watch failed for long and is open",
                Some((0, 6)),
                Some(0),
                12,
                false,
            ),
        ] {
            let failing = failing.map(|(since, last)| Failing {
                since: at(since),
                last: at(last),
            });
            let found = stalled(failing, answers.map(at), at(now));
            assert_eq!(found, dead, "{name}");
        }
    }

    #[test]
    fn a_watch_that_opens_makes_it_alive_again() {
        let health = Health::default();
        health.expect("Service");
        assert!(!health.ready() && health.alive(Instant::now()));
        health.synced("Service");
        health.failed("Service");
        let now = Instant::now() + STALLED + Duration::from_secs(1);
        *lock(&health.answers_since) = Some(Instant::now());
        health.change("Service", |watch| {
            if let Some(failing) = &mut watch.failing {
                failing.last = now;
            }
        });
        assert!(health.ready() && !health.alive(now));
        health.opened("Service");
        assert!(health.alive(now));
    }
}
