//! `Retry-After`: how long the API server asks to be left alone. Its flow control says so in a header only, which the
//! client drops; here it becomes part of the answer's `Status`, where errors are read.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody, to_bytes};
use axum::http::header::RETRY_AFTER;
use axum::http::{Request, Response};
use kube::core::Status;
use kube::core::response::StatusDetails;
use kube_runtime::watcher;
use tower::{BoxError, Layer, Service};

/// Longest pause that is believed; a server that asks for more is asked again after it.
const LONGEST: Duration = Duration::from_mins(2);

/// Longest text of a refusal that is read, in bytes.
const TEXT_LIMIT: usize = 1 << 16;

/// How long an error asks to wait.
#[must_use]
pub fn of(error: &kube::Error) -> Option<Duration> {
    match error {
        kube::Error::Api(status) => of_status(status),
        _ => None,
    }
}

/// How long a watch's error asks to wait.
#[must_use]
pub fn of_watch(error: &watcher::Error) -> Option<Duration> {
    match error {
        watcher::Error::InitialListFailed(error)
        | watcher::Error::WatchStartFailed(error)
        | watcher::Error::WatchFailed(error) => of(error),
        watcher::Error::WatchError(status) => of_status(status),
        watcher::Error::NoResourceVersion => None,
    }
}

fn of_status(status: &Status) -> Option<Duration> {
    let seconds = status.details.as_ref()?.retry_after_seconds;
    (seconds > 0).then(|| Duration::from_secs(seconds.into()).min(LONGEST))
}

/// Puts the header `Retry-After` of refusals into their `Status`.
#[derive(Clone, Copy, Debug, Default)]
pub struct RetryAfterLayer;

impl<S> Layer<S> for RetryAfterLayer {
    type Service = RetryAfter<S>;

    fn layer(&self, inner: S) -> RetryAfter<S> {
        RetryAfter { inner }
    }
}

/// The service of [`RetryAfterLayer`].
#[derive(Clone, Debug)]
pub struct RetryAfter<S> {
    inner: S,
}

impl<S, R, B> Service<Request<R>> for RetryAfter<S>
where
    S: Service<Request<R>, Response = Response<B>>,
    S::Future: Send + 'static,
    S::Error: Into<BoxError>,
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response<Body>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, request: Request<R>) -> Self::Future {
        let answer = self.inner.call(request);
        Box::pin(async move {
            let answer = answer.await.map_err(Into::into)?.map(Body::new);
            let header = answer.headers().get(RETRY_AFTER);
            // A date instead of seconds is never sent by an API server.
            let seconds = header.and_then(|value| value.to_str().ok()?.parse::<u32>().ok());
            match seconds {
                Some(seconds) if !answer.status().is_success() => noted(answer, seconds).await,
                _ => Ok(answer),
            }
        })
    }
}

/// The answer with a pause in its `Status`, which is made when there is none.
async fn noted(answer: Response<Body>, seconds: u32) -> Result<Response<Body>, BoxError> {
    let (parts, body) = answer.into_parts();
    let body = to_bytes(body, TEXT_LIMIT).await?;
    let mut status = serde_json::from_slice::<Status>(&body).unwrap_or_else(|_| {
        let text = String::from_utf8_lossy(&body);
        Status::failure(text.trim(), "TooManyRequests").with_code(parts.status.as_u16())
    });
    let details = status.details.get_or_insert_with(|| StatusDetails {
        name: String::new(),
        group: String::new(),
        kind: String::new(),
        uid: String::new(),
        causes: Vec::new(),
        retry_after_seconds: 0,
    });
    if details.retry_after_seconds == 0 {
        details.retry_after_seconds = seconds;
    }
    let body = Body::from(serde_json::to_vec(&status)?);
    Ok(Response::from_parts(parts, body))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn answered(code: u16, retry_after: Option<&str>, body: &'static str) -> kube::Error {
        let retry_after = retry_after.map(str::to_owned);
        let service = tower::service_fn(move |_: Request<kube::client::Body>| {
            let mut builder = Response::builder().status(code);
            if let Some(value) = &retry_after {
                builder = builder.header(RETRY_AFTER, value);
            }
            std::future::ready(builder.body(Body::from(body)))
        });
        let client = kube::Client::new(RetryAfterLayer.layer(service), "default");
        client.apiserver_version().await.unwrap_err()
    }

    #[tokio::test]
    async fn a_refusal_in_plain_text_tells_how_long_to_wait() {
        let error = answered(429, Some("7"), "Too many requests, please try again later.\n").await;
        assert_eq!(of(&error), Some(Duration::from_secs(7)));
        let kube::Error::Api(status) = error else {
            panic!("{error}")
        };
        assert_eq!(
            (status.code, status.message.as_str()),
            (429, "Too many requests, please try again later.")
        );
    }

    #[tokio::test]
    async fn a_status_keeps_what_it_says() {
        let body = r#"{"kind":"Status","apiVersion":"v1","status":"Failure","message":"busy","reason":"TooManyRequests","details":{"retryAfterSeconds":3},"code":429}"#;
        let error = answered(429, Some("9"), body).await;
        assert_eq!(of(&error), Some(Duration::from_secs(3)));
        assert!(error.to_string().contains("busy"), "{error}");
    }

    #[tokio::test]
    async fn no_pause_is_made_up_and_none_is_endless() {
        assert_eq!(of(&answered(500, None, "broken").await), None);
        assert_eq!(of(&answered(429, Some("soon"), "busy").await), None);
        assert_eq!(of(&answered(429, Some("86400"), "busy").await), Some(LONGEST));
    }
}
