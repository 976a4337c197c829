//! Compares what was acknowledged with what is in the log and with what came of it. Pure.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::Serialize;
use uuid::Uuid;

/// An event of a shipment by its position.
pub(crate) type Place = (Uuid, i64);

/// A change that a caller got an answer for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Acknowledged {
    pub(crate) place: Place,
    /// The event's id, where the answer tells it.
    pub(crate) event: Option<Uuid>,
}

/// A record of the log that a service has written. They are given in the order of the log, topic by topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Logged {
    pub(crate) place: Place,
    pub(crate) event: Uuid,
    /// Topics are read apart from one another: there is an order only within one.
    pub(crate) topic: &'static str,
    pub(crate) partition: i32,
    /// The shipment's status after the event, where it tells.
    pub(crate) status: Option<String>,
}

/// An event in the timeline of the tracking service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Effect {
    pub(crate) place: Place,
    pub(crate) event: Uuid,
}

/// What came of the log.
#[derive(Clone, Debug, Default)]
pub(crate) struct Effects {
    /// The timelines, row by row.
    pub(crate) timeline: Vec<Effect>,
    /// The status of each shipment.
    pub(crate) statuses: HashMap<Uuid, String>,
    /// By service: how far each shipment's events are applied.
    pub(crate) last_seqs: BTreeMap<&'static str, HashMap<Uuid, i64>>,
    /// Shipments that have arrived, for the analytics service.
    pub(crate) arrived: usize,
    /// Arrivals that it has learned from.
    pub(crate) learned: usize,
}

/// What a comparison found. All but the first two of the counts have to be zero.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Findings {
    /// Changes that a caller got an answer for.
    pub acknowledged: usize,
    /// Records that are in the log again: allowed.
    pub log_duplicates: usize,
    /// Acknowledged events that are not in the log.
    pub missing_in_log: usize,
    /// First occurrences that are not the next one of their shipment, or are another event than the log had there.
    pub out_of_order: usize,
    /// Acknowledged events whose effect is not there, or is not that of the log.
    pub effects_missing: usize,
    /// Effects that are there more than once, and effects that nobody asked for.
    pub effects_repeated: usize,
    /// Some of what was found, in words.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub examples: Vec<String>,
}

/// Most examples that are kept.
const EXAMPLES: usize = 8;

impl Findings {
    /// Whether every promise was kept.
    #[must_use]
    pub fn clean(&self) -> bool {
        self.missing_in_log + self.out_of_order + self.effects_missing + self.effects_repeated == 0
    }

    /// Keeps an example, as long as there are few.
    pub(crate) fn example(&mut self, text: impl FnOnce() -> String) {
        if self.examples.len() < EXAMPLES {
            self.examples.push(text());
        }
    }

    /// Adds what another comparison found.
    pub fn add(&mut self, other: &Self) {
        self.acknowledged += other.acknowledged;
        self.log_duplicates += other.log_duplicates;
        self.missing_in_log += other.missing_in_log;
        self.out_of_order += other.out_of_order;
        self.effects_missing += other.effects_missing;
        self.effects_repeated += other.effects_repeated;
        for text in &other.examples {
            self.example(|| text.clone());
        }
    }
}

/// Compares.
pub(crate) fn check(acknowledged: &[Acknowledged], log: &[Logged], effects: &Effects) -> Findings {
    let mut findings = Findings {
        acknowledged: acknowledged.len(),
        ..Findings::default()
    };
    let first = first_occurrences(log, &mut findings);
    compare_log(acknowledged, &first, &mut findings);
    compare_timeline(acknowledged, &first, effects, &mut findings);
    compare_statuses(log, effects, &mut findings);
    compare_positions(acknowledged, effects, &mut findings);
    compare_lessons(effects, &mut findings);
    findings
}

/// Each arrival is learned from once.
fn compare_lessons(effects: &Effects, findings: &mut Findings) {
    let (arrived, learned) = (effects.arrived, effects.learned);
    findings.effects_missing += arrived.saturating_sub(learned);
    findings.effects_repeated += learned.saturating_sub(arrived);
    if arrived != learned {
        findings.example(|| format!("{arrived} shipments have arrived, and {learned} arrivals were learned"));
    }
}

