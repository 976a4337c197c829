//! What happens between departure and arrival: the minutes by which a shipment loses or gains on its promise under way.
//!
//! A sum of effects, see [`Effect`]: what is usual on the lane, the route and so on, what it was lately, how long the way and
//! how tight the promise is, and the hours of departure and arrival.

use chrono::{DateTime, TimeDelta, Timelike as _, Utc};
use serde::{Deserialize, Serialize};

use crate::effect::{Effect, Habit};
use crate::history::{History, Surroundings};
use crate::scope::Level;

/// An error beyond this counts as this much: what went badly wrong once is not usual, and half of all errors are smaller.
const LONGEST_ERROR: f64 = 15.0;
/// Variance of what no effect explains, in square minutes.
const NOISE: f64 = 225.0;
/// Planned minutes of a journey of usual length, and those that make one unit of it.
const LENGTH: (f64, f64) = (200.0, 100.0);
/// Minutes of slack that make a unit, and the most that count.
const SLACK: (f64, f64) = (10.0, 60.0);

/// How a shipment left.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Departure {
    /// Minutes by which it left after its plan.
    pub delay: f64,
    /// Minutes from planned departure to promised arrival.
    pub planned: f64,
    /// When it left.
    pub at: DateTime<Utc>,
}

impl Departure {
    fn promised_arrival_hour(&self) -> u32 {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "journeys take days; the cast saturates"
        )]
        let rest = TimeDelta::try_minutes((self.planned - self.delay) as i64).unwrap_or_default();
        self.at.checked_add_signed(rest).unwrap_or(self.at).hour()
    }
}

/// What an effect depends on, beside its scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// Nothing: it is always so.
    Usual,
    /// Nothing, but it passes within days.
    Lately,
    /// Nothing, but it passes within hours.
    Now,
    /// The length of the journey: these days all go slower, in proportion to their way.
    Length,
    /// How much time the promise leaves, compared with others on the lane.
    Slack,
    /// The hour of the day at departure.
    DepartureHour,
    /// The hour of the day of the promised arrival.
    ArrivalHour,
}

/// The effects that are told apart.
struct Term {
    level: Level,
    cause: Cause,
    habit: Habit,
}

const fn term(level: Level, cause: Cause, spread: f64, memory: f64) -> Term {
    Term {
        level,
        cause,
        habit: Habit { spread, memory },
    }
}

/// Hours after which what is usual is mostly forgotten: a season.
const SEASON: f64 = 125.0 * 24.0;
/// The same of what depends on the hour: the clock change moves it.
const HOURS_OF_DAY: f64 = 62.0 * 24.0;
/// Spreads and memories were chosen by the errors of March to September 2013 (`make backtest`); none of them is delicate.
const TERMS: [Term; 14] = [
    term(Level::Lane, Cause::Usual, 4.0, SEASON),
    term(Level::Lane, Cause::Lately, 3.0, 48.0),
    term(Level::Route, Cause::Usual, 5.0, SEASON),
    term(Level::Route, Cause::Lately, 4.0, 24.0),
    term(Level::Destination, Cause::Usual, 5.0, SEASON),
    term(Level::Destination, Cause::Lately, 3.0, 72.0),
    term(Level::Destination, Cause::Now, 4.0, 8.0),
    term(Level::Destination, Cause::ArrivalHour, 3.0, HOURS_OF_DAY),
    term(Level::Carrier, Cause::Usual, 3.0, SEASON),
    term(Level::Origin, Cause::Now, 6.0, 3.0),
    term(Level::Origin, Cause::DepartureHour, 3.0, HOURS_OF_DAY),
    term(Level::Overall, Cause::Usual, 8.0, SEASON),
    term(Level::Overall, Cause::Length, 2.0, 48.0),
    term(Level::Overall, Cause::Slack, 5.0, SEASON),
];

