//! How values lie in Redis, and the script that puts them there.

use redis::Cmd;

use super::TTL;

/// Puts entries where nothing of the same or a higher rank is.
pub(super) const PUT: &str = include_str!("put.lua");

/// Characters of a rank.
const RANK: usize = 21;

/// What an entry begins with; the greater text is the newer entry. All of it are digits, whose order is the same in every
/// locale.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank(String);

impl Rank {
    /// Of a position that is committed, without a value: higher than all values before it.
    pub(super) fn head(seq: i64) -> Self {
        Self(format!("{:020}0", seq.max(0)))
    }

    /// Of a value: higher than its own position.
    pub(super) fn value(seq: i64) -> Self {
        Self(format!("{:020}1", seq.max(0)))
    }
}

/// What is put.
pub(super) fn entry(rank: Rank, value: &[u8]) -> Vec<u8> {
    let mut entry = rank.0.into_bytes();
    entry.extend_from_slice(value);
    entry
}

/// The value of an entry, if it has one.
pub(super) fn value(mut entry: Vec<u8>) -> Option<Vec<u8>> {
    if entry.len() < RANK || entry[RANK - 1] != b'1' {
        return None;
    }
    entry.drain(..RANK);
    Some(entry)
}

/// The call of the script, which Redis knows by `digest`; gives how many of the entries were put. What was read from the
/// database after Redis was `asked_at` is believed from then on, other entries from now on.
pub(super) fn put(digest: &str, asked_at: Option<u64>, entries: &[(String, Vec<u8>)]) -> Cmd {
    let mut call = redis::cmd("EVALSHA");
    call.arg(digest).arg(entries.len());
    for (key, _) in entries {
        call.arg(key);
    }
    let ttl = u64::try_from(TTL.as_millis()).unwrap_or(u64::MAX);
    call.arg(ttl)
        .arg(asked_at.map_or(String::new(), |at| at.to_string()));
    for (_, entry) in entries {
        call.arg(entry);
    }
    call
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_follow_positions_and_a_value_is_higher_than_its_position() {
        let ranks: Vec<Rank> = [1, 2, 9, 10, 11, 1_000_000, i64::MAX]
            .into_iter()
            .flat_map(|seq| [Rank::head(seq), Rank::value(seq)])
            .collect();
        assert!(ranks.is_sorted_by(|one, next| one < next), "{ranks:?}");
        assert!(ranks.iter().all(|rank| rank.0.len() == RANK));
        assert!(Rank::head(-1) <= Rank::head(0));
    }

    #[test]
    fn a_value_is_read_back_and_a_position_is_none() {
        assert_eq!(value(entry(Rank::value(7), b"seven")), Some(b"seven".to_vec()));
        assert_eq!(value(entry(Rank::value(7), b"")), Some(Vec::new()));
        assert_eq!(value(entry(Rank::head(7), b"")), None);
        assert_eq!(value(b"what somebody else put here".to_vec()), None);
        assert_eq!(value(Vec::new()), None);
    }
}
