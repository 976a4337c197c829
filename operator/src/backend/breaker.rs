//! Stops calling a backend that keeps failing: each further change would hold up its platform for a whole time-out. After a
//! pause one change is tried; it decides for all.

use std::time::Duration;

use tokio::time::Instant;

/// Failures in a row that open the circuit.
const FAILURES: u32 = 3;

/// First pause, and the longest; each failed trial doubles it.
const PAUSE: (Duration, Duration) = (Duration::from_secs(2), Duration::from_mins(1));

/// The circuit of one backend.
#[derive(Debug, Default)]
pub(super) struct Breaker {
    failures: u32,
    open: Option<Open>,
}

#[derive(Clone, Copy, Debug)]
struct Open {
    until: Instant,
    pause: Duration,
}

impl Breaker {
    /// Whether a change may be tried; otherwise how long not.
    pub(super) fn allow(&mut self, now: Instant) -> Result<(), Duration> {
        let Some(open) = &mut self.open else { return Ok(()) };
        let left = open.until.saturating_duration_since(now);
        if left.is_zero() {
            // This one decides; the others wait for it.
            open.until = now + open.pause;
            return Ok(());
        }
        Err(left)
    }

    /// The backend answered, whatever it said.
    pub(super) fn answered(&mut self) {
        *self = Self::default();
    }

    /// The backend did not answer.
    pub(super) fn failed(&mut self, now: Instant) {
        self.failures += 1;
        if self.failures < FAILURES {
            return;
        }
        let pause = self.open.map_or(PAUSE.0, |open| (open.pause * 2).min(PAUSE.1));
        self.open = Some(Open {
            until: now + pause,
            pause,
        });
    }

    /// Whether changes are held back.
    pub(super) const fn is_open(&self) -> bool {
        self.open.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened(now: Instant) -> Breaker {
        let mut breaker = Breaker::default();
        for _ in 0..FAILURES {
            assert_eq!(breaker.allow(now), Ok(()));
            breaker.failed(now);
        }
        breaker
    }

    #[test]
    fn some_failures_open_it_and_an_answer_closes_it() {
        let now = Instant::now();
        let mut breaker = opened(now);
        assert!(breaker.is_open());
        assert_eq!(breaker.allow(now), Err(PAUSE.0));
        breaker.answered();
        assert_eq!(breaker.allow(now), Ok(()));
    }

    #[test]
    fn an_answer_in_between_starts_the_count_anew() {
        let now = Instant::now();
        let mut breaker = Breaker::default();
        for _ in 0..10 {
            breaker.failed(now);
            breaker.failed(now);
            breaker.answered();
        }
        assert!(!breaker.is_open());
    }

    #[test]
    fn after_the_pause_one_is_tried_and_the_pause_doubles_up_to_its_limit() {
        let mut now = Instant::now();
        let mut breaker = opened(now);
        let mut pauses = Vec::new();
        for _ in 0..7 {
            let left = breaker.allow(now).unwrap_err();
            pauses.push(left.as_secs());
            now += left;
            assert_eq!(breaker.allow(now), Ok(()), "one is tried");
            assert!(breaker.allow(now).is_err(), "and one only");
            breaker.failed(now);
        }
        assert_eq!(pauses, [2, 4, 8, 16, 32, 60, 60]);
    }
}
