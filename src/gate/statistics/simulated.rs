//! How often does the gate say what, on cases whose pass probabilities are known?
//!
//! Nothing else tells whether a gate keeps its word: `cargo bench --bench operating` prints the table, and the tests hold it.

use fastrand::Rng;

use super::second_look::{self, Looks};
use super::verdict::judge;
use crate::model::comparison::{Comparison, ComparisonPolicy, ComparisonVerdict, Counts, FreshSamples, Need, PairedCase, ScreenedCase};

/// The probability that a sample passes, for each case in each arm.
#[derive(Debug, Clone, PartialEq)]
pub struct Truth {
    /// One per case.
    pub baseline: Vec<f64>,
    /// One per case, in the same order.
    pub candidate: Vec<f64>,
}

impl Truth {
    /// A suite as they are: of ten cases seven always pass, two pass nine times in ten, one six times. Nothing changed.
    #[must_use]
    pub fn unchanged(cases: usize) -> Self {
        let probability = |index: usize| match index * 10 / cases {
            0..=6 => 1.0,
            7 | 8 => 0.9,
            _ => 0.6,
        };
        let baseline: Vec<f64> = (0..cases).map(probability).collect();
        Self { candidate: baseline.clone(), baseline }
    }

    /// The candidate's probability falls by `loss` in the cases that are chosen.
    #[must_use]
    pub fn losing(mut self, loss: f64, chosen: impl Fn(usize) -> bool) -> Self {
        for (_, probability) in self.candidate.iter_mut().enumerate().filter(|(index, _)| chosen(*index)) {
            *probability = (*probability - loss).max(0.0);
        }
        self
    }

    /// One run: `samples` of every case in both arms.
    #[must_use]
    pub fn cases(&self, samples: u32, random: &mut Rng) -> Vec<PairedCase> {
        let arms = self.baseline.iter().zip(&self.candidate).enumerate();
        arms.map(|(index, (baseline, candidate))| PairedCase {
            case: index.to_string(),
            cluster: None,
            baseline: draw(*baseline, samples, random),
            candidate: draw(*candidate, samples, random),
        })
        .collect()
    }

    /// The fresh samples that a comparison needs.
    #[must_use]
    pub fn fresh(&self, need: &Need, random: &mut Rng) -> Vec<FreshSamples> {
        let sample = |case: &String| {
            let index: usize = case.parse().ok()?;
            let (baseline, candidate) = (self.baseline.get(index)?, self.candidate.get(index)?);
            Some(FreshSamples {
                case: case.clone(),
                baseline: draw(*baseline, need.fresh_samples, random),
                candidate: draw(*candidate, need.fresh_samples, random),
            })
        };
        need.confirm.iter().filter_map(sample).collect()
    }

    /// One decision, from the first samples to the verdict on the fresh ones.
    #[must_use]
    pub fn decide(&self, samples: u32, policy: ComparisonPolicy, random: &mut Rng) -> Decision {
        self.decide_on(self.cases(samples, random), policy, random)
    }

    fn decide_on(&self, cases: Vec<PairedCase>, policy: ComparisonPolicy, random: &mut Rng) -> Decision {
        let first = judge(&cases, &[], policy);
        match &first.need {
            Some(need) if !need.confirm.is_empty() => {
                let fresh = self.fresh(need, random);
                let bought = fresh.iter().map(|fresh| u64::from(fresh.baseline.samples) + u64::from(fresh.candidate.samples)).sum();
                Decision { comparison: judge(&cases, &fresh, policy), cases, bought }
            }
            _ => Decision { comparison: first, cases, bought: 0 },
        }
    }

    /// One decision as a run makes it that may buy what it needs: a first look, fresh samples of what looks worse, and a second look with
    /// more samples of every case. A run leaves that out where it cannot be expected to decide; with it verdicts are wrong most often.
    #[must_use]
    pub fn decide_in_two_looks(&self, samples: u32, policy: ComparisonPolicy, random: &mut Rng) -> Decision {
        let cases = self.cases(samples, random);
        let Some(looks) = Looks::planned(&cases, policy) else { return self.decide_on(cases, policy, random) };
        let Decision { comparison, cases, bought } = self.decide_on(cases, looks.first_of(policy), random);
        if comparison.verdict != ComparisonVerdict::Undecided {
            return Decision { comparison, cases, bought };
        }
        let fresh: Vec<FreshSamples> = comparison.local.iter().flat_map(|local| &local.cases).filter_map(asked_again).collect();
        if comparison.need.as_ref().is_some_and(|need| !need.confirm.is_empty()) {
            return Decision { comparison, cases, bought };
        }
        let more = self.cases(looks.second - looks.first, random);
        let more: Vec<FreshSamples> =
            more.into_iter().map(|PairedCase { case, baseline, candidate, .. }| FreshSamples { case, baseline, candidate }).collect();
        let paid: u64 = more.iter().map(|case| u64::from(case.baseline.samples) + u64::from(case.candidate.samples)).sum();
        let cases = second_look::with_second(&cases, &more);
        Decision { comparison: judge(&cases, &fresh, looks.second_of(policy)), cases, bought: bought + paid }
    }

    /// Many decisions from a seed.
    #[must_use]
    pub fn rates(&self, samples: u32, policy: ComparisonPolicy, runs: u32, seed: u64) -> Rates {
        Rates::of(runs, seed, |random| self.decide(samples, policy, random))
    }
}

/// The fresh samples of a case that had some.
fn asked_again(case: &ScreenedCase) -> Option<FreshSamples> {
    let confirmed = case.confirmed?;
    Some(FreshSamples { case: case.case.clone(), baseline: confirmed.baseline, candidate: confirmed.candidate })
}

fn draw(probability: f64, samples: u32, random: &mut Rng) -> Counts {
    let passes = (0..samples).filter(|_| random.f64() < probability).count();
    Counts { passes: u32::try_from(passes).unwrap_or(samples), samples }
}

/// One simulated decision.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    /// The verdict with its numbers.
    pub comparison: Comparison,
    /// The samples that it was first made from.
    pub cases: Vec<PairedCase>,
    /// Fresh samples, of both arms together.
    pub bought: u64,
}

/// How often which verdict was reached.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rates {
    /// Decisions.
    pub runs: u32,
    /// Shown to be worse.
    pub regressed: u32,
    /// Shown to be not worse.
    pub not_worse: u32,
    /// Neither.
    pub undecided: u32,
    /// Fresh samples of all runs together.
    pub bought: u64,
}

impl Rates {
    /// Many decisions from a seed.
    #[must_use]
    pub fn of(runs: u32, seed: u64, decide: impl Fn(&mut Rng) -> Decision) -> Self {
        let mut random = Rng::with_seed(seed);
        let mut rates = Self { runs, ..Self::default() };
        for _ in 0..runs {
            let decision = decide(&mut random);
            match decision.comparison.verdict {
                ComparisonVerdict::Regressed => rates.regressed += 1,
                ComparisonVerdict::NotWorse => rates.not_worse += 1,
                ComparisonVerdict::Undecided => rates.undecided += 1,
            }
            rates.bought += decision.bought;
        }
        rates
    }

    /// A share of the runs.
    #[must_use]
    pub fn share(&self, count: u32) -> f64 {
        f64::from(count) / f64::from(self.runs.max(1))
    }

    /// The standard error of a share that is truly `share` in so many runs.
    #[must_use]
    pub fn error(&self, share: f64) -> f64 {
        (share * (1.0 - share) / f64::from(self.runs.max(1))).max(0.0).sqrt()
    }
}

#[cfg(test)]
#[path = "simulated_tests.rs"]
mod tests;
