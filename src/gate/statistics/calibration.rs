//! How often does the gate block a prompt that did not change, and which loss would it find, judged by samples that were really taken?
//!
//! All samples of a case are of one prompt, so any two of them may change places: dealt at random into two arms they are as good as two runs.
//! One such deal is an unbiased look at the gate, and many of them, from a seed, are its false alarms. What is dealt is never dealt twice within
//! a comparison, because samples that are drawn again are more alike than new ones. A loss has to be imagined: each case keeps its pass rate,
//! the candidate's is lower by the loss, and samples are drawn from both.

use std::collections::BTreeMap;

use fastrand::Rng;

use super::proportion::wilson;
use super::sampling::noise;
use super::verdict::judge;
use crate::model::calibration::{CaseNoise, Detection, Found, Frequency, PassRateBlocks, SuiteUnchanged, Unchanged};
use crate::model::comparison::{Comparison, ComparisonPolicy, ComparisonVerdict, Counts, FreshSamples, Need, PairedCase};

/// Of the intervals that are shown.
const CONFIDENCE: f64 = 0.95;
/// How often a loss is to be found.
const POWER: f64 = 0.8;
/// Most samples per case that are proposed.
const MOST_SAMPLES: u32 = 100;
/// Most cases that are proposed, as a multiple of those that there are.
const MOST_TIMES: usize = 30;

/// Fewer green baselines say nothing.
const FEWEST_GREEN: u32 = 50;

/// What came of one sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sample {
    /// It passed.
    Pass,
    /// It failed.
    Fail,
    /// It failed in a critical assertion.
    Critical,
}

/// The samples of one case under one model, all of the very same prompt.
#[derive(Debug, Clone, PartialEq)]
pub struct Pool {
    /// Its suite: each is compared for itself.
    pub suite: String,
    /// The case's name.
    pub case: String,
    /// Cases of one cluster are not independent.
    pub cluster: Option<String>,
    /// Samples in an arm of a comparison: those of a run.
    pub in_arm: u32,
    /// How many of these must pass for the case to pass in a run.
    pub must_pass: u32,
    /// Those that reached a verdict.
    pub samples: Vec<Sample>,
}

impl Pool {
    /// The samples of an arm, where both arms can have as many.
    fn dealt(&self) -> usize {
        (self.in_arm as usize).min(self.samples.len() / 2)
    }

    fn counts(&self) -> Counts {
        count(&self.samples)
    }
}

/// The cells of a suite under one model, by their places among the pools, and the share of them that must pass.
#[derive(Debug, Clone, PartialEq)]
pub struct PassRate {
    /// The suite.
    pub suite: String,
    /// The model.
    pub model: String,
    /// The least share.
    pub min_pass_rate: f64,
    /// Which pools.
    pub pools: Vec<usize>,
}

fn count(samples: &[Sample]) -> Counts {
    let number = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    let passes = samples.iter().filter(|sample| **sample == Sample::Pass).count();
    Counts::new(number(passes), number(samples.len()))
}

fn frequency(count: u32, draws: u32) -> Frequency {
    Frequency { count, draws, interval: wilson(Counts::new(count, draws), CONFIDENCE) }
}

/// How each case's samples turn out, the noisiest first; of equals the one that passes less often, then the earlier one.
#[must_use]
pub fn noise_of_cases(pools: &[Pool]) -> Vec<CaseNoise> {
    let of_case = |counts: Counts| noise(counts).unwrap_or_default();
    let all: f64 = pools.iter().map(|pool| of_case(pool.counts())).sum();
    let mut cases: Vec<CaseNoise> = pools
        .iter()
        .map(|pool| {
            let counts = pool.counts();
            CaseNoise {
                case: pool.case.clone(),
                counts,
                interval: wilson(counts, CONFIDENCE),
                flaky: counts.passes > 0 && counts.passes < counts.samples,
                share_of_noise: if all > 0.0 { of_case(counts) / all } else { 0.0 },
                critical: count_critical(&pool.samples),
            }
        })
        .collect();
    let rate = |case: &CaseNoise| case.counts.rate().unwrap_or(1.0);
    cases.sort_by(|one, other| other.share_of_noise.total_cmp(&one.share_of_noise).then(rate(one).total_cmp(&rate(other))));
    cases
}

