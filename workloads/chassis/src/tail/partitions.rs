//! Which partitions are read, and from where.

use std::collections::HashMap;

use rdkafka::Offset;

/// Where the reading of a partition starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Start {
    /// The partition was there before: only what comes from now on.
    End,
    /// The partition is new: all of it has come since.
    Beginning,
}

impl Start {
    pub(super) const fn offset(self) -> Offset {
        match self {
            Self::End => Offset::End,
            Self::Beginning => Offset::Beginning,
        }
    }
}

/// The partitions that are known.
#[derive(Debug, Default)]
pub(super) struct Partitions {
    counts: Option<HashMap<String, i32>>,
}

impl Partitions {
    /// What is new in these counts of partitions, topic by topic. Partitions never get fewer.
    pub(super) fn found(&mut self, counts: &[(String, i32)]) -> Vec<(String, i32, Start)> {
        let start = if self.counts.is_some() {
            Start::Beginning
        } else {
            Start::End
        };
        let known = self.counts.get_or_insert_default();
        let mut new = Vec::new();
        for (topic, count) in counts {
            let before = known.entry(topic.clone()).or_default();
            new.extend((*before..*count).map(|partition| (topic.clone(), partition, start)));
            *before = (*before).max(*count);
        }
        new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(counts: &[(&str, i32)]) -> Vec<(String, i32)> {
        counts
            .iter()
            .map(|(topic, count)| ((*topic).to_owned(), *count))
            .collect()
    }

    #[test]
    fn what_was_there_is_read_from_its_end_and_what_comes_later_from_its_beginning() {
        let mut partitions = Partitions::default();
        let first = partitions.found(&counts(&[("a", 2)]));
        assert_eq!(
            first,
            [("a".to_owned(), 0, Start::End), ("a".to_owned(), 1, Start::End)]
        );
        assert_eq!(partitions.found(&counts(&[("a", 2)])), []);
        let later = partitions.found(&counts(&[("a", 3), ("b", 1)]));
        assert_eq!(
            later,
            [
                ("a".to_owned(), 2, Start::Beginning),
                ("b".to_owned(), 0, Start::Beginning)
            ]
        );
        // Metadata may be stale for a moment.
        assert_eq!(partitions.found(&counts(&[("a", 2)])), []);
        assert_eq!(partitions.found(&counts(&[("a", 3), ("b", 1)])), []);
    }
}
