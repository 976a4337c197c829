//! Quantiles and means of a stream in fixed space.

use serde::{Deserialize, Serialize};

/// Bins of a [`Sketch`].
const BINS: usize = 96;
/// Values below this are told apart evenly, larger ones in proportion to their size.
const LINEAR_MINUTES: f64 = 5.0;
/// `asinh(max / LINEAR_MINUTES)`: values beyond 30 days count as 30 days.
const REACH: f64 = 9.76;
/// When a sketch holds this many values, all counts are halved: it follows the recent past.
const HALVE_AT: u32 = 1024;

/// A histogram of minutes, early (negative) and late, with narrow bins around zero.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<u32>", into = "Vec<u32>")]
pub struct Sketch {
    bins: [u32; BINS],
}

impl Default for Sketch {
    fn default() -> Self {
        Self { bins: [0; BINS] }
    }
}

impl From<Sketch> for Vec<u32> {
    fn from(sketch: Sketch) -> Self {
        sketch.bins.to_vec()
    }
}

impl TryFrom<Vec<u32>> for Sketch {
    type Error = String;

    fn try_from(bins: Vec<u32>) -> Result<Self, String> {
        let count = bins.len();
        let bins = bins
            .try_into()
            .map_err(|_| format!("a sketch has {BINS} bins, this one {count}"))?;
        Ok(Self { bins })
    }
}

impl Sketch {
    /// Adds one value.
    pub fn add(&mut self, minutes: f64) {
        self.bins[bin(minutes)] += 1;
        if self.weight() >= HALVE_AT {
            for count in &mut self.bins {
                *count /= 2;
            }
        }
    }

    /// Whether it rests on none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.weight() == 0
    }

    /// How many values it rests on, after forgetting.
    #[must_use]
    pub fn weight(&self) -> u32 {
        self.bins.iter().sum()
    }

    /// The value below which the share `q` (0 to 1) of all lies; `None` when it is empty. Off by at most a bin: under
    /// 1 minute near zero, under 25 % of a large value.
    #[must_use]
    pub fn quantile(&self, q: f64) -> Option<f64> {
        let total = self.weight();
        if total == 0 {
            return None;
        }
        let wanted = q.clamp(0.0, 1.0) * f64::from(total);
        let mut below = 0.0;
        for (index, count) in self.bins.iter().enumerate() {
            let count = f64::from(*count);
            if count > 0.0 && below + count >= wanted {
                let inside = ((wanted - below) / count).clamp(0.0, 1.0);
                return Some(edge(index) + inside * (edge(index + 1) - edge(index)));
            }
            below += count;
        }
        None
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "the value is clamped to the number of bins"
)]
fn bin(minutes: f64) -> usize {
    let minutes = if minutes.is_nan() { 0.0 } else { minutes };
    let place = (minutes / LINEAR_MINUTES).asinh() / REACH;
    let index = f64::midpoint(place, 1.0) * BINS as f64;
    index.clamp(0.0, (BINS - 1) as f64) as usize
}

#[expect(clippy::cast_precision_loss, reason = "there are under a hundred bins")]
fn edge(index: usize) -> f64 {
    let place = index as f64 / BINS as f64 * 2.0 - 1.0;
    (place * REACH).sinh() * LINEAR_MINUTES
}

impl Sketch {
    /// The median of the distances from `middle` (the median absolute deviation, when that is the median); `None` when it
    /// is empty. As precise as [`Sketch::quantile`].
    #[must_use]
    pub fn deviation(&self, middle: f64) -> Option<f64> {
        let filled = self.bins.iter().enumerate().filter(|(_, count)| **count > 0);
        let mut distances: Vec<(f64, u32)> = filled
            .map(|(index, count)| {
                let (low, high) = (edge(index), edge(index + 1));
                // A bin that holds the middle lies on both sides of it: on average a quarter of its width away.
                let distance = if (low..high).contains(&middle) {
                    (high - low) / 4.0
                } else {
                    (f64::midpoint(low, high) - middle).abs()
                };
                (distance, *count)
            })
            .collect();
        distances.sort_by(|one, other| one.0.total_cmp(&other.0));
        let half = self.weight().div_ceil(2);
        let mut nearer = 0;
        distances.into_iter().find_map(|(distance, count)| {
            nearer += count;
            (nearer >= half).then_some(distance)
        })
    }
}

/// A mean that forgets: a plain mean of the first values, then each new one has the same small weight.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Ewma {
    /// The mean.
    pub mean: f64,
    /// How many values were seen.
    pub count: u32,
}

impl Ewma {
    /// Takes one value; `alpha` is its weight once there are more than `1 / alpha`.
    pub fn add(&mut self, value: f64, alpha: f64) {
        self.count = self.count.saturating_add(1);
        let weight = alpha.max(1.0 / f64::from(self.count));
        self.mean += weight * (value - self.mean);
    }
}
