//! The channel.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::Status;
use tonic::body::Body;
use tonic::transport::{Channel, Endpoint, Uri};
use tower::{Service, ServiceExt as _};

use crate::rotation::{Changes, PodCalls, Rotation};
use crate::{Resolve, Settings};

/// Most pods that one call is tried on.
const ATTEMPTS: usize = 3;
/// Shortest pause between two questions to DNS, however many connections fail.
const RESOLVE_GAP: Duration = Duration::from_millis(500);
/// How often an idle connection is asked whether it still lives, and how long it has to answer.
const KEEPALIVE: (Duration, Duration) = (Duration::from_secs(20), Duration::from_secs(5));

/// Why a call got no answer; its caller sees the status.
#[derive(Debug, thiserror::Error)]
enum CallError {
    /// DNS has not given any address yet.
    #[error("{host} has no address yet{reason}; is the platform there, and its workload ready?")]
    NoAddress {
        /// The name.
        host: String,
        /// What DNS said last, if it said anything.
        reason: String,
    },
    /// All pods that were tried could not be reached.
    #[error("no pod of {host} answers; tried {tried}: {source}")]
    Unreachable {
        /// The name.
        host: String,
        /// How many were tried.
        tried: usize,
        /// Why the last one did not.
        source: tonic::transport::Error,
    },
    /// The caller's deadline is over.
    #[error(transparent)]
    Timeout(tonic::transport::Error),
    /// The request's own body failed.
    #[error("the request cannot be sent: {0}")]
    Request(#[from] Status),
}

impl From<CallError> for Status {
    fn from(error: CallError) -> Self {
        match error {
            CallError::NoAddress { .. } | CallError::Unreachable { .. } => {
                Self::unavailable(error.to_string())
            }
            CallError::Timeout(source) => Self::from_error(Box::new(source)),
            CallError::Request(status) => status,
        }
    }
}

/// Whether it was not the pod that failed, but the time that its caller gave.
fn is_timeout(error: &tonic::transport::Error) -> bool {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(one) = cause {
        if one.is::<tonic::TimeoutExpired>() {
            return true;
        }
        cause = one.source();
    }
    false
}

/// A channel over all pods; clones share it. When the last clone is dropped, its connections close.
#[derive(Clone, Debug)]
pub struct Balanced {
    shared: Arc<Shared>,
    _resolving: Arc<DropGuard>,
}

#[derive(Debug)]
struct Shared {
    settings: Settings,
    state: Mutex<State>,
    /// What keeps calls from having an address, until there is one.
    resolved: watch::Sender<Result<(), String>>,
    failed: Notify,
}

#[derive(Debug, Default)]
struct State {
    rotation: Rotation,
    channels: HashMap<SocketAddr, Channel>,
    calls: BTreeMap<SocketAddr, PodCalls>,
}

impl Balanced {
    /// Starts to resolve the name; calls wait for the first answer. Needs a running tokio runtime.
    #[must_use]
    pub fn start(settings: Settings, resolver: impl Resolve) -> Self {
        let shared = Arc::new(Shared {
            settings,
            state: Mutex::default(),
            resolved: watch::Sender::new(Err(String::new())),
            failed: Notify::new(),
        });
        let stop = CancellationToken::new();
        let (resolving, stopped) = (Arc::clone(&shared), stop.clone());
        tokio::spawn(async move {
            stopped
                .run_until_cancelled(resolving.keep_resolving(resolver))
                .await;
        });
        Self {
            shared,
            _resolving: Arc::new(stop.drop_guard()),
        }
    }

    /// What each pod was given so far, those included that have gone.
    #[must_use]
    pub fn calls(&self) -> BTreeMap<SocketAddr, PodCalls> {
        self.shared.lock().calls.clone()
    }
}

impl Service<Request<Body>> for Balanced {
    type Response = Response<Body>;
    type Error = Status;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Status>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        // With the guard, so that a call outlives the channel that it was made on.
        let this = self.clone();
        Box::pin(async move { Ok(this.shared.call(request).await?) })
    }
}

impl Shared {
    async fn call(&self, request: Request<Body>) -> Result<Response<Body>, CallError> {
        self.wait_for_address().await?;
        let (parts, body) = request.into_parts();
        // Whole, so that it can be sent once more.
        let body = body.collect().await?.to_bytes();
        let mut tried = Vec::new();
        loop {
            let Some((address, channel)) = self.pick(&tried) else {
                return Err(self.no_address(String::new()));
            };
            tried.push(address);
            let request = Request::from_parts(parts.clone(), Body::new(Full::new(body.clone())));
            let source = match channel.oneshot(request).await {
                Ok(response) => {
                    self.answered(address);
                    return Ok(response);
                }
                Err(source) if is_timeout(&source) => return Err(CallError::Timeout(source)),
                Err(source) => source,
            };
            let left = self.failed(address, &tried);
            tracing::debug!(%address, error = %source, "a pod cannot be reached");
            if tried.len() >= ATTEMPTS || left == 0 {
                return Err(CallError::Unreachable {
                    host: self.settings.host.clone(),
                    tried: tried.len(),
                    source,
                });
            }
        }
    }

