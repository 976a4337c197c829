//! The status machine: its table in the words of the domain, and where sequences of scans end that come in order.

use chrono::{DateTime, TimeDelta, Utc};
use logistics_domain::delay::DelayReason;
use logistics_domain::ledger::{Decision, Fact, Report, State};
use logistics_domain::status::Status::{
    AttemptFailed, AvailableForPickup, Cancelled, Created, Delivered, Exception, InTransit, Lost,
    OutForDelivery, PickedUp, Returned, Returning,
};
use logistics_domain::status::{Classifier, Disposition, Kind, Status};

fn at(minute: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::minutes(minute)
}

fn actual(status: Status, minute: i64) -> Report {
    Report {
        fact: Fact::Status(status),
        classifier: Classifier::Actual,
        occurred_at: at(minute),
    }
}

/// Feeds reports a minute apart; gives the last decision.
fn replay(statuses: &[Status]) -> Decision {
    let start = Decision {
        disposition: Disposition::Applied,
        state: State::CREATED,
    };
    statuses.iter().zip(1..).fold(start, |last, (status, minute)| {
        last.state.decide(&actual(*status, minute)).unwrap_or(last)
    })
}

#[test]
fn every_status_has_the_next_ones_of_the_table() {
    let table: [(Status, &[Status]); 11] = [
        (Created, &[PickedUp, InTransit, Exception, Cancelled]),
        (PickedUp, &[InTransit, OutForDelivery, Exception, Returning]),
        (
            InTransit,
            &[
                InTransit,
                OutForDelivery,
                AvailableForPickup,
                Exception,
                Returning,
            ],
        ),
        (
            OutForDelivery,
            &[Delivered, AttemptFailed, AvailableForPickup, Exception],
        ),
        (
            AttemptFailed,
            &[
                InTransit,
                OutForDelivery,
                AvailableForPickup,
                Exception,
                Returning,
            ],
        ),
        (AvailableForPickup, &[Delivered, Exception, Returning]),
        (Returning, &[Returned, Exception, Lost]),
        (Delivered, &[]),
        (Returned, &[]),
        (Lost, &[]),
        (Cancelled, &[]),
    ];
    for (from, allowed) in table {
        let state = State {
            status: from,
            ..State::CREATED
        };
        for next in Status::ALL {
            assert_eq!(state.allows(next), allowed.contains(&next), "{from} -> {next}");
        }
    }
}

#[test]
fn a_parcel_goes_the_whole_road() {
    let last = replay(&[
        PickedUp,
        InTransit,
        InTransit,
        OutForDelivery,
        AttemptFailed,
        OutForDelivery,
        Delivered,
    ]);
    assert_eq!(
        (last.disposition, last.state.status),
        (Disposition::Applied, Delivered)
    );
    assert_eq!(last.state.newest_applied, Some(at(7)));
}

#[test]
fn sequences_end_as_people_expect() {
    let cases: [(&str, &[Status], Disposition, Status); 12] = [
        (
            "cancel before pickup",
            &[Cancelled],
            Disposition::Applied,
            Cancelled,
        ),
        (
            "cancel after pickup",
            &[PickedUp, Cancelled],
            Disposition::Conflict,
            PickedUp,
        ),
        (
            "cancel after trouble before pickup",
            &[Exception, Cancelled],
            Disposition::Applied,
            Cancelled,
        ),
        (
            "cancel after trouble on the road",
            &[InTransit, Exception, Cancelled],
            Disposition::Conflict,
            Exception,
        ),
        (
            "trouble ends where it began",
            &[InTransit, Exception, InTransit],
            Disposition::Applied,
            InTransit,
        ),
        (
            "trouble ends one step on",
            &[InTransit, Exception, OutForDelivery],
            Disposition::Applied,
            OutForDelivery,
        ),
        (
            "trouble ends in a loss",
            &[PickedUp, Exception, Lost],
            Disposition::Applied,
            Lost,
        ),
        (
            "trouble does not deliver",
            &[InTransit, Exception, Delivered],
            Disposition::Conflict,
            Exception,
        ),
        (
            "trouble twice is one trouble",
            &[InTransit, Exception, Exception],
            Disposition::Conflict,
            Exception,
        ),
        (
            "nothing follows delivery",
            &[InTransit, OutForDelivery, Delivered, InTransit],
            Disposition::Conflict,
            Delivered,
        ),
        (
            "back to the sender",
            &[PickedUp, Returning, Returned],
            Disposition::Applied,
            Returned,
        ),
        (
            "nothing is created twice",
            &[Created],
            Disposition::Conflict,
            Created,
        ),
    ];
    for (name, reports, disposition, status) in cases {
        let last = replay(reports);
        assert_eq!(
            (last.disposition, last.state.status),
            (disposition, status),
            "{name}"
        );
    }
}

#[test]
fn only_what_is_newer_is_decided_from_the_state_alone() {
    let moved = State::CREATED.decide(&actual(InTransit, 10)).unwrap().state;
    assert_eq!(moved.decide(&actual(OutForDelivery, 9)), None);
    assert_eq!(moved.decide(&actual(OutForDelivery, 10)), None);
    assert!(moved.decide(&actual(OutForDelivery, 11)).is_some());
}

#[test]
fn plans_and_estimates_move_nothing() {
    for classifier in [Classifier::Planned, Classifier::Estimated] {
        let report = Report {
            classifier,
            ..actual(InTransit, 1)
        };
        let decision = State::CREATED.decide(&report).unwrap();
        assert_eq!(
            decision,
            Decision {
                disposition: Disposition::Informational,
                state: State::CREATED
            }
        );
    }
}

#[test]
fn names_round_trip_and_a_wrong_one_lists_the_right_ones() {
    for status in Status::ALL {
        assert_eq!(status.as_str().parse::<Status>(), Ok(status));
    }
    for kind in Kind::ALL {
        assert_eq!(kind.as_str().parse::<Kind>(), Ok(kind));
    }
    for reason in DelayReason::ALL {
        assert_eq!(reason.as_str().parse::<DelayReason>(), Ok(reason));
    }
    let error = "FLYING".parse::<Status>().unwrap_err().to_string();
    assert!(
        error.starts_with("\"FLYING\" is no status; known are CREATED, PICKED_UP"),
        "{error}"
    );
}

/// The users' table says what the code does.
#[test]
fn the_table_in_the_documentation_is_current() {
    let text = include_str!("../../../docs/workloads.md");
    for status in Status::ALL.into_iter().filter(|status| !status.next().is_empty()) {
        let start = format!("| `{status}` |");
        let row = text.lines().find_map(|line| line.strip_prefix(&start)).unwrap();
        let next: Vec<_> = status.next().iter().map(|next| format!("`{next}`")).collect();
        assert_eq!(
            row.trim().trim_end_matches('|').trim(),
            next.join(", "),
            "{status}"
        );
    }
}
