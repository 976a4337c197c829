//! The contracts between the operator and the workloads, each in one place: gRPC services, Avro events, topics and
//! the configuration file that the operator writes and a service reads.

pub mod config;
pub mod dead_letters;
#[cfg(feature = "grpc")]
pub mod grpc;
pub mod headers;
pub mod topics;

/// The workloads that a platform consists of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Workload {
    /// Takes orders and scans; the only writer of shipments.
    Shipment,
    /// Projects shipment events into timelines.
    Tracking,
    /// Scores risk and estimates arrival.
    Analytics,
}

impl Workload {
    /// All workloads, producers last: a release starts consumers first.
    pub const ALL: [Self; 3] = [Self::Tracking, Self::Analytics, Self::Shipment];

    /// The name in images, objects, database schemas and consumer groups.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Shipment => "shipment",
            Self::Tracking => "tracking",
            Self::Analytics => "analytics",
        }
    }
}

impl std::fmt::Display for Workload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}
