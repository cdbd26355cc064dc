//! How large a loss would be seen, and how many cases would it take to see a smaller one?
//!
//! Miller 2024, arXiv 2411.00640. `tail` is the error on one side: 0.05 for a one-sided test or a margin at 5 %, 0.025 for a two-sided one.

use super::distributions::normal_quantile;

/// The variance of one case's difference with `samples` in each arm: `ω² + (σ_A² + σ_B²)/K`.
#[must_use]
pub fn variance(between: f64, noise_of_both: f64, samples: f64) -> f64 {
    between + noise_of_both / samples
}

/// Cases with which a loss of `effect` is found with probability `power`; with the margin as effect, those with which no loss at all is
/// shown to be within it: `n = ((z_{1-tail} + z_power) / δ)² Var(d)`. `None` where no number would do.
#[must_use]
pub fn cases(variance: f64, effect: f64, tail: f64, power: f64) -> Option<f64> {
    finite(variance.max(0.0) * (both(tail, power) / effect).powi(2)).filter(|_| effect > 0.0)
}

/// The loss that is found with probability `power`: `(z_{1-tail} + z_power) √(Var(d) / n)`, from the standard error `√(Var(d) / n)`.
#[must_use]
pub fn detectable(standard_error: f64, tail: f64, power: f64) -> f64 {
    both(tail, power).max(0.0) * standard_error
}

/// Cases of one sample each with which McNemar's test finds a loss of `effect` where a share `changed` of them changes either way:
/// `n = ((z_{1-tail} √p + z_power √(p - δ²)) / δ)²`. `None` where no number would do.
#[must_use]
pub fn cases_of_one_sample(changed: f64, effect: f64, tail: f64, power: f64) -> Option<f64> {
    let root = normal_quantile(1.0 - tail) * changed.sqrt() + normal_quantile(power) * (changed - effect * effect).sqrt();
    finite((root / effect).powi(2)).filter(|_| effect > 0.0)
}

fn both(tail: f64, power: f64) -> f64 {
    normal_quantile(1.0 - tail) + normal_quantile(power)
}

fn finite(number: f64) -> Option<f64> {
    number.is_finite().then_some(number)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::vectors::{NEAR, assert_close, list, number};
    use super::*;

    /// Sample sizes are compared relative to their size.
    fn assert_size(got: Option<f64>, vector: &serde_json::Value) {
        let (got, expected) = (got.unwrap(), number(vector, "n"));
        assert_close(got / expected, 1.0, NEAR, vector);
        if let Some(whole) = vector["n_ceil"].as_f64() {
            assert_close(got.ceil(), whole, NEAR, vector);
        }
    }

    #[test]
    fn numbers_of_cases_are_the_published_ones() {
        for vector in list("power_miller") {
            let noise = number(&vector, "sA2") + number(&vector, "sB2");
            let variance = variance(number(&vector, "omega2"), noise, number(&vector, "K"));
            assert_size(cases(variance, number(&vector, "delta"), 0.025, 0.8), &vector);
        }
        for vector in list("power_mcnemar") {
            assert_size(cases_of_one_sample(number(&vector, "p_disc"), number(&vector, "delta"), 0.025, 0.8), &vector);
        }
        for vector in list("ni_sample_size") {
            assert_size(cases(number(&vector, "var_d"), number(&vector, "margin"), 0.05, 0.8), &vector);
        }
    }

    #[test]
    fn what_can_be_seen_is_as_published() {
        for vector in list("mde_miller") {
            let noise = number(&vector, "sA2") + number(&vector, "sB2");
            let variance = variance(number(&vector, "omega2"), noise, number(&vector, "K"));
            let standard_error = (variance / number(&vector, "n")).sqrt();
            for (name, tail) in [("mde_two_sided", 0.025), ("mde_one_sided", 0.05)] {
                assert_close(detectable(standard_error, tail, 0.8), number(&vector, name), NEAR, &(name, &vector));
            }
        }
    }

    proptest! {
        #[test]
        fn what_cannot_be_answered_is_none(variance in any::<f64>(), effect in any::<f64>(), tail in any::<f64>()) {
            let answers = [cases(variance, effect, tail, 0.8), cases_of_one_sample(variance, effect, tail, 0.8)];
            prop_assert!(answers.iter().flatten().all(|answer| answer.is_finite() && *answer >= 0.0), "{answers:?}");
            prop_assert_eq!(cases(0.1, 0.0, tail, 0.8), None);
        }
    }
}
