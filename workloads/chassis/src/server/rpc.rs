//! What happens around every RPC, outermost first: span and metrics, who calls and may it, is there room, how long may
//! it take.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use http::{HeaderMap, Request, Response};
use http_body::Frame;
use tokio::sync::Semaphore;
use tonic::body::Body;
use tonic::{Code, Status};
use tower::{Layer, Service};
use tracing::Instrument as _;

use super::deadline::{self, Deadline};
use super::metrics::{Method, RpcMetrics};
use crate::errors::refusal;
use crate::identity::{Access, Principal, Role, Verifier, access};
use crate::telemetry::propagation;

/// Requests worked on at one time. More than the database has connections for only wait; this bounds the wait.
const MAX_IN_FLIGHT: usize = 512;

/// Puts [`Rpc`] around a service.
#[derive(Clone)]
pub(super) struct RpcLayer {
    shared: Arc<Shared>,
}

struct Shared {
    verifier: Verifier,
    metrics: RpcMetrics,
    room: Semaphore,
}

impl RpcLayer {
    pub(super) fn new(verifier: Verifier, metrics: RpcMetrics) -> Self {
        Self {
            shared: Arc::new(Shared {
                verifier,
                metrics,
                room: Semaphore::new(MAX_IN_FLIGHT),
            }),
        }
    }
}

impl<S> Layer<S> for RpcLayer {
    type Service = Rpc<S>;

    fn layer(&self, inner: S) -> Rpc<S> {
        Rpc {
            inner,
            shared: self.shared.clone(),
        }
    }
}

#[derive(Clone)]
pub(super) struct Rpc<S> {
    inner: S,
    shared: Arc<Shared>,
}

impl<S> Service<Request<Body>> for Rpc<S>
where
    S: Service<Request<Body>, Response = Response<Body>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Send,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        // The clone is fresh; the one that has been polled ready is the one to use.
        let fresh = self.inner.clone();
        let ready = std::mem::replace(&mut self.inner, fresh);
        let shared = self.shared.clone();
        match access(request.uri().path()) {
            // Probes must not fail because of load, and watches may last.
            Some(Access::Open) => {
                let mut ready = ready;
                Box::pin(ready.call(request))
            }
            known => Box::pin(observed(ready, shared, request, known)),
        }
    }
}

async fn observed<S>(
    inner: S,
    shared: Arc<Shared>,
    request: Request<Body>,
    known: Option<Access>,
) -> Result<Response<Body>, S::Error>
where
    S: Service<Request<Body>, Response = Response<Body>>,
{
    let span = span(&request);
    let watch = Watch::start(
        shared.metrics.clone(),
        Method::of(request.uri().path(), known.is_some()),
        span.clone(),
    );
    let outcome = admit(inner, &shared, request, known).instrument(span).await;
    let response = match outcome {
        Ok(answer) => answer?,
        Err(refusal) => (*refusal).into_http(),
    };
    Ok(watch.follow(response))
}

/// Lets the request through, or says why not.
async fn admit<S>(
    mut inner: S,
    shared: &Shared,
    mut request: Request<Body>,
    known: Option<Access>,
) -> Result<Result<Response<Body>, S::Error>, Box<Status>>
where
    S: Service<Request<Body>, Response = Response<Body>>,
{
    match known {
        Some(Access::Roles(roles)) => {
            let principal = authenticate(&shared.verifier, &request)?;
            authorize(&principal, roles)?;
            request.extensions_mut().insert(principal);
        }
        Some(Access::Everybody) => {}
        Some(Access::Open) | None => {
            return Err(Box::new(Status::unimplemented("there is no such method")));
        }
    }
    if let Some(deadline) = Deadline::from_headers(request.headers()) {
        request.extensions_mut().insert(deadline);
    }
    let Ok(_room) = shared.room.try_acquire() else {
        return Err(Box::new(refusal(
            Code::ResourceExhausted,
            "OVERLOADED",
            "too many requests at one time; try again with backoff",
        )));
    };
    let budget = deadline::budget(request.headers());
    // Dropping the handler's future ends its work: an open transaction is rolled back.
    match tokio::time::timeout(budget, inner.call(request)).await {
        Ok(answer) => Ok(answer),
        Err(_) => Err(Box::new(refusal(
            Code::DeadlineExceeded,
            "DEADLINE",
            "the deadline is over; repeat with the same idempotency key to learn the outcome",
        ))),
    }
}

