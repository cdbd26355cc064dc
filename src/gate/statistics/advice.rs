//! What could these samples have shown, and how many would decide?
//!
//! Both are asked of the test and the interval themselves, not of a formula for them: where nearly everything passes, no normal law is near.

use fastrand::Rng;

use super::distributions::{normal_cdf, normal_quantile};
use super::paired::Evidence;
use super::{sampling, sign_flip};
use crate::model::comparison::{Counts, Need, PairedCase};

/// How often a loss is to be found: in four of five comparisons.
pub(super) const POWER: f64 = 0.8;

/// Most samples per case, and most cases, that are proposed.
const MOST_SAMPLES: u32 = 1_000;
const MOST_CASES: u32 = 1_000_000;

/// Imagined samples of one step of the search, and comparisons that are made of them.
const MOST_TOSSED: usize = 60_000;
const FEWEST_DRAWS: usize = 100;
const MOST_DRAWS: usize = 400;
/// So many times as many for the last step.
const MORE_DRAWS: usize = 8;
/// Up to so many units the law of a sum is computed, beyond it the normal one is as good.
const MOST_UNITS: usize = 60;
const SEED: u64 = 0x6465_7465_6374;

/// The smallest loss in every case, to a tenth of a point, that the test of all cases finds in four of five comparisons of these cases and
/// samples. `None`: no loss is found as often, for which fewer units than coins must show is reason enough.
#[must_use]
pub fn detectable(cases: &[PairedCase], level: f64) -> Option<f64> {
    let groups = sign_flip::groups(cases);
    if sign_flip::fewest_units(level).is_none_or(|fewest| groups.len() < fewest as usize) {
        return None;
    }
    let suite = Imagined { rates: likely_rates(cases), groups, cases, level };
    let near = fewest(0, 1_000, |tenths| suite.found(f64::from(tenths) / 1_000.0) >= POWER).map(|tenths| f64::from(tenths) / 1_000.0)?;
    Some((suite.nearer(near) * 1_000.0).ceil() / 1_000.0)
}

/// The smallest number above `below` and at most `most` that does, where every larger one does too.
fn fewest(below: u32, most: u32, does: impl Fn(u32) -> bool) -> Option<u32> {
    if below >= most || !does(most) {
        return None;
    }
    let (mut low, mut high) = (below, most);
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if does(middle) { high = middle } else { low = middle }
    }
    Some(high)
}

/// The pass rate of each case from both arms, drawn to the mean as far as their spread is noise: so much noise is left in them as there was.
fn likely_rates(cases: &[PairedCase]) -> Vec<f64> {
    let both = |case: &PairedCase| {
        Counts::new(
            case.baseline.passes.saturating_add(case.candidate.passes),
            case.baseline.samples.saturating_add(case.candidate.samples),
        )
    };
    let counts: Vec<Counts> = cases.iter().map(both).collect();
    let rate = |counts: &Counts| counts.rate().unwrap_or_default();
    let mean = counts.iter().map(rate).sum::<f64>() / counts.len().max(1) as f64;
    let kept = sampling::spread_of_rates(&counts)
        .map_or(1.0, |spread| if spread.observed > 0.0 { (spread.between / spread.observed).sqrt() } else { 1.0 });
    counts.iter().map(|counts| mean + kept * (rate(counts) - mean)).collect()
}

/// Comparisons in which every case of the candidate has lost as much. What hangs together is drawn together: its samples pass or fail by the
/// same lot.
struct Imagined<'a> {
    cases: &'a [PairedCase],
    groups: Vec<Vec<usize>>,
    rates: Vec<f64>,
    level: f64,
}

