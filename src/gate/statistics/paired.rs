//! How large is the mean difference over the cases, within which interval?
//!
//! Pairing is what makes a comparison cheap: a case that is hard under both prompts cancels out.
//! Miller 2024, *Adding Error Bars to Evals*, arXiv 2411.00640.

use std::collections::BTreeMap;

use super::distributions::{reach, student_cdf, student_quantile};
use super::proportion::{clopper_pearson_of_rate, wilson_of_rate};
use crate::model::comparison::{Interval, PairedCase};

/// A mean with its standard error.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Mean {
    /// The mean over the cases.
    pub value: f64,
    /// Its standard error.
    pub standard_error: f64,
    /// Units less one; 0 where a single unit tells nothing about the spread.
    pub degrees: u32,
}

/// The mean of the differences. `clusters` names each difference's unit: those that share a number are not independent.
///
/// `SE = √(Σ_c (Σ_{i∈c} (d_i - d̄))²) / n · √(G/(G-1))` with G units (Miller, appendix A, with the correction of statsmodels). Where every case
/// is a unit of its own this is `√(Σ(d_i - d̄)² / (n(n-1)))`. `None` without a difference.
#[must_use]
pub fn mean(differences: &[f64], clusters: &[usize]) -> Option<Mean> {
    debug_assert_eq!(differences.len(), clusters.len());
    if differences.is_empty() {
        return None;
    }
    let n = differences.len() as f64;
    let value = differences.iter().sum::<f64>() / n;
    let mut sums: BTreeMap<usize, f64> = BTreeMap::new();
    for (difference, cluster) in differences.iter().zip(clusters) {
        *sums.entry(*cluster).or_default() += difference - value;
    }
    let degrees = u32::try_from(sums.len() - 1).unwrap_or(u32::MAX);
    let squares: f64 = sums.values().map(|sum| sum * sum).sum();
    let correction = if degrees == 0 { 0.0 } else { (f64::from(degrees) + 1.0) / f64::from(degrees) };
    Some(Mean { value, standard_error: (squares * correction).sqrt() / n, degrees })
}

impl Mean {
    /// The standard error without the correction for the number of units: Miller's own, too small for few of them.
    #[must_use]
    pub fn uncorrected_error(&self) -> f64 {
        let units = f64::from(self.degrees) + 1.0;
        self.standard_error * ((units - 1.0) / units).sqrt()
    }

    /// Student's interval, two-sided; a single unit leaves everything possible.
    #[must_use]
    pub fn interval(&self, confidence: f64) -> Interval {
        if self.degrees == 0 {
            return Interval { low: -1.0, high: 1.0 };
        }
        let half = student_quantile(0.5 + confidence / 2.0, self.degrees).max(0.0) * self.standard_error;
        Interval { low: (self.value - half).max(-1.0), high: (self.value + half).min(1.0) }
    }

    /// Student's test, one-sided: how likely a mean as low as this where there is no difference. 1 where there is no spread to judge it by.
    #[must_use]
    pub fn p_worse(&self) -> f64 {
        if self.degrees == 0 || self.standard_error == 0.0 { 1.0 } else { student_cdf(self.value / self.standard_error, self.degrees) }
    }
}

/// The standard error of the difference of two means that are not paired, and the correlation of the pairs: what pairing is worth.
/// `SE² = SE_A² + SE_B²`, of which pairing takes `2 ρ SE_A SE_B`. `None` below two pairs, or where an arm has no spread.
#[must_use]
pub fn unpaired(first: &[f64], second: &[f64]) -> Option<(f64, f64)> {
    let n = first.len() as f64;
    if first.len() != second.len() || first.len() < 2 {
        return None;
    }
    let mean = |values: &[f64]| values.iter().sum::<f64>() / n;
    let (one, other) = (mean(first), mean(second));
    let sum = |of: &dyn Fn(f64, f64) -> f64| first.iter().zip(second).map(|(a, b)| of(a - one, b - other)).sum::<f64>();
    let (squares, others, both) = (sum(&|a, _| a * a), sum(&|_, b| b * b), sum(&|a, b| a * b));
    let spread = (squares * others).sqrt();
    (spread > 0.0).then(|| (((squares + others) / (n * (n - 1.0))).sqrt(), both / spread))
}

