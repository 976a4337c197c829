//! Shards that rest after an error, so that one which cannot be sent does not hold up the others.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

/// The first and the longest rest.
const REST: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(10));

#[derive(Debug, Default)]
pub(super) struct Pauses {
    shards: HashMap<i16, Pause>,
}

#[derive(Debug)]
struct Pause {
    until: Instant,
    length: Duration,
}

impl Pauses {
    /// The shards that may be sent now.
    pub(super) fn awake(&self, owned: &[i16], now: Instant) -> Vec<i16> {
        let resting = |shard: &i16| self.shards.get(shard).is_some_and(|pause| now < pause.until);
        owned.iter().copied().filter(|shard| !resting(shard)).collect()
    }

    /// The shard rests, each time twice as long.
    pub(super) fn failed(&mut self, shard: i16, now: Instant) {
        let length = self
            .shards
            .get(&shard)
            .map_or(REST.0, |pause| (pause.length * 2).min(REST.1));
        let until = now + length;
        self.shards.insert(shard, Pause { until, length });
    }

    /// The shard is well again.
    pub(super) fn sent(&mut self, shard: i16) {
        self.shards.remove(&shard);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_shard_rests_longer_and_longer_and_others_do_not() {
        let mut pauses = Pauses::default();
        let now = Instant::now();
        pauses.failed(3, now);
        assert_eq!(pauses.awake(&[2, 3, 4], now), [2, 4]);
        assert_eq!(pauses.awake(&[2, 3, 4], now + REST.0), [2, 3, 4]);
        for _ in 0..20 {
            pauses.failed(3, now);
        }
        assert_eq!(
            pauses.awake(&[3], now + REST.1 - Duration::from_millis(1)),
            [] as [i16; 0]
        );
        assert_eq!(pauses.awake(&[3], now + REST.1), [3]);
        pauses.sent(3);
        assert_eq!(pauses.awake(&[3], now), [3]);
    }
}
