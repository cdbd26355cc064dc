//! How large is one pass rate, within which interval?
//!
//! Never Wald's interval: at 10 of 10 it has no width. (Bowyer, Aitchison, Ivanova 2025, arXiv 2503.01747.)

use super::distributions::{beta_quantile, reach};
use crate::model::comparison::{Counts, Interval};

/// Wilson's score interval, two-sided; without a sample anything is possible.
///
/// `(p + z²/2n ± z √(p(1-p)/n + z²/4n²)) / (1 + z²/n)`. Wilson 1927, JASA 22:209.
#[must_use]
pub fn wilson(counts: Counts, confidence: f64) -> Interval {
    let Some(rate) = counts.rate() else { return Interval { low: 0.0, high: 1.0 } };
    let interval = wilson_of_rate(rate, f64::from(counts.samples), reach(confidence));
    // The formula's own ends, without the last digit's rounding.
    Interval { low: if rate == 0.0 { 0.0 } else { interval.low }, high: if rate == 1.0 { 1.0 } else { interval.high } }
}

/// The same for a rate that stands on `samples` equivalent samples, whole or not.
pub(super) fn wilson_of_rate(rate: f64, samples: f64, z: f64) -> Interval {
    let shrink = 1.0 + z * z / samples;
    let centre = (rate + z * z / (2.0 * samples)) / shrink;
    let half = z / shrink * (rate * (1.0 - rate) / samples + z * z / (4.0 * samples * samples)).max(0.0).sqrt();
    Interval { low: (centre - half).clamp(0.0, 1.0), high: (centre + half).clamp(0.0, 1.0) }
}

/// Clopper and Pearson's exact interval, two-sided: never too narrow, often too wide.
///
/// The quantiles `α/2` of Beta(c, n-c+1) and `1-α/2` of Beta(c+1, n-c). Clopper, Pearson 1934, Biometrika 26:404.
#[must_use]
pub fn clopper_pearson(counts: Counts, confidence: f64) -> Interval {
    let rate = counts.rate().unwrap_or_default();
    if counts.samples == 0 {
        return Interval { low: 0.0, high: 1.0 };
    }
    clopper_pearson_of_rate(rate, f64::from(counts.samples), confidence)
}

/// The same for a rate that stands on `samples` equivalent samples, whole or not.
pub(super) fn clopper_pearson_of_rate(rate: f64, samples: f64, confidence: f64) -> Interval {
    let tail = (1.0 - confidence) / 2.0;
    let (passes, failures) = (rate * samples, (1.0 - rate) * samples);
    Interval {
        low: if passes <= 0.0 { 0.0 } else { beta_quantile(tail, passes, failures + 1.0) },
        high: if failures <= 0.0 { 1.0 } else { beta_quantile(1.0 - tail, passes + 1.0, failures) },
    }
}

/// Jeffreys' interval, two-sided: the quantiles of what a rate is believed to be after these samples, Beta(c + ½, n-c + ½).
/// Brown, Cai, DasGupta 2001, Stat Sci 16:101.
#[must_use]
pub fn jeffreys(counts: Counts, confidence: f64) -> Interval {
    let Counts { passes, samples } = Counts::new(counts.passes, counts.samples);
    let (passes, failures) = (f64::from(passes) + 0.5, f64::from(samples - passes) + 0.5);
    let tail = (1.0 - confidence) / 2.0;
    Interval { low: beta_quantile(tail, passes, failures), high: beta_quantile(1.0 - tail, passes, failures) }
}

/// The largest failure rate that so few failures leave possible, one-sided and exact. Without a failure in `n` samples it is `1 - α^(1/n)`:
/// ten passes of ten do not exclude that a quarter fails.
#[must_use]
pub fn most_failures(counts: Counts, confidence: f64) -> f64 {
    let Counts { passes, samples } = Counts::new(counts.passes, counts.samples);
    let failures = f64::from(samples - passes);
    if passes == 0 { 1.0 } else { beta_quantile(confidence, failures + 1.0, f64::from(passes)) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::vectors::{EXACT, NEAR, assert_close, count, list, number, numbers, vectors};
    use super::*;

    #[test]
    fn intervals_of_a_rate_are_those_of_statsmodels() {
        for vector in list("proportion") {
            let counts = Counts::new(count(&vector, "k"), count(&vector, "n"));
            let intervals = [
                ("wilson95", wilson(counts, 0.95), EXACT),
                ("wilson90", wilson(counts, 0.90), EXACT),
                ("clopper95", clopper_pearson(counts, 0.95), NEAR),
            ];
            for (name, got, tolerance) in intervals {
                let expected = numbers(&vector[name]);
                assert_close(got.low, expected[0], tolerance, &(name, counts));
                assert_close(got.high, expected[1], tolerance, &(name, counts));
            }
            assert_close(most_failures(counts, 0.95), number(&vector, "fail_upper95_one_sided"), NEAR, &counts);
        }
    }

    #[test]
    fn no_failure_still_leaves_a_failure_rate_possible() {
        for (samples, expected) in vectors("zero_failures_upper95_one_sided").as_object().unwrap() {
            let samples = samples.parse().unwrap();
            assert_close(most_failures(Counts::new(samples, samples), 0.95), expected.as_f64().unwrap(), EXACT, &samples);
        }
    }

    #[test]
    fn without_a_sample_anything_is_possible() {
        assert_eq!(wilson(Counts::default(), 0.95), Interval { low: 0.0, high: 1.0 });
        assert_eq!(clopper_pearson(Counts::default(), 0.95), Interval { low: 0.0, high: 1.0 });
        assert_close(most_failures(Counts::default(), 0.95), 1.0, EXACT, &"nothing");
    }

    proptest! {
        #[test]
        fn an_interval_holds_its_rate_whatever_is_asked(passes in any::<u32>(), samples in 1_u32.., confidence in any::<f64>()) {
            let counts = Counts::new(passes, samples);
            let rate = counts.rate().unwrap();
            for confidence in [confidence, 0.9] {
                let interval = wilson(counts, confidence);
                prop_assert!(0.0 <= interval.low && interval.low <= interval.high && interval.high <= 1.0);
            }
            let interval = wilson(counts, 0.9);
            prop_assert!(interval.low <= rate + 1e-12 && rate <= interval.high + 1e-12);
            prop_assert!((0.0..=1.0).contains(&most_failures(Counts::new(passes % 1000, samples % 1000), confidence)));
        }
    }
}
