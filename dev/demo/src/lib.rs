//! Sends real flight legs through a platform and reports what came of them. A leg is a shipment; its actual times are
//! its tracking events.
//!
//! The parts are of use to end-to-end tests too: how a service is reached from outside the cluster ([`reach`]), how it
//! is called ([`call`]), and what it has counted ([`counts`]).

pub mod call;
pub mod counts;
pub mod platform;
pub mod reach;
mod read_back;
pub mod report;
pub mod run;
pub mod send;
mod tell;
pub mod text;
pub mod trace;
