//! Could chance alone have made the sum of the differences as bad as it is?
//!
//! Where a case answers alike under both prompts, it is a fair coin which arm got the better count. The law of the sum over all such coins is
//! computed exactly, by adding one case after the other to a table of probabilities.

use std::collections::BTreeMap;

use super::confirm::ROUNDING;
use super::distributions::{exactly, normal_cdf};
use crate::model::comparison::{Counts, PairedCase};

/// What may be added to the sum by one independent unit, each with its probability where nothing changed, and what was.
#[derive(Debug, Clone, PartialEq)]
pub struct Unit {
    outcomes: Vec<(i64, f64)>,
    observed: i64,
}

impl Unit {
    /// The arms had equally many samples, or a whole cluster is swapped at once: the sign is a fair coin.
    #[must_use]
    pub fn flipped(observed: i64) -> Self {
        let other = observed.saturating_neg();
        Self { outcomes: if observed == 0 { vec![(0, 1.0)] } else { vec![(observed, 0.5), (other, 0.5)] }, observed }
    }

    /// A difference of scores that are no counts, to six digits. What is not finite is missing data.
    #[must_use]
    pub fn scored(difference: f64) -> Self {
        Self::flipped(if difference.is_finite() { (difference * 1e6).round() as i64 } else { 0 })
    }

    /// The arms had unequally many samples, so that a difference is not as likely as its opposite. The passes of both, dealt anew to the
    /// arms: hypergeometric. `share` is what so many passes of so many samples come to.
    fn dealt(baseline: Counts, candidate: Counts, share: impl Fn(u64, u32) -> i64) -> Self {
        let (passes, of_candidate) = (u64::from(baseline.passes) + u64::from(candidate.passes), u64::from(candidate.samples));
        let all = u64::from(baseline.samples) + of_candidate;
        let value = |dealt: u64| share(dealt, candidate.samples) - share(passes - dealt, baseline.samples);
        let range = passes.saturating_sub(u64::from(baseline.samples))..=passes.min(of_candidate);
        let outcomes = range.map(|dealt| (value(dealt), exactly(dealt, all, passes, of_candidate))).collect();
        Self { outcomes, observed: value(u64::from(candidate.passes)) }
    }

    /// Several laws, lowest outcome first, as one: the outcomes of all of them at the same quantile. Of all ways in which they could hang
    /// together this spreads the sum the widest.
    fn together(parts: &[Self]) -> Self {
        if let [one] = parts {
            return one.clone();
        }
        let mut places: Vec<(usize, f64)> = parts.iter().map(|part| (0, part.outcomes[0].1)).collect();
        let (mut outcomes, mut dealt) = (Vec::new(), 0.0);
        loop {
            let value = parts.iter().zip(&places).fold(0_i64, |sum, (part, (place, _))| sum.saturating_add(part.outcomes[*place].0));
            let open = parts.iter().zip(&places).filter(|(part, (place, _))| place + 1 < part.outcomes.len());
            let Some(step) = open.map(|(_, (_, left))| *left).min_by(f64::total_cmp) else {
                outcomes.push((value, (1.0_f64 - dealt).max(0.0)));
                break;
            };
            outcomes.push((value, step));
            dealt += step;
            for (part, (place, left)) in parts.iter().zip(&mut places).filter(|(part, (place, _))| place + 1 < part.outcomes.len()) {
                *left -= step;
                if *left <= 1e-15 {
                    *place += 1;
                    *left = part.outcomes[*place].1;
                }
            }
        }
        Self { outcomes, observed: parts.iter().fold(0, |sum: i64, part| sum.saturating_add(part.observed)) }
    }

    /// Whether it could have come out otherwise.
    #[must_use]
    pub const fn can_differ(&self) -> bool {
        self.outcomes.len() > 1
    }

    fn lowest(&self) -> i128 {
        self.outcomes.iter().map(|(value, _)| i128::from(*value)).min().unwrap_or_default()
    }
}

/// The largest common multiple of sample counts that differences are written in; beyond it they are rounded to a billionth.
const LARGEST_SCALE: u64 = 1 << 31;

/// Which cases are one unit: those of a cluster, and each case without one. Cases without a sample in either arm are in none.
#[must_use]
pub(super) fn groups(cases: &[PairedCase]) -> Vec<Vec<usize>> {
    let mut clusters: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    let mut groups = Vec::new();
    for (index, case) in cases.iter().enumerate().filter(|(_, case)| case.baseline.samples > 0 && case.candidate.samples > 0) {
        match &case.cluster {
            Some(cluster) => clusters.entry(cluster).or_default().push(index),
            None => groups.push(vec![index]),
        }
    }
    groups.extend(clusters.into_values());
    groups
}

