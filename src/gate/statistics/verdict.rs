//! Is the candidate worse, not worse, or can these samples not say?
//!
//! Two gates share alpha. The broad one asks whether all cases together moved ([`sign_flip`]), the local one whether single cases broke
//! ([`confirm`]). Whoever passes both and has an interval that lies above minus the margin is shown to be not worse. All else is undecided,
//! with what would decide it. Assertions marked `critical` are judged elsewhere: statistics does not excuse them.

use std::collections::BTreeMap;

use super::distributions::{normal_quantile, student_quantile};
use super::paired::{self, Mean};
use super::{confirm, looks, power, sampling, sign_flip};
use crate::model::comparison::{
    BroadResult, Comparison, ComparisonPolicy, ComparisonVerdict, Counts, FreshSamples, Interval, LocalPolicy, LocalResult, Look, Need,
    PairedCase,
};

/// The power that is meant where a detectable loss is named: four of five.
const POWER: f64 = 0.8;

/// No more samples per case are proposed than anybody would buy.
const MOST_SAMPLES: u32 = 1_000;

/// Compares the arms of the cases. `fresh` holds the samples that were asked for because an earlier call on the same cases named them in its
/// [`Need`]; empty before that.
#[must_use]
pub fn compare(cases: &[PairedCase], fresh: &[FreshSamples], policy: ComparisonPolicy) -> Comparison {
    let policy = sane(policy);
    let has_both = |case: &&PairedCase| case.baseline.samples > 0 && case.candidate.samples > 0;
    let compared: Vec<PairedCase> = cases.iter().filter(has_both).cloned().collect();
    let missing = cases.iter().filter(|case| !has_both(case)).map(|case| case.case.clone()).collect();

    let differences: Vec<f64> =
        compared.iter().map(|case| case.candidate.rate().unwrap_or_default() - case.baseline.rate().unwrap_or_default()).collect();
    let nothing = Mean { value: 0.0, standard_error: 0.0, degrees: 0 };
    let mean = paired::mean(&differences, &clusters(&compared)).unwrap_or(nothing);
    let Levels { margin: margin_level, broad: broad_level, local: local_level } = levels(policy);
    let confidence = 1.0 - 2.0 * margin_level;
    let interval = paired::interval(&compared, &mean, confidence);

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
    let narrow = !compared.is_empty() && interval.low > -policy.margin;
    let verdict = match (broad.regressed || confirmed, narrow && !unconfirmed) {
        (true, _) => ComparisonVerdict::Regressed,
        (false, true) => ComparisonVerdict::NotWorse,
        (false, false) => ComparisonVerdict::Undecided,
    };
    let error = standard_error(&mean, interval, margin_level);
    let need = (verdict == ComparisonVerdict::Undecided)
        .then(|| need(&compared, local.as_ref(), policy, &Width { mean, error, narrow, margin_level, broad_level }));
    Comparison {
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
        detectable: power::detectable(error, broad_level, POWER).min(1.0),
        broad,
        local,
        need,
    }
}

/// The numbers of a policy within what they can be, towards caution: a level that is none blocks nothing and shows nothing.
fn sane(policy: ComparisonPolicy) -> ComparisonPolicy {
    let within = |number: f64, most: f64| if number.is_nan() { 0.0 } else { number.clamp(0.0, most) };
    ComparisonPolicy {
        alpha: within(policy.alpha, 0.5),
        margin: within(policy.margin, 1.0),
        local: policy.local.map(|local| LocalPolicy { share: within(local.share, 1.0), ..local }),
        look: policy.look.map(|look| match look {
            Look::First(fraction) => Look::First(within(fraction, 1.0)),
            Look::Second(fraction) => Look::Second(within(fraction, 1.0)),
        }),
    }
}

