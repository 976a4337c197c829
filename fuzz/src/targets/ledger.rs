//! The pure rules of a shipment, fed by events in any order.
//!
//! Input: what is looked at; then four bytes for each event.

use chrono::{DateTime, TimeDelta, Utc};
use logistics_domain::delay::DelayReason;
use logistics_domain::ledger::{Fact, Ledger, Recorded, Report};
use logistics_domain::status::{Classifier, Disposition, Kind, Status};

use desk::{Act, Desk, desk};

/// The model that the property tests use too.
#[path = "../../../workloads/domain/tests/desk/mod.rs"]
mod desk;

/// Events of one shipment: each is compared with all before it.
const MOST: usize = 40;

pub(crate) fn run(input: &[u8]) {
    let Some((kind, rest)) = input.split_first() else {
        return;
    };
    let events = rest.chunks_exact(4).take(MOST);
    match kind % 3 {
        0 => {
            let mut desk = Desk::new();
            for event in events {
                desk.take(act(event));
            }
        }
        1 => in_any_order(&events.map(report).collect::<Vec<_>>(), usize::from(*kind)),
        _ => read(events),
    }
}

fn act(event: &[u8]) -> Act {
    match event[0] {
        retracted @ 0xc0.. => Act::Retract(usize::from(retracted & 0x3f)),
        _ => Act::Report(report(event)),
    }
}

fn report(event: &[u8]) -> Report {
    let status = usize::from(event[0]) % (Status::ALL.len() + 2);
    let delay = usize::from(event[1]) % (DelayReason::ALL.len() + 1);
    Report {
        fact: match Status::ALL.get(status) {
            Some(status) => Fact::Status(*status),
            None => Fact::Delay(DelayReason::ALL.get(delay).copied()),
        },
        // Plans and estimates are few.
        classifier: Classifier::ALL[usize::from(event[1] >> 4).saturating_sub(13)],
        occurred_at: at(event),
    }
}

/// Mostly minutes, so that some are the same; some as far away as there is.
fn at(event: &[u8]) -> DateTime<Utc> {
    match (event[2], event[3]) {
        (0xff, 0xff) => DateTime::<Utc>::MAX_UTC,
        (0xff, 0xfe) => DateTime::<Utc>::MIN_UTC,
        (0..0x80, minute) => DateTime::UNIX_EPOCH + TimeDelta::minutes(i64::from(minute)),
        (day, minute) => {
            DateTime::UNIX_EPOCH + TimeDelta::days(i64::from(day)) + TimeDelta::minutes(i64::from(minute))
        }
    }
}

/// Observations end in the same state in whatever order they come, twice or once.
fn in_any_order(reports: &[Report], turn: usize) {
    let scans: Vec<Report> = reports
        .iter()
        .filter(|report| report.fact != Fact::Status(Status::Cancelled))
        .copied()
        .collect();
    if scans.is_empty() {
        return;
    }
    let state = desk(&scans).state;
    let mut turned = scans.clone();
    turned.rotate_left(turn % scans.len());
    assert_eq!(desk(&turned).state, state);
    turned.reverse();
    assert_eq!(desk(&turned).state, state);
    desk::repeated_is_once(&scans);
    desk::retracted_is_never_come(&scans, turn);
}

/// A log that anybody may have written: whatever it says, the ledger that is read from it holds together.
fn read<'a>(events: impl Iterator<Item = &'a [u8]>) {
    let kept = (1..).zip(events).map(|(seq, event): (i64, _)| {
        let report = report(event);
        let (reported, notice) = match report.fact {
            Fact::Status(status) => (status, None),
            Fact::Delay(notice) => (Status::InTransit, notice),
        };
        Recorded {
            id: i64::from(event[3] & 0x1f),
            seq,
            kind: Kind::ALL[usize::from(event[1]) % Kind::ALL.len()],
            reported,
            classifier: report.classifier,
            disposition: Disposition::ALL[usize::from(event[1] >> 2) % Disposition::ALL.len()],
            occurred_at: report.occurred_at,
            notice,
            retracts: (event[0] >= 0xc0).then_some(i64::from(event[2] & 0x1f)),
        }
    });
    let ledger = Ledger::of(kept);
    let (state, steps) = (ledger.state(), ledger.steps());
    assert!(desk::is_legal(&steps), "{steps:?}");
    let last = steps
        .last()
        .map_or(Fact::Status(Status::Created), |step| step.fact);
    assert_eq!(Fact::Status(state.status), last);
    assert_eq!(
        state.before_exception.is_some(),
        state.status == Status::Exception
    );
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let way: Vec<u8> = [1, 2, 3, 4, 3, 8]
        .into_iter()
        .zip(1..)
        .flat_map(|(status, minute)| [status, 0, 0, minute])
        .collect();
    (0..3_u8)
        .flat_map(|kind| {
            let back: Vec<u8> = way.chunks_exact(4).rev().flatten().copied().collect();
            [
                [vec![kind], way.clone()].concat(),
                [vec![kind], back].concat(),
                [
                    vec![kind],
                    way.clone(),
                    vec![0xc2, 0, 0, 0, 12, 1, 0, 9, 11, 0, 0, 3],
                ]
                .concat(),
            ]
        })
        .collect()
}
