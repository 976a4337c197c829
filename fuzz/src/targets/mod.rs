//! The targets. Each has a function `run`, which feeds it, and inputs to begin with.

pub(crate) mod analytics;
pub(crate) mod avro;
pub(crate) mod json;
pub(crate) mod keys;
pub(crate) mod learning;
pub(crate) mod ledger;
pub(crate) mod record;
mod refusal;
pub(crate) mod schema;
pub(crate) mod shipment;
pub(crate) mod token;
pub(crate) mod tracking;
