//! The tracking service: projects shipment events into timelines, and answers from them.

mod api;
mod gather;
mod kept;
mod projector;
mod read;
#[doc(hidden)]
pub mod request;
mod store;
mod stream;
mod view;

use std::sync::Arc;

use logistics_chassis::consumer::Consumers;
use logistics_chassis::migrate::ServiceMigrations;
use logistics_chassis::service::{Chassis, ProcessIdentity, RunError};
use logistics_chassis::shutdown::Shutdown;
use logistics_chassis::{projection, relay, server};
use logistics_schemas::Workload;
use logistics_schemas::config::ServiceConfig;
use logistics_schemas::grpc::logistics::tracking::v1::tracking_service_server::TrackingServiceServer;
use tonic::service::Routes;

/// The tables of the schema `tracking`.
pub static MIGRATIONS: ServiceMigrations = ServiceMigrations::new(Workload::Tracking, sqlx::migrate!());

/// Runs the service until `shutdown` is asked for.
pub async fn run(
    config: ServiceConfig,
    process: ProcessIdentity,
    shutdown: Shutdown,
) -> Result<(), RunError> {
    serve(Chassis::start(config, process, shutdown, &MIGRATIONS).await?).await
}

/// Serves on a chassis that has been started.
pub async fn serve(mut chassis: Chassis) -> Result<(), RunError> {
    let codec = Arc::new(chassis.codec(&projection::TOPICS).await?);
    let waker = relay::start(&mut chassis);
    let kept = kept::KeptTimelines::new(chassis.cache(), &chassis.config.platform);
    let projector = projector::Timelines::new(kept.clone());
    let consumers = Consumers::register(&chassis.metrics);
    projection::start(&mut chassis, Arc::clone(&codec), projector, waker, &consumers).await?;
    let streams = stream::Streams::start(&mut chassis, codec);
    let gatherer = gather::Gatherer::start(&mut chassis);
    let reader = read::Reader::new(chassis.pool.clone(), gatherer, kept);
    let api = api::Api::new(chassis.pool.clone(), reader, streams);
    let service = TrackingServiceServer::new(api).max_decoding_message_size(server::MAX_REQUEST);
    chassis.serve(Routes::new(service)).await
}