/// The event at each place of the log, as it was there first.
fn first_occurrences(log: &[Logged], findings: &mut Findings) -> HashMap<Place, Uuid> {
    let mut first: HashMap<Place, Uuid> = HashMap::new();
    // By topic: the newest position of a shipment, and its partition.
    let mut newest: HashMap<(&str, Uuid), (i64, i32)> = HashMap::new();
    for record in log {
        let (shipment, seq) = record.place;
        if let Some(event) = first.get(&record.place) {
            if *event == record.event {
                findings.log_duplicates += 1;
            } else {
                findings.out_of_order += 1;
                findings.example(|| {
                    format!(
                        "the log has two events at {seq} of {shipment}: {event} and {}",
                        record.event
                    )
                });
            }
            continue;
        }
        first.insert(record.place, record.event);
        // Creations are the first of their topic, other events begin behind them.
        let begin = if seq == 1 {
            (0, record.partition)
        } else {
            (1, record.partition)
        };
        let (last, partition) = newest
            .insert((record.topic, shipment), (seq, record.partition))
            .unwrap_or(begin);
        if seq != last + 1 || partition != record.partition {
            findings.out_of_order += 1;
            findings.example(|| {
                format!(
                    "in the log, event {seq} of {shipment} (partition {}) follows event {last} (partition {partition})",
                    record.partition
                )
            });
        }
    }
    first
}

fn compare_log(acknowledged: &[Acknowledged], first: &HashMap<Place, Uuid>, findings: &mut Findings) {
    for one in acknowledged {
        let (shipment, seq) = one.place;
        let logged = first.get(&one.place);
        if logged.is_none_or(|event| one.event.is_some_and(|acknowledged| acknowledged != *event)) {
            findings.missing_in_log += 1;
            findings.example(|| format!("event {seq} of {shipment} was acknowledged and is not in the log"));
        }
    }
    let wanted: BTreeSet<Place> = acknowledged.iter().map(|one| one.place).collect();
    for (shipment, seq) in first.keys().filter(|place| !wanted.contains(place)) {
        findings.effects_repeated += 1;
        findings.example(|| format!("nobody asked for event {seq} of {shipment}, and it is in the log"));
    }
}

/// Each event has one row in the timeline, that of the log.
fn compare_timeline(
    acknowledged: &[Acknowledged],
    first: &HashMap<Place, Uuid>,
    effects: &Effects,
    findings: &mut Findings,
) {
    let mut rows: HashMap<Place, Vec<Uuid>> = HashMap::new();
    for effect in &effects.timeline {
        rows.entry(effect.place).or_default().push(effect.event);
    }
    for one in acknowledged {
        let (shipment, seq) = one.place;
        let events = rows.remove(&one.place).unwrap_or_default();
        if events.is_empty() || first.get(&one.place).is_some_and(|event| !events.contains(event)) {
            findings.effects_missing += 1;
            findings.example(|| format!("event {seq} of {shipment} is not in the timeline"));
        }
        if events.len() > 1 {
            findings.effects_repeated += events.len() - 1;
            findings.example(|| {
                format!(
                    "event {seq} of {shipment} is in the timeline {} times",
                    events.len()
                )
            });
        }
    }
    for ((shipment, seq), events) in rows {
        findings.effects_repeated += events.len();
        findings.example(|| format!("nobody asked for event {seq} of {shipment}, and it is in the timeline"));
    }
}

/// The projection is what a replay of the log gives.
fn compare_statuses(log: &[Logged], effects: &Effects, findings: &mut Findings) {
    let mut last: HashMap<Uuid, (i64, &str)> = HashMap::new();
    for record in log {
        let Some(status) = record.status.as_deref() else {
            continue;
        };
        let (shipment, seq) = record.place;
        let newest = last.entry(shipment).or_insert((seq, status));
        if newest.0 <= seq {
            *newest = (seq, status);
        }
    }
    for (shipment, (_, status)) in last {
        let projected = effects.statuses.get(&shipment).map(String::as_str);
        if projected != Some(status) {
            findings.effects_missing += 1;
            findings.example(|| {
                let projected = projected.unwrap_or("not there");
                format!("{shipment} is {projected}, and {status} by the log")
            });
        }
    }
}

