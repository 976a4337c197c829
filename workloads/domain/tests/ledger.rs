//! The ledger: late scans, retractions, delays; and what holds whatever is said, in whatever order.

use chrono::{DateTime, TimeDelta, Utc};
use logistics_domain::delay::DelayReason;
use logistics_domain::ledger::{Decision, Entry, Fact, Ledger, Recorded, Report, State};
use logistics_domain::status::Status::{
    AttemptFailed, Cancelled, Created, Delivered, Exception, InTransit, OutForDelivery, PickedUp, Returned,
    Returning,
};
use logistics_domain::status::{Classifier, Disposition, Kind, Status};
use proptest::prelude::*;

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

/// A shipment as a service keeps it: the state is decided alone where that is possible, and read from all that was said
/// otherwise.
#[derive(Clone, Debug)]
struct Desk {
    state: State,
    seq: i64,
    /// The log: what was reported, or the position of what was taken back; and the state that the event told.
    log: Vec<(Happening, State)>,
    /// The same as a service keeps it, positions standing for ids.
    kept: Vec<Recorded<i64>>,
}

#[derive(Clone, Copy, Debug)]
enum Happening {
    Report(Report),
    Retraction(i64),
}

impl Desk {
    const fn new() -> Self {
        Self {
            state: State::CREATED,
            seq: 1,
            log: Vec::new(),
            kept: Vec::new(),
        }
    }

    /// What the log says, without a look at the states in it.
    fn ledger(&self) -> Ledger {
        let mut ledger = Ledger::new();
        for ((happening, _), seq) in self.log.iter().zip(2..) {
            match happening {
                Happening::Report(report) => drop(ledger.decide(seq, report)),
                Happening::Retraction(seq) => drop(ledger.retract(*seq)),
            }
        }
        ledger
    }

    fn record(&mut self, report: Report) -> Decision {
        self.seq += 1;
        let decision = self
            .state
            .decide(&report)
            .unwrap_or_else(|| self.ledger().decide(self.seq, &report));
        self.state = decision.state;
        self.log.push((Happening::Report(report), self.state));
        let (kind, reported, notice) = match report.fact {
            Fact::Status(status) => (Kind::Scan, status, None),
            Fact::Delay(notice) => (Kind::Delay, self.state.status, notice),
        };
        self.kept.push(Recorded {
            id: self.seq,
            seq: self.seq,
            kind,
            reported,
            classifier: report.classifier,
            disposition: decision.disposition,
            occurred_at: report.occurred_at,
            notice,
            retracts: None,
        });
        decision
    }

    fn retract(&mut self, seq: i64) {
        let mut ledger = self.ledger();
        if ledger.retract(seq) {
            self.seq += 1;
            self.state = ledger.state();
            self.log.push((Happening::Retraction(seq), self.state));
            self.kept.push(Recorded {
                id: self.seq,
                seq: self.seq,
                kind: Kind::Retraction,
                reported: self.state.status,
                classifier: Classifier::Actual,
                disposition: Disposition::Informational,
                occurred_at: at(self.seq),
                notice: None,
                retracts: Some(seq),
            });
        }
    }
}

fn desk(reports: &[Report]) -> Desk {
    let mut desk = Desk::new();
    for report in reports {
        desk.record(*report);
    }
    desk
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

/// What may come in, in any order.
#[derive(Clone, Copy, Debug)]
enum Act {
    Report(Report),
    /// Takes back one of the events so far.
    Retract(usize),
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

/// Whether each step that counts was legal from the one before.
fn is_legal(steps: &[Entry]) -> bool {
    let mut state = State::CREATED;
    steps.iter().all(|step| {
        let Fact::Status(next) = step.fact else {
            return false;
        };
        let legal = state.allows(next) || next == Cancelled;
        let before_exception = (next == Exception).then_some(state.status);
        state = State {
            status: next,
            before_exception,
            ..state
        };
        legal
    })
}

proptest! {
    #[test]
    fn no_sequence_of_events_reaches_an_illegal_state(acts in acts()) {
        let mut desk = Desk::new();
        for act in acts {
            let before = desk.state;
            match act {
                Act::Report(report) => {
                    let decision = desk.record(report);
                    match (decision.disposition, report.fact) {
                        (Disposition::Applied, Fact::Status(status)) => {
                            prop_assert_eq!(decision.state.status, status);
                            prop_assert_eq!(decision.state.newest_applied, Some(report.occurred_at));
                            if before.newest_seen.is_none_or(|newest| report.occurred_at > newest) {
                                prop_assert!(before.allows(status), "{before:?} -> {status}");
                            }
                        }
                        (Disposition::Conflict, _) => prop_assert_eq!(decision.state.status, before.status),
                        (Disposition::Informational, _) => {
                            prop_assert_eq!(decision.state.status, before.status);
                        }
                        _ => {}
                    }
                    if before.status == Cancelled {
                        prop_assert_eq!(decision.state.status, Cancelled);
                    }
                }
                Act::Retract(which) => {
                    let seq = 2 + i64::try_from(which % (desk.log.len() + 1)).unwrap();
                    desk.retract(seq);
                }
            }
            let steps = desk.ledger().steps();
            prop_assert!(is_legal(&steps), "{steps:?}");
            let state = desk.state;
            let last = steps.last().map_or(Fact::Status(Created), |step| step.fact);
            prop_assert_eq!(Fact::Status(state.status), last);
            prop_assert_eq!(state.before_exception.is_some(), state.status == Exception);
            prop_assert_ne!(state.before_exception, Some(Exception));
            prop_assert!(state.delay.is_none() || !state.status.is_terminal());
            prop_assert!(state.newest_applied <= state.newest_seen);
        }
    }

    /// Every event tells the state after it: a reader that takes the last one, one that reads the log from its start,
    /// and the writer agree at every position.
    #[test]
    fn a_replay_of_the_log_is_the_projection(acts in acts()) {
        let mut desk = Desk::new();
        for act in acts {
            match act {
                Act::Report(report) => drop(desk.record(report)),
                Act::Retract(which) => desk.retract(2 + i64::try_from(which % (desk.log.len() + 1)).unwrap()),
            }
            prop_assert_eq!(desk.ledger().state(), desk.state);
            prop_assert_eq!(Ledger::of(desk.kept.iter().copied()).state(), desk.state);
            if let Some((_, told)) = desk.log.last() {
                prop_assert_eq!(*told, desk.state);
            }
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
        let once = desk(&scans);
        let twice: Vec<Report> = scans.iter().flat_map(|scan| [*scan, *scan]).collect();
        prop_assert_eq!(desk(&twice).state, once.state);
    }

    #[test]
    fn what_is_taken_back_might_never_have_come(scans in observations(), which in any::<usize>()) {
        let which = which % scans.len();
        let mut rest = scans.clone();
        rest.remove(which);
        let mut desk_with = desk(&scans);
        desk_with.retract(2 + i64::try_from(which).unwrap());
        prop_assert_eq!(desk_with.state, desk(&rest).state);
    }
}
