//! An OTLP/gRPC receiver in the test's own process: keeps the spans it is sent.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::trace::v1 as proto;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status};

/// A running receiver; it stops when dropped.
#[derive(Debug)]
pub struct Receiver {
    address: SocketAddr,
    spans: watch::Receiver<Vec<Span>>,
    server: JoinHandle<()>,
}

/// One span, as it was received. Ids are lower-case hexadecimal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// `service.name` of the resource.
    pub service: String,
    /// Name.
    pub name: String,
    /// Trace id.
    pub trace_id: String,
    /// Span id.
    pub span_id: String,
    /// Span id of the parent; empty for a root.
    pub parent_span_id: String,
    /// Trace ids of the linked spans.
    pub links: Vec<String>,
    /// For example `Server`, `Producer`, `Consumer`.
    pub kind: String,
    /// Attributes of the span and of its resource, as text.
    pub attributes: BTreeMap<String, String>,
}

/// Starts a receiver on an address; port 0 takes a free one.
pub async fn receiver(listen: SocketAddr) -> Result<Receiver> {
    let listener = tokio::net::TcpListener::bind(listen)
        .await
        .with_context(|| format!("listen on {listen}"))?;
    let address = listener.local_addr()?;
    let (sender, spans) = watch::channel(Vec::new());
    let service = TraceServiceServer::new(Collector {
        spans: Arc::new(sender),
    });
    let server = tokio::spawn(async move {
        let incoming = TcpListenerStream::new(listener);
        // It ends only with this task; an error of one connection does not end it.
        let _ = tonic::transport::Server::builder()
            .add_service(service)
            .serve_with_incoming(incoming)
            .await;
    });
    Ok(Receiver {
        address,
        spans,
        server,
    })
}

impl Receiver {
    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL for an exporter.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// All spans received so far.
    #[must_use]
    pub fn spans(&self) -> Vec<Span> {
        self.spans.borrow().clone()
    }

    /// Waits until the spans received so far satisfy a condition, and gives them.
    pub async fn wait_for(
        &self,
        condition: impl Fn(&[Span]) -> bool,
        timeout: Duration,
    ) -> Result<Vec<Span>> {
        let mut spans = self.spans.clone();
        let wait = spans.wait_for(|spans| condition(spans));
        match tokio::time::timeout(timeout, wait).await {
            Ok(Ok(spans)) => Ok(spans.clone()),
            Ok(Err(_)) => Err(anyhow!("the OTLP receiver on {} has ended", self.address)),
            Err(_) => Err(anyhow!("not seen within {timeout:?}; {}", summary(&self.spans()))),
        }
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn summary(spans: &[Span]) -> String {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for span in spans {
        *counts
            .entry(format!("{}/{}", span.service, span.name))
            .or_default() += 1;
    }
    format!("{} spans received: {counts:?}", spans.len())
}

struct Collector {
    spans: Arc<watch::Sender<Vec<Span>>>,
}

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let mut received = Vec::new();
        for resource in request.into_inner().resource_spans {
            let attributes = attributes(&resource.resource.unwrap_or_default().attributes);
            let spans = resource.scope_spans.into_iter().flat_map(|scope| scope.spans);
            received.extend(spans.map(|span| convert(&span, &attributes)));
        }
        self.spans.send_modify(|spans| spans.extend(received));
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

fn convert(span: &proto::Span, resource: &BTreeMap<String, String>) -> Span {
    let mut all = resource.clone();
    all.extend(attributes(&span.attributes));
    Span {
        service: resource.get("service.name").cloned().unwrap_or_default(),
        name: span.name.clone(),
        trace_id: hex(&span.trace_id),
        span_id: hex(&span.span_id),
        parent_span_id: hex(&span.parent_span_id),
        links: span.links.iter().map(|link| hex(&link.trace_id)).collect(),
        kind: format!("{:?}", span.kind()),
        attributes: all,
    }
}

fn attributes(list: &[KeyValue]) -> BTreeMap<String, String> {
    let text = |value: &AnyValue| match &value.value {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::BoolValue(value)) => value.to_string(),
        Some(Value::IntValue(value)) => value.to_string(),
        Some(Value::DoubleValue(value)) => value.to_string(),
        other => format!("{other:?}"),
    };
    list.iter()
        .map(|pair| {
            (
                pair.key.clone(),
                pair.value.as_ref().map(text).unwrap_or_default(),
            )
        })
        .collect()
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
    use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans};

    use super::*;

    #[tokio::test]
    async fn keeps_what_it_is_sent_and_says_what_it_did_not_get() {
        let receiver = receiver("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let span = proto::Span {
            name: "create".into(),
            trace_id: vec![0xab; 16],
            span_id: vec![1; 8],
            ..Default::default()
        };
        let request = ExportTraceServiceRequest {
            resource_spans: vec![ResourceSpans {
                scope_spans: vec![ScopeSpans {
                    spans: vec![span],
                    ..Default::default()
                }],
                ..Default::default()
            }],
        };
        let mut client = TraceServiceClient::connect(receiver.endpoint()).await.unwrap();
        client.export(request).await.unwrap();

        let spans = receiver
            .wait_for(|spans| !spans.is_empty(), Duration::from_secs(10))
            .await
            .unwrap();
        assert_eq!(spans[0].trace_id, "ab".repeat(16));
        assert_eq!(spans[0].parent_span_id, "");
        let never = receiver
            .wait_for(|spans| spans.len() > 1, Duration::from_millis(10))
            .await;
        assert!(never.unwrap_err().to_string().contains("create"));
    }
}