fn compare_positions(acknowledged: &[Acknowledged], effects: &Effects, findings: &mut Findings) {
    let mut wanted: HashMap<Uuid, i64> = HashMap::new();
    for Acknowledged {
        place: (shipment, seq),
        ..
    } in acknowledged
    {
        let last = wanted.entry(*shipment).or_default();
        *last = (*last).max(*seq);
    }
    for (service, last_seqs) in &effects.last_seqs {
        for (shipment, wanted) in &wanted {
            let last_seq = last_seqs.get(shipment).copied().unwrap_or_default();
            if last_seq != *wanted {
                findings.effects_missing += usize::try_from(wanted - last_seq).unwrap_or(1);
                findings.example(|| {
                    format!("{service} has applied {last_seq} of the {wanted} events of {shipment}")
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHIPMENT: Uuid = Uuid::from_u128(7);

    fn event(seq: i64) -> Uuid {
        Uuid::from_u128(u128::from(seq.unsigned_abs()) + 100)
    }

    fn acknowledged(seq: i64) -> Acknowledged {
        Acknowledged {
            place: (SHIPMENT, seq),
            event: Some(event(seq)),
        }
    }

    fn logged(seq: i64) -> Logged {
        Logged {
            place: (SHIPMENT, seq),
            event: event(seq),
            topic: if seq == 1 { "created" } else { "changed" },
            partition: 3,
            status: (seq > 1).then(|| format!("after {seq}")),
        }
    }

    fn effects(seqs: &[i64], last: i64) -> Effects {
        let effect = |seq: &i64| Effect {
            place: (SHIPMENT, *seq),
            event: event(*seq),
        };
        Effects {
            timeline: seqs.iter().map(effect).collect(),
            statuses: HashMap::from([(SHIPMENT, format!("after {last}"))]),
            last_seqs: BTreeMap::from([("tracking", HashMap::from([(SHIPMENT, last)]))]),
            arrived: 1,
            learned: 1,
        }
    }

    /// Four acknowledged events, this log, these effects.
    fn found(log: &[i64], seqs: &[i64]) -> Findings {
        let acknowledged: Vec<_> = (1..=4).map(acknowledged).collect();
        let log: Vec<_> = log.iter().map(|seq| logged(*seq)).collect();
        check(&acknowledged, &log, &effects(seqs, 4))
    }

    #[test]
    fn what_comes_again_in_the_log_is_allowed() {
        let findings = found(&[1, 2, 3, 2, 3, 4, 1], &[1, 2, 3, 4]);
        assert!(findings.clean(), "{findings:?}");
        assert_eq!((findings.acknowledged, findings.log_duplicates), (4, 3));
    }

    #[test]
    fn what_is_lost_is_missing() {
        let findings = found(&[1, 2, 3], &[1, 2, 3, 4]);
        assert_eq!(findings.missing_in_log, 1, "{findings:?}");
        let findings = found(&[1, 2, 3, 4], &[1, 2, 4]);
        assert_eq!(findings.effects_missing, 1, "{findings:?}");
        let lagging = check(
            &[acknowledged(1), acknowledged(2)],
            &[logged(1), logged(2)],
            &effects(&[1, 2], 1),
        );
        // Both its position and its status.
        assert_eq!(lagging.effects_missing, 2, "{lagging:?}");
    }

    #[test]
    fn a_gap_and_a_late_first_occurrence_are_out_of_order() {
        let findings = found(&[1, 2, 4, 3], &[1, 2, 3, 4]);
        // 4 follows 2, and 3 follows 4.
        assert_eq!(findings.out_of_order, 2, "{findings:?}");
        assert_eq!(found(&[1, 3, 4, 2], &[1, 2, 3, 4]).out_of_order, 2);
    }

    #[test]
    fn a_shipment_lives_in_one_partition() {
        let moved = Logged {
            partition: 4,
            ..logged(3)
        };
        let findings = check(
            &[acknowledged(1), acknowledged(2), acknowledged(3)],
            &[logged(1), logged(2), moved],
            &effects(&[1, 2, 3], 3),
        );
        assert_eq!(findings.out_of_order, 1, "{findings:?}");
    }

    #[test]
    fn two_events_cannot_have_one_place() {
        let other = Logged {
            event: Uuid::from_u128(1),
            ..logged(2)
        };
        let findings = check(
            &[acknowledged(1), acknowledged(2)],
            &[logged(1), logged(2), other],
            &effects(&[1, 2], 2),
        );
        assert_eq!(findings.out_of_order, 1, "{findings:?}");
    }

    #[test]
    fn what_is_there_twice_or_unasked_is_repeated() {
        assert_eq!(found(&[1, 2, 3, 4], &[1, 2, 3, 3, 3, 4]).effects_repeated, 2);
        // In the log and in the timeline.
        assert_eq!(found(&[1, 2, 3, 4, 5], &[1, 2, 3, 4, 5]).effects_repeated, 2);
    }

    #[test]
    fn an_arrival_is_learned_from_once() {
        for (learned, missing, repeated) in [(1, 0, 0), (0, 1, 0), (3, 0, 2)] {
            let mut findings = Findings::default();
            let effects = Effects {
                learned,
                ..effects(&[1, 2, 3, 4], 4)
            };
            compare_lessons(&effects, &mut findings);
            assert_eq!(
                (findings.effects_missing, findings.effects_repeated),
                (missing, repeated)
            );
        }
    }
}