impl Imagined<'_> {
    fn found(&self, loss: f64) -> f64 {
        match self.draws() {
            Some(draws) => self.drawn(loss, draws, SEED),
            None => self.nearly(loss),
        }
    }

    /// How many comparisons are drawn; `None` where there are samples enough for the normal law.
    fn draws(&self) -> Option<usize> {
        let tossed: u64 = self.cases.iter().map(|case| u64::from(case.baseline.samples) + u64::from(case.candidate.samples)).sum();
        let draws = MOST_TOSSED / usize::try_from(tossed.max(1)).unwrap_or(usize::MAX);
        (draws >= FEWEST_DRAWS).then_some(draws.min(MOST_DRAWS))
    }

    /// The loss that is found as often as it is to be, from one that a few draws took for it: many more say how often that one is found, and the
    /// normal law how far it is from there. The few alone are off by up to seven points of power, the same ones in every comparison.
    fn nearer(&self, loss: f64) -> f64 {
        let Some(draws) = self.draws() else { return loss };
        let found = self.drawn(loss, MORE_DRAWS * draws, !SEED).clamp(0.5, 0.98);
        let reach = |share: f64| normal_quantile(1.0 - self.level) + normal_quantile(share);
        (loss * reach(POWER) / reach(found)).min(1.0)
    }

    /// The share of comparisons that find it.
    fn drawn(&self, loss: f64, draws: usize, seed: u64) -> f64 {
        let mut random = Rng::with_seed(seed);
        let mut counts = vec![[Counts::default(); 2]; self.cases.len()];
        let mut found = 0_usize;
        for _ in 0..draws {
            for group in &self.groups {
                self.toss(group, 0, 0.0, &mut counts, &mut random);
                self.toss(group, 1, loss, &mut counts, &mut random);
            }
            found += usize::from(self.shows(&sign_flip::units_of(&self.groups, &counts)));
        }
        found as f64 / draws as f64
    }

    fn toss(&self, group: &[usize], arm: usize, loss: f64, counts: &mut [[Counts; 2]], random: &mut Rng) {
        let samples = |index: usize| [self.cases[index].baseline.samples, self.cases[index].candidate.samples][arm];
        for index in group {
            counts[*index][arm] = Counts::new(0, samples(*index));
        }
        for sample in 0..group.iter().map(|index| samples(*index)).max().unwrap_or_default() {
            let lot = random.f64();
            for index in group.iter().filter(|index| sample < samples(**index)) {
                counts[*index][arm].passes += u32::from(lot < self.rates[*index] - loss);
            }
        }
    }

    fn shows(&self, units: &[sign_flip::Unit]) -> bool {
        let moving = units.iter().filter(|unit| unit.can_differ()).count();
        let least = sign_flip::least(u32::try_from(moving).unwrap_or(u32::MAX));
        moving > 0 && least <= self.level && {
            let p = if moving <= MOST_UNITS { sign_flip::test(units).mid } else { sign_flip::roughly(units) };
            p.max(least) <= self.level
        }
    }

    /// The same for many cases, whose sums follow the normal law: it is found where `Σd ≤ -z √Σd²`.
    fn nearly(&self, loss: f64) -> f64 {
        let (mut mean, mut variance, mut squares) = (0.0, 0.0, 0.0);
        for group in &self.groups {
            let (mut of_unit, mut spread) = (0.0, 0.0);
            for index in group {
                let (case, before) = (&self.cases[*index], self.rates[*index]);
                let now = (before - loss).max(0.0);
                of_unit += now - before;
                spread += (before * (1.0 - before) / f64::from(case.baseline.samples)
                    + now * (1.0 - now) / f64::from(case.candidate.samples))
                .sqrt();
            }
            mean += of_unit;
            variance += spread * spread;
            squares += of_unit * of_unit + spread * spread;
        }
        let reach = normal_quantile(1.0 - self.level) * squares.sqrt() + mean;
        if variance > 0.0 { normal_cdf(-reach / variance.sqrt()) } else { f64::from(reach < 0.0) }
    }
}

