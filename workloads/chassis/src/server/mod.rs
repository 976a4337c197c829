//! The gRPC server: the service's routes, health, reflection, and what happens around every RPC.

mod connection;
mod deadline;
mod metrics;
mod rpc;

use std::time::Duration;

use rand::Rng as _;
use tokio::net::TcpListener;
use tokio_stream::StreamExt as _;
use tonic::service::Routes;
use tonic::transport::server::TcpIncoming;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

pub use deadline::Deadline;

use crate::admin::Readiness;
use crate::identity::Verifier;
use crate::metrics::Metrics;
use crate::shutdown::{DRAIN, Shutdown};

/// The reason in [`Readiness`] until gRPC is served, and while it drains.
pub const WAITING: &str = "grpc";

/// Clients that know only one address stay on one replica; closing their connections now and then moves them: no new
/// call is taken on a connection of this age, and those that are under way come to their end.
const CONNECTION_AGE: Duration = Duration::from_mins(1);
/// Share of [`CONNECTION_AGE`] by which replicas differ, so that clients do not all move at once.
const CONNECTION_AGE_JITTER: f64 = 0.1;
/// How much longer than its age and the longest call a connection may live. Whoever reads no answers is cut off then.
const CONNECTION_GRACE: Duration = Duration::from_secs(30);
/// Streams of one connection at one time.
const MAX_STREAMS: u32 = 256;
/// Bytes of a request's headers.
const MAX_HEADERS: u32 = 32 * 1024;
/// How often an idle connection is asked whether it still lives.
const KEEPALIVE: Duration = Duration::from_secs(20);

/// Bytes of a request's message; pass it to the generated server's `max_decoding_message_size`.
pub const MAX_REQUEST: usize = 64 * 1024;

/// What is served.
pub(crate) struct Server {
    pub(crate) listener: TcpListener,
    pub(crate) routes: Routes,
    pub(crate) verifier: Verifier,
    pub(crate) metrics: Metrics,
    pub(crate) readiness: Readiness,
    pub(crate) shutdown: Shutdown,
    /// The longest that a stream of answers may last.
    pub(crate) longest_stream: Duration,
}

/// Serves until the stop is asked for; then turns unready, takes requests for a little longer, and finishes what it
/// has begun, for at most [`DRAIN`].
pub(crate) async fn serve(server: Server) -> Result<(), tonic::transport::Error> {
    let (reporter, health) = tonic_health::server::health_reporter();
    reporter.set_service_status("", ServingStatus::NotServing).await;
    let routes = server.routes.add_service(health);
    let routes = match reflection() {
        Ok(reflection) => routes.add_service(reflection),
        Err(error) => {
            tracing::error!(%error, "reflection is not served");
            routes
        }
    };
    let layer = rpc::RpcLayer::new(server.verifier, metrics::RpcMetrics::new(&server.metrics));
    let jitter = rand::rng().random_range(-CONNECTION_AGE_JITTER..CONNECTION_AGE_JITTER);
    let age = CONNECTION_AGE.mul_f64(1.0 + jitter);
    // Not tonic's `max_connection_age_grace`: with it, 0.14 closes the connection without having told the client before.
    let lifetime = age + server.longest_stream.max(deadline::MAX) + CONNECTION_GRACE;
    let incoming = TcpIncoming::from(server.listener)
        .with_nodelay(Some(true))
        .map(move |accepted| accepted.map(|stream| connection::Mortal::new(stream, lifetime)));
    let stop = server.shutdown.clone();
    let serving = tonic::transport::Server::builder()
        .max_connection_age(age)
        .max_concurrent_streams(MAX_STREAMS)
        .http2_max_header_list_size(MAX_HEADERS)
        .http2_keepalive_interval(Some(KEEPALIVE))
        .layer(layer)
        .serve_with_incoming_shutdown(
            routes.prepare(),
            incoming,
            async move { stop.lame_duck_over().await },
        );
    server.readiness.done(WAITING);
    let follow = follow_readiness(reporter, server.readiness.clone());
    let unready = async {
        server.shutdown.requested().cancelled().await;
        server.readiness.wait_for(WAITING);
        server.shutdown.lame_duck_over().await;
        tokio::time::sleep(DRAIN).await;
    };
    tokio::select! {
        outcome = serving => outcome,
        () = unready => {
            tracing::warn!(seconds = DRAIN.as_secs(), "open requests were cut off after the drain time");
            Ok(())
        }
        () = follow => Ok(()),
    }
}

/// Lets the gRPC health service say what `/readyz` says.
async fn follow_readiness(reporter: HealthReporter, readiness: Readiness) {
    let mut ready = readiness.subscribe();
    loop {
        let status = if *ready.borrow_and_update() {
            ServingStatus::Serving
        } else {
            ServingStatus::NotServing
        };
        reporter.set_service_status("", status).await;
        if ready.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

fn reflection() -> Result<
    tonic_reflection::server::v1::ServerReflectionServer<impl tonic_reflection::server::v1::ServerReflection>,
    tonic_reflection::server::Error,
> {
    tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(logistics_schemas::grpc::DESCRIPTORS)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .build_v1()
}
