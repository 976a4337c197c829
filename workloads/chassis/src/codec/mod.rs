//! Events as bytes: Avro with the registry's wire format, and the names of the domain in
//! Protobuf.

mod avro;
mod event;
mod proto;
mod registry;
mod wire;

pub use avro::{Codec, DecodeError, EncodeError, StartError};
pub use event::{Event, Location, RiskReason, ShipmentAssessed, ShipmentCreated, ShipmentStatusChanged};
pub use proto::{
    classifier_from_proto, classifier_to_proto, disposition_to_proto, location_to_proto, status_from_proto,
    status_to_proto,
};
pub use registry::{Registry, RegistryError};
pub use wire::{MAX_VALUE_BYTES, WireError};
