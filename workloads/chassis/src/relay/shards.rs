//! How shards are shared among the relays that live.

use crate::outbox::SHARDS;

/// What a relay should do about its shards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Change {
    /// Given up, so that others can have them.
    pub(super) release: Vec<i16>,
    /// How many more to take, as far as they are free.
    pub(super) take: usize,
}

/// Compares what a relay has with its fair share among `relays`.
pub(super) fn change(owned: &[i16], relays: usize) -> Change {
    let share = usize::from(SHARDS.unsigned_abs()).div_ceil(relays.max(1));
    Change {
        release: owned.iter().copied().skip(share).collect(),
        take: share.saturating_sub(owned.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_relay_takes_all() {
        assert_eq!(
            change(&[], 1),
            Change {
                release: vec![],
                take: 64
            }
        );
        assert_eq!(change(&[], 0).take, 64);
    }

    #[test]
    fn a_second_relay_gets_half() {
        let all: Vec<i16> = (0..64).collect();
        assert_eq!(change(&all, 2).release, (32..64).collect::<Vec<_>>());
        assert_eq!(change(&[], 2).take, 32);
    }

    #[test]
    fn shares_cover_all_shards() {
        for relays in 1..=100 {
            assert!(change(&[], relays).take * relays >= 64);
        }
    }
}
