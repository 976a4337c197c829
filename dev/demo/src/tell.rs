//! What the demo says while it runs, on standard error.

use std::cell::Cell;
use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use dev_flights::Leg;
use dev_flights::story::Totals;

use crate::platform::Condition;
use crate::report::Place;
use crate::run::Options;

/// Between two lines of progress; a log is not to be flooded.
const PAUSE: Duration = Duration::from_secs(5);
const PAUSE_ON_TERMINAL: Duration = Duration::from_millis(200);
/// A condition's message may be long; `kubectl describe` has it whole.
const LONGEST_LINE: usize = 160;

pub(crate) fn input(legs: &[Leg], totals: &Totals) {
    if let (Some(first), Some(last)) = (legs.first(), legs.last()) {
        eprintln!(
            "• input: {} flight legs, {} to {}: {} events, {} arrivals, {} cancelled",
            totals.shipments,
            first.planned_departure.format("%Y-%m-%d %H:%M"),
            last.planned_departure.format("%Y-%m-%d %H:%M UTC"),
            totals.events,
            totals.arrivals,
            totals.cancelled
        );
    }
}

pub(crate) fn applied(options: &Options) {
    eprintln!(
        "• applied LogisticsPlatform {}/{}; waiting for Ready",
        options.namespace, options.platform
    );
}

pub(crate) fn condition(waited: Duration, condition: &Condition) {
    let text = condition.to_string();
    let mut line: String = text.chars().take(LONGEST_LINE).collect();
    if line.len() < text.len() {
        line.push('…');
    }
    eprintln!("  {:>5.1} s  {line}", waited.as_secs_f64());
}

pub(crate) fn ready(waited: Duration) {
    eprintln!("• the platform is Ready after {:.1} s", waited.as_secs_f64());
}

pub(crate) fn sending(account: &str, options: &Options) {
    eprintln!(
        "• sending as account {account}: {} calls at once over {} connections",
        options.concurrency, options.connections
    );
}

pub(crate) fn settling(places: &[Place], totals: &Totals) {
    let counts: Vec<String> = places
        .iter()
        .map(|place| {
            format!(
                "{} {} of {} events",
                place.name, place.count.events, totals.events
            )
        })
        .collect();
    eprintln!("• seen: {}", counts.join(", "));
}

/// Progress of the sending: a line now and then, on a terminal always the same one.
pub(crate) struct Progress {
    last: Cell<Option<Instant>>,
    terminal: bool,
}

impl Default for Progress {
    fn default() -> Self {
        Self {
            last: Cell::new(None),
            terminal: std::io::stderr().is_terminal(),
        }
    }
}

impl Progress {
    pub(crate) fn teller(self) -> impl Fn(u64, u64) {
        move |done, total| {
            let end = done == total;
            let pause = if self.terminal { PAUSE_ON_TERMINAL } else { PAUSE };
            if !end && self.last.get().is_some_and(|last| last.elapsed() < pause) {
                return;
            }
            self.last.set(Some(Instant::now()));
            let (start, stop) = if self.terminal {
                ("\r", if end { "\n" } else { "" })
            } else {
                ("", "\n")
            };
            eprint!("{start}  {done} of {total} calls acknowledged{stop}");
        }
    }
}