fn count_critical(samples: &[Sample]) -> u32 {
    u32::try_from(samples.iter().filter(|sample| **sample == Sample::Critical).count()).unwrap_or(u32::MAX)
}

/// Deals the samples into two arms, `draws` times, and judges each deal as the gate and the suites' pass rates would.
#[must_use]
pub fn unchanged(pools: &[Pool], rates: &[PassRate], policy: ComparisonPolicy, draws: u32, seed: u64) -> (Unchanged, Vec<PassRateBlocks>) {
    let mut random = Rng::with_seed(seed);
    let mut decks: Vec<Deck<'_>> = pools.iter().map(Deck::of).collect();
    let mut tally = Tally::default();
    let mut blocked = vec![0_u32; rates.len()];
    let (names, suite_of) = suites(pools.iter().map(|pool| pool.suite.as_str()));
    let policy = ComparisonPolicy { family: policy.family.max(u32::try_from(names.len()).unwrap_or(u32::MAX)), ..policy };
    let mut of_suites = vec![(0_u32, 0_u32, 0_u32); names.len()];
    let (mut green, mut green_blocked) = (0, 0);
    let mut units = 0;
    for _ in 0..draws {
        let cases: Vec<PairedCase> = decks.iter_mut().map(|deck| deck.deal(&mut random)).collect();
        let comparisons = judged(&cases, &suite_of, names.len(), policy, |need| fresh(&mut decks, need, &mut random));
        units = comparisons.iter().map(|comparison| comparison.units).sum();
        for (of_suite, comparison) in of_suites.iter_mut().zip(&comparisons) {
            of_suite.0 = comparison.cases;
            of_suite.1 += u32::from(comparison.verdict == ComparisonVerdict::Regressed);
            of_suite.2 += u32::from(comparison.verdict == ComparisonVerdict::NotWorse);
        }
        let is_blocked = tally.add(&comparisons, decks.iter().any(|deck| Deck::breaks_critical(deck.candidate())));
        let is_green = !rates.iter().any(|rate| falls_short(rate, &decks, Deck::baseline))
            && !decks.iter().any(|deck| Deck::breaks_critical(deck.baseline()));
        green += u32::from(is_green);
        green_blocked += u32::from(is_green && is_blocked);
        for (blocked, rate) in blocked.iter_mut().zip(rates) {
            *blocked += u32::from(falls_short(rate, &decks, Deck::candidate));
        }
    }
    let in_arm = || decks.iter().map(|deck| deck.arm).filter(|arm| *arm > 0).map(|arm| u32::try_from(arm).unwrap_or(u32::MAX));
    let wants = policy.local.map_or(0, |local| 2 * local.fresh_samples as usize);
    let reused = decks.iter().filter(|deck| deck.arm > 0 && deck.left() < wants).count();
    let of_suite = |(suite, (cases, blocked, not_worse)): (&&str, (u32, u32, u32))| SuiteUnchanged {
        suite: (*suite).to_owned(),
        cases,
        blocked: frequency(blocked, draws),
        not_worse: frequency(not_worse, draws),
    };
    let unchanged = Unchanged {
        cases: u32::try_from(in_arm().count()).unwrap_or(u32::MAX),
        units,
        samples: [in_arm().min().unwrap_or(0), in_arm().max().unwrap_or(0)],
        blocked: frequency(tally.blocked, draws),
        broad: tally.broad,
        local: tally.local,
        critical: tally.critical,
        not_worse: frequency(tally.not_worse, draws),
        undecided: frequency(tally.undecided, draws),
        reused: u32::try_from(reused).unwrap_or(u32::MAX),
        green: (!rates.is_empty() && green >= FEWEST_GREEN).then(|| frequency(green_blocked, green)),
        suites: if names.len() > 1 { names.iter().zip(of_suites).map(of_suite).collect() } else { Vec::new() },
    };
    let of_rate = |(rate, blocked): (&PassRate, u32)| PassRateBlocks {
        suite: rate.suite.clone(),
        model: rate.model.clone(),
        min_pass_rate: rate.min_pass_rate,
        cells: u32::try_from(rate.pools.len()).unwrap_or(u32::MAX),
        blocked: frequency(blocked, draws),
    };
    (unchanged, rates.iter().zip(blocked).map(of_rate).collect())
}

