//! The decision of one candidate: what it knows of the Lease, and what it does next. Pure.

use std::fmt;
use std::time::Duration;

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use k8s_openapi::jiff::Timestamp;
use tokio::time::Instant;

/// How long a Lease holds and how often it is renewed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// How long others wait after they saw the Lease change.
    pub duration: Duration,
    /// How long the holder writes after it began the last renewal that succeeded.
    pub renew_deadline: Duration,
    /// Pause between two tries.
    pub retry: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            duration: Duration::from_secs(10),
            renew_deadline: Duration::from_secs(6),
            retry: Duration::from_secs(2),
        }
    }
}

/// What a candidate does next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Read the Lease.
    Look,
    /// Write oneself into the Lease as its holder.
    Acquire,
    /// Write the Lease again to keep it.
    Renew,
    /// Nothing for this long, unless the Lease changes.
    Wait(Duration),
    /// The Lease is lost: write nothing any more, and follow.
    Lost(Loss),
}

/// Why a Lease was lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Loss {
    /// It was not renewed in time.
    Expired,
    /// Somebody else holds it.
    Taken(String),
    /// Its holder was taken out, or the Lease deleted.
    Gone,
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Expired => f.write_str("it was not renewed in time"),
            Self::Taken(by) => write!(f, "{by} holds it"),
            Self::Gone => f.write_str("its holder was taken out"),
        }
    }
}

/// The longest that a Lease of somebody else is believed, in times of one's own duration: a wrong value in it must not
/// keep everybody out for ever.
const LONGEST: u32 = 6;

enum Known {
    /// The Lease has to be read.
    Nothing,
    /// There is none.
    Absent,
    /// The newest that is known, and when it was seen to differ from what was known before.
    Seen { lease: Box<Lease>, changed: Instant },
}

/// A candidate: what it knows, and what it holds.
pub struct Candidate {
    identity: String,
    timing: Timing,
    known: Known,
    /// When the write was begun by which it holds the Lease.
    held: Option<Instant>,
    /// When it last sent a request.
    tried: Option<Instant>,
    /// Until when the API server asks to be left alone.
    asked: Option<Instant>,
}

fn spec(lease: &Lease) -> LeaseSpec {
    lease.spec.clone().unwrap_or_default()
}

fn holder(lease: &Lease) -> Option<&str> {
    let holder = lease.spec.as_ref()?.holder_identity.as_deref();
    holder.filter(|holder| !holder.is_empty())
}

fn version(lease: &Lease) -> u64 {
    let version = lease.metadata.resource_version.as_deref();
    version.and_then(|text| text.parse().ok()).unwrap_or(0)
}

impl Candidate {
    /// One that knows nothing yet. Its identity is no other candidate's, nor that of an earlier process.
    #[must_use]
    pub fn new(identity: String, timing: Timing) -> Self {
        Self {
            identity,
            timing,
            known: Known::Nothing,
            held: None,
            tried: None,
            asked: None,
        }
    }

    /// The Lease was read; `None` when there is none.
    pub fn sees(&mut self, lease: Option<Lease>, now: Instant) {
        let Some(lease) = lease else {
            self.known = Known::Absent;
            return;
        };
        let changed = match &self.known {
            // Only what a holder writes counts: a label changes nothing.
            Known::Seen {
                lease: known,
                changed,
            } if known.spec == lease.spec => *changed,
            _ => now,
        };
        self.known = Known::Seen {
            lease: Box::new(lease),
            changed,
        };
    }

    /// A watch told of the Lease, perhaps late.
    pub fn hears(&mut self, lease: Lease, now: Instant) {
        match &self.known {
            Known::Seen { lease: known, .. } if version(known) >= version(&lease) => {}
            _ => self.sees(Some(lease), now),
        }
    }

    /// A watch told that the Lease was deleted, perhaps late: it has to be read again.
    pub fn hears_of_deletion(&mut self, lease: &Lease) {
        if matches!(&self.known, Known::Seen { lease: known, .. } if version(known) <= version(lease)) {
            self.known = Known::Nothing;
        }
    }

    /// A request is sent now.
    pub fn tries(&mut self, now: Instant) {
        self.tried = Some(now);
    }

    /// The API server asks to be left alone until then; a Lease that runs out in the meantime is lost.
    pub fn has_to_wait(&mut self, until: Instant) {
        self.asked = Some(until);
    }

    /// Whether the API server asks to be left alone now.
    #[must_use]
    pub fn is_held(&self, now: Instant) -> bool {
        self.asked.is_some_and(|until| now < until)
    }

    /// The Lease was written as [`Candidate::wanted`] says by a request that was begun at `begun`.
    pub fn wrote(&mut self, lease: Lease, begun: Instant) {
        self.held = Some(begun);
        self.known = Known::Seen {
            lease: Box::new(lease),
            changed: begun,
        };
    }

