//! Why a shipment is delayed.

use serde::{Deserialize, Serialize};

use crate::names::{UnknownName, by_name};

/// Why a shipment is delayed. A delay is no status: a shipment on time and a late one go the same way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum DelayReason {
    /// The carrier's own: capacity, connections, sorting.
    Carrier,
    /// The weather.
    Weather,
    /// Customs.
    Customs,
    /// The recipient: absent, has asked for another day, refuses.
    Consignee,
    /// The sender: not ready, papers missing.
    Sender,
    /// The address is wrong or incomplete.
    Address,
    /// An accident, a strike, a closed road.
    Incident,
    /// Anything else.
    Other,
}

impl DelayReason {
    /// All reasons.
    pub const ALL: [Self; 8] = [
        Self::Carrier,
        Self::Weather,
        Self::Customs,
        Self::Consignee,
        Self::Sender,
        Self::Address,
        Self::Incident,
        Self::Other,
    ];

    /// The name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Carrier => "CARRIER",
            Self::Weather => "WEATHER",
            Self::Customs => "CUSTOMS",
            Self::Consignee => "CONSIGNEE",
            Self::Sender => "SENDER",
            Self::Address => "ADDRESS",
            Self::Incident => "INCIDENT",
            Self::Other => "OTHER",
        }
    }
}

impl std::str::FromStr for DelayReason {
    type Err = UnknownName;

    fn from_str(value: &str) -> Result<Self, UnknownName> {
        by_name("reason of a delay", &Self::ALL, Self::as_str, value)
    }
}
