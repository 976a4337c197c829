//! Decides what becomes of a shipment's records. Pure.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

/// Where a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// In the batch, at this index.
    Batch(usize),
    /// In `parked`.
    Parked,
}

/// A record of one shipment, as the plan sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Candidate {
    pub(super) seq: i64,
    pub(super) source: Source,
    /// It can never be applied.
    pub(super) poisoned: bool,
}

/// What becomes of a shipment's records.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    /// To be applied, in this order.
    pub(super) apply: Vec<(i64, Source)>,
    /// Indexes in the batch: to be parked, waiting or poisoned.
    pub(super) park: Vec<usize>,
    /// Indexes in the batch: applied or parked before.
    pub(super) repeated: Vec<usize>,
    /// Positions in `parked` to be deleted: applied now, or applied long ago.
    pub(super) release: Vec<i64>,
    /// The last position that is applied afterwards.
    pub(super) last_seq: i64,
}

/// Plans one shipment: `parked` are the records that wait, `batch` those that came now.
pub(super) fn plan(last_seq: i64, parked: &[Candidate], batch: &[Candidate]) -> Plan {
    let mut plan = Plan {
        last_seq,
        ..Plan::default()
    };
    let mut waiting: BTreeMap<i64, Candidate> = BTreeMap::new();
    for one in parked {
        if one.seq <= last_seq {
            plan.release.push(one.seq);
        } else {
            waiting.insert(one.seq, *one);
        }
    }
    for one in batch {
        let Source::Batch(index) = one.source else {
            continue;
        };
        if one.seq <= last_seq {
            plan.repeated.push(index);
            continue;
        }
        match waiting.entry(one.seq) {
            Entry::Vacant(place) => {
                place.insert(*one);
            }
            // The same event once more, readable this time (somebody sent it again): it takes the place.
            Entry::Occupied(mut place) if place.get().poisoned && !one.poisoned => {
                match place.insert(*one).source {
                    Source::Batch(former) => plan.repeated.push(former),
                    Source::Parked => plan.release.push(one.seq),
                }
            }
            Entry::Occupied(_) => plan.repeated.push(index),
        }
    }
    for (seq, one) in waiting {
        if seq == plan.last_seq + 1 && !one.poisoned {
            plan.last_seq = seq;
            plan.apply.push((seq, one.source));
            if one.source == Source::Parked {
                plan.release.push(seq);
            }
        } else if let Source::Batch(index) = one.source {
            plan.park.push(index);
        }
    }
    plan
}