/// One unit per cluster, and per case without one. Cases without a sample in either arm are left out.
///
/// A cluster whose arms have equally many samples in every case is swapped whole. A single case with unequal arms has its passes dealt anew.
/// For several such cases that hang together in an unknown way, the widest law is taken: all of them are dealt well or badly at once.
/// That is exact where they ask the very same, and never too narrow.
#[must_use]
pub fn units(cases: &[PairedCase]) -> Vec<Unit> {
    let counts: Vec<[Counts; 2]> = cases.iter().map(|case| [case.baseline, case.candidate]).collect();
    units_of(&groups(cases), &counts)
}

/// The same from counts, the baseline's first, that were grouped before.
pub(super) fn units_of(groups: &[Vec<usize>], counts: &[[Counts; 2]]) -> Vec<Unit> {
    let scale = scale(groups.iter().flatten().flat_map(|index| counts[*index].map(|counts| counts.samples)));
    let share = |passes: u64, samples: u32| match scale {
        Some(scale) => passes as i64 * (scale / i64::from(samples)),
        None => (passes as f64 / f64::from(samples) * 1e9).round() as i64,
    };
    let unit = |group: &Vec<usize>| {
        let arms = || group.iter().map(|index| counts[*index].map(|counts| Counts::new(counts.passes, counts.samples)));
        if arms().all(|[baseline, candidate]| baseline.samples == candidate.samples) {
            let difference = |[baseline, candidate]: [Counts; 2]| {
                share(candidate.passes.into(), candidate.samples) - share(baseline.passes.into(), baseline.samples)
            };
            return Unit::flipped(arms().map(difference).fold(0, i64::saturating_add));
        }
        Unit::together(&arms().map(|[baseline, candidate]| Unit::dealt(baseline, candidate, share)).collect::<Vec<_>>())
    };
    groups.iter().map(unit).collect()
}

/// The least common multiple, unless it is beyond the largest.
fn scale(mut samples: impl Iterator<Item = u32>) -> Option<i64> {
    let scale = samples.try_fold(1_u64, |scale, samples| {
        let multiple = scale / gcd(scale.into(), samples.into()) as u64 * u64::from(samples);
        (multiple <= LARGEST_SCALE).then_some(multiple)
    });
    scale.map(|scale| scale as i64)
}

/// How likely a sum at or below the observed one is where nothing changed; one-sided.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SignFlip {
    /// `P(S ≤ s)`. 1 where no unit can be other than it is.
    pub exact: f64,
    /// `P(S < s) + P(S = s)/2`: what the gate uses, for the exact test stays far below its level. A half where nothing can differ.
    pub mid: f64,
    /// Random draws behind the estimate; `None`: computed exactly.
    pub draws: Option<u32>,
}

/// Table entries, and steps to fill them, up to which the law is computed: 2,000 cases of 20 samples are well below.
const MOST_ENTRIES: i128 = 1 << 21;
const MOST_STEPS: i128 = 1 << 31;
/// Draws where it is not: at a p of 0.025 the error is 0.0005.
const MOST_DRAWS: usize = 100_000;
/// Draws times units, so that a huge suite has fewer of them.
const MOST_COINS: usize = 1 << 27;
const FEWEST_DRAWS: usize = 1_000;
/// The same data must come to the same verdict.
const SEED: u64 = 0x5167_4e46_6c69_7021;

/// The test. Exact as long as its table is of reasonable size, else estimated with draws from a pinned seed,
/// `p = (1 + #{S* ≤ s}) / (draws + 1)`.
#[must_use]
pub fn test(units: &[Unit]) -> SignFlip {
    let moving: Vec<&Unit> = units.iter().filter(|unit| unit.can_differ()).collect();
    let steps = |unit: &&Unit| unit.outcomes.iter().map(|(value, chance)| (i128::from(*value) - unit.lowest(), *chance)).collect();
    let laws: Vec<Vec<(i128, f64)>> = moving.iter().map(steps).collect();
    let observed: i128 = moving.iter().map(|unit| i128::from(unit.observed) - unit.lowest()).sum();
    // What is observed of a cluster need not be an outcome of its widest law.
    let seen = moving.iter().map(|unit| i128::from(unit.observed) - unit.lowest());
    let steps = laws.iter().flatten().map(|(step, _)| *step).chain(seen);
    let common = steps.fold(0, |common, step| gcd(common, step.unsigned_abs())).max(1) as i128;
    let widest = |law: &Vec<(i128, f64)>| law.iter().map(|(step, _)| *step).max().unwrap_or_default() / common;
    let entries = laws.iter().map(widest).sum::<i128>() + 1;
    let outcomes = laws.iter().map(|law| law.len() as i128).sum::<i128>();
    if entries <= MOST_ENTRIES && entries * outcomes <= MOST_STEPS {
        by_table(&laws, common, entries as usize, (observed / common) as usize)
    } else {
        by_draws(&laws, observed)
    }
}

