//! What do several samples of a case say: how often at least one of k passes, how often all do, how much of the spread is noise?

use super::distributions::{exactly, reach};
use super::proportion;
use crate::model::comparison::{Counts, Interval, PairedCase};

/// The chance that at least one of `k` samples passes, from `n ≥ k` samples: `1 - C(n-c, k) / C(n, k)`. `None` with fewer.
/// Chen et al. 2021, arXiv 2107.03374.
#[must_use]
pub fn pass_at(k: u32, counts: Counts) -> Option<f64> {
    let Counts { passes, samples } = Counts::new(counts.passes, counts.samples);
    (k <= samples).then(|| 1.0 - exactly(0, samples.into(), passes.into(), k.into()))
}

/// The chance that all of `k` samples pass, from `n ≥ k` samples: `C(c, k) / C(n, k)`. `None` with fewer. Yao et al. 2024, arXiv 2406.12045.
#[must_use]
pub fn all_pass(k: u32, counts: Counts) -> Option<f64> {
    let Counts { passes, samples } = Counts::new(counts.passes, counts.samples);
    (k <= samples).then(|| exactly(k.into(), samples.into(), passes.into(), k.into()))
}

/// The mean of the cases' pass rates, each counting once, and Wilson's interval around it. `None` without a sample.
///
/// Samples of one case resemble each other, so the interval stands on as many equivalent samples as the spread between the cases leaves:
/// `p(1-p) / (s²/n)`, at least one a case and at most all of them. Where every sample passed (or none) there is no spread to see, and each
/// case counts as one. (Effective sample size of clusters: Kish 1965; with Wilson's interval: Korn and Graubard 1998.)
#[must_use]
pub fn mean_rate(cases: &[Counts], confidence: f64) -> Option<(f64, Interval)> {
    let rates: Vec<f64> = cases.iter().filter_map(|counts| counts.rate()).collect();
    let all: f64 = cases.iter().map(|counts| f64::from(counts.samples)).sum();
    if let [counts] = cases {
        return Some((counts.rate()?, proportion::wilson(*counts, confidence)));
    }
    if rates.is_empty() {
        return None;
    }
    let n = rates.len() as f64;
    let mean = (rates.iter().sum::<f64>() / n).clamp(0.0, 1.0);
    let spread = rates.iter().map(|rate| (rate - mean).powi(2)).sum::<f64>() / ((n - 1.0).max(1.0) * n);
    let one = mean * (1.0 - mean);
    let equivalent = if one <= 0.0 {
        n
    } else if spread <= 0.0 {
        all
    } else {
        (one / spread).clamp(n, all)
    };
    let interval = proportion::wilson_of_rate(mean, equivalent, reach(confidence));
    Some((mean, Interval { low: if mean == 0.0 { 0.0 } else { interval.low }, high: if mean == 1.0 { 1.0 } else { interval.high } }))
}

/// By how much the variance of a mean is larger because those of a cluster of `size` resemble each other: `1 + (m-1) ρ`. So many are worth as
/// many less. Kish 1965, *Survey Sampling*.
#[must_use]
pub fn design_effect(size: f64, correlation: f64) -> f64 {
    1.0 + (size - 1.0) * correlation
}

/// The variance of one sample, without bias: `k/(k-1) p(1-p)`. `None` below two samples.
#[must_use]
pub fn noise(counts: Counts) -> Option<f64> {
    let (rate, samples) = (counts.rate()?, f64::from(counts.samples));
    (counts.samples > 1).then(|| samples / (samples - 1.0) * rate * (1.0 - rate))
}

/// What the variance between the cases consists of.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    /// The variance of what is observed per case, as it is.
    pub observed: f64,
    /// The part that is noise of the samples (σ²/K, of both arms where there are two): more samples remove it.
    pub noise: f64,
    /// The part that is the cases' own (ω²): only more cases average it out.
    pub between: f64,
}

/// `ω² = max(0, s² - mean of σ²/K)`. `None` below two cases, or where no case has two samples.
fn split(cases: &[(f64, Option<f64>)]) -> Option<Spread> {
    let noises: Vec<f64> = cases.iter().filter_map(|(_, noise)| *noise).collect();
    if cases.len() < 2 || noises.is_empty() {
        return None;
    }
    let n = cases.len() as f64;
    let mean = cases.iter().map(|(value, _)| value).sum::<f64>() / n;
    let observed = cases.iter().map(|(value, _)| (value - mean).powi(2)).sum::<f64>() / (n - 1.0);
    let noise = noises.iter().sum::<f64>() / noises.len() as f64;
    Some(Spread { observed, noise, between: (observed - noise).max(0.0) })
}

