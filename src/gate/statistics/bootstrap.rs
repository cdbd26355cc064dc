//! What would the mean have been with other cases like these? The bootstrap: cases drawn again from those that there are.
//!
//! The gate does not use it, because it resamples only what was seen: ten passes of ten never come out otherwise. It is here to be held
//! against the intervals that it does use. Efron 1979, Ann Stat 7:1; Efron 1987, JASA 82:171 (accelerated).

use fastrand::Rng;

use super::distributions::{normal_cdf, normal_quantile};
use crate::model::comparison::Interval;

/// Means of resamples, in ascending order.
#[derive(Debug, Clone, PartialEq)]
pub struct Resampled(Vec<f64>);

/// Resamples that are enumerated at the most: 6⁶.
const MOST_ENUMERATED: u64 = 46_656;

/// Rounding of a sum of tenths decides nothing.
const ROUNDING: f64 = 1e-12;

impl Resampled {
    /// All of them, each as likely as the others. `None` where there are too many, or nothing to draw from.
    #[must_use]
    pub fn all(values: &[f64]) -> Option<Self> {
        let count = values.len() as u64;
        let all = count.checked_pow(u32::try_from(count).ok()?).filter(|all| count > 0 && *all <= MOST_ENUMERATED)?;
        let mean = |mut which: u64| {
            let drawn = values.iter().map(|_| {
                let value = values[(which % count) as usize];
                which /= count;
                value
            });
            drawn.sum::<f64>() / count as f64
        };
        Some(Self::of((0..all).map(mean).collect()))
    }

    /// As many as that, from a seed. `None` without a value or a draw.
    #[must_use]
    pub fn drawn(values: &[f64], draws: u32, seed: u64) -> Option<Self> {
        let mut random = Rng::with_seed(seed);
        let mut mean = || values.iter().map(|_| values[random.usize(0..values.len())]).sum::<f64>() / values.len() as f64;
        (!values.is_empty() && draws > 0).then(|| Self::of((0..draws).map(|_| mean()).collect()))
    }

    fn of(mut means: Vec<f64>) -> Self {
        means.sort_by(f64::total_cmp);
        Self(means)
    }

    /// How many.
    #[must_use]
    pub const fn count(&self) -> usize {
        self.0.len()
    }

    /// Their mean.
    #[must_use]
    pub fn mean(&self) -> f64 {
        self.0.iter().sum::<f64>() / self.0.len() as f64
    }

    /// Their standard deviation: the standard error of the mean of the values.
    #[must_use]
    pub fn deviation(&self) -> f64 {
        let mean = self.mean();
        (self.0.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / self.0.len() as f64).sqrt()
    }

    /// Below which such a share lies, between two of them in proportion.
    #[must_use]
    pub fn quantile(&self, share: f64) -> f64 {
        let place = share.clamp(0.0, 1.0) * (self.0.len() - 1) as f64;
        let (below, above) = (self.0[place.floor() as usize], self.0[place.ceil() as usize]);
        below + (above - below) * place.fract()
    }

    /// The share below `value`, and the share of exactly it.
    #[must_use]
    pub fn shares(&self, value: f64) -> (f64, f64) {
        let all = self.0.len() as f64;
        let below = self.0.iter().filter(|mean| **mean < value - ROUNDING).count() as f64 / all;
        let at = self.0.iter().filter(|mean| (**mean - value).abs() <= ROUNDING).count() as f64 / all;
        (below, at)
    }

    /// The quantiles at both ends.
    #[must_use]
    pub fn percentiles(&self, confidence: f64) -> Interval {
        let tail = (1.0 - confidence) / 2.0;
        Interval { low: self.quantile(tail), high: self.quantile(1.0 - tail) }
    }

    /// The quantiles, moved by how lopsided the resamples are and by how much the spread changes with the mean: `Φ(z + (z + z_α)/(1 - a(z + z_α)))`.
    #[must_use]
    pub fn accelerated(&self, values: &[f64], confidence: f64) -> Interval {
        let count = values.len() as f64;
        let (sum, mean) = (values.iter().sum::<f64>(), values.iter().sum::<f64>() / count);
        let without: Vec<f64> = values.iter().map(|value| mean - (sum - value) / (count - 1.0)).collect();
        let power = |power: i32| without.iter().map(|value| value.powi(power)).sum::<f64>();
        let acceleration = if power(2) > 0.0 { power(3) / (6.0 * power(2).powf(1.5)) } else { 0.0 };
        let (below, at) = self.shares(mean);
        let bias = normal_quantile(below + at / 2.0);
        let end = |share: f64| {
            let moved = bias + normal_quantile(share);
            self.quantile(normal_cdf(bias + moved / (1.0 - acceleration * moved)))
        };
        let tail = (1.0 - confidence) / 2.0;
        Interval { low: end(tail), high: end(1.0 - tail) }
    }
}
