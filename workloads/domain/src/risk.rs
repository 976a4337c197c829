//! The probability that a shipment arrives late, as a sum of reasons.
//!
//! Each reason adds to the log-odds, so that they can be listed with what each contributes, and so that they add up to
//! the score. Shares of few arrivals are shrunk towards wider ones, so that one bad day makes no bad lane.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::history::{
    Counts, ESTIMATE_CLASSES, History, LATE_AFTER_MINUTES, SHRINK_ARRIVALS, Surroundings, departure_class,
    planned_hour,
};
use crate::scope::Level;

/// The share of late arrivals that is assumed before any was seen.
pub const PRIOR_LATE_SHARE: f64 = 0.2;
/// As many arrivals as a route or a carrier needs to count as much as all. More than a lane needs: their effects are
/// added up, and a shipment that is both the first of its route and of its carrier must not count twice.
const SHRINK_WIDE_ARRIVALS: f64 = 50.0;
/// Log-odds per minute by which a promise is tighter than usual on its lane.
const SLACK_PER_MINUTE: f64 = 0.02;
/// Most that an unusual promise may add or take.
const SLACK_LIMIT: f64 = 0.8;
/// Log-odds per minute of delay that are assumed while none of its class has been followed.
const PRIOR_PER_MINUTE: f64 = 0.08;

/// Why a shipment is more or less likely to be late.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reason {
    /// Name of the factor.
    pub factor: String,
    /// What it adds to the log-odds; negative lowers the risk.
    pub contribution: f64,
    /// A sentence for people.
    pub text: String,
}

/// A score and what it is made of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Risk {
    /// Probability of arriving late, between 0 and 1.
    pub probability: f64,
    /// The reasons; their contributions add up to the log-odds of `probability`.
    pub reasons: Vec<Reason>,
}

impl Risk {
    fn of(reasons: Vec<Reason>) -> Self {
        let log_odds = reasons.iter().map(|reason| reason.contribution).sum();
        Self {
            probability: probability_of(log_odds),
            reasons,
        }
    }
}

/// Scores a shipment that is to leave at this time. `planned` are the minutes from then to the promised arrival.
#[must_use]
pub fn at_creation(around: &Surroundings<'_>, departure: DateTime<Utc>, planned: f64) -> Risk {
    let base = base_rate(around.at(Level::Overall));
    let mut reasons = vec![base_reason(around.at(Level::Overall), base)];
    reasons.extend(history_reasons(around, base));
    reasons.extend(hour_reason(around.at(Level::Origin), departure));
    reasons.extend(slack_reason(around.at(Level::Lane), planned));
    Risk::of(reasons)
}

/// Scores a shipment that left `departure_delay` minutes late and is estimated to arrive `estimate` minutes late.
///
/// What its lane, its route and the others say is in the estimate: the reasons part it into what the departure brought and
/// what the way is going to bring.
#[must_use]
pub fn in_transit(around: &Surroundings<'_>, departure_delay: f64, estimate: f64) -> Risk {
    let overall = around.at(Level::Overall);
    let base = base_rate(overall);
    let departure = departure_reason(overall, base, departure_delay);
    let so_far = log_odds_of(base) + departure.contribution;
    let way = way_reason(
        estimate - departure_delay,
        late_log_odds(overall, base, estimate) - so_far,
    );
    Risk::of(vec![base_reason(overall, base), departure, way])
}

/// The shrunken share of late arrivals overall: what lanes are shrunk towards.
#[must_use]
pub fn base_rate(overall: &History) -> f64 {
    overall.counts.late_share(PRIOR_LATE_SHARE, SHRINK_ARRIVALS)
}

fn base_reason(overall: &History, base: f64) -> Reason {
    let text = match overall.counts.arrivals {
        0 => "Nothing has arrived yet; a usual share is assumed.".to_owned(),
        arrivals => format!("Of {arrivals} arrivals so far, {} were late.", percent(base)),
    };
    reason("base_rate", log_odds_of(base), text)
}

/// Route, carrier and lane, each compared with what the wider ones already say.
fn history_reasons(around: &Surroundings<'_>, base: f64) -> Vec<Reason> {
    let mut reasons = Vec::new();
    let mut explained = log_odds_of(base);
    for (factor, what, level, prior, weight) in [
        (
            "route_history",
            "on this route",
            Level::Route,
            Some(base),
            SHRINK_WIDE_ARRIVALS,
        ),
        (
            "carrier_history",
            "with this carrier",
            Level::Carrier,
            Some(base),
            SHRINK_WIDE_ARRIVALS,
        ),
        ("lane_history", "on this lane", Level::Lane, None, SHRINK_ARRIVALS),
    ] {
        let counts = around.at(level).counts;
        let Counts { arrivals, late } = counts;
        if arrivals == 0 {
            continue;
        }
        let prior = prior.unwrap_or_else(|| probability_of(explained));
        let share = counts.late_share(prior, weight);
        let contribution = log_odds_of(share) - log_odds_of(prior);
        explained += contribution;
        let text = format!("{late} of {arrivals} arrivals {what} were late.");
        reasons.push(reason(factor, contribution, text));
    }
    reasons
}

