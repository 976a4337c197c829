//! Calls of the three services: token, deadline, trace context, and what is worth another try.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use kube::Client;
use logistics_schemas::Workload;
use logistics_schemas::grpc::logistics::analytics::v1::analytics_service_client::AnalyticsServiceClient;
use logistics_schemas::grpc::logistics::shipment::v1::shipment_service_client::ShipmentServiceClient;
use logistics_schemas::grpc::logistics::tracking::v1::tracking_service_client::TrackingServiceClient;
use opentelemetry::propagation::{Injector, TextMapPropagator as _};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tonic::metadata::{Ascii, MetadataKey, MetadataMap, MetadataValue};
use tonic::transport::Channel;
use tonic::{Code, Request, Status};

use crate::reach::Door;

/// How long one call may take.
const DEADLINE: Duration = Duration::from_secs(10);
/// How long a call is tried again while the platform cannot take it.
const PATIENCE: Duration = Duration::from_mins(2);
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Clients of the services of one platform, over one connection each.
#[derive(Clone, Debug)]
pub struct Services {
    /// Orders and scans.
    pub shipment: ShipmentServiceClient<Channel>,
    /// Timelines.
    pub tracking: TrackingServiceClient<Channel>,
    /// Risk and arrival.
    pub analytics: AnalyticsServiceClient<Channel>,
}

impl Services {
    /// Clients that reach the apex Services of a platform through the API server. Connects at first use.
    #[must_use]
    pub fn of(client: &Client, namespace: &str, platform: &str) -> Self {
        let channel = |workload: Workload| {
            let service = format!("{platform}-{workload}");
            Door::new(client.clone(), namespace, &service).channel()
        };
        Self {
            shipment: ShipmentServiceClient::new(channel(Workload::Shipment)),
            tracking: TrackingServiceClient::new(channel(Workload::Tracking)),
            analytics: AnalyticsServiceClient::new(channel(Workload::Analytics)),
        }
    }
}

/// Somebody who calls.
#[derive(Clone)]
pub struct Caller {
    authorization: Option<MetadataValue<Ascii>>,
}

impl Caller {
    /// A caller with a token.
    pub fn with_token(token: &str) -> Result<Self> {
        let mut value: MetadataValue<Ascii> =
            format!("Bearer {token}").parse().context("token in a header")?;
        value.set_sensitive(true);
        Ok(Self {
            authorization: Some(value),
        })
    }

    /// A caller without a token.
    #[must_use]
    pub const fn anonymous() -> Self {
        Self { authorization: None }
    }

    /// A request with this caller's token, a deadline, and the trace of the current context.
    pub fn request<T>(&self, message: T, context: &opentelemetry::Context) -> Request<T> {
        let mut request = Request::new(message);
        request.set_timeout(DEADLINE);
        if let Some(authorization) = &self.authorization {
            request
                .metadata_mut()
                .insert("authorization", authorization.clone());
        }
        TraceContextPropagator::new().inject_context(context, &mut Headers(request.metadata_mut()));
        request
    }

    /// A request outside any trace.
    pub fn plain<T>(&self, message: T) -> Request<T> {
        self.request(message, &opentelemetry::Context::new())
    }
}

struct Headers<'m>(&'m mut MetadataMap);

impl Injector for Headers<'_> {
    fn set(&mut self, key: &str, value: String) {
        // The propagator writes lower-case ASCII only; what is not could not be sent.
        if let (Ok(key), Ok(value)) = (key.parse::<MetadataKey<Ascii>>(), value.parse()) {
            self.0.insert(key, value);
        }
    }
}

/// Calls until the answer is final: what a restart, a full server or a lost connection says is tried again. Only for
/// calls that may be repeated: reads, and writes with an idempotency key.
pub async fn patiently<T, F>(retries: &AtomicU64, mut call: impl FnMut() -> F) -> Result<T, Status>
where
    F: Future<Output = Result<tonic::Response<T>, Status>>,
{
    let start = Instant::now();
    let mut pause = FIRST_PAUSE;
    loop {
        match call().await {
            Ok(answer) => return Ok(answer.into_inner()),
            Err(status) if passes(status.code()) && start.elapsed() < PATIENCE => {
                retries.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
            Err(status) => return Err(status),
        }
    }
}

/// Whether a refusal may pass by itself. A lost connection is `Unknown`, `Internal` or `Cancelled` to tonic.
const fn passes(code: Code) -> bool {
    matches!(
        code,
        Code::Unavailable
            | Code::DeadlineExceeded
            | Code::ResourceExhausted
            | Code::Aborted
            | Code::Cancelled
            | Code::Unknown
            | Code::Internal
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::Tracing;

    #[test]
    fn a_request_carries_token_deadline_and_trace() {
        let tracing = Tracing::start(None).unwrap();
        let request = Caller::with_token("t")
            .unwrap()
            .request((), &tracing.root("test"));
        assert_eq!(request.metadata().get("authorization").unwrap(), "Bearer t");
        assert!(request.metadata().contains_key("grpc-timeout"));
        let parent = request.metadata().get("traceparent").unwrap().to_str().unwrap();
        assert!(parent.starts_with("00-") && parent.ends_with("-01"), "{parent}");
        let anonymous = Caller::anonymous().plain(());
        assert!(!anonymous.metadata().contains_key("authorization"));
        assert!(!anonymous.metadata().contains_key("traceparent"));
    }

    #[tokio::test]
    async fn only_what_may_pass_is_tried_again() {
        let retries = AtomicU64::new(0);
        let mut answers = vec![
            Err(Status::not_found("no")),
            Err(Status::unavailable("restarting")),
        ];
        let answer: Result<(), _> = patiently(&retries, || std::future::ready(answers.pop().unwrap())).await;
        assert_eq!(answer.unwrap_err().code(), Code::NotFound);
        assert_eq!(retries.into_inner(), 1);
    }
}