/// The names of the suites, and the place of each pool's among them.
fn suites<'a>(of_pools: impl Iterator<Item = &'a str>) -> (Vec<&'a str>, Vec<usize>) {
    let mut names: Vec<&str> = Vec::new();
    let mut places: BTreeMap<&str, usize> = BTreeMap::new();
    let mut place = |suite: &'a str| {
        *places.entry(suite).or_insert_with(|| {
            names.push(suite);
            names.len() - 1
        })
    };
    let of = of_pools.map(&mut place).collect();
    (names, of)
}

/// Each suite's comparison, as a run would make it.
fn judged(
    cases: &[PairedCase],
    suite_of: &[usize],
    suites: usize,
    policy: ComparisonPolicy,
    mut fresh: impl FnMut(&Need) -> Vec<FreshSamples>,
) -> Vec<Comparison> {
    let of_suite = |suite: usize| -> Vec<PairedCase> {
        cases.iter().zip(suite_of).filter(|(_, of)| **of == suite).map(|(case, _)| case.clone()).collect()
    };
    let mut decided = |suite: usize| {
        let cases = if suites == 1 { cases.to_vec() } else { of_suite(suite) };
        let first = judge(&cases, &[], policy);
        match &first.need {
            Some(need) if !need.confirm.is_empty() => judge(&cases, &fresh(need), policy),
            _ => first,
        }
    };
    (0..suites).map(&mut decided).collect()
}

#[derive(Default)]
struct Tally {
    blocked: u32,
    broad: u32,
    local: u32,
    critical: u32,
    not_worse: u32,
    undecided: u32,
}

impl Tally {
    /// Counts the comparisons of one run; whether it is blocked.
    fn add(&mut self, comparisons: &[Comparison], critical: bool) -> bool {
        let is_local = |comparison: &Comparison| {
            comparison.local.iter().flat_map(|local| &local.cases).any(|case| case.confirmed.is_some_and(|case| case.regressed))
        };
        self.broad += u32::from(comparisons.iter().any(|comparison| comparison.broad.regressed));
        self.local += u32::from(comparisons.iter().any(is_local));
        self.critical += u32::from(critical);
        let any = |verdict| comparisons.iter().any(|comparison| comparison.verdict == verdict);
        let is_blocked = critical || any(ComparisonVerdict::Regressed);
        if is_blocked {
            self.blocked += 1;
        } else if comparisons.is_empty() || any(ComparisonVerdict::Undecided) {
            self.undecided += 1;
        } else {
            self.not_worse += 1;
        }
        is_blocked
    }
}

/// The samples of a case in the order in which they are dealt: the candidate's arm, the baseline's, and what is left for fresh ones.
struct Deck<'a> {
    pool: &'a Pool,
    samples: Vec<Sample>,
    arm: usize,
}

impl<'a> Deck<'a> {
    fn of(pool: &'a Pool) -> Self {
        Self { pool, samples: pool.samples.clone(), arm: pool.dealt() }
    }

    fn left(&self) -> usize {
        self.samples.len() - 2 * self.arm
    }