    async fn wait_for_address(&self) -> Result<(), CallError> {
        let mut resolved = self.resolved.subscribe();
        let first = resolved.wait_for(Result::is_ok);
        let waited = tokio::time::timeout(self.settings.resolve_timeout, first).await;
        if waited.is_ok_and(|found| found.is_ok()) {
            return Ok(());
        }
        let reason = resolved.borrow().clone().err().unwrap_or_default();
        Err(self.no_address(reason))
    }

    fn no_address(&self, reason: String) -> CallError {
        CallError::NoAddress {
            host: self.settings.host.clone(),
            reason,
        }
    }

    fn pick(&self, tried: &[SocketAddr]) -> Option<(SocketAddr, Channel)> {
        let mut state = self.lock();
        let address = state.rotation.pick(Instant::now(), tried)?;
        Some((address, state.channels.get(&address)?.clone()))
    }

    fn answered(&self, address: SocketAddr) {
        let mut state = self.lock();
        state.rotation.answered(address);
        state.calls.entry(address).or_default().answered += 1;
    }

    /// Gives how many pods are left to be tried.
    fn failed(&self, address: SocketAddr, tried: &[SocketAddr]) -> usize {
        let mut state = self.lock();
        state.rotation.failed(Instant::now(), address);
        state.calls.entry(address).or_default().failed += 1;
        self.failed.notify_one();
        state
            .channels
            .keys()
            .filter(|known| !tried.contains(known))
            .count()
    }

    async fn keep_resolving(&self, resolver: impl Resolve) {
        let Settings { host, port, .. } = &self.settings;
        loop {
            match resolver.resolve(host, *port).await {
                Ok(addresses) => self.take(&addresses),
                Err(error) => {
                    tracing::warn!(host, %error, "cannot resolve; the known pods stay");
                    self.say(format!(": {error}"));
                }
            }
            tokio::time::sleep(RESOLVE_GAP.min(self.settings.resolve_every)).await;
            tokio::select! {
                () = self.failed.notified() => {}
                () = tokio::time::sleep(self.settings.resolve_every.saturating_sub(RESOLVE_GAP)) => {}
            }
        }
    }

    fn take(&self, addresses: &[SocketAddr]) {
        let mut state = self.lock();
        let Changes { added, removed } = state.rotation.resolved(addresses);
        for address in &added {
            match self.channel(*address) {
                Ok(channel) => {
                    state.channels.insert(*address, channel);
                }
                Err(error) => {
                    drop(state);
                    return self.say(format!(": {error}"));
                }
            }
        }
        for address in &removed {
            // Calls that are under way hold the connection until they end.
            state.channels.remove(address);
        }
        let any = !state.channels.is_empty();
        drop(state);
        if !added.is_empty() || !removed.is_empty() {
            tracing::info!(host = self.settings.host, ?added, ?removed, "pods");
        }
        if any {
            self.resolved
                .send_if_modified(|now| std::mem::replace(now, Ok(())).is_err());
        }
    }

    /// Notes why there is no address, as long as there never was one.
    fn say(&self, reason: String) {
        self.resolved.send_if_modified(|now| {
            let waits = now.is_err();
            if waits {
                *now = Err(reason);
            }
            waits
        });
    }

    /// A connection to one pod, made when it is first used and again whenever it is lost.
    fn channel(&self, address: SocketAddr) -> Result<Channel, tonic::transport::Error> {
        let scheme = if self.settings.tls.is_some() {
            "https"
        } else {
            "http"
        };
        let mut endpoint = Endpoint::from_shared(format!("{scheme}://{address}"))?
            .connect_timeout(self.settings.connect_timeout)
            .tcp_nodelay(true)
            .http2_keep_alive_interval(KEEPALIVE.0)
            .keep_alive_timeout(KEEPALIVE.1)
            .keep_alive_while_idle(true);
        if let Some(tls) = &self.settings.tls {
            let name = self.settings.server_name.as_ref().unwrap_or(&self.settings.host);
            endpoint = endpoint.tls_config(tls.clone().domain_name(name))?;
        }
        let name = format!("{scheme}://{}:{}", self.settings.host, self.settings.port);
        if let Ok(origin) = name.parse::<Uri>() {
            endpoint = endpoint.origin(origin);
        }
        Ok(endpoint.connect_lazy())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
