//! The analytics service: assesses each shipment when it is ordered and when it leaves, tells what is out of the ordinary, and
//! learns from arrivals how lanes do.
//!
//! Any replica assesses any shipment, by what is known. What an event teaches goes through the log to the one replica that
//! learns for the account.

mod accuracy;
mod anomalies;
mod api;
#[doc(hidden)]
pub mod assess;
mod histories;
mod learner;
mod metrics;
mod observation;
mod projector;
#[doc(hidden)]
pub mod request;
mod shipments;
mod silence;

use std::sync::Arc;

use logistics_chassis::cloudevents::EventWriter;
use logistics_chassis::consumer::{Consumer, Consumers};
use logistics_chassis::migrate::ServiceMigrations;
use logistics_chassis::service::{Chassis, ProcessIdentity, RunError};
use logistics_chassis::shutdown::Shutdown;
use logistics_chassis::{projection, relay, server};
use logistics_schemas::Workload;
use logistics_schemas::config::ServiceConfig;
use logistics_schemas::grpc::logistics::analytics::v1::analytics_service_server::AnalyticsServiceServer;
use logistics_schemas::topics::{ANALYTICS_ASSESSED, ANALYTICS_OBSERVED, LEARNING_GROUP_SUFFIX};
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
    let topics = [created, changed, ANALYTICS_ASSESSED, ANALYTICS_OBSERVED];
    let codec = Arc::new(chassis.codec(&topics).await?);
    let waker = relay::start(&mut chassis);
    let consumers = Consumers::register(&chassis.metrics);
    let projector = projector::Assessments::new(EventWriter::new(&chassis, Arc::clone(&codec)));
    projection::start(
        &mut chassis,
        Arc::clone(&codec),
        projector,
        waker.clone(),
        &consumers,
    )
    .await?;
    let group = format!("{}{LEARNING_GROUP_SUFFIX}", chassis.config.kafka.group_id);
    let learner = learner::Learner {
        pool: chassis.pool.clone(),
        codec,
        group: group.clone(),
        waker,
        metrics: metrics::LearnerMetrics::register(&chassis.metrics),
    };
    Consumer::of(&chassis, &group, &[ANALYTICS_OBSERVED], learner, &consumers)
        .start(&mut chassis, "learning");
    let service = AnalyticsServiceServer::new(api::Api::new(chassis.pool.clone()))
        .max_decoding_message_size(server::MAX_REQUEST);
    chassis.serve(Routes::new(service)).await
}
