//! One sample per case: what does the table of who passed where say?
//!
//! Only the cases that passed in one arm and not in the other tell anything about the difference.

use super::distributions::{chi_square_tail, fair_coins, reach};
use super::paired::{Arm, newcombe};
use crate::model::comparison::Interval;

/// Cases by where they passed; differences are the first arm's rate minus the second's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Table {
    /// Passed in both arms.
    pub both: u32,
    /// Passed in the first arm only.
    pub first_only: u32,
    /// Passed in the second arm only.
    pub second_only: u32,
    /// Passed in neither.
    pub neither: u32,
}

/// Steps of a bisection that leave less than the last digit of a number below 1.
const STEPS: u32 = 60;

impl Table {
    fn cases(self) -> f64 {
        f64::from(self.both) + f64::from(self.first_only) + f64::from(self.second_only) + f64::from(self.neither)
    }

    fn difference(self) -> f64 {
        (f64::from(self.first_only) - f64::from(self.second_only)) / self.cases()
    }

    /// Newcombe's method 10: the arms' Wilson limits put together, with a corrected correlation. Newcombe 1998, Stat Med 17:2635.
    #[must_use]
    pub fn newcombe(self, confidence: f64) -> Interval {
        let n = self.cases();
        if n == 0.0 {
            return Interval { low: -1.0, high: 1.0 };
        }
        let both = f64::from(self.both);
        let arm = |only: u32| Arm { rate: (both + f64::from(only)) / n, samples: n };
        let covariance = (both * f64::from(self.neither) - f64::from(self.first_only) * f64::from(self.second_only)) / (n * n);
        newcombe(arm(self.first_only), arm(self.second_only), covariance, confidence)
    }

    /// Bonett and Price: one case more in each discordant cell, then the normal interval. Never without width.
    ///
    /// `p₁ = (n₁+1)/(n+2)`, `p₂ = (n₂+1)/(n+2)`, `D = p₁-p₂`, `D ± z √((p₁+p₂-D²)/(n+2))`. Bonett, Price 2012, J Educ Behav Stat 37:479.
    #[must_use]
    pub fn bonett_price(self, confidence: f64) -> Interval {
        let n = self.cases() + 2.0;
        let (first, second) = ((f64::from(self.first_only) + 1.0) / n, (f64::from(self.second_only) + 1.0) / n);
        let difference = first - second;
        let half = reach(confidence) * ((first + second - difference * difference) / n).max(0.0).sqrt();
        Interval { low: (difference - half).max(-1.0), high: (difference + half).min(1.0) }
    }

    /// Wald's interval, which nothing here uses: without width where no case differs. `D ± z √((p₁+p₂-D²)/n)`.
    #[must_use]
    pub fn wald(self, confidence: f64) -> Interval {
        let n = self.cases();
        let difference = if n > 0.0 { self.difference() } else { 0.0 };
        let changed = (f64::from(self.first_only) + f64::from(self.second_only)) / n.max(1.0);
        let half = reach(confidence) * ((changed - difference * difference).max(0.0) / n.max(1.0)).sqrt();
        Interval { low: difference - half, high: difference + half }
    }

    /// Tango's score interval: all differences that the score test would not reject.
    ///
    /// The ends solve `(b-c-nΔ) / √(n(2q+Δ(1-Δ))) = ±z`, with `q` the restricted estimate of the second discordant probability.
    /// Tango 1998, Stat Med 17:891.
    #[must_use]
    pub fn tango(self, confidence: f64) -> Interval {
        let n = self.cases();
        if n == 0.0 {
            return Interval { low: -1.0, high: 1.0 };
        }
        let z = reach(confidence);
        let (b, c) = (f64::from(self.first_only), f64::from(self.second_only));
        let score = |delta: f64| {
            let linear = -b - c + (2.0 * n - b + c) * delta;
            let root = (linear * linear + 8.0 * n * c * delta * (1.0 - delta)).max(0.0).sqrt();
            let q = (root - linear) / (4.0 * n);
            let variance = n * (2.0 * q + delta * (1.0 - delta));
            if variance > 0.0 { (b - c - n * delta) / variance.sqrt() } else { f64::INFINITY.copysign(b - c - n * delta) }
        };
        // The score falls from the lower end to the upper one.
        let end = |mut inside: f64, mut outside: f64| {
            for _ in 0..STEPS {
                let middle = f64::midpoint(inside, outside);
                if score(middle).abs() <= z { inside = middle } else { outside = middle }
            }
            f64::midpoint(inside, outside)
        };
        Interval { low: end(self.difference(), -1.0), high: end(self.difference(), 1.0) }
    }
}

