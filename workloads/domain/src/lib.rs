//! Shipments, risk and arrival estimates as pure functions: no I/O, no clock, no randomness. The same input always
//! gives the same answer, so a projection can be replayed from the log.

pub mod anomaly;
pub mod book;
pub mod delay;
pub mod effect;
pub mod eta;
pub mod history;
pub mod journey;
pub mod ledger;
mod names;
pub mod number;
pub mod quantile;
pub mod risk;
pub mod scope;
pub mod status;
pub mod transit;