/// How pass rates of one arm spread over its cases.
#[must_use]
pub fn spread_of_rates(cases: &[Counts]) -> Option<Spread> {
    let of_case = |counts: &Counts| Some((counts.rate()?, noise(*counts).map(|noise| noise / f64::from(counts.samples))));
    split(&cases.iter().filter_map(of_case).collect::<Vec<_>>())
}

/// How differences spread over the cases.
#[must_use]
pub fn spread_of_differences(cases: &[PairedCase]) -> Option<Spread> {
    let of_case = |case: &PairedCase| {
        let noise = |counts: Counts| noise(counts).map(|noise| noise / f64::from(counts.samples));
        let both = noise(case.baseline).zip(noise(case.candidate)).map(|(one, other)| one + other);
        Some((case.candidate.rate()? - case.baseline.rate()?, both))
    };
    split(&cases.iter().filter_map(of_case).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::super::vectors::{EXACT, assert_close, count, list, number, vectors};
    use super::*;

    #[test]
    fn pass_at_k_and_all_of_k_are_the_published_ones() {
        for vector in list("passk") {
            let (counts, k) = (Counts::new(count(&vector, "c"), count(&vector, "n")), count(&vector, "k"));
            assert_close(pass_at(k, counts).unwrap(), number(&vector, "pass_at_k"), EXACT, &vector);
            assert_close(all_pass(k, counts).unwrap(), number(&vector, "pass_hat_k"), EXACT, &vector);
        }
        assert_eq!((pass_at(4, Counts::new(3, 3)), all_pass(4, Counts::new(3, 3))), (None, None));
    }

    #[test]
    fn noise_and_the_cases_own_spread_are_told_apart() {
        let vector = vectors("variance_components");
        let case = |samples: &serde_json::Value| {
            let samples = samples.as_array().unwrap();
            Counts::new(samples.iter().map(|sample| sample.as_u64().unwrap() as u32).sum(), samples.len() as u32)
        };
        let cases: Vec<Counts> = vector["S"].as_array().unwrap().iter().map(case).collect();
        let got = spread_of_rates(&cases).unwrap();
        assert_close(got.observed, number(&vector, "var_of_case_means"), EXACT, &got);
        assert_close(got.noise * 4.0, number(&vector, "mean_within_var"), EXACT, &got);
        assert_close(got.between, number(&vector, "var_x_hat"), EXACT, &got);
        assert_close((got.observed / 6.0).sqrt(), number(&vector, "se_mean"), EXACT, &got);
        assert_close(got.noise / got.observed, number(&vector, "share_noise"), EXACT, &got);
    }

    #[test]
    fn the_rate_of_many_cases_is_as_sure_as_their_samples_differ() {
        let wilson = |passes, samples| proportion::wilson(Counts::new(passes, samples), 0.95);
        let rate = |cases: &[Counts]| mean_rate(cases, 0.95).unwrap();
        // One sample each: the plain interval.
        let single: Vec<Counts> = (0..20).map(|case| Counts::new(u32::from(case > 1), 1)).collect();
        assert_eq!(rate(&single), (0.9, wilson(18, 20)));
        // Cases that differ in nothing: every sample counts; cases that are all or nothing: each counts once.
        assert_eq!(rate(&[Counts::new(3, 4); 5]), (0.75, wilson(15, 20)));
        let same: Vec<Counts> = (0..20).map(|case| Counts::new(if case > 1 { 5 } else { 0 }, 5)).collect();
        assert_eq!(rate(&same), (0.9, wilson(18, 20)));
        // Where nothing fails, nobody knows how alike the samples are.
        assert_eq!(rate(&[Counts::new(5, 5); 20]), (1.0, wilson(20, 20)));
        assert_eq!(rate(&[Counts::new(2, 3)]), (2.0 / 3.0, wilson(2, 3)));
        assert_eq!(mean_rate(&[], 0.95), None);
        assert_eq!(mean_rate(&[Counts::default()], 0.95), None);
    }

    #[test]
    fn one_sample_per_case_says_nothing_of_its_noise() {
        let case =
            |passes| PairedCase { case: String::new(), cluster: None, baseline: Counts::new(1, 1), candidate: Counts::new(passes, 1) };
        assert_eq!(spread_of_differences(&[case(0), case(1), case(1)]), None);
        assert_eq!(spread_of_rates(&[Counts::new(3, 5)]), None);
        assert_eq!(spread_of_rates(&[]), None);
    }
}