/// Alpha, split between the broad gate and the local one: whatever they are made of, together they block at most alpha.
///
/// With two looks the broad gate and the interval spend theirs over both; the local one is judged once, by fresh samples of its own.
fn levels(policy: ComparisonPolicy) -> Levels {
    let local = policy.local.map_or(0.0, |local| policy.alpha * local.share);
    let now = |alpha| match policy.look {
        None => alpha,
        Some(Look::First(fraction)) => looks::first(alpha, fraction),
        Some(Look::Second(fraction)) => looks::second(alpha, fraction),
    };
    Levels { margin: now(policy.alpha), broad: now(policy.alpha - local), local }
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

fn broad(cases: &[PairedCase], level: f64) -> BroadResult {
    let test = sign_flip::test(&sign_flip::units(cases));
    BroadResult { p: test.mid, level, regressed: level > 0.0 && test.mid <= level + confirm::ROUNDING, draws: test.draws }
}

fn sum(counts: impl Iterator<Item = Counts>) -> Counts {
    counts.fold(Counts::default(), |all, one| Counts {
        passes: all.passes.saturating_add(one.passes.min(one.samples)),
        samples: all.samples.saturating_add(one.samples),
    })
}

/// The standard error that the interval amounts to: the estimated one, or a larger one where the interval is wider than Student's.
fn standard_error(mean: &Mean, interval: Interval, alpha: f64) -> f64 {
    let z = normal_quantile(1.0 - alpha).max(1e-6);
    mean.standard_error.max((mean.value - interval.low) / z)
}

/// How wide the interval is, and what follows from it.
struct Width {
    mean: Mean,
    error: f64,
    narrow: bool,
    margin_level: f64,
    broad_level: f64,
}

fn need(cases: &[PairedCase], local: Option<&LocalResult>, policy: ComparisonPolicy, width: &Width) -> Need {
    let unconfirmed = local.iter().flat_map(|local| &local.cases).filter(|case| case.confirmed.is_none());
    let wants = if width.narrow { None } else { factor(policy, width) };
    let n = cases.len() as f64;
    Need {
        confirm: unconfirmed.map(|case| case.case.clone()).collect(),
        fresh_samples: policy.local.map_or(0, |local| local.fresh_samples),
        samples: wants.and_then(|factor| more_samples(cases, width.error, factor)),
        cases: wants.map(|factor| whole((n * factor).max(n + 1.0))),
    }
}

/// By which factor the variance of the mean is too large: with a difference above minus the margin for showing that it is within, with one
/// below 0 for showing that it is worse; the cheaper of the two.
fn factor(policy: ComparisonPolicy, width: &Width) -> Option<f64> {
    let ratio = |distance: f64, level: f64| {
        let reach = student_quantile(1.0 - level, width.mean.degrees.max(1)) * width.error;
        (distance > 0.0 && width.error > 0.0).then(|| (reach / distance).powi(2))
    };
    let within = ratio(width.mean.value + policy.margin, width.margin_level);
    let worse = if width.broad_level > 0.0 { ratio(-width.mean.value, width.broad_level) } else { None };
    within.into_iter().chain(worse).min_by(f64::total_cmp).filter(|factor| factor.is_finite())
}

/// The samples per case with which the variance is smaller by that factor; `None` where the cases' own spread is already too large.
fn more_samples(cases: &[PairedCase], error: f64, factor: f64) -> Option<u32> {
    let spread = sampling::spread_of_differences(cases)?;
    let observed = error * error * cases.len() as f64;
    let noise = observed - spread.between;
    let allowed = observed / factor - spread.between;
    let samples = cases.iter().map(|case| case.baseline.samples.min(case.candidate.samples)).min()?;
    let needed = f64::from(samples) * noise / allowed;
    (allowed > 0.0 && needed <= f64::from(MOST_SAMPLES)).then(|| whole(needed.max(f64::from(samples) + 1.0)))
}

fn whole(number: f64) -> u32 {
    number.ceil() as u32
}

#[cfg(test)]
#[path = "verdict_tests.rs"]
mod tests;
