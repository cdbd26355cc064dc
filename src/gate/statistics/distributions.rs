//! Which quantiles and tail probabilities do the tests and intervals need?
//!
//! `statrs` computes the tails; here every argument is brought into its domain first, so that no input panics or comes out as NaN. The quantiles
//! of Beta and Student are found from those tails: `inv_beta_reg` of statrs 0.19, behind its own, does not come back for some arguments.

use statrs::distribution::{Beta, Binomial, Continuous, ContinuousCDF, Discrete, DiscreteCDF, Hypergeometric, Normal, StudentsT};

/// Above so many degrees of freedom Student's law is the normal one to nine digits.
const MANY_DEGREES: u32 = 100_000_000;

/// A probability strictly inside of 0 and 1; what is none is a half.
fn open(probability: f64) -> f64 {
    if probability.is_nan() { 0.5 } else { probability.clamp(1e-15, 1.0 - 1e-15) }
}

/// The standard normal quantile.
#[must_use]
pub fn normal_quantile(probability: f64) -> f64 {
    Normal::standard().inverse_cdf(open(probability))
}

/// The standard normal distribution function.
#[must_use]
pub fn normal_cdf(z: f64) -> f64 {
    if z.is_nan() { 0.5 } else { Normal::standard().cdf(z) }
}

/// How many standard errors an interval of this confidence reaches to each side; never negative.
#[must_use]
pub fn reach(confidence: f64) -> f64 {
    normal_quantile(0.5 + confidence / 2.0).max(0.0)
}

/// Student's quantile; at least one degree of freedom is assumed.
#[must_use]
pub fn student_quantile(probability: f64, degrees: u32) -> f64 {
    match degrees {
        MANY_DEGREES.. => normal_quantile(probability),
        _ => {
            let probability = open(probability);
            // In the lower tail, where a small probability keeps its digits.
            let tail = probability.min(1.0 - probability);
            let law = student(degrees);
            // The tail is convex and the normal quantile lies below: Newton's steps rise to the solution and never pass it.
            let mut distance = -normal_quantile(tail);
            for _ in 0..MOST_STEPS {
                let step = (law.cdf(-distance) - tail) / law.pdf(distance);
                if step.is_nan() || step <= distance * f64::EPSILON {
                    break;
                }
                distance += step;
            }
            if probability < 0.5 { -distance } else { distance }
        }
    }
}

/// Steps that suffice wherever a step doubles the distance at worst, and halvings that leave less than the last digit of a probability.
const MOST_STEPS: u32 = 120;

/// Student's distribution function: how likely a value at or below `t` is.
#[must_use]
pub fn student_cdf(t: f64, degrees: u32) -> f64 {
    if t.is_nan() { 0.5 } else { student(degrees).cdf(t) }
}

fn student(degrees: u32) -> StudentsT {
    StudentsT::new(0.0, 1.0, f64::from(degrees.max(1))).expect("a scale of one and at least one degree of freedom")
}

/// The quantile of Beta(a, b); both are taken to be positive.
#[must_use]
pub fn beta_quantile(probability: f64, a: f64, b: f64) -> f64 {
    let positive = |parameter: f64| if parameter > 0.0 && parameter.is_finite() { parameter } else { 1.0 };
    let law = Beta::new(positive(a), positive(b)).expect("both parameters are positive");
    let probability = open(probability);
    // Newton's steps from the mean, halving where one would leave what is known to enclose the solution.
    let (mut low, mut high) = (0.0, 1.0);
    let mut x = positive(a) / (positive(a) + positive(b));
    for _ in 0..MOST_STEPS {
        let above = law.cdf(x) - probability;
        if above < 0.0 {
            low = x
        } else {
            high = x
        }
        let step = x - above / law.pdf(x);
        let next = if low < step && step < high { step } else { f64::midpoint(low, high) };
        let moved = (next - x).abs();
        x = next;
        if moved <= x * f64::EPSILON {
            break;
        }
    }
    x
}

/// The share of Beta(a, b) below `x`: the regularised incomplete beta function.
#[must_use]
pub fn beta_share(x: f64, a: f64, b: f64) -> f64 {
    let positive = |parameter: f64| if parameter > 0.0 && parameter.is_finite() { parameter } else { 1.0 };
    let x = if x.is_nan() { 0.5 } else { x.clamp(0.0, 1.0) };
    Beta::new(positive(a), positive(b)).expect("both parameters are positive").cdf(x).clamp(0.0, 1.0)
}

