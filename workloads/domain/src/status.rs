//! The statuses of a shipment, which may follow which, and what may be said of them.

use serde::{Deserialize, Serialize};

pub use crate::names::UnknownName;
use crate::names::by_name;

/// The state of a shipment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Status {
    /// Ordered, not yet with the carrier.
    Created,
    /// Taken over by the carrier.
    PickedUp,
    /// On the road; reported again at each checkpoint.
    InTransit,
    /// On the last leg to the recipient.
    OutForDelivery,
    /// A delivery was tried in vain.
    AttemptFailed,
    /// Arrived where the recipient collects it.
    AvailableForPickup,
    /// Something is wrong; the former status is resumed by the next scan.
    Exception,
    /// On the way back to the sender.
    Returning,
    /// With the recipient. Terminal.
    Delivered,
    /// Back with the sender. Terminal.
    Returned,
    /// Given up. Terminal.
    Lost,
    /// Called off before pickup. Terminal.
    Cancelled,
}

use Status::{
    AttemptFailed, AvailableForPickup, Cancelled, Created, Delivered, Exception, InTransit, Lost,
    OutForDelivery, PickedUp, Returned, Returning,
};

/// The legal steps, except those out of [`Exception`], which depend on what came before it.
const TRANSITIONS: [(Status, &[Status]); 11] = [
    (Created, &[PickedUp, InTransit, Exception, Cancelled]),
    (PickedUp, &[InTransit, OutForDelivery, Exception, Returning]),
    (
        InTransit,
        &[
            InTransit,
            OutForDelivery,
            AvailableForPickup,
            Exception,
            Returning,
        ],
    ),
    (
        OutForDelivery,
        &[Delivered, AttemptFailed, AvailableForPickup, Exception],
    ),
    (
        AttemptFailed,
        &[
            OutForDelivery,
            AvailableForPickup,
            InTransit,
            Exception,
            Returning,
        ],
    ),
    (AvailableForPickup, &[Delivered, Exception, Returning]),
    (Returning, &[Returned, Exception, Lost]),
    (Delivered, &[]),
    (Returned, &[]),
    (Lost, &[]),
    (Cancelled, &[]),
];

/// What an exception may always end in, whatever came before it.
pub(crate) const OUT_OF_EXCEPTION: [Status; 2] = [Returning, Lost];

impl Status {
    /// All statuses.
    pub const ALL: [Self; 12] = [
        Created,
        PickedUp,
        InTransit,
        OutForDelivery,
        AttemptFailed,
        AvailableForPickup,
        Exception,
        Returning,
        Delivered,
        Returned,
        Lost,
        Cancelled,
    ];

    /// Whether nothing follows.
    #[must_use]
    pub const fn is_terminal(self) -> bool {
        matches!(self, Delivered | Returned | Lost | Cancelled)
    }

    /// The name on the wire, for example `IN_TRANSIT`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Created => "CREATED",
            PickedUp => "PICKED_UP",
            InTransit => "IN_TRANSIT",
            OutForDelivery => "OUT_FOR_DELIVERY",
            AttemptFailed => "ATTEMPT_FAILED",
            AvailableForPickup => "AVAILABLE_FOR_PICKUP",
            Exception => "EXCEPTION",
            Returning => "RETURNING",
            Delivered => "DELIVERED",
            Returned => "RETURNED",
            Lost => "LOST",
            Cancelled => "CANCELLED",
        }
    }

    /// The legal next statuses. Empty for a terminal status, and for [`Exception`], whose next depend on
    /// [`State::before_exception`](crate::ledger::State): ask [`State::allows`](crate::ledger::State::allows).
    #[must_use]
    pub fn next(self) -> &'static [Self] {
        TRANSITIONS
            .iter()
            .find(|(from, _)| *from == self)
            .map_or(&[], |(_, to)| to)
    }
}

impl std::fmt::Display for Status {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::str::FromStr for Status {
    type Err = UnknownName;

    fn from_str(value: &str) -> Result<Self, UnknownName> {
        by_name("status", &Self::ALL, Self::as_str, value)
    }
}

/// Whether a report says what happened, or what is expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Classifier {
    /// It happened.
    Actual,
    /// It is now expected.
    Estimated,
    /// It was meant.
    Planned,
}

impl Classifier {
    /// All classifiers.
    pub const ALL: [Self; 3] = [Self::Actual, Self::Estimated, Self::Planned];

    /// The name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Actual => "ACTUAL",
            Self::Estimated => "ESTIMATED",
            Self::Planned => "PLANNED",
        }
    }
}

impl std::str::FromStr for Classifier {
    type Err = UnknownName;

    fn from_str(value: &str) -> Result<Self, UnknownName> {
        by_name("classifier", &Self::ALL, Self::as_str, value)
    }
}

/// What became of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Disposition {
    /// It moved the status.
    Applied,
    /// Older than the newest report that counts. It has its place in the order of occurrence.
    Late,
    /// No legal step from what is known of the time before it.
    Conflict,
    /// Says nothing of the status: planned, estimated, a delay, a retraction, an assignment.
    Informational,
}

impl Disposition {
    /// All dispositions.
    pub const ALL: [Self; 4] = [Self::Applied, Self::Late, Self::Conflict, Self::Informational];

    /// The name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Applied => "APPLIED",
            Self::Late => "LATE",
            Self::Conflict => "CONFLICT",
            Self::Informational => "INFORMATIONAL",
        }
    }
}

impl std::str::FromStr for Disposition {
    type Err = UnknownName;

    fn from_str(value: &str) -> Result<Self, UnknownName> {
        by_name("disposition", &Self::ALL, Self::as_str, value)
    }
}

/// What an event is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Kind {
    /// Something that was observed of the shipment.
    #[default]
    Scan,
    /// What its account has ordered: the shipment itself, its cancellation, its return.
    Order,
    /// The shipment is delayed, or is not any more.
    Delay,
    /// An earlier event is taken back.
    Retraction,
    /// Somebody is to carry it.
    Assignment,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 5] = [
        Self::Scan,
        Self::Order,
        Self::Delay,
        Self::Retraction,
        Self::Assignment,
    ];

    /// The name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Scan => "SCAN",
            Self::Order => "ORDER",
            Self::Delay => "DELAY",
            Self::Retraction => "RETRACTION",
            Self::Assignment => "ASSIGNMENT",
        }
    }
}

impl std::str::FromStr for Kind {
    type Err = UnknownName;

    fn from_str(value: &str) -> Result<Self, UnknownName> {
        by_name("kind of event", &Self::ALL, Self::as_str, value)
    }
}
