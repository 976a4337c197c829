//! Pauses that are not over at the same time everywhere.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Range;
use std::time::Duration;

/// A pause times a factor of a range that depends on what the pause is `of`, and on which of its pauses it is. No chance
/// is in it, so that what an operator does can be repeated.
pub(crate) fn jitter(pause: Duration, factors: Range<f64>, of: &impl Hash) -> Duration {
    let mut hasher = DefaultHasher::new();
    of.hash(&mut hasher);
    // The upper half of the digest as a fraction of one.
    let fraction = f64::from((hasher.finish() >> 32) as u32) / f64::from(u32::MAX);
    pause.mul_f64(factors.start + fraction * (factors.end - factors.start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_are_spread_over_the_whole_range_and_can_be_repeated() {
        let pause = Duration::from_secs(1);
        let pauses: Vec<_> = (0..1000)
            .map(|turn| jitter(pause, 0.75..1.25, &("acme", turn)))
            .collect();
        for (low, high) in [(750, 850), (950, 1050), (1150, 1250)] {
            let range = Duration::from_millis(low)..Duration::from_millis(high);
            let count = pauses.iter().filter(|pause| range.contains(*pause)).count();
            assert!(
                (150..250).contains(&count),
                "{count} of 1000 pauses are in {range:?}"
            );
        }
        assert!(
            pauses
                .iter()
                .all(|pause| (750..=1250).contains(&pause.as_millis()))
        );
        assert_eq!(pauses[7], jitter(pause, 0.75..1.25, &("acme", 7)));
    }
}
