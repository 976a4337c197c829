//! The ledger: late scans, retractions, delays; and what holds whatever is said, in whatever order.

use chrono::{DateTime, TimeDelta, Utc};
use logistics_domain::delay::DelayReason;
use logistics_domain::ledger::{Decision, Fact, Report, State};
use logistics_domain::status::Status::{
    AttemptFailed, Cancelled, Created, Delivered, Exception, InTransit, OutForDelivery, PickedUp, Returned,
    Returning,
};
use logistics_domain::status::{Classifier, Disposition, Status};
use proptest::prelude::*;

mod desk;

use desk::{Act, Desk, desk};

fn at(minute: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::minutes(minute)
}

fn says(fact: Fact, minute: i64) -> Report {
    Report {
        fact,
        classifier: Classifier::Actual,
        occurred_at: at(minute),
    }
}

fn scan(status: Status, minute: i64) -> Report {
    says(Fact::Status(status), minute)
}

#[test]
fn a_late_scan_takes_its_place_and_the_newest_status_stays() {
    let mut desk = desk(&[scan(PickedUp, 1), scan(OutForDelivery, 9)]);
    let late = desk.record(scan(InTransit, 5));
    assert_eq!(
        (late.disposition, late.state.status),
        (Disposition::Late, OutForDelivery)
    );
    assert_eq!(late.state.newest_applied, Some(at(9)));
}

#[test]
fn a_missing_scan_that_comes_late_makes_the_newer_ones_count() {
    let mut desk = Desk::new();
    let early = desk.record(scan(OutForDelivery, 9));
    assert_eq!(
        (early.disposition, early.state.status),
        (Disposition::Conflict, Created)
    );
    assert_eq!(
        desk.record(scan(Delivered, 10)).disposition,
        Disposition::Conflict
    );
    let late = desk.record(scan(PickedUp, 1));
    assert_eq!(
        (late.disposition, late.state.status),
        (Disposition::Late, Delivered)
    );
}

#[test]
fn a_late_scan_that_is_no_step_is_late_too_and_moves_nothing() {
    let mut desk = desk(&[scan(InTransit, 5), scan(OutForDelivery, 9)]);
    let before = desk.state;
    let late = desk.record(scan(Returned, 7));
    assert_eq!(
        late,
        Decision {
            disposition: Disposition::Late,
            state: before
        }
    );
}

/// As if they had come in order: then the second would have been no step.
#[test]
fn a_late_scan_may_stop_a_newer_one_from_counting() {
    let mut desk = desk(&[scan(PickedUp, 9)]);
    let late = desk.record(scan(InTransit, 5));
    assert_eq!(
        (late.disposition, late.state.status),
        (Disposition::Late, InTransit)
    );
    assert_eq!(late.state, in_order(&[scan(InTransit, 5), scan(PickedUp, 9)]));
}

fn in_order(reports: &[Report]) -> State {
    desk(reports).state
}

#[test]
fn what_happened_at_the_same_time_is_read_in_the_order_of_the_way() {
    for reports in [
        [scan(OutForDelivery, 5), scan(PickedUp, 5)],
        [scan(PickedUp, 5), scan(OutForDelivery, 5)],
    ] {
        assert_eq!(desk(&reports).state.status, OutForDelivery);
    }
}

#[test]
fn what_is_taken_back_leaves_no_trace_in_the_state() {
    let mut desk = desk(&[scan(InTransit, 1), scan(OutForDelivery, 2), scan(Delivered, 3)]);
    let scans = desk.clone();
    desk.retract(4);
    assert_eq!(desk.state.status, OutForDelivery);
    // Out of a terminal status, and on.
    assert_eq!(
        desk.record(scan(AttemptFailed, 4)).disposition,
        Disposition::Applied
    );

    // Of a wrong step in between, too.
    let mut desk = scans;
    desk.retract(3);
    assert_eq!(
        desk.state.status, InTransit,
        "a delivery out of nowhere does not count"
    );
    desk.retract(3);
    assert_eq!(desk.log.len(), 4, "twice is once");
}

#[test]
fn a_cancellation_stands_until_it_is_taken_back() {
    let mut desk = desk(&[scan(Cancelled, 5)]);
    let late = desk.record(scan(PickedUp, 4));
    assert_eq!(
        (late.disposition, late.state.status),
        (Disposition::Late, Cancelled)
    );
    let newer = desk.record(scan(InTransit, 6));
    assert_eq!(
        (newer.disposition, newer.state.status),
        (Disposition::Conflict, Cancelled)
    );
    desk.retract(2);
    assert_eq!(desk.state.status, InTransit);
}