/// How likely a sum as far from its middle, either way: twice the smaller tail.
#[must_use]
pub fn two_sided(units: &[Unit]) -> f64 {
    let mirrored = |unit: &Unit| Unit {
        outcomes: unit.outcomes.iter().map(|(value, chance)| (value.saturating_neg(), *chance)).collect(),
        observed: unit.observed.saturating_neg(),
    };
    let above: Vec<Unit> = units.iter().map(mirrored).collect();
    (2.0 * test(units).exact.min(test(&above).exact)).min(1.0)
}

/// The same from mean and variance of the law, for many units: what takes no table. The mid-p alone.
pub(super) fn roughly(units: &[Unit]) -> f64 {
    let (mut distance, mut variance) = (0.0, 0.0);
    for unit in units.iter().filter(|unit| unit.can_differ()) {
        let mean: f64 = unit.outcomes.iter().map(|(value, chance)| *value as f64 * chance).sum();
        variance += unit.outcomes.iter().map(|(value, chance)| (*value as f64 - mean).powi(2) * chance).sum::<f64>();
        distance += unit.observed as f64 - mean;
    }
    if variance > 0.0 { normal_cdf(distance / variance.sqrt()) } else { 1.0 }
}

/// The fewest units that differ with which fair coins can reach the level at all: `2^-m / 2 ≤ level`. `None` where no number can.
#[must_use]
pub fn fewest_units(level: f64) -> Option<u32> {
    (1..=1_000).find(|units| level > 0.0 && least(*units) <= level + ROUNDING)
}

/// The least p that so many fair coins can come to.
pub(super) fn least(units: u32) -> f64 {
    0.5_f64.powi(i32::try_from(units.min(1_050)).unwrap_or(1_050)) / 2.0
}

fn by_table(laws: &[Vec<(i128, f64)>], common: i128, entries: usize, observed: usize) -> SignFlip {
    let mut table = vec![1.0];
    table.reserve(entries);
    for law in laws {
        let steps: Vec<(usize, f64)> = law.iter().map(|(step, chance)| ((step / common) as usize, *chance)).collect();
        let widest = steps.iter().map(|(step, _)| *step).max().unwrap_or_default();
        let mut next = vec![0.0; table.len() + widest];
        for (step, chance) in steps {
            for (sum, before) in next[step..].iter_mut().zip(&table) {
                *sum += chance * before;
            }
        }
        table = next;
    }
    let below: f64 = table[..observed].iter().sum();
    let at = table[observed];
    SignFlip { exact: (below + at).min(1.0), mid: (below + at / 2.0).min(1.0), draws: None }
}

fn by_draws(laws: &[Vec<(i128, f64)>], observed: i128) -> SignFlip {
    let mut random = fastrand::Rng::with_seed(SEED);
    let draws = (MOST_COINS / laws.len().max(1)).clamp(FEWEST_DRAWS, MOST_DRAWS);
    let (mut below, mut at) = (0.0, 0.0);
    for _ in 0..draws {
        let mut sum = 0;
        for law in laws {
            let mut left = random.f64();
            let drawn = law.iter().find(|(_, chance)| {
                left -= chance;
                left < 0.0
            });
            sum += drawn.or(law.last()).map_or(0, |(step, _)| *step);
        }
        match sum.cmp(&observed) {
            std::cmp::Ordering::Less => below += 1.0,
            std::cmp::Ordering::Equal => at += 1.0,
            std::cmp::Ordering::Greater => {}
        }
    }
    let all = draws as f64 + 1.0;
    SignFlip { exact: (1.0 + below + at) / all, mid: (1.0 + below + at / 2.0) / all, draws: u32::try_from(draws).ok() }
}

/// `gcd(0, x)` is x.
fn gcd(a: u128, b: u128) -> u128 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
#[path = "sign_flip_tests.rs"]
mod tests;
