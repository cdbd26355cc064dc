//! Is the candidate worse, not worse, or can these samples not say?
//!
//! Two gates share alpha. The broad one asks whether all cases together moved ([`sign_flip`]), the local one whether single cases broke
//! ([`confirm`]). Whoever passes both and has an interval that lies above minus the margin is shown to be not worse. All else is undecided,
//! with what would decide it. Assertions marked `critical` are judged elsewhere: statistics does not excuse them.

use std::collections::BTreeMap;

use super::paired::{self, Evidence, Mean};
use super::{advice, confirm, looks, sign_flip};
use crate::model::comparison::{
    BroadResult, Comparison, ComparisonPolicy, ComparisonVerdict, Counts, FreshSamples, LocalPolicy, LocalResult, Look, Need, PairedCase,
};

/// Compares the arms of the cases. `fresh` holds the samples that were asked for because an earlier call on the same cases named them in its
/// [`Need`]; empty before that.
///
/// That the interval lies below 0 blocks nothing: it is as wide as alpha allows, and of that the two gates have spent all. So a comparison can
/// be undecided beside an interval that excludes 0.
#[must_use]
pub fn compare(cases: &[PairedCase], fresh: &[FreshSamples], policy: ComparisonPolicy) -> Comparison {
    let (judged, facts) = weigh(cases, fresh, policy);
    let policy = judged.policy;
    let detectable = advice::detectable(&facts.compared, judged.broad.level);
    let need = judged.need.map(|need| {
        if facts.narrow {
            need
        } else {
            advice::widen(need, &facts.compared, facts.evidence, policy.margin, judged.confidence, judged.broad.level)
        }
    });
    Comparison { detectable, need, ..judged }
}

/// The verdict alone: what a comparison could have seen, and how many samples or cases would decide it, is left out, for it takes a thousand
/// times as long.
#[must_use]
pub fn judge(cases: &[PairedCase], fresh: &[FreshSamples], policy: ComparisonPolicy) -> Comparison {
    weigh(cases, fresh, policy).0
}

/// What a verdict was made from.
struct Facts {
    compared: Vec<PairedCase>,
    evidence: Evidence,
    narrow: bool,
}

fn weigh(cases: &[PairedCase], fresh: &[FreshSamples], policy: ComparisonPolicy) -> (Comparison, Facts) {
    let policy = sane(policy);
    let has_both = |case: &&PairedCase| case.baseline.samples > 0 && case.candidate.samples > 0;
    let compared: Vec<PairedCase> = cases.iter().filter(has_both).cloned().collect();
    let missing = cases.iter().filter(|case| !has_both(case)).map(|case| case.case.clone()).collect();

    let differences: Vec<f64> =
        compared.iter().map(|case| case.candidate.rate().unwrap_or_default() - case.baseline.rate().unwrap_or_default()).collect();
    let nothing = Mean { value: 0.0, standard_error: 0.0, degrees: 0 };
    let clusters = clusters(&compared);
    let mean = paired::mean(&differences, &clusters).unwrap_or(nothing);
    let Levels { margin: margin_level, broad: broad_level, local: local_level } = levels(policy);
    let confidence = 1.0 - 2.0 * margin_level;
    let evidence = Evidence::of(&compared, mean, &clusters);
    let interval = evidence.interval(confidence);

    let broad = broad(&compared, broad_level);
    let local = policy.local.map(|local| {
        let screened = match policy.look {
            None | Some(Look::First(_)) => confirm::screen(&compared),
            Some(Look::Second(_)) => compared.iter().filter(|case| fresh.iter().any(|fresh| fresh.case == case.case)).collect(),
        };
        confirm::local(screened, fresh, local, local_level)
    });

    let confirmed = local.iter().flat_map(|local| &local.cases).any(|case| case.confirmed.is_some_and(|case| case.regressed));
    let unconfirmed = local.iter().flat_map(|local| &local.cases).any(|case| case.confirmed.is_none());
    let passed_over = local.iter().any(|local| local.broken > 0);
    let narrow = !compared.is_empty() && interval.low > -policy.margin;
    let verdict = match (broad.regressed || confirmed, narrow && !unconfirmed && !passed_over) {
        (true, _) => ComparisonVerdict::Regressed,
        (false, true) => ComparisonVerdict::NotWorse,
        (false, false) => ComparisonVerdict::Undecided,
    };
    let need = (verdict == ComparisonVerdict::Undecided).then(|| confirming(local.as_ref(), policy));
    let comparison = Comparison {
        verdict,
        policy,
        cases: u32::try_from(compared.len()).unwrap_or(u32::MAX),
        units: if compared.is_empty() { 0 } else { mean.degrees.saturating_add(1) },
        missing,
        baseline: sum(compared.iter().map(|case| case.baseline)),
        candidate: sum(compared.iter().map(|case| case.candidate)),
        difference: mean.value,
        interval,
        confidence,
        detectable: None,
        broad,
        local,
        need,
    };
    (comparison, Facts { compared, evidence, narrow })
}