/// McNemar's test: of the cases that changed, how many changed for the worse?
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct McNemar {
    /// Two-sided.
    pub exact: f64,
    /// Two-sided, the observed table counted half: never above its level in 9,595 scenarios, where the exact test stays far below it.
    /// Fagerland, Lydersen, Laake 2013, BMC Med Res Methodol 13:91.
    pub mid: f64,
    /// One-sided: worse.
    pub worse_exact: f64,
    /// One-sided: worse, the observed table counted half.
    pub worse_mid: f64,
    /// The approximation for large tables, `(b-c)²/(b+c)`, two-sided; for those who compare with other tools.
    pub chi_square: f64,
    /// The same with the correction `(|b-c|-1)²/(b+c)`, which takes its power away.
    pub corrected: f64,
}

/// `improved` cases changed to a pass, `regressed` to a failure. Where none changed every p is 1.
#[must_use]
pub fn mcnemar(improved: u32, regressed: u32) -> McNemar {
    let changed = improved.saturating_add(regressed);
    if changed == 0 {
        return McNemar { exact: 1.0, mid: 1.0, worse_exact: 1.0, worse_mid: 1.0, chi_square: 1.0, corrected: 1.0 };
    }
    let (fewer, exactly_fewer) = fair_coins(improved.min(regressed), changed);
    let (worse_exact, exactly_improved) = fair_coins(improved, changed);
    let distance = f64::from(improved.abs_diff(regressed));
    let mid = if improved == regressed { 1.0 - exactly_fewer } else { 2.0 * fewer - exactly_fewer };
    McNemar {
        exact: (2.0 * fewer).min(1.0),
        mid: mid.clamp(0.0, 1.0),
        worse_exact,
        worse_mid: (worse_exact - exactly_improved / 2.0).max(0.0),
        chi_square: chi_square_tail(distance.powi(2) / f64::from(changed)),
        corrected: chi_square_tail((distance - 1.0).powi(2) / f64::from(changed)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::vectors::{EXACT, NEAR, assert_close, count, list, number, numbers};
    use super::*;

    #[test]
    fn intervals_of_a_paired_difference_are_the_published_ones() {
        for vector in list("paired_prop_ci") {
            let table = Table {
                both: count(&vector, "n11"),
                first_only: count(&vector, "n10"),
                second_only: count(&vector, "n01"),
                neither: count(&vector, "n00"),
            };
            assert_close(table.difference(), number(&vector, "diff"), EXACT, &table);
            let intervals = [
                ("newcombe10", table.newcombe(0.95), EXACT),
                ("bonett_price", table.bonett_price(0.95), EXACT),
                ("tango", table.tango(0.95), NEAR),
            ];
            for (name, got, tolerance) in intervals {
                let expected = numbers(&vector[name]);
                assert_close(got.low, expected[0], tolerance, &(name, table));
                assert_close(got.high, expected[1], tolerance, &(name, table));
            }
        }
    }

    #[test]
    fn mcnemars_p_values_are_those_of_statsmodels() {
        for vector in list("mcnemar") {
            let got = mcnemar(count(&vector, "b_improved"), count(&vector, "c_regressed"));
            for (name, got) in
                [("exact2", got.exact), ("midp2", got.mid), ("exact1_worse", got.worse_exact), ("midp1_worse", got.worse_mid)]
            {
                assert_close(got, number(&vector, name), EXACT, &(name, &vector));
            }
        }
    }

    proptest! {
        #[test]
        fn every_table_has_intervals_with_width_that_hold_its_difference(
            both in 0_u32..2000, first_only in 0_u32..2000, second_only in 0_u32..2000, neither in 0_u32..2000,
        ) {
            let table = Table { both, first_only, second_only, neither };
            let intervals = [table.newcombe(0.9), table.bonett_price(0.9), table.tango(0.9)];
            for interval in intervals {
                prop_assert!(-1.0 <= interval.low && interval.low < interval.high && interval.high <= 1.0, "{interval:?}");
            }
            if table.cases() > 0.0 {
                prop_assert!(intervals[0].low <= table.difference() && table.difference() <= intervals[0].high);
            }
        }

        #[test]
        fn a_p_value_is_a_probability(improved in any::<u32>(), regressed in any::<u32>()) {
            let McNemar { exact, mid, worse_exact, worse_mid, chi_square, corrected } = mcnemar(improved, regressed);
            for p in [exact, mid, worse_exact, worse_mid, chi_square, corrected] {
                prop_assert!((0.0..=1.0).contains(&p), "{p}");
            }
        }
    }
}