    /// A write failed because the Lease is not what was known.
    pub fn was_wrong(&mut self) {
        self.known = Known::Nothing;
        // To read it once more is not to be put off.
        self.tried = None;
    }

    /// Gives the leadership up; what is known of the Lease stays.
    pub fn resign(&mut self) {
        self.held = None;
    }

    /// Until when it may write.
    #[must_use]
    pub fn leads_until(&self) -> Option<Instant> {
        Some(self.held? + self.timing.renew_deadline)
    }

    /// What to do next.
    #[must_use]
    pub fn next(&self, now: Instant) -> Step {
        match self.leads_until() {
            Some(end) if now >= end => Step::Lost(Loss::Expired),
            Some(end) => self.next_as_leader(now, end),
            None => self.next_as_follower(now),
        }
    }

    fn next_as_leader(&self, now: Instant, end: Instant) -> Step {
        let step = match &self.known {
            Known::Nothing => Step::Look,
            Known::Absent => return Step::Lost(Loss::Gone),
            Known::Seen { lease, .. } => match holder(lease) {
                Some(holder) if holder == self.identity => Step::Renew,
                Some(other) => return Step::Lost(Loss::Taken(other.to_owned())),
                None => return Step::Lost(Loss::Gone),
            },
        };
        self.after_pause(step, now, end)
    }

    fn next_as_follower(&self, now: Instant) -> Step {
        let far = now + self.timing.duration;
        let (lease, changed) = match &self.known {
            Known::Nothing => return self.after_pause(Step::Look, now, far),
            Known::Absent => return self.after_pause(Step::Acquire, now, far),
            Known::Seen { lease, changed } => (lease, *changed),
        };
        let free = holder(lease).is_none_or(|holder| holder == self.identity);
        let end = if free {
            changed
        } else {
            changed + self.believed(lease)
        };
        if now < end {
            return Step::Wait(end - now);
        }
        // What was just given up is taken at once.
        if free && !self.is_held(now) && self.tried.is_none_or(|tried| tried < changed) {
            return Step::Acquire;
        }
        self.after_pause(Step::Acquire, now, far)
    }

    fn after_pause(&self, step: Step, now: Instant, end: Instant) -> Step {
        match self.tried.map(|tried| tried + self.timing.retry).max(self.asked) {
            Some(due) if now < due => Step::Wait(due.min(end) - now),
            _ => step,
        }
    }

    /// How long a Lease of somebody else holds after it was seen to change.
    fn believed(&self, lease: &Lease) -> Duration {
        let seconds = lease.spec.as_ref().and_then(|spec| spec.lease_duration_seconds);
        let told = Duration::from_secs(seconds.and_then(|s| u64::try_from(s).ok()).unwrap_or(0));
        told.clamp(self.timing.duration, self.timing.duration * LONGEST)
    }

    /// The Lease with oneself as holder, to be written now. The time of the day in it is for people to read.
    #[must_use]
    pub fn wanted(&self, clock: Timestamp) -> Lease {
        let mut lease = self.lease();
        let former = spec(&lease);
        let keeps = former.holder_identity.as_deref() == Some(&self.identity);
        let clock = MicroTime(clock);
        lease.spec = Some(LeaseSpec {
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: Some(seconds(self.timing.duration)),
            acquire_time: former
                .acquire_time
                .filter(|_| keeps)
                .or_else(|| Some(clock.clone())),
            renew_time: Some(clock),
            lease_transitions: Some(former.lease_transitions.unwrap_or(0) + i32::from(!keeps)),
            ..former
        });
        lease
    }

    /// The Lease without a holder, when it is one's own.
    #[must_use]
    pub fn released(&self, clock: Timestamp) -> Option<Lease> {
        self.held?;
        let mut lease = self.lease();
        if holder(&lease) != Some(&self.identity) {
            return None;
        }
        let spec = lease.spec.as_mut()?;
        spec.holder_identity = None;
        spec.lease_duration_seconds = Some(1);
        spec.renew_time = Some(MicroTime(clock));
        Some(lease)
    }

    /// Whether the Lease has to be made.
    #[must_use]
    pub const fn is_absent(&self) -> bool {
        matches!(self.known, Known::Absent)
    }

    fn lease(&self) -> Lease {
        let mut lease = match &self.known {
            Known::Seen { lease, .. } => (**lease).clone(),
            Known::Nothing | Known::Absent => Lease::default(),
        };
        // Kept by the API server as they are.
        lease.metadata.managed_fields = None;
        lease
    }
}

/// Whole seconds, at least one: a Lease cannot say less.
fn seconds(duration: Duration) -> i32 {
    i32::try_from(duration.as_secs()).unwrap_or(i32::MAX).max(1)
}