/// What a projection without `last_seq` does: whatever can be read is applied. For [`crate::broken`] only.
pub(super) fn plan_without_last_seq(last_seq: i64, batch: &[Candidate]) -> Plan {
    let mut plan = Plan {
        last_seq,
        ..Plan::default()
    };
    for one in batch {
        match one.source {
            Source::Batch(index) if one.poisoned => plan.park.push(index),
            source => {
                plan.apply.push((one.seq, source));
                plan.last_seq = plan.last_seq.max(one.seq);
            }
        }
    }
    plan
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn came(index: usize, seq: i64) -> Candidate {
        Candidate {
            seq,
            source: Source::Batch(index),
            poisoned: false,
        }
    }

    fn parked(seq: i64) -> Candidate {
        Candidate {
            seq,
            source: Source::Parked,
            poisoned: false,
        }
    }

    const fn poisoned(one: Candidate) -> Candidate {
        Candidate {
            poisoned: true,
            ..one
        }
    }

    #[test]
    fn the_next_is_applied_and_what_waited_for_it_follows() {
        let plan = plan(1, &[parked(3), parked(4), parked(6)], &[came(0, 2)]);
        assert_eq!(
            plan.apply,
            [(2, Source::Batch(0)), (3, Source::Parked), (4, Source::Parked)]
        );
        assert_eq!((plan.release.as_slice(), plan.last_seq), ([3, 4].as_slice(), 4));
        assert!(plan.park.is_empty());
    }

    #[test]
    fn what_was_applied_is_dropped_and_a_gap_is_parked() {
        let plan = plan(3, &[], &[came(0, 2), came(1, 3), came(2, 5)]);
        assert_eq!(plan.repeated, [0, 1]);
        assert_eq!(plan.park, [2]);
        assert!(plan.apply.is_empty());
    }

    #[test]
    fn a_batch_is_taken_in_the_order_of_positions() {
        let plan = plan(0, &[], &[came(0, 3), came(1, 1), came(2, 2), came(3, 1)]);
        assert_eq!(
            plan.apply,
            [
                (1, Source::Batch(1)),
                (2, Source::Batch(2)),
                (3, Source::Batch(0))
            ]
        );
        assert_eq!(plan.repeated, [3]);
    }

    #[test]
    fn a_poisoned_record_holds_its_followers() {
        let plan = plan(1, &[parked(4)], &[poisoned(came(0, 2)), came(1, 3)]);
        assert_eq!(plan.park, [0, 1]);
        assert!(plan.apply.is_empty() && plan.release.is_empty());
    }

    #[test]
    fn a_poisoned_record_comes_again_without_effect() {
        let plan = plan(1, &[poisoned(parked(2))], &[poisoned(came(0, 2))]);
        assert_eq!(plan.repeated, [0]);
        assert!(plan.park.is_empty() && plan.apply.is_empty());
    }

    #[test]
    fn a_readable_copy_takes_the_place_of_a_poisoned_record() {
        let plan = plan(1, &[poisoned(parked(2)), parked(3)], &[came(0, 2)]);
        assert_eq!(plan.apply, [(2, Source::Batch(0)), (3, Source::Parked)]);
        assert_eq!(plan.release, [2, 3]);
    }

    /// A log of `events` records, delivered in some order, some twice, in some batches.
    fn deliveries() -> impl Strategy<Value = (i64, Vec<Vec<i64>>)> {
        (1..20_i64).prop_flat_map(|events| {
            let all = (1..=events).collect::<Vec<_>>();
            let twice = prop::collection::vec(1..=events, 0..10);
            (Just(all), twice, prop::collection::vec(1..6_usize, 1..40)).prop_flat_map(
                move |(all, twice, sizes)| {
                    let mut log = all;
                    log.extend(twice);
                    (Just(log).prop_shuffle(), Just(sizes)).prop_map(move |(log, sizes)| {
                        let mut rest = log.as_slice();
                        let mut batches = Vec::new();
                        for size in sizes.iter().cycle() {
                            let (batch, after) = rest.split_at((*size).min(rest.len()));
                            batches.push(batch.to_vec());
                            rest = after;
                            if rest.is_empty() {
                                break;
                            }
                        }
                        (events, batches)
                    })
                },
            )
        })
    }

    proptest! {
        #[test]
        fn every_event_is_applied_once_and_in_order_whatever_is_delivered((events, batches) in deliveries()) {
            let (mut last_seq, mut waiting, mut applied) = (0, BTreeMap::new(), Vec::new());
            for batch in batches {
                let came: Vec<Candidate> = batch.iter().enumerate().map(|(index, seq)| came(index, *seq)).collect();
                let held: Vec<Candidate> = waiting.values().copied().collect();
                let plan = plan(last_seq, &held, &came);
                prop_assert_eq!(plan.park.len() + plan.repeated.len()
                    + plan.apply.iter().filter(|(_, source)| *source != Source::Parked).count(), came.len());
                for index in &plan.park {
                    prop_assert!(waiting.insert(came[*index].seq, parked(came[*index].seq)).is_none());
                }
                for seq in &plan.release {
                    prop_assert!(waiting.remove(seq).is_some());
                }
                applied.extend(plan.apply.iter().map(|(seq, _)| *seq));
                last_seq = plan.last_seq;
            }
            prop_assert_eq!(applied, (1..=events).collect::<Vec<_>>());
            prop_assert!(waiting.is_empty());
            prop_assert_eq!(last_seq, events);
        }
    }
}
