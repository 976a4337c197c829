//! Events as bytes: Avro with the registry's wire format, or JSON while the registry cannot tell; and the names of the domain in
//! Protobuf.

mod avro;
mod bounded;
mod datum;
mod errors;
mod event;
mod lookup;
mod metrics;
mod proto;
mod registry;
mod seen;
mod wire;

pub use avro::{Codec, Encoded};
pub use bounded::Unbounded;
pub use errors::{DecodeError, EncodeError, StartError};
pub use event::{
    Arrival, Event, Location, ProofOfDelivery, RiskReason, ShipmentAssessed, ShipmentCreated,
    ShipmentObserved, ShipmentStatusChanged,
};
pub use lookup::Lookup;
pub use metrics::{CodecMetrics, Encoding};
pub use proto::{
    classifier_from_proto, classifier_to_proto, delay_from_proto, delay_to_proto, disposition_to_proto,
    kind_to_proto, location_to_proto, proof_to_proto, status_from_proto, status_to_proto,
};
pub use registry::{Registry, RegistryError};
pub use wire::{MAX_VALUE_BYTES, WireError};