    /// Puts random samples into the places from `from` on; what stands before stays.
    fn shuffle(&mut self, from: usize, many: usize, random: &mut Rng) {
        for place in from..(from + many).min(self.samples.len()) {
            let other = random.usize(place..self.samples.len());
            self.samples.swap(place, other);
        }
    }

    fn deal(&mut self, random: &mut Rng) -> PairedCase {
        self.shuffle(0, 2 * self.arm, random);
        PairedCase {
            case: self.pool.case.clone(),
            cluster: self.pool.cluster.clone(),
            candidate: count(self.candidate()),
            baseline: count(self.baseline()),
        }
    }

    fn candidate(&self) -> &[Sample] {
        &self.samples[..self.arm]
    }

    fn baseline(&self) -> &[Sample] {
        &self.samples[self.arm..2 * self.arm]
    }

    fn breaks_critical(arm: &[Sample]) -> bool {
        arm.contains(&Sample::Critical)
    }

    /// Samples that the arms have not seen; where there are too few, samples of all of them, each perhaps several times.
    fn fresh(&mut self, wanted: u32, random: &mut Rng) -> FreshSamples {
        let many = wanted as usize;
        let (baseline, candidate) = if self.left() >= 2 * many {
            let from = 2 * self.arm;
            self.shuffle(from, 2 * many, random);
            (count(&self.samples[from..from + many]), count(&self.samples[from + many..from + 2 * many]))
        } else {
            let mut again = || count(&(0..many).map(|_| self.samples[random.usize(0..self.samples.len())]).collect::<Vec<_>>());
            (again(), again())
        };
        FreshSamples { case: self.pool.case.clone(), baseline, candidate }
    }
}

