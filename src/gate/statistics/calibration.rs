//! How often does the gate block a prompt that did not change, and which loss would it find, judged by samples that were really taken?
//!
//! All samples of a case are of one prompt, so any two of them may change places: dealt at random into two arms they are as good as two runs.
//! One such deal is an unbiased look at the gate, and many of them, from a seed, are its false alarms. What is dealt is never dealt twice within
//! a comparison, because samples that are drawn again are more alike than new ones. Cases of one cluster may have the very same answers, or fail on the
//! same day: theirs are dealt together, so that what has the same place among the samples of its case comes into the same arm.

use std::collections::BTreeMap;

use fastrand::Rng;

use super::proportion::wilson;
use super::sampling::noise;
use super::verdict::judge;
use crate::model::calibration::{CaseNoise, Frequency, PassRateBlocks, SuiteUnchanged, Unchanged};
use crate::model::comparison::{Comparison, ComparisonPolicy, ComparisonVerdict, Counts, FreshSamples, Need, PairedCase};

/// Of the intervals that are shown.
const CONFIDENCE: f64 = 0.95;
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
    /// The place of each among all samples of the case, with a verdict or without.
    pub places: Vec<u32>,
}

/// How the gates of the suites are set: each may have its own.
#[derive(Debug, Clone, PartialEq)]
pub struct Gates {
    common: ComparisonPolicy,
    of_suites: BTreeMap<String, ComparisonPolicy>,
}

impl From<ComparisonPolicy> for Gates {
    fn from(common: ComparisonPolicy) -> Self {
        Self { common, of_suites: BTreeMap::new() }
    }
}

impl Gates {
    /// The policy of each suite by its name; `common` for the others.
    #[must_use]
    pub fn of(common: ComparisonPolicy, of_suites: BTreeMap<String, ComparisonPolicy>) -> Self {
        Self { common, of_suites }
    }

    /// Those of these suites, in their order.
    pub(super) fn of_these(&self, suites: &[&str]) -> Vec<ComparisonPolicy> {
        suites.iter().map(|suite| self.of_suites.get(*suite).copied().unwrap_or(self.common)).collect()
    }
}

impl Pool {
    /// The samples of an arm, where both arms can have as many.
    fn dealt(&self) -> usize {
        (self.in_arm as usize).min(self.samples.len() / 2)
    }

