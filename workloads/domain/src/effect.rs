//! One addend of an estimate, learned from the estimate's errors: a scalar Kalman filter that falls back to zero.
//!
//! An estimate is the sum of many effects. When it was wrong, each of them takes a share of the error: the more, the less
//! is known of it yet. That is shrinkage without counting: a lane that nothing is known of adds nothing, and leaves the
//! error to wider scopes that are known as little; a lane with many arrivals has its own say.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// How an effect behaves before anything is known of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Habit {
    /// Its standard deviation among scopes and times, in minutes (per unit of what it is multiplied with).
    pub spread: f64,
    /// Hours after which it is mostly forgotten (a share of 1/e is left) unless it is seen again.
    pub memory: f64,
}

/// An effect as it is known.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Effect {
    /// The value, in minutes (per unit of what it is multiplied with).
    pub mean: f64,
    /// What is not known of it: the variance that is left, as a share of that at first. 1 is nothing known.
    pub doubt: f64,
    /// When it was last seen.
    #[serde(with = "chrono::serde::ts_seconds")]
    pub at: DateTime<Utc>,
}

impl Effect {
    /// An effect that nothing is known of.
    pub const UNKNOWN: Self = Self {
        mean: 0.0,
        doubt: 1.0,
        at: DateTime::UNIX_EPOCH,
    };

    /// What is left of it at this time. A time before it was last seen changes nothing.
    #[must_use]
    pub fn at(self, habit: Habit, now: DateTime<Utc>) -> Self {
        let hours = hours(now, self.at).max(0.0);
        let left = (-hours / habit.memory).exp();
        Self {
            mean: self.mean * left,
            doubt: self.doubt * left * left + (1.0 - left * left),
            at: self.at.max(now),
        }
    }

    /// Its variance times that of what it is multiplied with.
    #[must_use]
    pub fn variance(self, habit: Habit, factor: f64) -> f64 {
        self.doubt * habit.spread * habit.spread * factor * factor
    }

    /// Takes its share of an error. `variance` is that of the whole estimate, noise included.
    #[must_use]
    pub fn corrected(self, habit: Habit, factor: f64, error: f64, variance: f64) -> Self {
        let gain = self.doubt * habit.spread * habit.spread * factor / variance;
        Self {
            mean: self.mean + gain * error,
            doubt: self.doubt * (1.0 - gain * factor).max(0.0),
            at: self.at,
        }
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "seconds of a few thousand years are far below 2^52"
)]
fn hours(now: DateTime<Utc>, then: DateTime<Utc>) -> f64 {
    (now - then).num_seconds() as f64 / 3_600.0
}
