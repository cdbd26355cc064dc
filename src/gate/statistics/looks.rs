//! May one look, and look again with more samples?
//!
//! Two looks at the full level would be wrong more often than one. Lan and DeMets spend alpha as samples come in, here as O'Brien and Fleming
//! would: hardly any at the first look, so that the second has almost all of it. (Lan, DeMets 1983, Biometrika 70:659.) A comparison that
//! may buy its second look holds both to one level, as Pocock does.

use super::distributions::{normal_cdf, normal_quantile};

/// The level of the first of two looks, at the share `fraction` of all samples that are planned: `2 (1 - Φ(z_{1-α/2} / √t))`.
#[must_use]
pub fn first(alpha: f64, fraction: f64) -> f64 {
    let alpha = level(alpha);
    (2.0 * normal_cdf(normal_quantile(alpha / 2.0) / share(fraction).sqrt())).clamp(0.0, alpha)
}

/// The level of the second look, so that both together are wrong with probability alpha: the z that solves
/// `P(Z₁ < z₁, Z₂ ≥ z) = α - α₁` for two normal sums whose correlation is `√t`.
#[must_use]
pub fn second(alpha: f64, fraction: f64) -> f64 {
    let (alpha, spent, correlation) = (level(alpha), first(alpha, fraction), share(fraction).sqrt());
    if spent <= 1e-12 {
        return alpha;
    }
    let boundary = normal_quantile(1.0 - spent);
    let spread = (1.0 - correlation * correlation).sqrt();
    let not_before = |z: f64| integral(-REACH, boundary, |x| density(x) * normal_cdf((correlation * x - z) / spread));
    let mut z = normal_quantile(1.0 - alpha);
    for _ in 0..STEPS {
        // Both sides of the equation fall in z, and the solution is near the start.
        let slope = density(z) * normal_cdf((boundary - correlation * z) / spread);
        let step = (not_before(z) - (alpha - spent)) / slope;
        if !step.is_finite() || step.abs() < 1e-12 {
            break;
        }
        z += step;
    }
    normal_cdf(-z).clamp(0.0, alpha)
}

/// The z of both of two looks at half and all of the samples, where each is to have the same level.
#[must_use]
pub fn alike(alpha: f64) -> f64 {
    normal_quantile(1.0 - equal(alpha, 0.5))
}

/// The level of each of two looks that are held to the same one (Pocock 1977, Biometrika 64:191): the z that solves
/// `P(Z₁ ≥ z or Z₂ ≥ z) = α` for two normal sums whose correlation is `√t`, as its tail.
///
/// The first look comes with samples that are paid already, so it should decide where it can. A strict first one as that of [`first`] would
/// nearly always buy the second.
#[must_use]
pub fn equal(alpha: f64, fraction: f64) -> f64 {
    let (alpha, correlation) = (level(alpha), share(fraction).sqrt());
    if alpha <= 1e-12 {
        return alpha;
    }
    // P(Z₁ ≥ z and Z₂ ≥ z) = Φ(-z)² + 1/2π ∫ exp(-z² / (1 + sin θ)) dθ from 0 to asin √t.
    let both = |z: f64| {
        let angle = integral(0.0, correlation.asin(), |theta| (-z * z / (1.0 + theta.sin())).exp());
        normal_cdf(-z).powi(2) + angle / std::f64::consts::TAU
    };
    let beyond = |z: f64| 2.0 * normal_cdf(-z) - both(z) - alpha;
    // Between one look's level and half of it: more than alpha, and no more.
    let (mut low, mut high) = (normal_quantile(1.0 - alpha), normal_quantile(1.0 - alpha / 2.0));
    let (mut above, mut below) = (beyond(low), beyond(high));
    for _ in 0..STEPS {
        // Regula falsi, the Illinois way: the end that stays counts half.
        let z = (low * below - high * above) / (below - above);
        if !z.is_finite() || high - low < 1e-10 {
            break;
        }
        let rest = beyond(z);
        if rest.abs() < 1e-12 {
            (low, high) = (z, z);
        } else if rest > 0.0 {
            (low, above, below) = (z, rest, below / 2.0);
        } else {
            (high, below, above) = (z, rest, above / 2.0);
        }
    }
    // The stricter end.
    normal_cdf(-high).clamp(0.0, alpha)
}

/// Beyond so many standard deviations nothing is left that a level could show.
const REACH: f64 = 8.5;
const STEPS: u32 = 20;
/// Even, as Simpson's rule wants it.
const PANELS: u32 = 400;

fn integral(low: f64, high: f64, of: impl Fn(f64) -> f64) -> f64 {
    let width = (high - low) / f64::from(PANELS);
    let weight = |index: u32| if index == 0 || index == PANELS { 1.0 } else { f64::from(2 + 2 * (index % 2)) };
    (0..=PANELS).map(|index| weight(index) * of(low + width * f64::from(index))).sum::<f64>() * width / 3.0
}

fn density(x: f64) -> f64 {
    (-x * x / 2.0).exp() / std::f64::consts::TAU.sqrt()
}

fn level(alpha: f64) -> f64 {
    if alpha.is_nan() { 0.0 } else { alpha.clamp(0.0, 0.5) }
}

fn share(fraction: f64) -> f64 {
    if fraction.is_nan() { 0.5 } else { fraction.clamp(0.01, 0.99) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::vectors::{NEAR, assert_close, list, number};
    use super::*;

    #[test]
    fn the_levels_of_two_looks_are_the_tabled_ones() {
        for vector in list("group_sequential_two_look_one_sided_05_LDOBF") {
            let fraction = number(&vector, "t1");
            assert_close(first(0.05, fraction), number(&vector, "alpha1"), NEAR, &vector);
            assert_close(normal_quantile(1.0 - first(0.05, fraction)), number(&vector, "z1"), NEAR, &vector);
            assert_close(second(0.05, fraction), number(&vector, "p2_nominal"), NEAR, &vector);
            assert_close(normal_quantile(1.0 - second(0.05, fraction)), number(&vector, "z2"), NEAR, &vector);
        }
        // The textbook's two looks at one-sided 0.025.
        assert_close(normal_quantile(1.0 - first(0.025, 0.5)), 2.963, 1e-3, &"first");
        assert_close(normal_quantile(1.0 - second(0.025, 0.5)), 1.969, 1e-3, &"second");
    }

    #[test]
    fn two_looks_at_one_level_are_pococks() {
        // `pocock_two_look_one_sided_05` of the reference values.
        assert_close(normal_quantile(1.0 - equal(0.05, 0.5)), 1.875_423_278_375_839_6, NEAR, &"one-sided 0.05");
        // The textbook's at one-sided 0.025.
        assert_close(normal_quantile(1.0 - equal(0.025, 0.5)), 2.178, 1e-3, &"one-sided 0.025");
    }

    proptest! {
        #[test]
        fn neither_look_has_more_than_all_of_alpha(
            alpha in prop_oneof![any::<f64>(), 0.0..0.5], fraction in prop_oneof![any::<f64>(), 0.0..1.0],
        ) {
            let (first, second) = (first(alpha, fraction), second(alpha, fraction));
            prop_assert!((0.0..=level(alpha)).contains(&first) && (0.0..=level(alpha)).contains(&second), "{first} {second}");
            let equal = equal(alpha, fraction);
            prop_assert!(level(alpha) / 2.0 <= equal + 1e-9 && equal <= level(alpha), "{equal}");
        }
    }
}
