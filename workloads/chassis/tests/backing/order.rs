//! What the log promises: at least once; the first occurrences of each key are gap-free and in order.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use logistics_testbed::LogRecord;

/// How many records there were beyond the first occurrences; fails unless each key's first occurrences are
/// `1..=last`.
pub(crate) fn check(records: &[LogRecord], keys: usize, last: i64) -> Result<usize> {
    let mut newest: BTreeMap<&str, i64> = BTreeMap::new();
    let mut duplicates = 0;
    for record in records {
        let seq: i64 = String::from_utf8(record.payload.clone().unwrap_or_default())?.parse()?;
        let seen = newest.entry(&record.key).or_default();
        if seq <= *seen {
            duplicates += 1;
            continue;
        }
        ensure!(
            seq == *seen + 1,
            "key {}: {seq} comes right after {seen}",
            record.key
        );
        *seen = seq;
    }
    ensure!(
        newest.len() == keys,
        "{} keys of {keys} are in the log",
        newest.len()
    );
    for (key, seen) in newest {
        ensure!(seen == last, "key {key} ends with {seen}, not with {last}");
    }
    Ok(duplicates)
}
