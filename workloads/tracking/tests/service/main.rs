//! The tracking service against a real database, event log and schema registry.

mod answers;
mod cached;
mod deliveries;
mod poison;
mod redrive;
mod said;
mod streams;
mod support;
mod together;