fn fresh(decks: &mut [Deck<'_>], need: &Need, random: &mut Rng) -> Vec<FreshSamples> {
    let wanted = decks.iter_mut().filter(|deck| need.confirm.contains(&deck.pool.case));
    wanted.map(|deck| deck.fresh(need.fresh_samples, random)).collect()
}

/// Whether an arm, as a run of its own, has too few passing cells.
fn falls_short<'a>(rate: &PassRate, decks: &'a [Deck<'a>], arm: fn(&'a Deck<'a>) -> &'a [Sample]) -> bool {
    let cells = || rate.pools.iter().filter_map(|pool| decks.get(*pool)).filter(|deck| deck.arm > 0);
    let passes = |deck: &&'a Deck<'a>| count(arm(deck)).passes >= deck.pool.must_pass.min(u32::try_from(deck.arm).unwrap_or(u32::MAX));
    // As the gate of a run rounds it.
    (cells().filter(passes).count() as f64 + 1e-9) < rate.min_pass_rate * cells().count() as f64
}

/// A suite to imagine losses in: pass rates, in units of cases that stand or fall together.
struct Imagined {
    units: Vec<Vec<(f64, u32)>>,
    /// Each unit's suite.
    suite_of: Vec<usize>,
    suites: usize,
    policy: ComparisonPolicy,
    draws: u32,
    seed: u64,
}

impl Imagined {
    fn of(pools: &[Pool], policy: ComparisonPolicy, draws: u32, seed: u64) -> Self {
        let mut units: Vec<Vec<(f64, u32)>> = Vec::new();
        let (names, of_pools) = suites(pools.iter().map(|pool| pool.suite.as_str()));
        let mut suite_of = Vec::new();
        let mut of_cluster: BTreeMap<&str, usize> = BTreeMap::new();
        for (pool, suite) in pools.iter().zip(of_pools).filter(|(pool, _)| pool.samples.len() > 1) {
            let place = pool.cluster.as_deref().map_or(units.len(), |cluster| *of_cluster.entry(cluster).or_insert(units.len()));
            if place == units.len() {
                units.push(Vec::new());
                suite_of.push(suite);
            }
            units[place].push((pool.counts().rate().unwrap_or_default(), pool.in_arm));
        }
        let policy = ComparisonPolicy { family: policy.family.max(u32::try_from(names.len()).unwrap_or(u32::MAX)), ..policy };
        Self { units, suite_of, suites: names.len(), policy, draws, seed }
    }

    /// In how many comparisons the loss is found, with so many units and, where it is given, so many samples.
    fn found(&self, units: usize, samples: Option<u32>, drop: f64) -> Found {
        let mut random = Rng::with_seed(self.seed);
        let mut found = 0;
        let mut cases = 0;
        for _ in 0..self.draws {
            let (drawn, truth, suite_of) = self.draw(units, samples, drop, &mut random);
            cases = drawn.len();
            let comparisons = judged(&drawn, &suite_of, self.suites, self.policy, |need| imagined_fresh(&drawn, &truth, need, &mut random));
            found += u32::from(comparisons.iter().any(|comparison| comparison.verdict == ComparisonVerdict::Regressed));
        }
        let most = self.units.iter().flatten().map(|(_, in_arm)| samples.unwrap_or(*in_arm)).max().unwrap_or(0);
        Found { cases: u32::try_from(cases).unwrap_or(u32::MAX), samples: most, found: frequency(found, self.draws) }
    }

    /// One run of both arms, and the pass rates behind it. Another number of units is drawn from those that there are.
    fn draw(&self, units: usize, samples: Option<u32>, drop: f64, random: &mut Rng) -> Drawn {
        let mut cases = Vec::with_capacity(units);
        let mut truth = Vec::with_capacity(units);
        let mut suite_of = Vec::with_capacity(units);
        for unit in 0..units {
            let place = if units == self.units.len() { unit } else { random.usize(0..self.units.len()) };
            for (rate, in_arm) in &self.units[place] {
                let (samples, candidate) = (samples.unwrap_or(*in_arm), (rate - drop).max(0.0));
                cases.push(PairedCase {
                    case: cases.len().to_string(),
                    cluster: (self.units[place].len() > 1).then(|| unit.to_string()),
                    baseline: tossed(*rate, samples, random),
                    candidate: tossed(candidate, samples, random),
                });
                truth.push((*rate, candidate));
                suite_of.push(self.suite_of[place]);
            }
        }
        (cases, truth, suite_of)
    }

    fn suffices(found: &Found) -> bool {
        found.found.share() >= POWER
    }
}

/// Cases, the pass rates behind them, and their suites.
type Drawn = (Vec<PairedCase>, Vec<(f64, f64)>, Vec<usize>);

fn imagined_fresh(cases: &[PairedCase], truth: &[(f64, f64)], need: &Need, random: &mut Rng) -> Vec<FreshSamples> {
    let wanted = cases.iter().zip(truth).filter(|(case, _)| need.confirm.contains(&case.case));
    wanted
        .map(|(case, (baseline, candidate))| FreshSamples {
            case: case.case.clone(),
            baseline: tossed(*baseline, need.fresh_samples, random),
            candidate: tossed(*candidate, need.fresh_samples, random),
        })
        .collect()
}

fn tossed(probability: f64, samples: u32, random: &mut Rng) -> Counts {
    let passes = (0..samples).filter(|_| random.f64() < probability).count();
    Counts::new(u32::try_from(passes).unwrap_or(samples), samples)
}

/// How often a loss of `drop` in every case would be found, and with how many samples or cases often enough. `None` where no case has two
/// samples, or the loss is none.
#[must_use]
pub fn detection(pools: &[Pool], policy: ComparisonPolicy, drop: f64, draws: u32, seed: u64) -> Option<Detection> {
    let suite = Imagined::of(pools, policy, draws, seed);
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
        if Imagined::suffices(&tried) {
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
        if Imagined::suffices(&tried) {
            best = (middle, tried);
        } else {
            below = middle;
        }
    }
    Some(best)
}

#[cfg(test)]
#[path = "calibration_tests.rs"]
mod tests;
