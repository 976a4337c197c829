//! The channel over real servers that come, go and die.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result};
use logistics_client::{Balanced, Resolve, Settings};
use logistics_schemas::grpc::logistics::tracking::v1 as proto;
use logistics_schemas::grpc::logistics::tracking::v1::tracking_service_client::TrackingServiceClient;
use logistics_schemas::grpc::logistics::tracking::v1::tracking_service_server::{
    TrackingService, TrackingServiceServer,
};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Certificate, ClientTlsConfig, Identity, Server, ServerTlsConfig};
use tonic::{Code, Request, Response, Status};

const HOST: &str = "acme-tracking-pods.test";

/// Answers with its own number as the count of shipments.
struct Pod(i64);

#[tonic::async_trait]
impl TrackingService for Pod {
    async fn get_timeline(
        &self,
        _: Request<proto::GetTimelineRequest>,
    ) -> Result<Response<proto::GetTimelineResponse>, Status> {
        // Never in time.
        tokio::time::sleep(Duration::from_mins(1)).await;
        Err(Status::internal("nobody waits so long"))
    }

    async fn batch_get_timelines(
        &self,
        _: Request<proto::BatchGetTimelinesRequest>,
    ) -> Result<Response<proto::BatchGetTimelinesResponse>, Status> {
        Err(Status::unimplemented("nobody asks for it here"))
    }

    async fn get_public_timeline(
        &self,
        _: Request<proto::GetPublicTimelineRequest>,
    ) -> Result<Response<proto::GetPublicTimelineResponse>, Status> {
        Err(Status::unimplemented("nobody asks for it here"))
    }

    type StreamTrackingStream = tokio_stream::Empty<Result<proto::StreamTrackingResponse, Status>>;

    async fn stream_tracking(
        &self,
        _: Request<proto::StreamTrackingRequest>,
    ) -> Result<Response<Self::StreamTrackingStream>, Status> {
        Err(Status::unavailable(
            "an answer of the service, not of the network",
        ))
    }

    async fn get_projection(
        &self,
        _: Request<proto::GetProjectionRequest>,
    ) -> Result<Response<proto::GetProjectionResponse>, Status> {
        Ok(Response::new(proto::GetProjectionResponse {
            shipments: self.0,
            ..Default::default()
        }))
    }
}

/// A running pod. Dropped or killed, its connections break.
struct Running {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Running {
    async fn start(number: i64, tls: Option<ServerTlsConfig>) -> Result<Self> {
        Self::start_at(([127, 0, 0, 1], 0).into(), number, tls).await
    }

    async fn start_at(address: SocketAddr, number: i64, tls: Option<ServerTlsConfig>) -> Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let mut server = Server::builder().max_connection_age(Duration::from_millis(300));
        if let Some(tls) = tls {
            server = server.tls_config(tls)?;
        }
        let serving = server
            .add_service(TrackingServiceServer::new(Pod(number)))
            .serve_with_incoming(TcpIncoming::from(listener));
        // In a runtime of its own, which takes its connections along when it ends.
        let (gone, wait) = tokio::sync::oneshot::channel::<()>();
        let task = tokio::spawn(async move {
            let _gone = gone;
            std::future::pending::<()>().await;
        });
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            if let Ok(runtime) = runtime {
                runtime.block_on(async {
                    tokio::select! {
                        _ = serving => {}
                        _ = wait => {}
                    }
                });
            }
        });
        Ok(Self { address, task })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A DNS that a test writes.
#[derive(Clone, Default)]
struct Zone(Arc<Mutex<Vec<SocketAddr>>>);

impl Zone {
    fn lock(&self) -> MutexGuard<'_, Vec<SocketAddr>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, pods: &[&Running]) {
        *self.lock() = pods.iter().map(|pod| pod.address).collect();
    }
}

impl Resolve for Zone {
    async fn resolve(&self, host: &str, _: u16) -> io::Result<Vec<SocketAddr>> {
        assert_eq!(host, HOST);
        let addresses = self.lock().clone();
        if addresses.is_empty() {
            return Err(io::Error::other("no such name"));
        }
        Ok(addresses)
    }
}

fn settings() -> Settings {
    Settings {
        resolve_every: Duration::from_millis(50),
        resolve_timeout: Duration::from_millis(500),
        ..Settings::new(HOST, 8080)
    }
}

/// Calls so many times; counts who answered.
async fn calls(client: &TrackingServiceClient<Balanced>, count: usize) -> Result<BTreeMap<i64, usize>> {
    let mut answered = BTreeMap::new();
    for _ in 0..count {
        let mut request = Request::new(proto::GetProjectionRequest {});
        request.set_timeout(Duration::from_secs(10));
        let answer = client.clone().get_projection(request).await?;
        *answered.entry(answer.into_inner().shipments).or_insert(0) += 1;
    }
    Ok(answered)
}

