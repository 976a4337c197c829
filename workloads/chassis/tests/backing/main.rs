//! The chassis over real backing servers: migration and privileges, outbox and relay.

mod migrate;
mod order;
mod relay;
mod support;
