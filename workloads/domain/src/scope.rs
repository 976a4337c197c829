//! The scopes that a shipment belongs to, from its lane to everything.

use serde::{Deserialize, Serialize};

/// How wide a scope is. The order is also that in which a service locks what it has learned: what most shipments share
/// comes last, so that it is held for the shortest time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Carrier, origin and destination.
    Lane,
    /// Origin and destination, all carriers.
    Route,
    /// The destination, all lanes to it.
    Destination,
    /// The carrier, all its lanes.
    Carrier,
    /// The origin, all lanes from it.
    Origin,
    /// Everything.
    Overall,
}

impl Level {
    /// All levels, narrow ones first.
    pub const ALL: [Self; 6] = [
        Self::Lane,
        Self::Route,
        Self::Destination,
        Self::Carrier,
        Self::Origin,
        Self::Overall,
    ];

    /// The name in storage.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Lane => "lane",
            Self::Route => "route",
            Self::Destination => "destination",
            Self::Carrier => "carrier",
            Self::Origin => "origin",
            Self::Overall => "overall",
        }
    }
}

/// One value for each level, in the order of [`Level::ALL`].
pub type PerLevel<T> = [T; Level::ALL.len()];

/// One scope. What its level does not ask for is empty.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scope {
    /// How wide it is.
    pub level: Level,
    /// The carrier.
    pub carrier: String,
    /// Code of the origin.
    pub origin: String,
    /// Code of the destination.
    pub destination: String,
}

/// The scopes of a shipment.
#[must_use]
pub fn of(carrier: &str, origin: &str, destination: &str) -> PerLevel<Scope> {
    Level::ALL.map(|level| {
        let (by_carrier, by_origin, by_destination) = match level {
            Level::Lane => (true, true, true),
            Level::Route => (false, true, true),
            Level::Destination => (false, false, true),
            Level::Carrier => (true, false, false),
            Level::Origin => (false, true, false),
            Level::Overall => (false, false, false),
        };
        let part = |wanted, name: &str| if wanted { name.to_owned() } else { String::new() };
        Scope {
            level,
            carrier: part(by_carrier, carrier),
            origin: part(by_origin, origin),
            destination: part(by_destination, destination),
        }
    })
}
