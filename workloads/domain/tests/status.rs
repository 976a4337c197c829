//! The status machine: its table in the words of the domain, and what no sequence of reports may do.

use chrono::{DateTime, TimeDelta, Utc};
use logistics_domain::status::Status::{
    AttemptFailed, AvailableForPickup, Cancelled, Created, Delivered, Exception, InTransit, Lost,
    OutForDelivery, PickedUp, Returned, Returning,
};
use logistics_domain::status::{Classifier, Decision, Disposition, Report, State, Status, decide};
use proptest::prelude::*;

fn at(minute: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::minutes(minute)
}

fn actual(status: Status, minute: i64) -> Report {
    Report {
        status,
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
        decide(&last.state, &actual(*status, minute))
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
fn an_older_scan_is_late_even_when_it_would_be_legal() {
    let moved = decide(&State::CREATED, &actual(InTransit, 10)).state;
    let late = decide(&moved, &actual(OutForDelivery, 9));
    assert_eq!(
        late,
        Decision {
            disposition: Disposition::Late,
            state: moved
        }
    );
    let same_time = decide(&moved, &actual(OutForDelivery, 10));
    assert_eq!(same_time.disposition, Disposition::Applied);
}

#[test]
fn plans_and_estimates_move_nothing() {
    for classifier in [Classifier::Planned, Classifier::Estimated] {
        let report = Report {
            classifier,
            ..actual(InTransit, 1)
        };
        let decision = decide(&State::CREATED, &report);
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
    let error = "FLYING".parse::<Status>().unwrap_err().to_string();
    assert!(
        error.starts_with("\"FLYING\" is no status; known are CREATED, PICKED_UP"),
        "{error}"
    );
}

prop_compose! {
    fn reports()(all in prop::collection::vec((0..12_usize, 0..3_usize, 0..40_i64), 0..60)) -> Vec<Report> {
        all.into_iter()
            .map(|(status, classifier, minute)| Report {
                status: Status::ALL[status],
                classifier: Classifier::ALL[classifier],
                occurred_at: at(minute),
            })
            .collect()
    }
}

proptest! {
    #[test]
    fn no_sequence_reaches_an_illegal_state(reports in reports()) {
        let mut state = State::CREATED;
        for report in &reports {
            let decision = decide(&state, report);
            if decision.disposition == Disposition::Applied {
                prop_assert!(state.allows(decision.state.status));
                prop_assert!(!state.status.is_terminal());
                prop_assert_eq!(decision.state.status, report.status);
            } else {
                prop_assert_eq!(decision.state, state);
            }
            prop_assert!(decision.state.newest_applied >= state.newest_applied, "time went backwards");
            prop_assert_eq!(decision.state.before_exception.is_some(), decision.state.status == Exception);
            prop_assert_ne!(decision.state.before_exception, Some(Exception));
            state = decision.state;
        }
    }

    #[test]
    fn a_replay_ends_in_the_same_state(reports in reports()) {
        let run = || reports.iter().fold(State::CREATED, |state, report| decide(&state, report).state);
        prop_assert_eq!(run(), run());
    }

    #[test]
    fn a_redelivered_report_changes_nothing_but_checkpoints(reports in reports()) {
        let mut state = State::CREATED;
        for report in &reports {
            state = decide(&state, report).state;
            let again = decide(&state, report);
            prop_assert_eq!(again.state, state);
        }
    }
}