/// The hour of departure, compared with all that left the same origin.
fn hour_reason(origin: &History, departure: DateTime<Utc>) -> Option<Reason> {
    let hour = planned_hour(departure);
    let counts = *origin.hours.get(hour)?;
    if counts.arrivals == 0 {
        return None;
    }
    let usual = origin.counts.late_share(PRIOR_LATE_SHARE, SHRINK_ARRIVALS);
    let share = counts.late_share(usual, SHRINK_WIDE_ARRIVALS);
    let Counts { arrivals, late } = counts;
    let text = format!(
        "{late} of {arrivals} arrivals that left here in this hour of the day ({hour}:00 UTC) were late."
    );
    Some(reason(
        "departure_hour",
        log_odds_of(share) - log_odds_of(usual),
        text,
    ))
}

fn slack_reason(lane: &History, planned: f64) -> Option<Reason> {
    let difference = planned - lane.planned.mean;
    if lane.planned.count == 0 || difference.abs() < 1.0 {
        return None;
    }
    let confidence = f64::from(lane.planned.count) / (f64::from(lane.planned.count) + SHRINK_ARRIVALS);
    let contribution = (-difference * SLACK_PER_MINUTE * confidence).clamp(-SLACK_LIMIT, SLACK_LIMIT);
    let (minutes, word) = (difference.abs(), if difference < 0.0 { "less" } else { "more" });
    let text = format!("The promise leaves {minutes:.0} minutes {word} than usual on this lane.");
    Some(reason("promised_slack", contribution, text))
}

fn departure_reason(overall: &History, base: f64, delay: f64) -> Reason {
    let class = departure_class(delay);
    let assumed = log_odds_of(base) + assumed_log_odds(delay);
    let share = overall.departures[class].late_share(probability_of(assumed), SHRINK_ARRIVALS);
    let contribution = log_odds_of(share) - log_odds_of(base);
    let left = match delay {
        d if d >= 0.5 => format!("It left {d:.0} minutes late"),
        d if d <= -0.5 => format!("It left {:.0} minutes early", -d),
        _ => "It left on time".to_owned(),
    };
    let text = format!("{left}; of such departures {} arrived late.", percent(share));
    reason("departure_delay", contribution, text)
}

fn way_reason(loss: f64, contribution: f64) -> Reason {
    let expected = match loss {
        l if l >= 0.5 => format!("lose {l:.0} minutes"),
        l if l <= -0.5 => format!("gain {:.0} minutes", -l),
        _ => "keep to its plan".to_owned(),
    };
    let text = format!("Under way it is expected to {expected}.");
    reason("expected_loss", contribution, text)
}

/// The log-odds of being late with this estimated delay: those that such estimates had before, read between the middles of
/// their classes.
fn late_log_odds(overall: &History, base: f64, estimate: f64) -> f64 {
    let last = ESTIMATE_CLASSES.len();
    let next = (0..=last)
        .find(|class| estimate <= middle(*class))
        .unwrap_or(last)
        .max(1);
    let (low, high) = (middle(next - 1), middle(next));
    let part = ((estimate - low) / (high - low)).clamp(0.0, 1.0);
    let log_odds = |class| class_log_odds(overall, base, class);
    log_odds(next - 1) * (1.0 - part) + log_odds(next) * part
}

/// The middle of a class of estimates, in minutes; the two outer ones are as wide as their neighbours.
fn middle(class: usize) -> f64 {
    let last = ESTIMATE_CLASSES.len();
    match class {
        0 => ESTIMATE_CLASSES[0] - (ESTIMATE_CLASSES[1] - ESTIMATE_CLASSES[0]) / 2.0,
        outer if outer >= last => {
            ESTIMATE_CLASSES[last - 1] + (ESTIMATE_CLASSES[last - 1] - ESTIMATE_CLASSES[last - 2]) / 2.0
        }
        inner => f64::midpoint(ESTIMATE_CLASSES[inner - 1], ESTIMATE_CLASSES[inner]),
    }
}

fn class_log_odds(overall: &History, base: f64, class: usize) -> f64 {
    let assumed = log_odds_of(base) + assumed_log_odds(middle(class));
    let share = overall.estimates[class].late_share(probability_of(assumed), SHRINK_ARRIVALS);
    log_odds_of(share)
}

/// What minutes of delay add to the log-odds while nothing has been learned of such delays.
fn assumed_log_odds(delay: f64) -> f64 {
    PRIOR_PER_MINUTE * (delay - LATE_AFTER_MINUTES / 2.0).clamp(-20.0, 60.0)
}

fn reason(factor: &str, contribution: f64, text: String) -> Reason {
    Reason {
        factor: factor.to_owned(),
        contribution,
        text,
    }
}

fn percent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}

fn log_odds_of(probability: f64) -> f64 {
    let p = probability.clamp(0.001, 0.999);
    (p / (1.0 - p)).ln()
}

fn probability_of(log_odds: f64) -> f64 {
    1.0 / (1.0 + (-log_odds).exp())
}