/// Bonett and Price's interval for differences of scores: one case more at each of -1 and +1, then the normal interval. Nothing here uses it:
/// with three samples a case it is so wide that 0.2 % of unchanged prompts are blocked at a level of 5 %, and hardly a changed one is.
#[must_use]
pub fn bonett_price(differences: &[f64], confidence: f64) -> Interval {
    let n = differences.len() as f64 + 2.0;
    let mean = differences.iter().sum::<f64>() / n;
    let squares = differences.iter().map(|difference| difference * difference).sum::<f64>() + 2.0;
    let half = reach(confidence) * ((squares / n - mean * mean).max(0.0) / n).sqrt();
    Interval { low: mean - half, high: mean + half }
}

/// One arm: its rate and the number of samples that it is worth.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Arm {
    pub(super) rate: f64,
    pub(super) samples: f64,
}

/// Newcombe's method 10 for the first rate minus the second: the distances to the Wilson limits, put together as sides of a triangle whose
/// angle is the correlation of the arms.
///
/// `D - √(a² - 2φab + b²)`, with `a` from the first rate to its lower limit and `b` from the second to its upper one; the upper end likewise.
/// `φ` is the covariance, if positive less 1/(2n) but not below 0, over `√(p₁(1-p₁)p₂(1-p₂))`.
pub(super) fn newcombe(first: Arm, second: Arm, covariance: f64, confidence: f64) -> Interval {
    let z = reach(confidence);
    combine(first, second, covariance, |arm| wilson_of_rate(arm.rate, arm.samples, z))
}

/// Newcombe's way to put any limits together.
fn combine(first: Arm, second: Arm, covariance: f64, limits: impl Fn(Arm) -> Interval) -> Interval {
    let (of_first, of_second) = (limits(first), limits(second));
    let corrected = if covariance > 0.0 { (covariance - 0.5 / first.samples.min(second.samples)).max(0.0) } else { covariance };
    let spread = (first.rate * (1.0 - first.rate) * second.rate * (1.0 - second.rate)).max(0.0).sqrt();
    let correlation = if spread > 0.0 { (corrected / spread).clamp(-1.0, 1.0) } else { 0.0 };
    let side = |a: f64, b: f64| (a * a - 2.0 * correlation * a * b + b * b).max(0.0).sqrt();
    let difference = first.rate - second.rate;
    Interval {
        low: (difference - side(first.rate - of_first.low, of_second.high - second.rate)).max(-1.0),
        high: (difference + side(of_first.high - first.rate, second.rate - of_second.low)).min(1.0),
    }
}

/// What the interval of the mean difference stands on, so that it can be asked of more cases or samples as well.
///
/// The interval is, at each end, the wider of Student's and Newcombe's, the latter from the exact limits of Clopper and Pearson. Student's
/// alone is too narrow where nearly every sample passes: without a single difference it has no width, so that two cases would
/// prove anything. Newcombe's counts samples and knows that none failing of few proves little. From Wilson's
/// limits it called 6.3 % of candidates "not worse" that are worse by exactly the margin, at a level of 5 %; the exact ones hold it. With more
/// than one sample per case its correlation is that of the case rates: what two samples, one from each arm of a case, have in common.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Evidence {
    /// The mean difference.
    pub mean: Mean,
    /// Candidate and baseline.
    arms: Option<[Arm; 2]>,
    covariance: f64,
}

impl Evidence {
    /// Of cases that have samples in both arms. `clusters` names each one's unit.
    #[must_use]
    pub fn of(cases: &[PairedCase], mean: Mean, clusters: &[usize]) -> Self {
        let rates: Vec<(f64, f64)> = cases.iter().filter_map(|case| Some((case.candidate.rate()?, case.baseline.rate()?))).collect();
        if rates.is_empty() || rates.len() != clusters.len() {
            return Self { mean, arms: None, covariance: 0.0 };
        }
        let n = rates.len() as f64;
        // The mean of the case rates has the variance of a rate over so many samples.
        let worth = |samples: fn(&PairedCase) -> u32| {
            let inverse: f64 = cases.iter().map(samples).filter(|samples| *samples > 0).map(|samples| 1.0 / f64::from(samples)).sum();
            n * n / inverse
        };
        let arm = |rates: Vec<f64>, samples: f64| {
            let rate = rates.iter().sum::<f64>() / n;
            Arm { rate, samples: samples / design_effect(&rates, clusters) }
        };
        let candidate = arm(rates.iter().map(|(rate, _)| *rate).collect(), worth(|case| case.candidate.samples));
        let baseline = arm(rates.iter().map(|(_, rate)| *rate).collect(), worth(|case| case.baseline.samples));
        let covariance = rates.iter().map(|(one, other)| (one - candidate.rate) * (other - baseline.rate)).sum::<f64>() / n;
        Self { mean, arms: Some([candidate, baseline]), covariance }
    }

