//! Reconciles LogisticsPlatform objects into Kubernetes, Kafka and the schema registry.
//!
//! A reconcile is a straight walk, [`reconcile()`](reconcile::reconcile): [`observe`] gathers, [`validate`] checks,
//! [`release`] decides which revisions run, [`desire`] computes what should exist, [`plan`] compares, [`apply`] changes,
//! [`status`] reports. All but the first and the last two are pure.

pub mod admission;
pub mod api;
pub mod apply;
pub mod backend;
pub mod child;
pub mod claims;
pub mod controller;
pub mod credential;
pub mod deletion;
pub mod desire;
pub mod fight;
#[cfg(test)]
mod fixture;
mod jitter;
pub mod leader;
pub mod list_keys;
pub mod names;
pub mod notice;
pub mod observe;
pub mod plan;
pub mod quantity;
pub mod reason;
pub mod reconcile;
pub mod release;
pub mod retry_after;
pub mod revision;
pub mod settings;
pub mod status;
pub mod telemetry;
pub mod uninstall;
pub mod validate;
