//! Conditions whose time of transition changes only when their status does.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use k8s_openapi::jiff::Timestamp;

use crate::reason::Reason;

/// Most characters of a condition's message.
const MESSAGE_LENGTH: usize = 2048;

/// Conditions that are being set.
pub struct Conditions {
    former: Vec<Condition>,
    set: Vec<Condition>,
    generation: i64,
    now: Timestamp,
}

impl Conditions {
    /// Starts from the former conditions; those that are not set again stay.
    #[must_use]
    pub fn new(former: &[Condition], generation: i64, now: Timestamp) -> Self {
        // A status has whole seconds; a finer time would differ from what is read back.
        let now = Timestamp::from_second(now.as_second()).unwrap_or(now);
        Self {
            former: former.to_vec(),
            set: Vec::new(),
            generation,
            now,
        }
    }

    /// Sets a condition; `None` is `Unknown`.
    pub fn set(&mut self, kind: &str, status: Option<bool>, reason: Reason, message: &str) {
        let status = match status {
            Some(true) => "True",
            Some(false) => "False",
            None => "Unknown",
        };
        let former = self.former.iter().find(|condition| condition.type_ == kind);
        let since = former
            .filter(|former| former.status == status)
            .map(|former| former.last_transition_time.clone());
        self.set.push(Condition {
            type_: kind.into(),
            status: status.into(),
            reason: reason.as_str().into(),
            message: message.chars().take(MESSAGE_LENGTH).collect(),
            observed_generation: Some(self.generation),
            last_transition_time: since.unwrap_or(Time(self.now)),
        });
    }

    /// Takes a condition out that has nothing to say any more.
    pub fn clear(&mut self, kind: &str) {
        self.former.retain(|condition| condition.type_ != kind);
    }

    /// A condition as it was before, if it was about the same generation of the spec.
    #[must_use]
    pub fn former(&self, kind: &str) -> Option<&Condition> {
        let same =
            |former: &&Condition| former.type_ == kind && former.observed_generation == Some(self.generation);
        self.former.iter().find(same)
    }

    /// All conditions: first those that were set, then the former others.
    #[must_use]
    pub fn finish(self) -> Vec<Condition> {
        let mut all = self.set;
        let kept: Vec<_> = self
            .former
            .into_iter()
            .filter(|former| !all.iter().any(|set| set.type_ == former.type_))
            .collect();
        all.extend(kept);
        all
    }
}
