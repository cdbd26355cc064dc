//! Which loss would the gate find, and with how many samples or cases, judged by samples that were really taken?
//!
//! A loss has to be imagined: each case keeps its pass rate, the candidate's is lower by the loss, and samples are drawn from both. Cases of a
//! cluster are drawn together as often as they were seen to pass and fail together.

use fastrand::Rng;

use super::calibration::{Gates, Pool, Sample, frequency, judged, suites, together};
use crate::model::calibration::{Detection, Found};
use crate::model::comparison::{ComparisonPolicy, ComparisonVerdict, Counts, FreshSamples, Need, PairedCase};

/// How often a loss is to be found.
const POWER: f64 = 0.8;
/// Most samples per case that are proposed.
const MOST_SAMPLES: u32 = 100;
/// Most cases that are proposed, as a multiple of those that there are.
const MOST_TIMES: usize = 30;

/// Cases that stand or fall together.
struct Unit {
    /// The pass rate and the samples in an arm of each.
    members: Vec<(f64, u32)>,
    /// How often they do: the share of samples that one lot decides for all of them.
    dependence: f64,
    suite: usize,
}

impl Unit {
    fn of(members: &[&Pool], suite: usize) -> Self {
        let rates = members.iter().map(|pool| (rate(pool), pool.in_arm)).collect();
        Self { members: rates, dependence: dependence(members), suite }
    }

    /// One run of both arms, the baseline's first.
    fn toss(&self, samples: impl Fn(u32) -> u32, drop: f64, random: &mut Rng) -> Vec<[Counts; 2]> {
        if let [(rate, in_arm)] = self.members.as_slice() {
            let baseline = tossed(*rate, samples(*in_arm), random);
            return vec![[baseline, tossed((rate - drop).max(0.0), samples(*in_arm), random)]];
        }
        let mut counts: Vec<[Counts; 2]> = self.members.iter().map(|(_, in_arm)| [Counts::new(0, samples(*in_arm)); 2]).collect();
        for (arm, loss) in [0.0, drop].into_iter().enumerate() {
            for sample in 0..counts.iter().map(|counts| counts[arm].samples).max().unwrap_or_default() {
                let (is_shared, lot) = (random.f64() < self.dependence, random.f64());
                for (counts, (rate, _)) in counts.iter_mut().zip(&self.members).filter(|(counts, _)| sample < counts[arm].samples) {
                    let lot = if is_shared { lot } else { random.f64() };
                    counts[arm].passes += u32::from(lot < rate - loss);
                }
            }
        }
        counts
    }
}

fn rate(pool: &Pool) -> f64 {
    pool.counts().rate().unwrap_or_default()
}

/// How far cases pass and fail together: the covariance of samples of the same place, summed over all pairs of cases, as a share of what it would
/// be if one lot decided each (`min(p, q) - pq`). Where nothing varies there is no resemblance to be seen, and they are taken to be the same.
fn dependence(members: &[&Pool]) -> f64 {
    let (mut seen, mut most) = (0.0, 0.0);
    for (index, one) in members.iter().enumerate() {
        let (p, passed) = (rate(one), |sample: &Sample| f64::from(u8::from(*sample == Sample::Pass)));
        for other in &members[index + 1..] {
            let q = rate(other);
            for (place, sample) in one.places.iter().zip(&one.samples) {
                let Ok(at) = other.places.binary_search(place) else { continue };
                seen += (passed(sample) - p) * (passed(&other.samples[at]) - q);
                most += p.min(q) - p * q;
            }
        }
    }
    if most > 1e-12 { (seen / most).clamp(0.0, 1.0) } else { 1.0 }
}

/// A suite to imagine losses in: pass rates, in units of cases that stand or fall together.
struct Imagined {
    units: Vec<Unit>,
    policies: Vec<ComparisonPolicy>,
    draws: u32,
    seed: u64,
}

impl Imagined {
    fn of(pools: &[Pool], gates: &Gates, draws: u32, seed: u64) -> Self {
        let (names, of_pools) = suites(pools.iter().map(|pool| pool.suite.as_str()));
        let of_unit = |places: Vec<usize>| {
            let enough: Vec<usize> = places.into_iter().filter(|place| pools[*place].samples.len() > 1).collect();
            let members: Vec<&Pool> = enough.iter().map(|place| &pools[*place]).collect();
            enough.first().map(|first| Unit::of(&members, of_pools[*first]))
        };
        let units = together(pools).into_iter().filter_map(of_unit).collect();
        Self { units, policies: gates.of_these(&names), draws, seed }
    }

    /// In how many comparisons the loss is found, with so many units and, where it is given, so many samples.
    fn found(&self, units: usize, samples: Option<u32>, drop: f64) -> Found {
        let mut random = Rng::with_seed(self.seed);
        let mut found = 0;
        let mut cases = 0;
        for _ in 0..self.draws {
            let Drawn { cases: drawn, behind, suite_of } = self.draw(units, samples, drop, &mut random);
            cases = drawn.len();
            let comparisons = judged(&drawn, &suite_of, &self.policies, |need| self.fresh(&drawn, &behind, need, drop, &mut random));
            found += u32::from(comparisons.iter().any(|comparison| comparison.verdict == ComparisonVerdict::Regressed));
        }
        let most = self.units.iter().flat_map(|unit| &unit.members).map(|(_, in_arm)| samples.unwrap_or(*in_arm)).max().unwrap_or(0);
        Found { cases: u32::try_from(cases).unwrap_or(u32::MAX), samples: most, found: frequency(found, self.draws) }
    }

