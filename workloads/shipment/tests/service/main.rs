//! The shipment service over a real database, a real broker and a real registry.

mod events;
mod identity;
mod input;
mod limits;
mod open;
mod replay;
mod support;
