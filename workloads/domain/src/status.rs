//! The status machine of a shipment.
//!
//! Carriers report late, early and twice. Every report is kept; it moves the status only when it says what *happened*,
//! is not older than the newest report that moved it, and is a legal step.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

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
const OUT_OF_EXCEPTION: [Status; 2] = [Returning, Lost];

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
    /// [`State::before_exception`]: ask [`State::allows`].
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

/// A name that is no status, classifier or disposition.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{value:?} is no {what}; known are {known}")]
pub struct UnknownName {
    what: &'static str,
    value: String,
    known: String,
}

/// Finds the value with this name, or says which names there are.
fn by_name<T: Copy>(
    what: &'static str,
    all: &[T],
    name_of: fn(T) -> &'static str,
    value: &str,
) -> Result<T, UnknownName> {
    all.iter()
        .copied()
        .find(|one| name_of(*one) == value)
        .ok_or_else(|| UnknownName {
            what,
            value: value.chars().take(40).collect(),
            known: all.iter().map(|one| name_of(*one)).collect::<Vec<_>>().join(", "),
        })
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
    /// Older than the newest report that moved the status.
    Late,
    /// No legal step.
    Conflict,
    /// Planned or estimated: says nothing of what is.
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

/// What the status machine remembers of a shipment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct State {
    /// The status.
    pub status: Status,
    /// `occurred_at` of the newest report that moved the status; `None` while it is only ordered.
    pub newest_applied: Option<DateTime<Utc>>,
    /// The status before the exception; `Some` exactly while the status is [`Status::Exception`].
    pub before_exception: Option<Status>,
}

/// Something reported of a shipment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report {
    /// The status it reports.
    pub status: Status,
    /// Whether it happened.
    pub classifier: Classifier,
    /// When.
    pub occurred_at: DateTime<Utc>,
}

/// What became of a report, and the state afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// What became of it.
    pub disposition: Disposition,
    /// The state afterwards: the same as before unless the disposition is [`Disposition::Applied`].
    pub state: State,
}

impl State {
    /// The state of a new shipment.
    pub const CREATED: Self = Self {
        status: Created,
        newest_applied: None,
        before_exception: None,
    };

    /// Whether `next` is a legal step from here.
    ///
    /// Out of an exception, the former status may be resumed, and so may whatever was legal from it: the scan that
    /// says "out for delivery" also says that the trouble is over. Cancelling therefore stays possible only when the
    /// exception came before pickup.
    #[must_use]
    pub fn allows(&self, next: Status) -> bool {
        match (self.status, self.before_exception) {
            (Exception, _) if next == Exception => false,
            (Exception, Some(before)) => {
                next == before || before.next().contains(&next) || OUT_OF_EXCEPTION.contains(&next)
            }
            (status, _) => status.next().contains(&next),
        }
    }
}

/// Decides what becomes of a report. Of two reports with the same time, the one recorded later counts as newer.
#[must_use]
pub fn decide(state: &State, report: &Report) -> Decision {
    let unmoved = |disposition| Decision {
        disposition,
        state: *state,
    };
    if report.classifier != Classifier::Actual {
        return unmoved(Disposition::Informational);
    }
    if state
        .newest_applied
        .is_some_and(|newest| report.occurred_at < newest)
    {
        return unmoved(Disposition::Late);
    }
    if !state.allows(report.status) {
        return unmoved(Disposition::Conflict);
    }
    Decision {
        disposition: Disposition::Applied,
        state: State {
            status: report.status,
            newest_applied: Some(report.occurred_at),
            before_exception: (report.status == Exception).then_some(state.status),
        },
    }
}
