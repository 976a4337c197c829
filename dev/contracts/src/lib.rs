//! The reference of the contracts, generated from their sources: `docs/asyncapi.yaml` from the table of topics, the headers
//! and the Avro schemas; `docs/grpc.md` from the protos and their comments. And the baseline in `schemas/baseline`: the
//! contracts of the last release, with which changes are compared.

pub mod asyncapi;
pub mod baseline;
mod defaults;
pub mod grpc;
mod proto;

use std::path::{Path, PathBuf};

use anyhow::Result;

/// The checkout's folder.
#[must_use]
pub fn checkout() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Each generated document: its path in the checkout, and what it must hold.
pub fn documents() -> Result<[(&'static str, String); 2]> {
    Ok([
        ("docs/asyncapi.yaml", asyncapi::document()?),
        ("docs/grpc.md", grpc::document()?),
    ])
}
