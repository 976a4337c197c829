//! The gRPC services, generated from `proto/`.

#![allow(missing_docs, reason = "the documentation is that of the .proto files")]
#![allow(clippy::pedantic, unreachable_pub, reason = "generated code")]

include!(concat!(env!("OUT_DIR"), "/services.rs"));

/// The encoded `FileDescriptorSet` of all services, for server reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
