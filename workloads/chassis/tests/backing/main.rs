//! The chassis over real backing servers: migration and privileges, codec, outbox and relay.

mod cache;
mod codec;
mod consumers;
mod guarded_registry;
mod migrate;
mod order;
mod relay;
mod sasl;
mod support;
mod tail;
