//! The shipment service: takes orders and scans, and is the only writer of shipments.
//!
//! A request becomes a [`model::Change`] by pure functions ([`request`] checks it, [`change`] decides); the
//! [`write`] path keeps the change with its audit leaf, its idempotency record and its outbox record in one transaction,
//! which requests share that come at the same time.

mod api;
mod change;
mod history;
mod many;
mod model;
mod page;
#[doc(hidden)]
pub mod request;
mod store;
mod write;

use std::sync::Arc;

use logistics_chassis::cloudevents::EventWriter;
use logistics_chassis::migrate::ServiceMigrations;
use logistics_chassis::service::{Chassis, ProcessIdentity, RunError};
use logistics_chassis::shutdown::Shutdown;
use logistics_chassis::{idempotency, relay, server};
use logistics_schemas::Workload;
use logistics_schemas::config::ServiceConfig;
use logistics_schemas::grpc::logistics::shipment::v1::shipment_service_server::ShipmentServiceServer;
use logistics_schemas::topics::{SHIPMENT_CREATED, SHIPMENT_STATUS_CHANGED};
use tonic::service::Routes;

/// The tables of the schema `shipment`.
pub static MIGRATIONS: ServiceMigrations = ServiceMigrations::new(Workload::Shipment, sqlx::migrate!());

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
    let codec = chassis
        .codec(&[SHIPMENT_CREATED, SHIPMENT_STATUS_CHANGED])
        .await?;
    let waker = relay::start(&mut chassis);
    let purge = idempotency::purge(chassis.pool.clone(), chassis.shutdown.drained());
    chassis.spawn("idempotency purge", async {
        purge.await;
        Ok(())
    });
    let events = EventWriter::new(&chassis, Arc::new(codec));
    let metrics = write::CommitMetrics::register(&chassis.metrics);
    let committers = write::Committers::new(chassis.pool.clone(), waker, events, metrics);
    let writer = committers.start(&mut chassis);
    let service = ShipmentServiceServer::new(api::Api::new(chassis.pool.clone(), writer))
        .max_decoding_message_size(server::MAX_REQUEST);
    chassis.serve(Routes::new(service)).await
}
