//! The analytics service: learns from arrivals how lanes do, and assesses each shipment when it is ordered and when it
//! leaves, and tells what is out of the ordinary.

mod accuracy;
mod anomalies;
mod api;
#[doc(hidden)]
pub mod assess;
mod histories;
mod projector;
#[doc(hidden)]
pub mod request;
mod shipments;
mod silence;

use std::sync::Arc;

use logistics_chassis::cloudevents::EventWriter;
use logistics_chassis::migrate::ServiceMigrations;
use logistics_chassis::service::{Chassis, ProcessIdentity, RunError};
use logistics_chassis::shutdown::Shutdown;
use logistics_chassis::{projection, relay, server};
use logistics_schemas::Workload;
use logistics_schemas::config::ServiceConfig;
use logistics_schemas::grpc::logistics::analytics::v1::analytics_service_server::AnalyticsServiceServer;
use logistics_schemas::topics;
use tonic::service::Routes;

/// The tables of the schema `analytics`.
pub static MIGRATIONS: ServiceMigrations = ServiceMigrations::new(Workload::Analytics, sqlx::migrate!());

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
    let [created, changed] = projection::TOPICS;
    let codec = Arc::new(
        chassis
            .codec(&[created, changed, topics::ANALYTICS_ASSESSED])
            .await?,
    );
    let waker = relay::start(&mut chassis);
    let projector = projector::Assessments::new(EventWriter::new(&chassis, Arc::clone(&codec)));
    projection::start(&mut chassis, codec, projector, waker).await?;
    let service = AnalyticsServiceServer::new(api::Api::new(chassis.pool.clone()))
        .max_decoding_message_size(server::MAX_REQUEST);
    chassis.serve(Routes::new(service)).await
}