fn authenticate(verifier: &Verifier, request: &Request<Body>) -> Result<Principal, Box<Status>> {
    let header = request.headers().get(http::header::AUTHORIZATION);
    let text = match header.map(http::HeaderValue::to_str) {
        None => None,
        Some(Ok(text)) => Some(text),
        // Not text, so certainly no token.
        Some(Err(_)) => Some(""),
    };
    verifier.verify(text).map_err(|error| {
        tracing::info!(%error, "caller refused");
        Box::new(refusal(
            Code::Unauthenticated,
            "TOKEN_REFUSED",
            &error.to_string(),
        ))
    })
}

fn authorize(principal: &Principal, roles: &[Role]) -> Result<(), Box<Status>> {
    if principal.roles.iter().any(|role| roles.contains(role)) {
        return Ok(());
    }
    let names: Vec<&str> = roles.iter().map(|role| role.name()).collect();
    let message = format!("this needs one of the roles {}", names.join(", "));
    Err(Box::new(refusal(
        Code::PermissionDenied,
        "ROLE_MISSING",
        &message,
    )))
}

/// The span of the request, a child of its caller's. Names follow OpenTelemetry's conventions for RPC.
fn span(request: &Request<Body>) -> tracing::Span {
    let path = request.uri().path().trim_start_matches('/');
    let (service, method) = path.split_once('/').unwrap_or((path, ""));
    let span = tracing::info_span!(
        "rpc",
        otel.name = path,
        otel.kind = "server",
        otel.status_code = tracing::field::Empty,
        rpc.system = "grpc",
        rpc.service = service,
        rpc.method = method,
        rpc.grpc.status_code = tracing::field::Empty,
    );
    propagation::set_parent_from_grpc(&span, request.headers());
    span
}

/// The outcome that headers or trailers tell, if they do.
fn code_of(headers: &HeaderMap) -> Option<Code> {
    headers
        .get("grpc-status")
        .map(|value| Code::from_bytes(value.as_bytes()))
}

/// Counts a request once: with its code, or as cancelled when its caller went away before the end of the answer.
struct Watch {
    metrics: RpcMetrics,
    method: Method,
    span: tracing::Span,
    begin: Instant,
    code: Code,
}

impl Watch {
    fn start(metrics: RpcMetrics, method: Method, span: tracing::Span) -> Self {
        metrics.started();
        Self {
            metrics,
            method,
            span,
            begin: Instant::now(),
            code: Code::Cancelled,
        }
    }

    fn end(mut self, code: Code) {
        self.code = code;
    }

    /// Ends with the response: an error may be in its headers, all else is known from its trailers.
    fn follow(self, response: Response<Body>) -> Response<Body> {
        if let Some(code) = code_of(response.headers()) {
            self.end(code);
            return response;
        }
        response.map(|inner| {
            Body::new(Watched {
                inner,
                watch: Some(self),
            })
        })
    }
}

/// The body of an answer that is still watched.
struct Watched {
    inner: Body,
    watch: Option<Watch>,
}

impl Watched {
    fn end(&mut self, code: Code) {
        if let Some(watch) = self.watch.take() {
            watch.end(code);
        }
    }
}

impl http_body::Body for Watched {
    type Data = <Body as http_body::Body>::Data;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Status>>> {
        let polled = Pin::new(&mut self.inner).poll_frame(cx);
        match &polled {
            Poll::Ready(Some(Ok(frame))) => {
                if let Some(code) = frame.trailers_ref().and_then(code_of) {
                    self.end(code);
                }
            }
            Poll::Ready(Some(Err(status))) => self.end(status.code()),
            Poll::Ready(None) => self.end(Code::Ok),
            Poll::Pending => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.inner.size_hint()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.metrics.ended(&self.method, self.code, self.begin.elapsed());
        self.span.record("rpc.grpc.status_code", self.code as i32);
        if matches!(
            self.code,
            Code::Internal | Code::Unknown | Code::Unavailable | Code::DataLoss | Code::DeadlineExceeded
        ) {
            self.span.record("otel.status_code", "ERROR");
        }
    }
}
