//! A shipment as a service keeps it, and what holds whatever is said of it. The property tests and the fuzz target `ledger`
//! share it.

use chrono::DateTime;
use logistics_domain::ledger::{Decision, Entry, Fact, Ledger, Recorded, Report, State};
use logistics_domain::status::Status::{Cancelled, Created, Exception};
use logistics_domain::status::{Classifier, Disposition, Kind};

/// A shipment as a service keeps it: the state is decided alone where that is possible, and read from all that was said
/// otherwise.
#[derive(Clone, Debug)]
pub(crate) struct Desk {
    pub(crate) state: State,
    seq: i64,
    /// The log: what was reported, or the position of what was taken back; and the state that the event told.
    pub(crate) log: Vec<(Happening, State)>,
    /// The same as a service keeps it, positions standing for ids.
    kept: Vec<Recorded<i64>>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Happening {
    Report(Report),
    Retraction(i64),
}

impl Desk {
    pub(crate) const fn new() -> Self {
        Self {
            state: State::CREATED,
            seq: 1,
            log: Vec::new(),
            kept: Vec::new(),
        }
    }

    /// What the log says, without a look at the states in it.
    pub(crate) fn ledger(&self) -> Ledger {
        let mut ledger = Ledger::new();
        for ((happening, _), seq) in self.log.iter().zip(2..) {
            match happening {
                Happening::Report(report) => drop(ledger.decide(seq, report)),
                Happening::Retraction(seq) => drop(ledger.retract(*seq)),
            }
        }
        ledger
    }

    pub(crate) fn record(&mut self, report: Report) -> Decision {
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

    pub(crate) fn retract(&mut self, seq: i64) {
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
                occurred_at: DateTime::UNIX_EPOCH,
                notice: None,
                retracts: Some(seq),
            });
        }
    }

    /// Takes an act, and looks at what has to hold after whichever.
    pub(crate) fn take(&mut self, act: Act) {
        let before = self.state;
        match act {
            Act::Report(report) => {
                let decision = self.record(report);
                assert_right(before, report, decision);
            }
            Act::Retract(which) => {
                let which = which % (self.log.len() + 1);
                self.retract(2 + i64::try_from(which).unwrap_or_default());
            }
        }
        let state = self.state;
        let steps = self.ledger().steps();
        assert!(is_legal(&steps), "{steps:?}");
        let last = steps.last().map_or(Fact::Status(Created), |step| step.fact);
        assert_eq!(Fact::Status(state.status), last);
        assert_eq!(state.before_exception.is_some(), state.status == Exception);
        assert_ne!(state.before_exception, Some(Exception));
        assert!(state.delay.is_none() || !state.status.is_terminal());
        assert!(state.newest_applied <= state.newest_seen);
        // A reader that takes the last event, one that reads the log from its start, and the writer agree.
        assert_eq!(self.ledger().state(), state);
        assert_eq!(Ledger::of(self.kept.iter().copied()).state(), state);
        if let Some((_, told)) = self.log.last() {
            assert_eq!(*told, state);
        }
    }
}

/// What may come in, in any order.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Act {
    Report(Report),
    /// Takes back one of the events so far.
    Retract(usize),
}

/// Whether a decision does what it says.
fn assert_right(before: State, report: Report, decision: Decision) {
    match (decision.disposition, report.fact) {
        (Disposition::Applied, Fact::Status(status)) => {
            assert_eq!(decision.state.status, status);
            assert_eq!(decision.state.newest_applied, Some(report.occurred_at));
            if before
                .newest_seen
                .is_none_or(|newest| report.occurred_at > newest)
            {
                assert!(before.allows(status), "{before:?} -> {status}");
            }
        }
        (Disposition::Conflict | Disposition::Informational, _) => {
            assert_eq!(decision.state.status, before.status);
        }
        _ => {}
    }
    if before.status == Cancelled {
        assert_eq!(decision.state.status, Cancelled);
    }
}

/// Whether each step that counts was legal from the one before.
pub(crate) fn is_legal(steps: &[Entry]) -> bool {
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

pub(crate) fn desk(reports: &[Report]) -> Desk {
    let mut desk = Desk::new();
    for report in reports {
        desk.record(*report);
    }
    desk
}

/// Scans that came twice are as if they had come once.
pub(crate) fn repeated_is_once(scans: &[Report]) {
    let twice: Vec<Report> = scans.iter().flat_map(|scan| [*scan, *scan]).collect();
    assert_eq!(desk(&twice).state, desk(scans).state);
}

/// What is taken back might never have come.
pub(crate) fn retracted_is_never_come(scans: &[Report], which: usize) {
    let which = which % scans.len();
    let mut rest = scans.to_vec();
    rest.remove(which);
    let mut taken_back = desk(scans);
    taken_back.retract(2 + i64::try_from(which).unwrap_or_default());
    assert_eq!(taken_back.state, desk(&rest).state);
}
