//! What was said of a shipment, and where that leaves it.
//!
//! Carriers report late, early and twice. Everything is kept, and a shipment is where its events lead when they are read
//! in the order in which they *happened*: each that is a legal step from there counts. So the order in which they arrive
//! does not matter, and an event that is taken back leaves no trace in the state. A cancellation is no observation but a
//! decision of the service: once it was possible, it stands until it is taken back.

use std::collections::HashSet;
use std::hash::Hash;

use chrono::{DateTime, Utc};

use crate::delay::DelayReason;
use crate::status::Status::{Cancelled, Created, Exception};
use crate::status::{Classifier, Disposition, Kind, OUT_OF_EXCEPTION, Status};

/// Where a shipment is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct State {
    /// The status.
    pub status: Status,
    /// `occurred_at` of the newest event that counts for the status; `None` while it is only ordered.
    pub newest_applied: Option<DateTime<Utc>>,
    /// `occurred_at` of the newest event that says what happened, whether it counts or not. What is newer can be decided
    /// from the state alone; all else needs the [`Ledger`].
    pub newest_seen: Option<DateTime<Utc>>,
    /// The status before the exception; `Some` exactly while the status is [`Status::Exception`].
    pub before_exception: Option<Status>,
    /// Why it is delayed; `None` while it is not, and when it has ended.
    pub delay: Option<DelayReason>,
}

/// What an event says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fact {
    /// The shipment has come to this status.
    Status(Status),
    /// It is delayed; `None` says that it is not any more.
    Delay(Option<DelayReason>),
}

/// Something reported of a shipment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report {
    /// What it says.
    pub fact: Fact,
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
    /// The state afterwards.
    pub state: State,
}

impl State {
    /// The state of a new shipment.
    pub const CREATED: Self = Self {
        status: Created,
        newest_applied: None,
        newest_seen: None,
        before_exception: None,
        delay: None,
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

    /// Decides what becomes of a report that is newer than everything that was seen; `None` for others that say what
    /// happened: for them, ask the [`Ledger`].
    #[must_use]
    pub fn decide(&self, report: &Report) -> Option<Decision> {
        if report.classifier != Classifier::Actual {
            return Some(Decision {
                disposition: Disposition::Informational,
                state: *self,
            });
        }
        if self
            .newest_seen
            .is_some_and(|newest| report.occurred_at <= newest)
        {
            return None;
        }
        let after = self.follow(report.fact, report.occurred_at);
        if report.fact == Fact::Status(Cancelled) && after.is_none() {
            return Some(self.refused());
        }
        let disposition = match (report.fact, after) {
            (Fact::Delay(_), _) => Disposition::Informational,
            (Fact::Status(_), Some(_)) => Disposition::Applied,
            (Fact::Status(_), None) => Disposition::Conflict,
        };
        Some(Decision {
            disposition,
            state: Self {
                newest_seen: Some(report.occurred_at),
                ..after.unwrap_or(*self)
            },
        })
    }

    /// A cancellation that was not possible: it never was one.
    const fn refused(&self) -> Decision {
        Decision {
            disposition: Disposition::Conflict,
            state: *self,
        }
    }

    /// The state after the next thing that happened; `None` where it does not count.
    fn follow(&self, fact: Fact, at: DateTime<Utc>) -> Option<Self> {
        match fact {
            Fact::Status(next) => self.allows(next).then(|| Self {
                status: next,
                newest_applied: Some(at),
                before_exception: (next == Exception).then_some(self.status),
                delay: self.delay.filter(|_| !next.is_terminal()),
                ..*self
            }),
            Fact::Delay(delay) => (!self.status.is_terminal()).then_some(Self { delay, ..*self }),
        }
    }
}

/// An event that says what happened. Of two at the same time, the status that comes later on the way is the later one:
/// that does not depend on which was recorded first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// When it happened.
    pub occurred_at: DateTime<Utc>,
    /// What it says.
    pub fact: Fact,
    /// Its position among the shipment's events.
    pub seq: i64,
}

/// An event as it was recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recorded<Id> {
    /// Its id.
    pub id: Id,
    /// Its position among the shipment's events.
    pub seq: i64,
    /// What it is.
    pub kind: Kind,
    /// The status that it reports.
    pub reported: Status,
    /// Whether it says what happened.
    pub classifier: Classifier,
    /// What became of it then.
    pub disposition: Disposition,
    /// When it happened.
    pub occurred_at: DateTime<Utc>,
    /// Of a delay: why; `None` says that it is over.
    pub notice: Option<DelayReason>,
    /// Of a retraction: the event that it takes back.
    pub retracts: Option<Id>,
}

