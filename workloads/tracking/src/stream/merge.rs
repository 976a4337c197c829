//! Puts events from two sources into one order: pure, the heart of a live stream.
//!
//! The end of the log tells events early, but not all of them, some twice, and the topics' in any order. The projection
//! has all of them in order, but may be behind the log. Whatever comes from either, each event leaves once, and in the
//! order of `seq`.

use std::collections::BTreeMap;

/// The events of one shipment on their way to one client.
#[derive(Debug)]
pub(super) struct Merge<T> {
    /// The last position that has left.
    last: i64,
    /// The highest position at which there is an event.
    known: i64,
    /// What has come before its turn.
    ahead: BTreeMap<i64, T>,
    room: usize,
}

impl<T> Merge<T> {
    /// Nothing up to `after` is to leave; at most `room` events are kept.
    pub(super) fn new(after: i64, room: usize) -> Self {
        Self {
            last: after,
            known: after,
            ahead: BTreeMap::new(),
            room,
        }
    }

    /// The position of the last event that has left.
    pub(super) const fn last(&self) -> i64 {
        self.last
    }

    /// Notes that there are events up to this position.
    pub(super) fn exists(&mut self, seq: i64) {
        self.known = self.known.max(seq);
    }

    /// Takes an event from either source. Where there is no room, the latest is forgotten: it is read again later.
    pub(super) fn take(&mut self, seq: i64, event: T) {
        self.exists(seq);
        if seq <= self.last {
            return;
        }
        self.ahead.entry(seq).or_insert(event);
        if self.ahead.len() > self.room {
            self.ahead.pop_last();
        }
    }

    /// The event whose turn it is, if it is here.
    pub(super) fn next(&mut self) -> Option<T> {
        let event = self.ahead.remove(&(self.last + 1))?;
        self.last += 1;
        Some(event)
    }

    /// Whether there is a next event and it is not here: then the projection has to be read after [`Self::last`].
    pub(super) fn is_behind(&self) -> bool {
        self.known > self.last && !self.ahead.contains_key(&(self.last + 1))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ROOM: usize = 4;
    const PAGE: i64 = 3;

    /// What may happen to a stream, in any order.
    #[derive(Clone, Copy, Debug)]
    enum Step {
        /// The next event is written.
        Write,
        /// The projection applies the next event.
        Project,
        /// The tail delivers one of the written events: again, late or early.
        Tail(usize),
        /// The stream learns how far the projection is.
        Hear,
        /// The stream reads a page of the projection, if it wants to.
        Read,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            3 => Just(Step::Write),
            2 => Just(Step::Project),
            4 => any::<usize>().prop_map(Step::Tail),
            1 => Just(Step::Hear),
            2 => Just(Step::Read),
        ];
        proptest::collection::vec(step, 0..200)
    }

    #[derive(Debug)]
    struct World {
        written: i64,
        projected: i64,
        merge: Merge<i64>,
        left: Vec<i64>,
    }

    impl World {
        fn step(&mut self, step: Step) {
            match step {
                Step::Write => self.written += 1,
                Step::Project => self.projected = (self.projected + 1).min(self.written),
                Step::Tail(which) => {
                    if self.written > 0 {
                        let seq = 1 + i64::try_from(which % usize::try_from(self.written).unwrap()).unwrap();
                        self.merge.take(seq, seq);
                    }
                }
                Step::Hear => self.merge.exists(self.projected),
                Step::Read => self.read(),
            }
            while let Some(seq) = self.merge.next() {
                self.left.push(seq);
            }
            assert!(self.merge.ahead.len() <= ROOM);
        }

        fn read(&mut self) {
            if self.merge.is_behind() {
                let after = self.merge.last();
                for seq in after + 1..=(after + PAGE).min(self.projected) {
                    self.merge.take(seq, seq);
                }
            }
        }
    }

    proptest! {
        #[test]
        fn each_event_leaves_once_and_in_order(after in 0_i64..5, before in 0_i64..5, steps in steps()) {
            let mut world = World { written: before, projected: 0, merge: Merge::new(after, ROOM), left: Vec::new() };
            for step in steps {
                world.step(step);
                let expected: Vec<i64> = (after + 1..=world.merge.last()).collect();
                prop_assert_eq!(&world.left, &expected);
                prop_assert!(world.merge.last() <= world.written.max(after), "nothing leaves that was not written");
            }
            // At rest: the projection gets there, the stream hears of it and reads while it has to.
            world.projected = world.written;
            world.step(Step::Hear);
            for _ in 0..=world.written {
                world.step(Step::Read);
            }
            let expected: Vec<i64> = (after + 1..=world.written).collect();
            prop_assert_eq!(world.left, expected, "all of it has left");
            prop_assert!(!world.merge.is_behind());
        }
    }

    #[test]
    fn what_the_projection_cannot_give_yet_is_waited_for() {
        let mut merge = Merge::new(2, ROOM);
        assert!(!merge.is_behind());
        merge.take(4, "four");
        assert_eq!(merge.next(), None);
        assert!(merge.is_behind());
        merge.take(3, "three");
        assert!(!merge.is_behind());
        assert_eq!(
            (merge.next(), merge.next(), merge.next()),
            (Some("three"), Some("four"), None)
        );
    }
}