/// The effects of one scope: at most one for each cause and class.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Effects(Vec<Part>);

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Part {
    cause: Cause,
    /// The hour, where the cause is one.
    #[serde(default, skip_serializing_if = "is_zero")]
    class: u8,
    #[serde(flatten)]
    effect: Effect,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
const fn is_zero(class: &u8) -> bool {
    *class == 0
}

impl Effects {
    fn get(&self, cause: Cause, class: u8) -> Effect {
        self.0
            .iter()
            .find(|part| (part.cause, part.class) == (cause, class))
            .map_or(Effect::UNKNOWN, |part| part.effect)
    }

    fn set(&mut self, cause: Cause, class: u8, effect: Effect) {
        match self
            .0
            .iter_mut()
            .find(|part| (part.cause, part.class) == (cause, class))
        {
            Some(part) => part.effect = effect,
            None => self.0.push(Part { cause, class, effect }),
        }
    }
}

/// Which effect of a cause a departure has, and what it is multiplied with.
fn class_and_factor(cause: Cause, departure: &Departure, lane: &History) -> (u8, f64) {
    match cause {
        Cause::Usual | Cause::Lately | Cause::Now => (0, 1.0),
        Cause::Length => (0, (departure.planned - LENGTH.0) / LENGTH.1),
        Cause::Slack if lane.planned.count == 0 => (0, 0.0),
        Cause::Slack => {
            let more = (departure.planned - lane.planned.mean).clamp(-SLACK.1, SLACK.1);
            (0, more / SLACK.0)
        }
        Cause::DepartureHour => (hour(departure.at.hour()), 1.0),
        Cause::ArrivalHour => (hour(departure.promised_arrival_hour()), 1.0),
    }
}

fn hour(of_day: u32) -> u8 {
    u8::try_from(of_day).unwrap_or_default()
}

/// The minutes that a shipment with this departure is going to lose until it arrives; negative when it gains some.
#[must_use]
pub fn expected_loss(around: &Surroundings<'_>, departure: &Departure, now: DateTime<Utc>) -> f64 {
    around
        .terms(departure, now)
        .map(|one| one.effect.mean * one.factor)
        .sum()
}

/// An effect of a departure at one time.
struct Addend {
    term: &'static Term,
    class: u8,
    factor: f64,
    effect: Effect,
}

impl Surroundings<'_> {
    fn terms(&self, departure: &Departure, now: DateTime<Utc>) -> impl Iterator<Item = Addend> {
        TERMS.iter().map(move |term| {
            let (class, factor) = class_and_factor(term.cause, departure, self.at(Level::Lane));
            let known = self.at(term.level).effects.get(term.cause, class);
            Addend {
                term,
                class,
                factor,
                effect: known.at(term.habit, now),
            }
        })
    }
}

/// What an arrival teaches of the way.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Corrections(Vec<(Level, Cause, u8, Effect)>);

impl Corrections {
    /// Shares the error out that an estimate made now would have: `loss` are the minutes that were really lost.
    #[must_use]
    pub fn of(around: &Surroundings<'_>, departure: &Departure, loss: f64, now: DateTime<Utc>) -> Self {
        let addends: Vec<Addend> = around.terms(departure, now).collect();
        let expected: f64 = addends.iter().map(|one| one.effect.mean * one.factor).sum();
        let error = (loss - expected).clamp(-LONGEST_ERROR, LONGEST_ERROR);
        let known = addends
            .iter()
            .map(|one| one.effect.variance(one.term.habit, one.factor));
        let variance = NOISE + known.sum::<f64>();
        let corrected = addends.iter().map(|one| {
            let effect = one.effect.corrected(one.term.habit, one.factor, error, variance);
            (one.term.level, one.term.cause, one.class, effect)
        });
        Self(corrected.collect())
    }

    /// Writes those of a level into its effects.
    pub fn apply(&self, level: Level, effects: &mut Effects) {
        for (_, cause, class, effect) in self.0.iter().filter(|(of, ..)| *of == level) {
            effects.set(*cause, *class, *effect);
        }
    }
}