    /// One run of both arms, and what is behind it. Another number of units is drawn from those that there are.
    fn draw(&self, units: usize, samples: Option<u32>, drop: f64, random: &mut Rng) -> Drawn {
        let mut drawn = Drawn { cases: Vec::with_capacity(units), behind: Vec::with_capacity(units), suite_of: Vec::with_capacity(units) };
        for index in 0..units {
            let place = if units == self.units.len() { index } else { random.usize(0..self.units.len()) };
            let unit = &self.units[place];
            let seed = if unit.members.len() > 1 { random.u64(..) } else { 0 };
            for (member, [baseline, candidate]) in unit.toss(|in_arm| samples.unwrap_or(in_arm), drop, random).into_iter().enumerate() {
                let cluster = (unit.members.len() > 1).then(|| index.to_string());
                drawn.cases.push(PairedCase { case: drawn.cases.len().to_string(), cluster, baseline, candidate });
                drawn.behind.push(Behind { place, member, seed });
                drawn.suite_of.push(unit.suite);
            }
        }
        drawn
    }

    /// Fresh samples of the cases that want some; those of a unit hang together as the others do.
    fn fresh(&self, cases: &[PairedCase], behind: &[Behind], need: &Need, drop: f64, random: &mut Rng) -> Vec<FreshSamples> {
        let of_case = |(case, behind): (&PairedCase, &Behind)| {
            let unit = &self.units[behind.place];
            let mut alike = (unit.members.len() > 1).then(|| Rng::with_seed(behind.seed));
            let [baseline, candidate] = unit.toss(|_| need.fresh_samples, drop, alike.as_mut().unwrap_or(random))[behind.member];
            FreshSamples { case: case.case.clone(), baseline, candidate }
        };
        cases.iter().zip(behind).filter(|(case, _)| need.confirm.contains(&case.case)).map(of_case).collect()
    }
}

/// Cases, what is behind each, and their suites.
struct Drawn {
    cases: Vec<PairedCase>,
    behind: Vec<Behind>,
    suite_of: Vec<usize>,
}

/// A case's unit, its place in it, and what the unit's fresh samples begin with.
struct Behind {
    place: usize,
    member: usize,
    seed: u64,
}

fn suffices(found: &Found) -> bool {
    found.found.share() >= POWER
}

fn tossed(probability: f64, samples: u32, random: &mut Rng) -> Counts {
    let passes = (0..samples).filter(|_| random.f64() < probability).count();
    Counts::new(u32::try_from(passes).unwrap_or(samples), samples)
}

/// How often a loss of `drop` in every case would be found, and with how many samples or cases often enough. `None` where no case has two
/// samples, or the loss is none.
#[must_use]
pub fn detection(pools: &[Pool], gates: &Gates, drop: f64, draws: u32, seed: u64) -> Option<Detection> {
    let suite = Imagined::of(pools, gates, draws, seed);
    let units = suite.units.len();
    if units == 0 || drop.is_nan() || drop <= 0.0 {
        return None;
    }
    let samples = |samples: u32| suite.found(units, Some(samples), drop);
    // The fewest cases that are tried cannot show anything; each step of the search draws all of them.
    let cases = |times: u32| suite.found(times as usize, None, drop);
    let tenths = |tenths: u32| suite.found(units, None, f64::from(tenths) / 1000.0);
    let most_units = u32::try_from(units.saturating_mul(MOST_TIMES)).unwrap_or(u32::MAX);
    Some(Detection {
        drop,
        power: POWER,
        now: suite.found(units, None, drop),
        by_samples: fewest(1, MOST_SAMPLES, samples).map(|(_, found)| found),
        by_cases: fewest(2, most_units.max(2), cases).map(|(_, found)| found),
        smallest: fewest(1, 1000, tenths).map(|(tenths, _)| f64::from(tenths) / 1000.0),
    })
}

/// The smallest number with which the loss is found often enough, by doubling and halving: chance finds are few, and more never finds less.
fn fewest(least: u32, most: u32, found: impl Fn(u32) -> Found) -> Option<(u32, Found)> {
    let (mut below, mut number) = (least - 1, least);
    let mut best = loop {
        let tried = found(number);
        if suffices(&tried) {
            break (number, tried);
        }
        if number >= most {
            return None;
        }
        below = number;
        number = number.saturating_mul(2).min(most);
    };
    while best.0 - below > 1 {
        let middle = below + (best.0 - below) / 2;
        let tried = found(middle);
        if suffices(&tried) {
            best = (middle, tried);
        } else {
            below = middle;
        }
    }
    Some(best)
}

#[cfg(test)]
#[path = "detection_tests.rs"]
mod tests;