/// Adds how many samples of each case, or how many cases, would decide if the difference stayed as it is: the fewest with which the interval
/// lies above minus the margin, or, with a difference below 0, with which the test shows it, whichever is cheaper.
#[must_use]
pub(super) fn widen(need: Need, cases: &[PairedCase], evidence: Evidence, margin: f64, confidence: f64, level: f64) -> Need {
    let Ok(count) = u32::try_from(cases.len()) else { return need };
    let within = |evidence: Evidence| evidence.interval(confidence).low > -margin;
    let worse = Worse::of(cases, &evidence, level);
    let units = |cases: u32| f64::from(cases) / f64::from(count.max(1));
    let more_cases = [
        fewest(count, MOST_CASES, |cases| evidence.with_units(units(cases)).is_some_and(within)),
        fewest(count, MOST_CASES, |cases| evidence.mean.degrees > 0 && worse.shown(units(cases), 0.0, 1.0)),
    ];
    let samples = cases.iter().map(|case| case.baseline.samples.min(case.candidate.samples)).min().unwrap_or(1).max(1);
    let times = |more: u32| f64::from(more) / f64::from(samples);
    let more_samples = match (evidence.mean.degrees, noise(cases, &evidence)) {
        (1.., Some(noise)) => [
            fewest(samples, MOST_SAMPLES, |more| within(evidence.with_samples(times(more), noise))),
            fewest(samples, MOST_SAMPLES, |more| worse.shown(1.0, noise, times(more))),
        ],
        _ => [None, None],
    };
    let cheapest = |found: [Option<u32>; 2]| found.into_iter().flatten().min();
    Need { samples: cheapest(more_samples), cases: cheapest(more_cases), ..need }
}

/// The part of the spread of the differences that more samples would remove; nobody knows it from one sample per case that turned out
/// differently.
fn noise(cases: &[PairedCase], evidence: &Evidence) -> Option<f64> {
    if evidence.mean.standard_error == 0.0 {
        return Some(0.0);
    }
    let spread = sampling::spread_of_differences(cases)?;
    Some(if spread.observed > 0.0 { ((spread.observed - spread.between) / spread.observed).clamp(0.0, 1.0) } else { 0.0 })
}

/// What shows a loss that stays as it is: the sum against the spread of its units' signs.
struct Worse {
    /// The mean of all units, and the part of their mean square that is spread around it.
    mean: f64,
    spread: f64,
    units: f64,
    differing: f64,
    level: f64,
}

impl Worse {
    fn of(cases: &[PairedCase], evidence: &Evidence, level: f64) -> Self {
        let groups = sign_flip::groups(cases);
        let difference =
            |index: &usize| cases[*index].candidate.rate().unwrap_or_default() - cases[*index].baseline.rate().unwrap_or_default();
        let sums: Vec<f64> = groups.iter().map(|group| group.iter().map(difference).sum()).collect();
        let units = sums.len().max(1) as f64;
        let mean = if evidence.mean.value < 0.0 { sums.iter().sum::<f64>() / units } else { 0.0 };
        let spread = (sums.iter().map(|sum| sum * sum).sum::<f64>() / units - mean * mean).max(0.0);
        let differing = sums.iter().filter(|sum| **sum != 0.0).count() as f64;
        Self { mean, spread, units, differing, level }
    }

    /// Whether it would, with so many times the units, and with so many times the samples, of which a part of the spread gets less.
    fn shown(&self, times: f64, noise: f64, samples: f64) -> bool {
        if self.mean >= 0.0 || self.level <= 0.0 {
            return false;
        }
        let spread = self.spread * (1.0 - noise + noise / samples);
        let z = self.mean / (self.mean * self.mean + spread).sqrt() * (self.units * times).sqrt();
        let enough =
            sign_flip::fewest_units(self.level).is_some_and(|fewest| self.differing * times * samples.max(1.0) >= f64::from(fewest));
        enough && z <= normal_quantile(self.level)
    }
}

#[cfg(test)]
#[path = "advice_tests.rs"]
mod tests;
