//! What the end-to-end tests share: the platform they work on, and how it is watched and disturbed.
//!
//! The tests run against the development cluster of this checkout, with the operator installed by its chart, on a
//! platform of their own beside the demo's.

pub mod audit;
pub mod children;
pub mod crash;
pub mod orders;
pub mod stage;
pub mod wait;

mod database;