    /// The interval.
    #[must_use]
    pub fn interval(&self, confidence: f64) -> Interval {
        let student = self.mean.interval(confidence);
        let Some([candidate, baseline]) = self.arms else { return student };
        let exact = |arm: Arm| clopper_pearson_of_rate(arm.rate, arm.samples, confidence.max(0.0));
        let newcombe = combine(candidate, baseline, self.covariance, exact);
        Interval { low: student.low.min(newcombe.low), high: student.high.max(newcombe.high) }
    }

    /// The same with `times` as many units that are like these. `None` where one unit alone tells nothing of others.
    #[must_use]
    pub fn with_units(&self, times: f64) -> Option<Self> {
        if self.mean.degrees == 0 {
            return None;
        }
        let degrees = (f64::from(self.mean.degrees) + 1.0) * times - 1.0;
        let standard_error = self.mean.standard_error * (f64::from(self.mean.degrees) / degrees).sqrt();
        let mean = Mean { standard_error, degrees: degrees as u32, ..self.mean };
        Some(Self { mean, ..self.worth(times) })
    }

    /// The same with `times` as many samples of each case, of which `noise`, a part of the variance of the mean, becomes less.
    #[must_use]
    pub fn with_samples(&self, times: f64, noise: f64) -> Self {
        let left = (1.0 - noise + noise / times).max(0.0).sqrt();
        Self { mean: Mean { standard_error: self.mean.standard_error * left, ..self.mean }, ..self.worth(times) }
    }

    fn worth(&self, times: f64) -> Self {
        let arms = self.arms.map(|arms| arms.map(|arm| Arm { samples: arm.samples * times, ..arm }));
        Self { arms, ..*self }
    }
}

