//! What the backtest found: the models next to what one knows without them, over the last months of the year.

use std::fmt;

use serde::Serialize;

use crate::replay::{Flown, Foretold};
use crate::score::{Case, Score, mean, quantile, share, sorted};

/// The last month that only teaches.
pub const TRAIN_UNTIL: u32 = 8;
/// The month from which the intervals of what knows no model are taken.
pub const CALIBRATE: u32 = 9;
/// The first month that counts.
pub const TEST_FROM: u32 = 10;
/// Classes of risk in the table of reliability.
const RISK_CLASSES: usize = 10;

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forecast {
    /// The carrier's promise.
    Promise,
    /// The service's estimate when the shipment is ordered.
    AtCreation,
    /// The delay with which it left.
    DepartureDelay,
    /// The service's estimate when it has left.
    InTransit,
}

impl Forecast {
    /// All, as the report lists them.
    pub const ALL: [Self; 4] = [
        Self::Promise,
        Self::AtCreation,
        Self::DepartureDelay,
        Self::InTransit,
    ];

    /// How it is called.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Promise => "at creation: the promise",
            Self::AtCreation => "at creation: the service",
            Self::DepartureDelay => "in transit: the delay at departure",
            Self::InTransit => "in transit: the service",
        }
    }

    /// The estimated delay, in minutes.
    #[must_use]
    pub const fn estimate(self, flown: &Flown) -> f64 {
        match self {
            Self::Promise => 0.0,
            Self::DepartureDelay => flown.departure_delay,
            Self::AtCreation => flown.at_creation.estimate.delay,
            Self::InTransit => flown.in_transit.estimate.delay,
        }
    }

    const fn foretold(self, flown: &Flown) -> Option<Foretold> {
        match self {
            Self::Promise | Self::DepartureDelay => None,
            Self::AtCreation => Some(flown.at_creation),
            Self::InTransit => Some(flown.in_transit),
        }
    }

    /// What it says of each leg; those without a model have an interval of this reach.
    fn case(self, flown: &Flown, reach: f64) -> Case {
        let estimate = self.estimate(flown);
        let foretold = self.foretold(flown);
        Case {
            estimate,
            interval: foretold.map_or((estimate - reach, estimate + reach), |foretold| {
                (foretold.estimate.low, foretold.estimate.high)
            }),
            risk: foretold.map_or(estimate, |foretold| foretold.risk),
            actual: flown.delay,
            late: flown.is_late(),
        }
    }

    /// All cases of the months from [`TEST_FROM`] on.
    #[must_use]
    pub fn cases(self, flown: &[Flown]) -> Vec<Case> {
        let errors = flown
            .iter()
            .filter(|one| one.month == CALIBRATE)
            .map(|one| (one.delay - self.estimate(one)).abs());
        let reach = quantile(&sorted(errors), logistics_domain::history::COVERAGE);
        flown
            .iter()
            .filter(|one| one.month >= TEST_FROM)
            .map(|one| self.case(one, reach))
            .collect()
    }
}

/// A line of the report.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Row {
    /// What foretold.
    pub forecast: &'static str,
    /// How good it was.
    #[serde(flatten)]
    pub score: Score,
}

/// How often shipments of about the same risk were late.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Reliability {
    /// Shipments.
    pub shipments: usize,
    /// Mean of the foretold probabilities.
    pub foretold: f64,
    /// The share that was late.
    pub late: f64,
}

/// Something that was promised of the models.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Target {
    /// What.
    pub what: &'static str,
    /// Lowest and highest allowed value.
    pub between: (f64, f64),
    /// The value.
    pub measured: f64,
    /// Whether it is within.
    pub met: bool,
}

/// What the backtest found.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Legs in the data.
    pub legs: usize,
    /// Of these arrived.
    pub arrivals: usize,
    /// Each forecast over the months that count.
    pub forecasts: Vec<Row>,
    /// The risk in transit, in tenths of the shipments.
    pub risk_in_transit: Vec<Reliability>,
    /// What was promised.
    pub targets: Vec<Target>,
}

impl Report {
    /// Scores what was foretold of `flown`, which are those of `legs` that arrived.
    #[must_use]
    pub fn of(legs: usize, flown: &[Flown]) -> Self {
        let forecasts: Vec<Row> = Forecast::ALL
            .into_iter()
            .map(|forecast| Row {
                forecast: forecast.name(),
                score: Score::of(&forecast.cases(flown)),
            })
            .collect();
        let in_transit = Forecast::InTransit.cases(flown);
        Self {
            legs,
            arrivals: flown.len(),
            targets: targets(&Score::of(&in_transit)),
            risk_in_transit: reliability(&in_transit),
            forecasts,
        }
    }
}

fn targets(score: &Score) -> Vec<Target> {
    let target = |what, between: (f64, f64), measured| Target {
        what,
        between,
        measured,
        met: (between.0..=between.1).contains(&measured),
    };
    vec![
        target(
            "mean absolute error in transit, minutes",
            (0.0, 11.5),
            score.mae_minutes,
        ),
        target("the same, further goal", (0.0, 10.5), score.mae_minutes),
        target("share within the 90 % interval", (0.89, 0.91), score.coverage),
        target("area under the curve of late ones", (0.885, 1.0), score.late_auc),
    ]
}

/// Cases by risk, in equal parts.
#[must_use]
pub fn reliability(cases: &[Case]) -> Vec<Reliability> {
    let mut sorted = cases.to_vec();
    sorted.sort_by(|one, other| one.risk.total_cmp(&other.risk));
    sorted
        .chunks(sorted.len().div_ceil(RISK_CLASSES).max(1))
        .map(|class| Reliability {
            shipments: class.len(),
            foretold: mean(class, |case| case.risk),
            late: share(class, |case| case.late),
        })
        .collect()
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tested = self.forecasts.first().map_or(0, |row| row.score.arrivals);
        writeln!(
            f,
            "{} legs, {} arrivals; {tested} of them from October to December count\n",
            self.legs, self.arrivals
        )?;
        writeln!(
            f,
            "{:36} {:>9} {:>13} {:>10} {:>9}",
            "", "MAE, min", "90 % interval", "width, min", "late AUC"
        )?;
        for Row { forecast, score } in &self.forecasts {
            writeln!(
                f,
                "{forecast:36} {:>9.2} {:>13.3} {:>10.1} {:>9.3}",
                score.mae_minutes, score.coverage, score.width_minutes, score.late_auc
            )?;
        }
        writeln!(f, "\nrisk in transit, tenths of the shipments")?;
        for one in &self.risk_in_transit {
            let (foretold, late) = (one.foretold * 100.0, one.late * 100.0);
            writeln!(f, "  foretold {foretold:>5.1} %   late {late:>5.1} %")?;
        }
        writeln!(f)?;
        for target in &self.targets {
            let (mark, (low, high)) = (if target.met { "✓" } else { "✗" }, target.between);
            writeln!(
                f,
                "{mark} {}: {:.3} ({low} to {high})",
                target.what, target.measured
            )?;
        }
        Ok(())
    }
}