#[test]
fn a_cancellation_that_is_not_possible_never_was_one() {
    let mut desk = desk(&[scan(PickedUp, 1)]);
    let before = desk.state;
    for minute in [0, 2] {
        let refused = desk.record(scan(Cancelled, minute));
        assert_eq!(
            (refused.disposition, refused.state),
            (Disposition::Conflict, before)
        );
    }
    assert_eq!(desk.ledger().state(), before);
}

#[test]
fn a_delay_is_a_flag_that_the_newest_notice_sets_until_the_end() {
    let weather = Fact::Delay(Some(DelayReason::Weather));
    let mut desk = desk(&[scan(InTransit, 1), says(weather, 3)]);
    assert_eq!(
        (desk.state.status, desk.state.delay),
        (InTransit, Some(DelayReason::Weather))
    );
    // Older than the newest notice: it was overtaken.
    desk.record(says(Fact::Delay(None), 2));
    assert_eq!(desk.state.delay, Some(DelayReason::Weather));
    desk.record(says(Fact::Delay(Some(DelayReason::Customs)), 4));
    assert_eq!(desk.state.delay, Some(DelayReason::Customs));
    desk.record(scan(OutForDelivery, 5));
    assert_eq!(
        desk.state.delay,
        Some(DelayReason::Customs),
        "the road does not end it"
    );
    let mut over = desk.clone();
    over.record(says(Fact::Delay(None), 6));
    assert_eq!(over.state.delay, None);
    desk.record(scan(Delivered, 6));
    assert_eq!(desk.state.delay, None);
    let notice = desk.record(says(weather, 7));
    assert_eq!(
        (notice.disposition, notice.state.delay),
        (Disposition::Informational, None)
    );
}

#[test]
fn a_return_is_ordered_on_the_way_and_ends_with_the_sender() {
    let mut desk = desk(&[scan(InTransit, 1)]);
    assert!(desk.state.allows(Returning));
    desk.record(scan(Returning, 2));
    assert_eq!(desk.record(scan(Exception, 3)).disposition, Disposition::Applied);
    assert_eq!(desk.record(scan(Returned, 4)).state.status, Returned);
    for end in [Created, Delivered, Returned] {
        let state = State {
            status: end,
            ..State::CREATED
        };
        assert!(!state.allows(Returning), "{end}");
    }
}

#[test]
fn a_cancellation_is_in_force_whatever_its_time() {
    let mut desk = desk(&[scan(Exception, 9)]);
    let cancelled = desk.record(scan(Cancelled, 5));
    assert_eq!(
        (cancelled.disposition, cancelled.state.status),
        (Disposition::Applied, Cancelled)
    );
}

fn facts() -> impl Strategy<Value = Fact> {
    prop_oneof![
        6 => (0..12_usize).prop_map(|status| Fact::Status(Status::ALL[status])),
        1 => proptest::option::of(0..8_usize)
            .prop_map(|reason| Fact::Delay(reason.map(|reason| DelayReason::ALL[reason]))),
    ]
}

fn reports() -> impl Strategy<Value = Report> {
    let classifier = prop_oneof![6 => Just(0_usize), 1 => Just(1), 1 => Just(2)];
    (facts(), classifier, 0..40_i64).prop_map(|(fact, classifier, minute)| Report {
        fact,
        classifier: Classifier::ALL[classifier],
        occurred_at: at(minute),
    })
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        5 => reports().prop_map(Act::Report),
        1 => any::<usize>().prop_map(Act::Retract),
    ];
    proptest::collection::vec(act, 0..60)
}

/// Scans and notices as carriers send them: a cancellation is none of them.
fn observations() -> impl Strategy<Value = Vec<Report>> {
    let is_scan = |report: &Report| report.fact != Fact::Status(Cancelled);
    proptest::collection::vec(reports().prop_filter("an order", is_scan), 1..30)
}

proptest! {
    /// And every event tells the state after it: see [`Desk::take`].
    #[test]
    fn no_sequence_of_events_reaches_an_illegal_state(acts in acts()) {
        let mut desk = Desk::new();
        for act in acts {
            desk.take(act);
        }
    }

    #[test]
    fn any_permutation_of_scans_ends_in_the_same_state(
        (scans, shuffled) in observations().prop_flat_map(|scans| (Just(scans.clone()), Just(scans).prop_shuffle())),
    ) {
        prop_assert_eq!(desk(&scans).state, desk(&shuffled).state);
    }

    #[test]
    fn scans_that_came_twice_are_as_if_they_had_come_once(scans in observations()) {
        desk::repeated_is_once(&scans);
    }

    #[test]
    fn what_is_taken_back_might_never_have_come(scans in observations(), which in any::<usize>()) {
        desk::retracted_is_never_come(&scans, which);
    }
}