/// By how much the variance of an arm's rate is larger than that of as many independent cases, because those of a cluster resemble each other.
///
/// At least 1 and at most the mean size of a cluster, weighted by size: that is what cases come to that are all the same (`1 + (m-1) ρ` at
/// ρ = 1). Where every case has the same rate there is no resemblance to be seen, and they are taken to be the same. Kish 1965.
fn design_effect(rates: &[f64], clusters: &[usize]) -> f64 {
    let n = rates.len() as f64;
    let mean = rates.iter().sum::<f64>() / n;
    let mut sums: BTreeMap<usize, (f64, f64)> = BTreeMap::new();
    for (rate, cluster) in rates.iter().zip(clusters) {
        let (sum, size) = sums.entry(*cluster).or_default();
        *sum += rate - mean;
        *size += 1.0;
    }
    let most = sums.values().map(|(_, size)| size * size).sum::<f64>() / n;
    let alone: f64 = rates.iter().map(|rate| (rate - mean).powi(2)).sum();
    let together: f64 = sums.values().map(|(sum, _)| sum * sum).sum();
    if alone > 1e-12 && sums.len() > 1 { (together / alone).clamp(1.0, most) } else { most }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::vectors::{EXACT, NEAR, assert_close, number, numbers, vectors};
    use super::*;
    use crate::model::comparison::Counts;

    fn alone(count: usize) -> Vec<usize> {
        (0..count).collect()
    }

    #[test]
    fn a_paired_mean_is_that_of_scipy() {
        let vector = vectors("paired_t");
        let (base, candidate) = (numbers(&vector["base"]), numbers(&vector["cand"]));
        let differences: Vec<f64> = candidate.iter().zip(&base).map(|(candidate, base)| candidate - base).collect();
        let got = mean(&differences, &alone(differences.len())).unwrap();
        assert_close(got.value, number(&vector, "mean_diff"), EXACT, &"mean");
        assert_close(got.standard_error, number(&vector, "se"), EXACT, &"standard error");
        assert_close(f64::from(got.degrees), number(&vector, "df"), EXACT, &"degrees");
        assert_close(got.p_worse(), number(&vector, "p1_worse"), EXACT, &"p");
        for (name, confidence) in [("ci95", 0.95), ("ci90", 0.90)] {
            let expected = numbers(&vector[name]);
            assert_close(got.interval(confidence).low, expected[0], NEAR, &name);
            assert_close(got.interval(confidence).high, expected[1], NEAR, &name);
        }
    }

    #[test]
    fn a_clustered_mean_is_that_of_statsmodels() {
        let vector = vectors("clustered");
        let differences = numbers(&vector["d"]);
        let clusters: Vec<usize> = vector["clusters"].as_array().unwrap().iter().map(|name| name.as_u64().unwrap() as usize).collect();
        let got = mean(&differences, &clusters).unwrap();
        assert_close(got.standard_error, number(&vector, "se_cluster_G_over_Gm1"), EXACT, &"with the correction");
        assert_close(f64::from(got.degrees) + 1.0, number(&vector, "G"), EXACT, &"units");
        assert_close(got.value / got.standard_error, number(&vector, "t"), EXACT, &"t");
        assert_close(2.0 * got.p_worse(), number(&vector, "p2"), NEAR, &"p");
        let expected = numbers(&vector["ci95_t_Gm1"]);
        assert_close(got.interval(0.95).low, expected[0], NEAR, &"low");
        assert_close(got.interval(0.95).high, expected[1], NEAR, &"high");
        let independent = mean(&differences, &alone(differences.len())).unwrap();
        assert_close(independent.standard_error, number(&vector, "se_iid_clt"), EXACT, &"without clusters");
    }

    fn cases(count: u32, samples: u32) -> Vec<PairedCase> {
        let passing = Counts::new(samples, samples);
        (0..count).map(|index| PairedCase { case: index.to_string(), cluster: None, baseline: passing, candidate: passing }).collect()
    }

    #[test]
    fn two_cases_without_a_difference_prove_little_and_sixty_more() {
        let low = |count, samples| {
            let cases = cases(count, samples);
            let differences = vec![0.0; cases.len()];
            Evidence::of(&cases, mean(&differences, &alone(cases.len())).unwrap(), &alone(cases.len())).interval(0.9).low
        };
        assert!(low(2, 3) < -0.3, "six passes: {}", low(2, 3));
        assert!(low(60, 3) > -0.02, "a hundred and eighty passes: {}", low(60, 3));
        assert_close(low(1, 3), -1.0, EXACT, &"one case");
    }

    #[test]
    fn without_a_failure_the_interval_is_the_exact_one_of_a_failure_rate() {
        // A candidate that fails one sample in twenty passes 52 samples in 6.9 % of runs, and 60 in 4.6 %.
        let low = |count, samples| {
            let cases = cases(count, samples);
            Evidence::of(&cases, mean(&vec![0.0; cases.len()], &alone(cases.len())).unwrap(), &alone(cases.len())).interval(0.9).low
        };
        assert!(low(26, 2) < -0.05 && low(20, 3) > -0.05);
        assert_close(low(26, 2), 0.05_f64.powf(1.0 / 52.0) - 1.0, EXACT, &"52 samples");
    }

    proptest! {
        #[test]
        fn an_interval_holds_its_mean_and_stays_within_the_possible(
            arms in prop::collection::vec(((0_u32..=20, 0_u32..=20), (0_u32..=20, 0_u32..=20), 0_usize..5), 0..60), confidence in any::<f64>(),
        ) {
            let cases: Vec<PairedCase> = arms.iter().map(|((passes, samples), (other_passes, other_samples), _)| PairedCase {
                case: String::new(), cluster: None,
                baseline: Counts::new(*passes, *samples), candidate: Counts::new(*other_passes, *other_samples),
            }).filter(|case| case.baseline.samples > 0 && case.candidate.samples > 0).collect();
            let differences: Vec<f64> =
                cases.iter().map(|case| case.candidate.rate().unwrap() - case.baseline.rate().unwrap()).collect();
            let clusters: Vec<usize> = arms.iter().map(|arm| arm.2).take(cases.len()).collect();
            if let Some(mean) = mean(&differences, &clusters) {
                for confidence in [confidence, 0.9] {
                    let got = Evidence::of(&cases, mean, &clusters).interval(confidence);
                    prop_assert!(-1.0 <= got.low && got.high <= 1.0 && got.low <= mean.value + 1e-9 && mean.value <= got.high + 1e-9);
                }
                prop_assert!((0.0..=1.0).contains(&mean.p_worse()));
            }
        }
    }
}