    pub(super) fn counts(&self) -> Counts {
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

pub(super) fn frequency(count: u32, draws: u32) -> Frequency {
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

/// Deals the samples into two arms, `draws` times, and judges each deal as the gates and the suites' pass rates would.
#[must_use]
pub fn unchanged(pools: &[Pool], rates: &[PassRate], gates: &Gates, draws: u32, seed: u64) -> (Unchanged, Vec<PassRateBlocks>) {
    let mut random = Rng::with_seed(seed);
    let mut decks: Vec<Deck<'_>> = pools.iter().map(Deck::of).collect();
    let together = together(pools);
    let mut tally = Tally::default();
    let mut blocked = vec![0_u32; rates.len()];
    let (names, suite_of) = suites(pools.iter().map(|pool| pool.suite.as_str()));
    let policies = gates.of_these(&names);
    let mut of_suites = vec![(0_u32, 0_u32, 0_u32); names.len()];
    let (mut green, mut green_blocked) = (0, 0);
    let mut units = 0;
    for _ in 0..draws {
        for unit in &together {
            deal(&mut decks, unit, &mut random);
        }
        let cases: Vec<PairedCase> = decks.iter().map(Deck::case).collect();
        let comparisons = judged(&cases, &suite_of, &policies, |need| fresh(&mut decks, need, &mut random));
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
    let wants = |suite: &usize| policies[*suite].local.map_or(0, |local| 2 * local.fresh_samples as usize);
    let reused = decks.iter().zip(&suite_of).filter(|(deck, suite)| deck.arm > 0 && deck.left() < wants(suite)).count();
    let of_suite = |((suite, policy), (cases, blocked, not_worse)): ((&&str, &ComparisonPolicy), (u32, u32, u32))| SuiteUnchanged {
        suite: (*suite).to_owned(),
        policy: *policy,
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
        suites: if names.len() > 1 { names.iter().zip(&policies).zip(of_suites).map(of_suite).collect() } else { Vec::new() },
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
pub(super) fn suites<'a>(of_pools: impl Iterator<Item = &'a str>) -> (Vec<&'a str>, Vec<usize>) {
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

/// The pools that hang together, by their places.
pub(super) fn together(pools: &[Pool]) -> Vec<Vec<usize>> {
    let mut units: Vec<Vec<usize>> = Vec::new();
    let mut of_cluster: BTreeMap<&str, usize> = BTreeMap::new();
    for (place, pool) in pools.iter().enumerate() {
        let unit = pool.cluster.as_deref().map_or(units.len(), |cluster| *of_cluster.entry(cluster).or_insert(units.len()));
        match units.get_mut(unit) {
            Some(unit) => unit.push(place),
            None => units.push(vec![place]),
        }
    }
    units
}

/// Each suite's comparison, as a run would make it: they share alpha by Holm's steps, and what was asked afresh stays.
pub(super) fn judged(
    cases: &[PairedCase],
    suite_of: &[usize],
    policies: &[ComparisonPolicy],
    mut fresh: impl FnMut(&Need) -> Vec<FreshSamples>,
) -> Vec<Comparison> {
    let mut of_suites: Vec<(Vec<PairedCase>, Vec<FreshSamples>)> = vec![Default::default(); policies.len()];
    for (case, suite) in cases.iter().zip(suite_of) {
        of_suites[*suite].0.push(case.clone());
    }
    let mut family = policies.len();
    let among = |family: usize, policy: &ComparisonPolicy| {
        let family = u32::try_from(family).unwrap_or(u32::MAX);
        ComparisonPolicy { family: policy.family.max(family), ..*policy }
    };
    let mut comparisons: Vec<Comparison> = Vec::with_capacity(policies.len());
    for ((cases, bought), policy) in of_suites.iter_mut().zip(policies) {
        let policy = among(family, policy);
        let first = judge(cases, &[], policy);
        *bought = first.need.as_ref().filter(|need| !need.confirm.is_empty()).map(&mut fresh).unwrap_or_default();
        comparisons.push(if bought.is_empty() { first } else { judge(cases, bought, policy) });
    }
    loop {
        let is_open = |comparison: &Comparison| comparison.verdict != ComparisonVerdict::Regressed;
        let left = comparisons.iter().filter(|comparison| is_open(comparison)).count();
        if left == 0 || left == family {
            return comparisons;
        }
        family = left;
        for ((comparison, (cases, bought)), policy) in comparisons.iter_mut().zip(&of_suites).zip(policies) {
            if is_open(comparison) {
                *comparison = judge(cases, bought, among(family, policy));
            }
        }
    }
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
    /// Of a deck that was dealt with others: what draws again begin with, the same for all of them.
    shared: Option<u64>,
}

impl<'a> Deck<'a> {
    fn of(pool: &'a Pool) -> Self {
        Self { pool, samples: pool.samples.clone(), arm: pool.dealt(), shared: None }
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

    /// Puts the samples into the order that is drawn for the places of all decks that hang together.
    fn follow(&mut self, rank: &[u32], seed: u64) {
        let rank_of = |place: &u32| rank.get(*place as usize).copied().unwrap_or(u32::MAX);
        let mut ranked: Vec<(u32, Sample)> = self.pool.places.iter().map(rank_of).zip(self.pool.samples.iter().copied()).collect();
        ranked.sort_by_key(|(rank, _)| *rank);
        self.samples = ranked.into_iter().map(|(_, sample)| sample).collect();
        self.shared = Some(seed);
    }

    fn case(&self) -> PairedCase {
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
            if self.shared.is_none() {
                self.shuffle(from, 2 * many, random);
            }
            (count(&self.samples[from..from + many]), count(&self.samples[from + many..from + 2 * many]))
        } else {
            let mut alike = self.shared.map(Rng::with_seed);
            let random = alike.as_mut().unwrap_or(random);
            // In the order of the case, so that decks that hang together draw the same places.
            let samples = &self.pool.samples;
            let mut again = || count(&(0..many).map(|_| samples[random.usize(0..samples.len())]).collect::<Vec<_>>());
            (again(), again())
        };
        FreshSamples { case: self.pool.case.clone(), baseline, candidate }
    }
}

/// Deals the decks of one unit: a single one by itself, several by the same order of places.
fn deal(decks: &mut [Deck<'_>], unit: &[usize], random: &mut Rng) {
    if let [one] = unit {
        let deck = &mut decks[*one];
        return deck.shuffle(0, 2 * deck.arm, random);
    }
    let last = unit.iter().flat_map(|place| &decks[*place].pool.places).max().map_or(0, |last| last.saturating_add(1));
    let mut rank: Vec<u32> = (0..last).collect();
    random.shuffle(&mut rank);
    let seed = random.u64(..);
    unit.iter().for_each(|place| decks[*place].follow(&rank, seed));
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

#[cfg(test)]
#[path = "calibration_tests.rs"]
mod tests;