impl<Id> Recorded<Id> {
    /// What the event says of the shipment; `None` where it says nothing of what happened.
    fn entry(&self) -> Option<Entry> {
        let fact = match self.kind {
            // The creation is where everything begins.
            _ if self.classifier != Classifier::Actual || self.seq == 1 => return None,
            Kind::Delay => Fact::Delay(self.notice),
            // A cancellation that was refused is none.
            Kind::Scan | Kind::Order
                if self.reported == Cancelled && self.disposition != Disposition::Applied =>
            {
                return None;
            }
            Kind::Scan | Kind::Order => Fact::Status(self.reported),
            Kind::Retraction | Kind::Assignment => return None,
        };
        Some(Entry {
            occurred_at: self.occurred_at,
            fact,
            seq: self.seq,
        })
    }
}

/// All that was said of a shipment and not taken back, in the order in which it happened. Plans and estimates are not
/// among it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    entries: Vec<Entry>,
}

impl Ledger {
    /// Nothing was said yet: the shipment is only ordered.
    #[must_use]
    pub const fn new() -> Self {
        Self { entries: Vec::new() }
    }

    /// All that these events say and do not take back.
    pub fn of<Id: Copy + Eq + Hash>(events: impl IntoIterator<Item = Recorded<Id>>) -> Self {
        let events: Vec<Recorded<Id>> = events.into_iter().collect();
        let retracted: HashSet<Id> = events.iter().filter_map(|event| event.retracts).collect();
        let standing = events.iter().filter(|event| !retracted.contains(&event.id));
        let mut entries: Vec<Entry> = standing.filter_map(Recorded::entry).collect();
        entries.sort_unstable();
        Self { entries }
    }

    /// Puts an event at its place. A cancellation may only be added where the state allowed it.
    pub fn add(&mut self, entry: Entry) {
        let at = self.entries.partition_point(|other| *other < entry);
        self.entries.insert(at, entry);
    }

    /// Takes an event back; whether it was there.
    pub fn retract(&mut self, seq: i64) -> bool {
        let before = self.entries.len();
        self.entries.retain(|entry| entry.seq != seq);
        self.entries.len() < before
    }

    /// Where the shipment is.
    #[must_use]
    pub fn state(&self) -> State {
        self.read().0
    }

    /// The events that count for the status, in order. Each is a legal step from the one before.
    #[must_use]
    pub fn steps(&self) -> Vec<Entry> {
        self.read().1
    }

    /// Adds a report, and decides what becomes of it.
    pub fn decide(&mut self, seq: i64, report: &Report) -> Decision {
        if report.classifier != Classifier::Actual {
            return Decision {
                disposition: Disposition::Informational,
                state: self.state(),
            };
        }
        let before = self.state();
        if report.fact == Fact::Status(Cancelled) && !before.allows(Cancelled) {
            return before.refused();
        }
        self.add(Entry {
            occurred_at: report.occurred_at,
            fact: report.fact,
            seq,
        });
        let (state, steps) = self.read();
        let is_step = steps.iter().any(|step| step.seq == seq);
        let is_last = steps.last().is_some_and(|step| step.seq == seq);
        let is_older = |state: &State| {
            state
                .newest_applied
                .is_some_and(|newest| report.occurred_at < newest)
        };
        let disposition = match report.fact {
            Fact::Delay(_) => Disposition::Informational,
            // It was possible: whatever its time, it is in force.
            Fact::Status(Cancelled) => Disposition::Applied,
            Fact::Status(_) if is_older(&before) || is_older(&state) => Disposition::Late,
            Fact::Status(_) if is_last => Disposition::Applied,
            Fact::Status(_) if is_step => Disposition::Late,
            Fact::Status(_) => Disposition::Conflict,
        };
        Decision { disposition, state }
    }

    fn read(&self) -> (State, Vec<Entry>) {
        let mut state = State::CREATED;
        let mut steps = Vec::new();
        let cancelled = |entry: &Entry| entry.fact == Fact::Status(Cancelled);
        if let Some(order) = self.entries.iter().find(|entry| cancelled(entry)) {
            state.status = Cancelled;
            state.newest_applied = Some(order.occurred_at);
            steps.push(*order);
        } else {
            for entry in &self.entries {
                let Some(after) = state.follow(entry.fact, entry.occurred_at) else {
                    continue;
                };
                state = after;
                if matches!(entry.fact, Fact::Status(_)) {
                    steps.push(*entry);
                }
            }
        }
        state.newest_seen = self.entries.last().map(|entry| entry.occurred_at);
        (state, steps)
    }
}
