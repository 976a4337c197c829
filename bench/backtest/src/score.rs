//! How good a forecast was.

use serde::Serialize;

/// One forecast and what happened, in minutes of delay.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Case {
    /// The estimated delay.
    pub estimate: f64,
    /// The interval around it.
    pub interval: (f64, f64),
    /// What says how likely it is to be late: a probability, or anything that grows with it.
    pub risk: f64,
    /// What happened.
    pub actual: f64,
    /// Whether that is late.
    pub late: bool,
}

impl Case {
    /// How far the estimate was off, in minutes.
    #[must_use]
    pub fn error(&self) -> f64 {
        (self.actual - self.estimate).abs()
    }

    /// Whether the interval held what happened.
    #[must_use]
    pub fn covered(&self) -> bool {
        (self.interval.0..=self.interval.1).contains(&self.actual)
    }
}

/// What many cases come to.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Score {
    /// Cases.
    pub arrivals: usize,
    /// Mean absolute error of the estimate.
    pub mae_minutes: f64,
    /// Share of cases within the interval.
    pub coverage: f64,
    /// Mean width of the interval.
    pub width_minutes: f64,
    /// Of a late and a punctual case, how often the late one had the higher risk (area under the ROC curve).
    pub late_auc: f64,
}

impl Score {
    /// Scores cases.
    #[must_use]
    pub fn of(cases: &[Case]) -> Self {
        Self {
            arrivals: cases.len(),
            mae_minutes: mean(cases, Case::error),
            coverage: share(cases, Case::covered),
            width_minutes: mean(cases, |case| case.interval.1 - case.interval.0),
            late_auc: auc(cases),
        }
    }
}

/// The mean of a value; 0 of none.
pub fn mean<T>(all: &[T], value_of: impl Fn(&T) -> f64) -> f64 {
    all.iter().map(value_of).sum::<f64>() / count(all.len().max(1))
}

/// The share of those that hold.
pub fn share<T>(all: &[T], holds: impl Fn(&T) -> bool) -> f64 {
    count(all.iter().filter(|one| holds(one)).count()) / count(all.len().max(1))
}

/// The value below which the share `q` of all lies, of values in ascending order; 0 of none.
#[must_use]
pub fn quantile(sorted: &[f64], q: f64) -> f64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a rank among the values"
    )]
    let rank = (q * count(sorted.len())).ceil() as usize;
    let last = sorted.len().saturating_sub(1);
    sorted
        .get(rank.saturating_sub(1).min(last))
        .copied()
        .unwrap_or_default()
}

/// Values in ascending order.
pub fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values
}

/// The area under the ROC curve, by ranks; ties count half. One half when all are late, or none.
fn auc(cases: &[Case]) -> f64 {
    let mut ranked: Vec<(f64, bool)> = cases.iter().map(|case| (case.risk, case.late)).collect();
    ranked.sort_by(|one, other| one.0.total_cmp(&other.0));
    let (mut punctual_below, mut late_below, mut pairs) = (0.0, 0.0, 0.0);
    for tied in ranked.chunk_by(|one, other| one.0.total_cmp(&other.0).is_eq()) {
        let late = count(tied.iter().filter(|(_, late)| *late).count());
        let punctual = count(tied.len()) - late;
        pairs += late * (punctual_below + punctual / 2.0);
        punctual_below += punctual;
        late_below += late;
    }
    let all = punctual_below * late_below;
    if all > 0.0 { pairs / all } else { 0.5 }
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^52 cases")]
pub(crate) const fn count(number: usize) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn case(estimate: f64, risk: f64, actual: f64) -> Case {
        Case {
            estimate,
            interval: (estimate - 10.0, estimate + 10.0),
            risk,
            actual,
            late: actual > 15.0,
        }
    }

    #[test]
    fn a_score_is_what_its_definition_says() {
        let cases = [
            case(0.0, 0.1, 5.0),
            case(0.0, 0.4, 20.0),
            case(20.0, 0.3, 10.0),
            case(30.0, 0.9, 60.0),
        ];
        let score = Score::of(&cases);
        assert!((score.mae_minutes - 16.25).abs() < 1e-9, "{score:?}");
        assert!((score.coverage - 0.5).abs() < 1e-9, "{score:?}");
        assert!((score.width_minutes - 20.0).abs() < 1e-9, "{score:?}");
        assert!((score.late_auc - 1.0).abs() < 1e-9, "{score:?}");
    }

    #[test]
    fn equal_risks_are_worth_half_and_wrong_ones_nothing() {
        let equal = [case(0.0, 0.5, 0.0), case(0.0, 0.5, 60.0)];
        assert!((Score::of(&equal).late_auc - 0.5).abs() < 1e-9);
        let wrong = [case(0.0, 0.9, 0.0), case(0.0, 0.1, 60.0), case(0.0, 0.2, 60.0)];
        assert!(Score::of(&wrong).late_auc.abs() < 1e-9);
        let one_kind = [case(0.0, 0.9, 0.0), case(0.0, 0.1, 0.0)];
        assert!((Score::of(&one_kind).late_auc - 0.5).abs() < 1e-9);
    }

    #[test]
    fn a_quantile_is_a_value_of_the_sample() {
        let values: Vec<f64> = (1..=10).map(f64::from).collect();
        for (q, expected) in [(0.0, 1.0), (0.5, 5.0), (0.9, 9.0), (1.0, 10.0)] {
            assert!((quantile(&values, q) - expected).abs() < 1e-9, "{q}");
        }
        assert!(quantile(&[], 0.9).abs() < 1e-9);
    }
}
