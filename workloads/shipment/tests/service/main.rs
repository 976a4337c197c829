//! The shipment service over a real database, a real broker and a real registry.

mod audit;
mod events;
mod group;
mod identity;
mod input;
mod limits;
mod many;
mod numbers;
mod open;
mod replay;
mod said;
mod support;
