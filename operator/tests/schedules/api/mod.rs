//! A fake API server: the part of the real one's behaviour that the operator depends on. `conformance` compares the two.

mod answer;
mod discovery;
mod fields;
mod kinds;
mod server;
mod store;
mod watching;

pub(crate) use answer::Refusal;
pub(crate) use kinds::Kind;
pub(crate) use server::{Answer, Request, serve};
pub(crate) use store::{Deletion, Key, Store};
pub(crate) use watching::{Told, watch};
