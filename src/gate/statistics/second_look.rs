//! When may a comparison be looked at a second time, and with how many samples? Decided before the first look: by the numbers of cases and
//! samples, the margin and alpha alone, never by what the samples say.

use super::verdict;
use crate::model::comparison::{Comparison, ComparisonPolicy, ComparisonVerdict, Counts, FreshSamples, Look, PairedCase};

/// Nobody waits for a second look of more samples per case than this, or than ten times those of the first.
const MOST: u32 = 40;

/// The samples of each case in each arm at the two looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Looks {
    /// At the first.
    pub first: u32,
    /// At the second, those of the first included.
    pub second: u32,
}

impl Looks {
    /// Twice as many at the second look, or as many more as it takes to show at all that nothing got worse: with fewer, not even a candidate
    /// that passes everything would be shown to be within the margin. `None` where no number of samples does: one unit says nothing of others.
    #[must_use]
    pub fn planned(cases: &[PairedCase], policy: ComparisonPolicy) -> Option<Self> {
        let samples = |case: &PairedCase| case.baseline.samples.max(case.candidate.samples);
        // The plan is the same however many suites are still open.
        let policy = ComparisonPolicy { family: 1, ..policy };
        let first = cases.iter().map(samples).max().filter(|samples| *samples > 0)?;
        let most = first.saturating_mul(10).max(MOST);
        let could_show = |second: &u32| {
            let all = Counts::new(*second, *second);
            let passing: Vec<PairedCase> = cases.iter().map(|case| PairedCase { baseline: all, candidate: all, ..case.clone() }).collect();
            let looks = Self { first, second: *second };
            verdict::judge(&passing, &[], ComparisonPolicy { local: None, ..looks.second_of(policy) }).verdict
                == ComparisonVerdict::NotWorse
        };
        let second = (first.saturating_mul(2)..=most).find(could_show)?;
        Some(Self { first, second })
    }

    /// The policy of the first look.
    #[must_use]
    pub fn first_of(self, policy: ComparisonPolicy) -> ComparisonPolicy {
        ComparisonPolicy { look: Some(Look::First(self.fraction())), ..policy }
    }

    /// The policy of the second.
    #[must_use]
    pub fn second_of(self, policy: ComparisonPolicy) -> ComparisonPolicy {
        ComparisonPolicy { look: Some(Look::Second(self.fraction())), ..policy }
    }

    /// The share of all planned samples that the first look has.
    fn fraction(self) -> f64 {
        f64::from(self.first) / f64::from(self.second.max(1))
    }

    /// Whether the second look would decide if the difference stayed as it is: by what the first one says of samples, or because the very
    /// same rates of as many samples would. Not to look again makes no verdict wrong, however that is decided.
    #[must_use]
    pub fn would_decide(self, first: &Comparison, cases: &[PairedCase], policy: ComparisonPolicy) -> bool {
        if first.need.as_ref().and_then(|need| need.samples).is_some_and(|samples| samples <= self.second) {
            return true;
        }
        let times =
            |count: u32| u32::try_from(u64::from(count) * u64::from(self.second) / u64::from(self.first.max(1))).unwrap_or(u32::MAX);
        let more = |counts: Counts| Counts::new(times(counts.passes), times(counts.samples));
        let alike = cases.iter().map(|case| PairedCase { baseline: more(case.baseline), candidate: more(case.candidate), ..case.clone() });
        let policy = ComparisonPolicy { local: None, ..self.second_of(policy) };
        verdict::judge(&alike.collect::<Vec<_>>(), &[], policy).verdict == ComparisonVerdict::NotWorse
    }
}

/// The cases with the samples of the second look beside those of the first. What confirmed single cases is none of them.
#[must_use]
pub fn with_second(cases: &[PairedCase], second: &[FreshSamples]) -> Vec<PairedCase> {
    let both = |one: Counts, other: Counts| Counts::new(one.passes.saturating_add(other.passes), one.samples.saturating_add(other.samples));
    let more = |case: &PairedCase| second.iter().find(|more| more.case == case.case);
    let add = |case: &PairedCase| match more(case) {
        Some(more) => {
            PairedCase { baseline: both(case.baseline, more.baseline), candidate: both(case.candidate, more.candidate), ..case.clone() }
        }
        None => case.clone(),
    };
    cases.iter().map(add).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cases(count: usize, samples: u32) -> Vec<PairedCase> {
        let passing = Counts::new(samples, samples);
        (0..count).map(|index| PairedCase { case: index.to_string(), cluster: None, baseline: passing, candidate: passing }).collect()
    }

    fn planned(count: usize, samples: u32) -> Option<(u32, u32)> {
        Looks::planned(&cases(count, samples), ComparisonPolicy::default()).map(|looks| (looks.first, looks.second))
    }

    #[test]
    fn the_second_look_has_twice_the_samples_or_as_many_as_can_show_something() {
        assert_eq!([planned(40, 3), planned(100, 1)], [Some((3, 6)), Some((1, 2))]);
        // Of twenty cases even all passes of three samples are sixty, and sixty do not exclude a failure rate of five points.
        assert_eq!(planned(20, 1), Some((1, 4)));
        assert_eq!(planned(1, 3), None, "one case says nothing of others");
        assert_eq!(planned(0, 3), None);
    }

    #[test]
    fn the_plan_does_not_know_what_the_samples_say() {
        let policy = ComparisonPolicy::default();
        let mut failing = cases(12, 3);
        for case in &mut failing {
            (case.baseline, case.candidate) = (Counts::new(1, 3), Counts::new(0, 3));
        }
        assert_eq!(Looks::planned(&failing, policy), Looks::planned(&cases(12, 3), policy));
    }

    #[test]
    fn without_a_margin_nothing_could_ever_be_shown() {
        assert_eq!(Looks::planned(&cases(40, 3), ComparisonPolicy { margin: 0.0, ..ComparisonPolicy::default() }), None);
    }
}
