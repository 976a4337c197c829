//! Whose turn it is: pure.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::Instant;

/// How long a pod rests after a failure; doubled by each further one.
const REST: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// The pods, and which of them gets the next call.
#[derive(Debug, Default)]
pub(crate) struct Rotation {
    pods: BTreeMap<SocketAddr, Health>,
    last: Option<SocketAddr>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Health {
    failures: u32,
    rests_until: Option<Instant>,
}

/// What one pod was given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PodCalls {
    /// Calls that it answered, with whatever status.
    pub answered: u64,
    /// Calls that got no answer from it, because its connection failed.
    pub failed: u64,
}

/// What changed among the pods.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Changes {
    pub(crate) added: Vec<SocketAddr>,
    pub(crate) removed: Vec<SocketAddr>,
}

impl Rotation {
    /// Takes over what DNS says. No address at all is no answer: what is known stays.
    pub(crate) fn resolved(&mut self, addresses: &[SocketAddr]) -> Changes {
        if addresses.is_empty() {
            return Changes::default();
        }
        let removed: Vec<_> = self
            .pods
            .keys()
            .filter(|known| !addresses.contains(known))
            .copied()
            .collect();
        for address in &removed {
            self.pods.remove(address);
        }
        let mut added = Vec::new();
        for address in addresses {
            self.pods.entry(*address).or_insert_with(|| {
                added.push(*address);
                Health::default()
            });
        }
        Changes { added, removed }
    }

    /// The next pod after the last one, of those that were not `tried` and do not rest; when all rest, the one that has
    /// rested longest.
    pub(crate) fn pick(&mut self, now: Instant, tried: &[SocketAddr]) -> Option<SocketAddr> {
        let after = |address: &SocketAddr| self.last.is_some_and(|last| *address > last);
        let (later, earlier): (Vec<_>, Vec<_>) = self
            .pods
            .iter()
            .filter(|(address, _)| !tried.contains(address))
            .partition(|(address, _)| after(address));
        let in_turn = later.into_iter().chain(earlier);
        let awake = in_turn
            .clone()
            .find(|(_, health)| health.rests_until.is_none_or(|until| until <= now));
        let picked = awake.or_else(|| in_turn.min_by_key(|(_, health)| health.rests_until));
        let address = picked.map(|(address, _)| *address)?;
        self.last = Some(address);
        Some(address)
    }

    /// Notes that a pod answered.
    pub(crate) fn answered(&mut self, address: SocketAddr) {
        if let Some(health) = self.pods.get_mut(&address) {
            *health = Health::default();
        }
    }

    /// Notes that a pod could not be reached.
    pub(crate) fn failed(&mut self, now: Instant, address: SocketAddr) {
        if let Some(health) = self.pods.get_mut(&address) {
            let rest = REST.0 * 2_u32.pow(health.failures.min(5));
            health.failures += 1;
            health.rests_until = Some(now + rest.min(REST.1));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pod(number: u8) -> SocketAddr {
        ([10, 0, 0, number], 8080).into()
    }

    fn pods(numbers: impl IntoIterator<Item = u8>) -> Vec<SocketAddr> {
        numbers.into_iter().map(pod).collect()
    }

    #[tokio::test]
    async fn each_has_its_turn_and_who_fails_rests() {
        let now = Instant::now();
        let mut rotation = Rotation::default();
        assert_eq!(rotation.pick(now, &[]), None);
        assert_eq!(rotation.resolved(&pods([2, 1, 3])).added.len(), 3);
        let turns: Vec<_> = (0..4).filter_map(|_| rotation.pick(now, &[])).collect();
        assert_eq!(turns, pods([1, 2, 3, 1]));
        rotation.failed(now, pod(2));
        assert_eq!(rotation.pick(now, &[]), Some(pod(3)));
        let later = now + REST.0;
        assert_eq!(rotation.pick(later, &pods([1])), Some(pod(2)));
        // It fails again, and rests longer.
        rotation.failed(later, pod(2));
        let turns: Vec<_> = (0..3)
            .filter_map(|_| rotation.pick(later + REST.0, &[]))
            .collect();
        assert_eq!(turns, pods([3, 1, 3]));
        rotation.answered(pod(2));
        assert_eq!(rotation.pick(later, &pods([1, 3])), Some(pod(2)));
        assert_eq!(rotation.pick(later, &pods([1, 2, 3])), None);
    }

    #[tokio::test]
    async fn when_all_rest_the_one_that_has_rested_longest_is_tried() {
        let now = Instant::now();
        let mut rotation = Rotation::default();
        rotation.resolved(&pods([1, 2]));
        rotation.failed(now, pod(2));
        rotation.failed(now + Duration::from_millis(1), pod(1));
        assert_eq!(rotation.pick(now + Duration::from_millis(2), &[]), Some(pod(2)));
    }

    #[test]
    fn an_empty_answer_changes_nothing() {
        let mut rotation = Rotation::default();
        rotation.resolved(&pods([1, 2]));
        assert_eq!(rotation.resolved(&[]), Changes::default());
        let changes = rotation.resolved(&pods([2, 3]));
        assert_eq!((changes.added, changes.removed), (pods([3]), pods([1])));
    }

    proptest! {
        #[test]
        fn calls_are_spread_evenly(count in 1_u8..9, rounds in 1_usize..20) {
            let now = Instant::now();
            let mut rotation = Rotation::default();
            rotation.resolved(&pods(1..=count));
            let mut turns = BTreeMap::new();
            for _ in 0..rounds * usize::from(count) {
                *turns.entry(rotation.pick(now, &[]).unwrap()).or_insert(0) += 1;
            }
            prop_assert!(turns.len() == usize::from(count) && turns.values().all(|turns| *turns == rounds));
        }
    }
}
