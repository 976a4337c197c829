//! The analytics service against a real database, event log and schema registry.

mod anomalies;
mod answers;
mod learning;
mod observations;
mod support;
