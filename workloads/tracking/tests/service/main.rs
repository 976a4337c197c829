//! The tracking service against a real database, event log and schema registry.

mod answers;
mod deliveries;
mod poison;
mod redrive;
mod said;
mod streams;
mod support;
