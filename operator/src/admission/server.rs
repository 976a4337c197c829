//! HTTPS for the API server: `/validate`. What it shows is changed without a restart.

use std::io;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, FromRequest, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use rustls::ServerConfig;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::debug;

use super::certificate::{CertificateError, Identity, certified, read};
use super::review::Reviewer;
use crate::telemetry::Metrics;

/// Largest request: an object and its former state, each as large as the API server takes them.
const BODY_LIMIT: usize = 8 * 1024 * 1024;

/// Most connections at the same time.
const CONNECTIONS: usize = 256;

/// Longest time of a TLS handshake.
const HANDSHAKE: Duration = Duration::from_secs(5);

/// Longest silence of a connection before a request's head; API servers close theirs after 90 s.
const IDLE: Duration = Duration::from_mins(2);

/// Longest time of a request once its head is there.
const REQUEST: Duration = Duration::from_secs(10);

/// How long it goes on serving when the process is told to end: until then callers have learned of it.
const LINGER: Duration = Duration::from_secs(3);

/// Longest time for the last answers.
const DRAIN: Duration = Duration::from_secs(2);

/// Pause after a connection could not be accepted, for lack of file descriptors most likely.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The certificate that is shown.
pub struct Served {
    certificate: RwLock<Option<Arc<CertifiedKey>>>,
    metrics: Arc<Metrics>,
}

impl std::fmt::Debug for Served {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Served").finish_non_exhaustive()
    }
}

impl Served {
    /// None yet: handshakes fail.
    #[must_use]
    pub const fn new(metrics: Arc<Metrics>) -> Self {
        Self {
            certificate: RwLock::new(None),
            metrics,
        }
    }

    /// Shows a certificate from now on; connections that are open stay.
    ///
    /// # Errors
    /// When it cannot be used; then what was shown before still is.
    pub fn show(&self, identity: &Identity) -> Result<(), CertificateError> {
        let until = read(&identity.certificate)?.dates.until;
        let certificate = certified(identity)?;
        *self.certificate.write().unwrap_or_else(PoisonError::into_inner) = Some(certificate);
        self.metrics.webhook_certificate_ends(until.as_second());
        Ok(())
    }
}

impl ResolvesServerCert for Served {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.certificate
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

/// Serves until a little after `stop` is cancelled.
///
/// # Errors
/// When TLS cannot be set up.
pub async fn serve(
    listener: TcpListener,
    reviewer: Reviewer,
    served: Arc<Served>,
    stop: CancellationToken,
) -> io::Result<()> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_no_client_auth()
        .with_cert_resolver(served);
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let router = Router::new()
        .route("/validate", post(validate))
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .with_state(Arc::new(reviewer));
    let (places, tasks, end) = (
        Arc::new(Semaphore::new(CONNECTIONS)),
        TaskTracker::new(),
        CancellationToken::new(),
    );
    let lingered = async {
        stop.cancelled().await;
        tokio::time::sleep(LINGER).await;
    };
    let accept = async {
        loop {
            let Ok(place) = places.clone().acquire_owned().await else {
                return;
            };
            let stream = match listener.accept().await {
                Ok((stream, _)) => stream,
                Err(error) => {
                    debug!(%error, "a connection to the webhook was not accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let (acceptor, router, end) = (acceptor.clone(), router.clone(), end.clone());
            tasks.spawn(async move {
                connection(stream, acceptor, router, end).await;
                drop(place);
            });
        }
    };
    tokio::select! {
        () = accept => {}
        () = lingered => {}
    }
    end.cancel();
    tasks.close();
    // What is not answered by then the API server asks somebody else.
    let _ = tokio::time::timeout(DRAIN, tasks.wait()).await;
    Ok(())
}

async fn connection(stream: TcpStream, acceptor: TlsAcceptor, router: Router, end: CancellationToken) {
    let stream = match tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return debug!(%error, "a handshake with the webhook failed"),
        Err(_) => return debug!("a handshake with the webhook took too long"),
    };
    let service = TowerToHyperService::new(router);
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(IDLE)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let result = tokio::select! {
        result = connection.as_mut() => result,
        () = end.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = result {
        debug!(%error, "a connection to the webhook ended");
    }
}

async fn validate(State(reviewer): State<Arc<Reviewer>>, request: Request) -> Response {
    let read = async {
        let body = match <Bytes as FromRequest<()>>::from_request(request, &()).await {
            Ok(body) => body,
            Err(rejection) => return rejection.into_response(),
        };
        match reviewer.answer(&body) {
            Ok(review) => axum::Json(review).into_response(),
            Err(error) => (StatusCode::BAD_REQUEST, format!("{error}\n")).into_response(),
        }
    };
    match tokio::time::timeout(REQUEST, read).await {
        Ok(response) => response,
        Err(_) => StatusCode::REQUEST_TIMEOUT.into_response(),
    }
}
