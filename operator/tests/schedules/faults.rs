//! What goes wrong with a request, and with a watch.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::dice::Dice;

/// What happens to a request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Fault {
    /// It is answered.
    None,
    /// It is refused with 409 and nothing is done.
    Conflict,
    /// It is refused with 429 and seconds to wait; as the API server's flow control answers, or as a `Status`.
    TooMany(u64, bool),
    /// It is refused with 500 or 503.
    ServerError(u16),
    /// The connection breaks before.
    Cut,
    /// It is done, and the connection breaks before the answer.
    Lost,
    /// It is done after a while, and answered.
    Slow(Duration),
    /// It is done, and answered after a while.
    Late(Duration),
    /// It is done after a while, and never answered.
    Ghost(Duration),
}

/// What happens to a watch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum WatchFault {
    /// Nothing.
    None,
    /// It ends after so many events.
    End(usize),
    /// Its connection breaks after so many events.
    Break(usize),
    /// It is told 410 after so many events.
    Gone(usize),
    /// Nothing comes any more after so many events, but it stays open.
    Stall(usize),
    /// Each event comes later than it happened.
    Lag(Duration),
    /// Some events come twice.
    Twice,
}

/// How faults are spread: of a thousand requests so many meet each.
#[derive(Clone, Debug)]
pub(crate) struct Weather {
    /// The name in the trace.
    pub name: &'static str,
    conflict: usize,
    too_many: usize,
    server_error: usize,
    cut: usize,
    lost: usize,
    slow: usize,
    watches: usize,
    /// Most objects of a page, so that lists have several.
    pub page_size: usize,
}

impl Weather {
    /// One of several kinds of weather.
    pub(crate) fn of(dice: &mut Dice) -> Self {
        let calm = Self {
            name: "calm",
            conflict: 0,
            too_many: 0,
            server_error: 0,
            cut: 0,
            lost: 0,
            slow: 0,
            watches: 0,
            page_size: 500,
        };
        let some = |rate: usize| Self {
            name: "mixed",
            conflict: rate,
            too_many: rate,
            server_error: rate,
            cut: rate,
            lost: rate,
            slow: rate,
            watches: rate * 10,
            page_size: 4,
        };
        match dice.below(12) {
            0 => calm,
            1 => Self {
                name: "conflicts",
                conflict: 250,
                ..calm
            },
            2 => Self {
                name: "throttled",
                too_many: 200,
                ..calm
            },
            3 => Self {
                name: "server errors",
                server_error: 250,
                ..calm
            },
            4 => Self {
                name: "cut",
                cut: 250,
                ..calm
            },
            5 => Self {
                name: "lost answers",
                lost: 250,
                ..calm
            },
            6 => Self {
                name: "slow",
                slow: 250,
                ..calm
            },
            7 => Self {
                name: "watches",
                watches: 700,
                page_size: 3,
                ..calm
            },
            8 => Self {
                name: "watches and lost answers",
                watches: 400,
                lost: 100,
                page_size: 5,
                ..calm
            },
            9 => some(10),
            10 => some(30),
            _ => some(80),
        }
    }
}

/// The faults of a schedule. What a request meets depends on the seed, on what it is, and on how many like it there were
/// before: not on the order of requests that are under way at the same time.
pub(crate) struct Faults {
    seed: u64,
    /// How they are spread.
    pub weather: Weather,
    until: Instant,
    /// When the Lease cannot be renewed, and what happens then.
    outages: Vec<(Range<Instant>, Fault)>,
    counts: Mutex<BTreeMap<String, u64>>,
}

/// Some times in which the Lease cannot be renewed, most of them longer than it holds.
fn outages(dice: &mut Dice, until: Instant) -> Vec<(Range<Instant>, Fault)> {
    let now = Instant::now();
    let all = usize::try_from(until.saturating_duration_since(now).as_millis()).unwrap_or(usize::MAX);
    (0..dice.below(4))
        .map(|_| {
            let start = now + dice.millis(0, all);
            let end = start + dice.millis(4000, 30_000);
            let fault = match dice.below(3) {
                0 => Fault::Cut,
                1 => Fault::ServerError(503),
                _ => Fault::Lost,
            };
            (start..end, fault)
        })
        .collect()
}

impl Faults {
    /// Faults until a time.
    pub(crate) fn new(seed: u64, until: Instant) -> Self {
        Self {
            seed,
            weather: Weather::of(&mut Dice::new(seed, "weather")),
            until,
            outages: outages(&mut Dice::new(seed, "outages"), until),
            counts: Mutex::default(),
        }
    }

    /// When the last fault is over.
    pub(crate) const fn until(&self) -> Instant {
        self.until
    }

    /// Whether the last fault is over.
    pub(crate) fn over(&self) -> bool {
        Instant::now() >= self.until
    }

    /// Dice for the next request of a kind.
    pub(crate) fn dice(&self, what: &str) -> Dice {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(what.to_owned()).or_default();
        *count += 1;
        Dice::new(self.seed, (what, *count))
    }

    /// What a request meets.
    pub(crate) fn request(&self, what: &str, is_write: bool) -> Fault {
        let now = Instant::now();
        if now >= self.until {
            return Fault::None;
        }
        if what.contains(" leases ")
            && let Some((_, fault)) = self.outages.iter().find(|(time, _)| time.contains(&now))
        {
            return *fault;
        }
        let mut dice = self.dice(what);
        let weather = &self.weather;
        if is_write && dice.per_mille(weather.conflict) {
            return Fault::Conflict;
        }
        if dice.per_mille(weather.too_many) {
            return Fault::TooMany(1 + dice.below(20) as u64, dice.per_mille(500));
        }
        if dice.per_mille(weather.server_error) {
            return Fault::ServerError(if dice.per_mille(500) { 500 } else { 503 });
        }
        if dice.per_mille(weather.cut) {
            return Fault::Cut;
        }
        if is_write && dice.per_mille(weather.lost) {
            return Fault::Lost;
        }
        if dice.per_mille(weather.slow) {
            return match dice.below(4) {
                0 => Fault::Slow(dice.millis(100, 9000)),
                1 => Fault::Late(dice.millis(100, 9000)),
                // Longer than the operator waits.
                2 => Fault::Late(dice.millis(10_000, 20_000)),
                _ if is_write => Fault::Ghost(dice.millis(100, 30_000)),
                _ => Fault::Slow(dice.millis(100, 4000)),
            };
        }
        Fault::None
    }

    /// What a watch meets.
    pub(crate) fn watch(&self, what: &str) -> WatchFault {
        if self.over() {
            return WatchFault::None;
        }
        let mut dice = self.dice(what);
        if !dice.per_mille(self.weather.watches) {
            return WatchFault::None;
        }
        let after = dice.below(6);
        match dice.below(6) {
            0 => WatchFault::End(after),
            1 => WatchFault::Break(after),
            2 => WatchFault::Gone(after),
            3 => WatchFault::Stall(after),
            4 => WatchFault::Lag(dice.millis(50, 4000)),
            _ => WatchFault::Twice,
        }
    }
}
