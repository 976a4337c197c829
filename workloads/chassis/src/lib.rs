//! What every logistics service shares: configuration, telemetry, identity, storage, events.
//!
//! A service's `run` builds a [`service::Chassis`] from its configuration, starts its background work with
//! [`service::Chassis::spawn`] and hands its gRPC routes to [`service::Chassis::serve`]. Telemetry is installed by the
//! binary, once for the process.

pub mod admin;
pub mod audit;
mod broken;
pub mod cache;
pub mod cloudevents;
pub mod codec;
pub mod config;
pub mod consumer;
pub mod credential;
pub mod crypto;
pub mod errors;
pub mod fields;
pub mod idempotency;
pub mod identity;
pub mod kafka;
pub mod metrics;
pub mod migrate;
pub mod outbox;
pub mod projection;
pub mod queue;
pub mod relay;
pub mod server;
pub mod service;
pub mod shutdown;
pub mod storage;
pub mod tail;
pub mod telemetry;
pub mod writes;