/// What single cases want that look worse: as many fresh samples as could show a break, where the policy's own are too few for its level.
fn confirming(local: Option<&LocalResult>, policy: ComparisonPolicy) -> Need {
    let unconfirmed = local.iter().flat_map(|local| &local.cases).filter(|case| case.confirmed.is_none());
    let confirm: Vec<String> = unconfirmed.map(|case| case.case.clone()).collect();
    let enough = local.and_then(|local| confirm::samples_that_can_show(local.level, local.cases.len()));
    let asked = policy.local.map_or(0, |local| local.fresh_samples);
    Need { fresh_samples: enough.map_or(asked, |enough| asked.max(enough)), confirm, samples: None, cases: None }
}

/// The numbers of a policy within what they can be, towards caution: a level that is none blocks nothing and shows nothing.
fn sane(policy: ComparisonPolicy) -> ComparisonPolicy {
    let within = |number: f64, most: f64| if number.is_nan() { 0.0 } else { number.clamp(0.0, most) };
    ComparisonPolicy {
        alpha: within(policy.alpha, 0.5),
        margin: within(policy.margin, 1.0),
        family: policy.family.max(1),
        local: policy.local.map(|local| LocalPolicy { share: within(local.share, 1.0), ..local }),
        look: policy.look.map(|look| match look {
            Look::First(fraction) => Look::First(within(fraction, 1.0)),
            Look::Second(fraction) => Look::Second(within(fraction, 1.0)),
        }),
    }
}

/// Alpha, split between the broad gate and the local one: whatever they are made of, together they block at most alpha.
///
/// Where several comparisons share it, each blocks with its part only.
///
/// With two looks the broad gate and the interval spend theirs over both; the local one is judged once, by fresh samples of its own.
fn levels(policy: ComparisonPolicy) -> Levels {
    let blocking = policy.alpha / f64::from(policy.family);
    let local = policy.local.map_or(0.0, |local| blocking * local.share);
    let now = |alpha| match policy.look {
        None => alpha,
        Some(Look::First(fraction) | Look::Second(fraction)) => looks::equal(alpha, fraction),
    };
    Levels { margin: now(policy.alpha), broad: now(blocking - local), local }
}

struct Levels {
    margin: f64,
    broad: f64,
    local: f64,
}

/// A number for each case's unit: those of a cluster share theirs.
fn clusters<'a>(cases: &'a [PairedCase]) -> Vec<usize> {
    let mut first: BTreeMap<&str, usize> = BTreeMap::new();
    let mut unit = |index: usize, case: &'a PairedCase| match &case.cluster {
        Some(cluster) => index.min(*first.entry(cluster).or_insert(index)),
        None => index,
    };
    cases.iter().enumerate().map(|(index, case)| unit(index, case)).collect()
}

/// The sign-flip test. Without a difference p is 1 by convention; and it is never below what as many fair coins could come to, so that a few
/// units with unequal arms prove no more than with equal ones: one unit says nothing of a suite, however many samples it has.
fn broad(cases: &[PairedCase], level: f64) -> BroadResult {
    let units = sign_flip::units(cases);
    let test = sign_flip::test(&units);
    let p = match units.iter().filter(|unit| unit.can_differ()).count() {
        0 => 1.0,
        moving => test.mid.max(sign_flip::least(u32::try_from(moving).unwrap_or(u32::MAX))),
    };
    BroadResult { p, level, regressed: level > 0.0 && p <= level + confirm::ROUNDING, draws: test.draws }
}

fn sum(counts: impl Iterator<Item = Counts>) -> Counts {
    counts.fold(Counts::default(), |all, one| Counts {
        passes: all.passes.saturating_add(one.passes.min(one.samples)),
        samples: all.samples.saturating_add(one.samples),
    })
}

#[cfg(test)]
#[path = "verdict_tests.rs"]
mod tests;
