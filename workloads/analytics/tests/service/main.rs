//! The analytics service against a real database, event log and schema registry.

mod answers;
mod learning;
mod support;
