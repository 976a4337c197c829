//! What the end-to-end tests share: the platform they work on, and how it is watched and disturbed.
//!
//! The tests run against the development cluster of this checkout, with the operator installed by its chart, on a
//! platform of their own beside the demo's.

pub mod audit;
pub mod backing;
pub mod children;
pub mod crash;
pub mod etcd;
pub mod kubectl;
pub mod logs;
pub mod operator;
pub mod orders;
pub mod rights;
pub mod scan;
pub mod secrets;
pub mod site;
pub mod stage;
pub mod wait;
pub mod webhook;

mod access;
mod database;