/// The logarithm of the gamma function of a positive number.
#[must_use]
pub fn ln_gamma(x: f64) -> f64 {
    statrs::function::gamma::ln_gamma(if x > 0.0 && x.is_finite() { x } else { 1.0 })
}

/// The logarithm of the beta function of two positive numbers.
#[must_use]
pub fn ln_beta(a: f64, b: f64) -> f64 {
    ln_gamma(a) + ln_gamma(b) - ln_gamma(a + b)
}

/// How likely a chi-square of one degree of freedom at or above `x`.
#[must_use]
pub fn chi_square_tail(x: f64) -> f64 {
    if x > 0.0 { (2.0 * normal_cdf(-x.sqrt())).min(1.0) } else { 1.0 }
}

/// How many heads of `coins` fair coins: the probability of at most `heads`, and of exactly so many.
#[must_use]
pub fn fair_coins(heads: u32, coins: u32) -> (f64, f64) {
    let law = Binomial::new(0.5, u64::from(coins)).expect("a half is a probability");
    (law.cdf(u64::from(heads)).min(1.0), law.pmf(u64::from(heads)))
}

/// Of `population` balls `marked` are marked, `drawn` are drawn: the probability of at most `hits` marked ones. Linear in `hits`.
#[must_use]
pub fn at_most(hits: u64, population: u64, marked: u64, drawn: u64) -> f64 {
    urn(population, marked, drawn).cdf(hits).clamp(0.0, 1.0)
}

/// The probability of exactly `hits` marked balls, as in [`at_most`].
#[must_use]
pub fn exactly(hits: u64, population: u64, marked: u64, drawn: u64) -> f64 {
    urn(population, marked, drawn).pmf(hits).clamp(0.0, 1.0)
}

fn urn(population: u64, marked: u64, drawn: u64) -> Hypergeometric {
    Hypergeometric::new(population, marked.min(population), drawn.min(population)).expect("neither part is larger than the whole")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::vectors::{EXACT, assert_close, number, vectors};
    use super::*;

    #[test]
    fn quantiles_and_tails_are_those_of_scipy() {
        let reference = vectors("quantiles");
        for (name, probability) in [("norm_975", 0.975), ("norm_95", 0.95), ("norm_80", 0.8)] {
            assert_close(normal_quantile(probability), number(&reference, name), EXACT, &name);
        }
        for (name, probability) in [("t_975", 0.975), ("t_95", 0.95)] {
            for (degrees, expected) in reference[name].as_object().unwrap() {
                let got = student_quantile(probability, degrees.parse().unwrap());
                assert_close(got, expected.as_f64().unwrap(), EXACT, &(name, degrees));
            }
        }
        for vector in reference["t_cdf"].as_array().unwrap() {
            let degrees = u32::try_from(vector["df"].as_u64().unwrap()).unwrap();
            assert_close(student_cdf(number(vector, "t"), degrees), number(vector, "cdf"), EXACT, vector);
        }
    }

    #[test]
    fn students_quantile_passes_into_the_normal_one() {
        for degrees in [1_000_000, MANY_DEGREES - 1, MANY_DEGREES, u32::MAX] {
            assert_close(student_quantile(0.95, degrees), normal_quantile(0.95), 1e-5, &degrees);
        }
    }

    proptest! {
        #[test]
        fn no_input_panics_or_is_answered_with_nan(
            probability in prop_oneof![any::<f64>(), 0.0..=1.0], a in any::<f64>(), degrees in any::<u32>(),
            (hits, marked, drawn) in (0_u64..300, 0_u64..300, 0_u64..300), coins in 0_u32..5000,
        ) {
            prop_assert!(normal_quantile(probability).is_finite());
            prop_assert!(student_quantile(probability, degrees).is_finite());
            prop_assert!((0.0..=1.0).contains(&student_cdf(a, degrees)));
            prop_assert!((0.0..=1.0).contains(&beta_quantile(probability, a.abs().min(1e6), 3.0)));
            prop_assert!((0.0..=1.0).contains(&at_most(hits, 200, marked, drawn)));
            prop_assert!((0.0..=1.0).contains(&exactly(hits, 200, marked, drawn)));
            let (most, exact) = fair_coins(degrees % 5000, coins);
            prop_assert!((0.0..=1.0).contains(&most) && (0.0..=1.0).contains(&exact));
        }
    }
}
