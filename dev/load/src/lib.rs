//! Calls a workload at a steady rate through [`logistics_client::Balanced`], and tells which pod answered how much.
//!
//! The client runs on the host: the development cluster's pods, Services and DNS are reached from there by address.

mod calls;
mod dns;
mod report;
mod run;

pub use calls::Call;
pub use dns::ClusterDns;
pub use report::{Latency, Pod, Report};
pub use run::{Plan, run};
