//! Breaks a platform in every way that it has to bear, and counts what was lost or done twice.
//!
//! Servers and services are real processes: one broker, one database, one registry; two processes that write and relay,
//! two that track, one that assesses. Callers create shipments and record events through gRPC for as long as faults are
//! injected, and insist on an answer. Then everything is mended, what was begun ends, and all that was acknowledged is
//! looked for: in the log, and in what the services have made of it.

mod check;
mod faults;
mod inspect;
mod mistakes;
mod report;
mod round;
mod service;
mod site;
mod traffic;
mod wait;

pub use check::Findings;
pub use faults::Fault;
pub use mistakes::Mistake;
pub use report::{Proof, Report, Row};
pub use round::{Extent, run};
pub use site::Servers;
