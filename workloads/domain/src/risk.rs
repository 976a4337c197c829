//! The probability that a shipment arrives late, as a sum of reasons.
//!
//! Each reason adds to the log-odds, so that they can be listed with what each contributes, and so that they add up to
//! the score. Shares of few arrivals are shrunk towards wider ones, so that one bad day makes no bad lane.

use serde::{Deserialize, Serialize};

use crate::history::{Counts, History, LATE_AFTER_MINUTES, SHRINK_ARRIVALS, Surroundings, departure_class};

/// The share of late arrivals that is assumed before any was seen.
pub const PRIOR_LATE_SHARE: f64 = 0.2;
/// As many arrivals as a route or a carrier needs to count as much as all. More than a lane needs: their effects are
/// added up, and a shipment that is both the first of its route and of its carrier must not count twice.
const SHRINK_WIDE_ARRIVALS: f64 = 50.0;
/// Log-odds per minute by which a promise is tighter than usual on its lane.
const SLACK_PER_MINUTE: f64 = 0.02;
/// Most that an unusual promise may add or take.
const SLACK_LIMIT: f64 = 0.8;
/// Once it is known how late a shipment left, this much of what history adds still counts: the rest is already in the
/// departure.
const HISTORY_AFTER_DEPARTURE: f64 = 0.4;
/// Log-odds per minute of departure delay that are assumed while no departure of its class has been followed.
const PRIOR_PER_DEPARTURE_MINUTE: f64 = 0.08;

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

/// Scores a shipment. `planned` is the time from planned departure to promised arrival, `departure_delay` how late it
/// left, once that is known; both in minutes.
#[must_use]
pub fn assess(around: &Surroundings<'_>, planned: f64, departure_delay: Option<f64>) -> Risk {
    let base = base_rate(around.overall);
    let mut reasons = history_reasons(around, base);
    reasons.extend(slack_reason(around.lane, planned));
    if let Some(delay) = departure_delay {
        for reason in &mut reasons {
            reason.contribution *= HISTORY_AFTER_DEPARTURE;
        }
        reasons.push(departure_reason(around.overall, base, delay));
    }
    reasons.insert(0, base_reason(around.overall, base));
    let log_odds = reasons.iter().map(|reason| reason.contribution).sum();
    Risk {
        probability: probability_of(log_odds),
        reasons,
    }
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
    for (factor, what, scope, prior, weight) in [
        (
            "route_history",
            "on this route",
            around.route,
            Some(base),
            SHRINK_WIDE_ARRIVALS,
        ),
        (
            "carrier_history",
            "with this carrier",
            around.carrier,
            Some(base),
            SHRINK_WIDE_ARRIVALS,
        ),
        ("lane_history", "on this lane", around.lane, None, SHRINK_ARRIVALS),
    ] {
        let Counts { arrivals, late } = scope.counts;
        if arrivals == 0 {
            continue;
        }
        let prior = prior.unwrap_or_else(|| probability_of(explained));
        let share = scope.counts.late_share(prior, weight);
        let contribution = log_odds_of(share) - log_odds_of(prior);
        explained += contribution;
        let text = format!("{late} of {arrivals} arrivals {what} were late.");
        reasons.push(reason(factor, contribution, text));
    }
    reasons
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
    let assumed = log_odds_of(base)
        + PRIOR_PER_DEPARTURE_MINUTE * (delay - LATE_AFTER_MINUTES / 2.0).clamp(-20.0, 60.0);
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