/// Waits until exactly these pods answer.
async fn spread_over(client: &TrackingServiceClient<Balanced>, pods: &[i64]) -> Result<BTreeMap<i64, usize>> {
    let spread = async {
        loop {
            let answered = calls(client, 30).await?;
            if answered.keys().eq(pods) && answered.values().all(|count| *count == 30 / pods.len()) {
                return Ok(answered);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), spread)
        .await
        .with_context(|| format!("the calls are not spread over {pods:?}"))?
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_are_spread_and_follow_the_pods_without_a_failure() -> Result<()> {
    let (one, two, three) = (
        Running::start(1, None).await?,
        Running::start(2, None).await?,
        Running::start(3, None).await?,
    );
    let zone = Zone::default();
    zone.set(&[&one, &two]);
    let balanced = Balanced::start(settings(), zone.clone());
    let client = TrackingServiceClient::new(balanced.clone());
    spread_over(&client, &[1, 2]).await?;
    // Every connection is ended by its server again and again meanwhile: `calls` would tell of a failure.
    zone.set(&[&one, &two, &three]);
    spread_over(&client, &[1, 2, 3]).await?;

    // One goes in an orderly way: first from DNS, and then.
    zone.set(&[&two, &three]);
    spread_over(&client, &[2, 3]).await?;
    drop(one);
    spread_over(&client, &[2, 3]).await?;

    // One dies, and DNS does not know yet.
    let dead = two.address;
    drop(two);
    let answered = calls(&client, 100).await?;
    assert!(answered.get(&3).is_some_and(|count| *count >= 80), "{answered:?}");
    assert!(balanced.calls()[&dead].failed > 0, "{:?}", balanced.calls());

    // It comes back at the same address, and gets its share again after a rest.
    let _two = Running::start_at(dead, 2, None).await?;
    spread_over(&client, &[2, 3]).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_keeps_a_call_from_its_answer_is_said() -> Result<()> {
    let zone = Zone::default();
    let client = TrackingServiceClient::new(Balanced::start(settings(), zone.clone()));
    let error = calls(&client, 1).await.err().context("answered")?;
    let status = error.downcast_ref::<Status>().context("no status")?;
    assert_eq!(status.code(), Code::Unavailable);
    assert!(
        status.message().contains(HOST) && status.message().contains("no such name"),
        "{status}"
    );

    let one = Running::start(1, None).await?;
    zone.set(&[&one]);
    spread_over(&client, &[1]).await?;
    // The time is over: that is not the pod's fault, and nobody else is asked.
    let mut request = Request::new(proto::GetTimelineRequest::default());
    request.set_timeout(Duration::from_millis(100));
    let status = client
        .clone()
        .get_timeline(request)
        .await
        .err()
        .context("answered")?;
    assert!(
        matches!(status.code(), Code::DeadlineExceeded | Code::Cancelled),
        "{status}"
    );
    // What the service says is passed on.
    let status = client
        .clone()
        .stream_tracking(proto::StreamTrackingRequest::default())
        .await
        .err()
        .context("answered")?;
    assert_eq!(status.message(), "an answer of the service, not of the network");

    drop(one);
    let gone = async {
        loop {
            if let Err(error) = calls(&client, 1).await {
                return error;
            }
        }
    };
    let error = tokio::time::timeout(Duration::from_secs(10), gone).await?;
    let status = error.downcast_ref::<Status>().context("no status")?;
    assert_eq!(status.code(), Code::Unavailable);
    assert!(status.message().contains("tried 1"), "{status}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_are_for_the_name_and_not_for_an_address() -> Result<()> {
    let made = rcgen::generate_simple_self_signed([HOST.to_owned()])?;
    let identity = Identity::from_pem(made.cert.pem(), made.signing_key.serialize_pem());
    let pod = Running::start(1, Some(ServerTlsConfig::new().identity(identity))).await?;
    let zone = Zone::default();
    zone.set(&[&pod]);
    let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(made.cert.pem()));
    let verified = Settings {
        tls: Some(tls),
        ..settings()
    };
    let client = TrackingServiceClient::new(Balanced::start(verified.clone(), zone.clone()));
    spread_over(&client, &[1]).await?;

    let other = Settings {
        server_name: Some("somebody-else.test".to_owned()),
        ..verified
    };
    let client = TrackingServiceClient::new(Balanced::start(other, zone));
    let error = calls(&client, 1).await.err().context("answered")?;
    assert_eq!(
        error.downcast_ref::<Status>().map(Status::code),
        Some(Code::Unavailable)
    );
    Ok(())
}
