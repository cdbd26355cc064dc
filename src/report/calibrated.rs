//! What does a calibration say, in words that every format can carry?

use crate::model::calibration::{Calibration, Detection, Found, Frequency, PassRateBlocks, SCHEMA, SuiteUnchanged};
use crate::model::comparison::Interval;
use crate::report::{figures, visible};

/// The JSON Schema of what `promptkeel calibrate --json FILE` writes.
pub(crate) fn schema() -> serde_json::Value {
    let mut schema = schemars::schema_for!(Calibration).to_value();
    schema["title"] = "promptkeel calibration".into();
    schema["properties"]["schema"]["const"] = SCHEMA.into();
    schema
}

/// `2.1 %`.
pub(crate) fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

/// `1.5-2.8 %`.
fn interval(interval: Interval) -> String {
    format!("{:.1}-{:.1} %", interval.low * 100.0, interval.high * 100.0)
}

/// `2.1 % (1.5-2.8 %)`.
pub(crate) fn frequency(frequency: Frequency) -> String {
    format!("{} ({})", percent(frequency.share()), interval(frequency.interval))
}

/// A share as points: `5`, `2.5`.
fn points(share: f64) -> String {
    let text = format!("{:.1}", share * 100.0);
    format!("{} points", text.trim_end_matches(".0"))
}

/// `ticket-triage, refunds: 10 runs of 40 cases x 3 samples; 1,198 samples reached a verdict, 96.2 % of them passed`.
pub(crate) fn collected(calibration: &Calibration) -> String {
    let suites = calibration.suites.iter().take(3).map(|suite| visible::name(suite)).collect::<Vec<_>>().join(", ");
    let more = if calibration.suites.len() > 3 { format!(" and {} more", calibration.suites.len() - 3) } else { String::new() };
    let counts = calibration.collected;
    let missing = match calibration.missing_samples {
        0 => String::new(),
        missing => format!("; {} without a verdict", figures::counted(missing, "sample", "samples")),
    };
    format!(
        "{suites}{more}: {} of {}; {} with a verdict, {} of them passed{missing}",
        figures::counted(calibration.runs.into(), "run", "runs"),
        size(calibration),
        figures::counted(counts.samples.into(), "sample", "samples"),
        figures::share(counts.passes.into(), counts.samples.into()),
    )
}

/// `40 cases x 3 samples`.
fn size(calibration: &Calibration) -> String {
    let comparison = &calibration.comparison;
    let [least, most] = comparison.samples;
    let samples = if least == most { figures::counted(most.into(), "sample", "samples") } else { format!("{least}-{most} samples") };
    let units = if comparison.units == comparison.cases { String::new() } else { format!(" in {} units", comparison.units) };
    format!("{} x {samples}{units}", figures::counted(comparison.cases.into(), "case", "cases"))
}

/// What it cost: `840 asked now, $1.2345`.
pub(crate) fn bill(calibration: &Calibration) -> String {
    match calibration.asked {
        0 => "nothing was asked: every answer was stored".to_owned(),
        asked if calibration.simulated => format!("{} asked now, of a simulator", figures::count(asked)),
        asked => format!("{} asked now, {}", figures::count(asked), figures::dollars(calibration.spent_usd)),
    }
}

/// The sentence that somebody needs: `the gate blocks 2.1 % of runs in which nothing changed (...)`.
pub(crate) fn verdict(calibration: &Calibration) -> String {
    let blocked = calibration.comparison.blocked;
    format!(
        "the comparison blocks {} of runs in which nothing changed (95 % interval {} of {} draws; at most {} may be)",
        percent(blocked.share()),
        interval(blocked.interval),
        figures::count(blocked.draws.into()),
        percent(calibration.policy.alpha),
    )
}

/// Whether more is blocked than is stated, beyond what the draws leave open.
pub(crate) fn is_loud(calibration: &Calibration) -> bool {
    calibration.comparison.blocked.interval.low > calibration.policy.alpha
}

/// The reasons of blocks, where there are any: `the average over all cases in 0.9 %, single cases in 1.2 %`.
pub(crate) fn reasons(calibration: &Calibration) -> Option<String> {
    let comparison = &calibration.comparison;
    let share = |count: u32| percent(f64::from(count) / f64::from(comparison.blocked.draws.max(1)));
    let said = [
        ("the average over all cases", comparison.broad),
        ("single cases", comparison.local),
        ("critical assertions", comparison.critical),
    ];
    let said: Vec<String> =
        said.iter().filter(|(_, count)| *count > 0).map(|(what, count)| format!("{what} in {}", share(*count))).collect();
    (!said.is_empty()).then(|| said.join(", "))
}

/// What may not be as it seems.
pub(crate) fn notes(calibration: &Calibration) -> Vec<String> {
    let mut notes = Vec::new();
    let comparison = &calibration.comparison;
    if comparison.reused > 0 {
        let fresh = calibration.policy.local.map_or(0, |local| local.fresh_samples);
        let wanted = 2 * (comparison.samples[1] + fresh);
        let runs = wanted.div_ceil(comparison.samples[1].max(1));
        notes.push(format!(
            "{} with fewer than {wanted} samples: their fresh ones were drawn again from those that there are; `--runs {runs}` gives them samples of their own",
            figures::counted(comparison.reused.into(), "case", "cases"),
        ));
    }
    if let [_, _, ..] = comparison.suites.as_slice() {
        let are_alike = comparison.suites.iter().all(|one| one.policy == comparison.suites[0].policy);
        let set = |one: &SuiteUnchanged| match are_alike {
            true => String::new(),
            false => format!(" (alpha {}, margin {})", percent(one.policy.alpha), points(one.policy.margin)),
        };
        let of_suite = |one: &SuiteUnchanged| format!("{} {}{}", one.suite, percent(one.blocked.share()), set(one));
        notes.push(format!(
            "each suite is compared for itself, with its part of alpha; blocked: {}",
            comparison.suites.iter().map(of_suite).collect::<Vec<_>>().join(", ")
        ));
    }
    if let Some(green) = comparison.green.filter(|green| green.draws < comparison.blocked.draws) {
        let picked = percent(f64::from(green.draws) / f64::from(comparison.blocked.draws.max(1)));
        notes.push(format!(
            "{picked} of runs would be green; with such a one as baseline, as `last-green` picks it, {} are blocked",
            frequency(green)
        ));
    }
    if !calibration.left_out.is_empty() {
        let names = super::compared::names(&calibration.left_out);
        notes.push(format!("fewer than two samples have a verdict, so they are in no comparison: {names}"));
    }
    notes
}

/// A suite's own gate: `ticket-triage, claude-haiku-4-5: at least 100.0 % of 40 cells must pass; 63.2 % (...) of unchanged runs fall short`.
pub(crate) fn pass_rate(rate: &PassRateBlocks, name: impl Fn(&str) -> String) -> String {
    format!(
        "{}, {}: at least {} of {} must pass; {} of unchanged runs fall short",
        name(&rate.suite),
        name(&rate.model),
        percent(rate.min_pass_rate),
        figures::counted(rate.cells.into(), "cell", "cells"),
        frequency(rate.blocked),
    )
}

/// How a loss fares, in lines.
pub(crate) fn detection(detection: &Detection) -> Vec<String> {
    let how = |found: &Found| {
        format!(
            "{} x {}",
            figures::counted(found.cases.into(), "case", "cases"),
            figures::counted(found.samples.into(), "sample", "samples")
        )
    };
    let power = format!("{:.0} %", detection.power * 100.0);
    let mut lines = vec![format!("as things are ({}) it is found in {}", how(&detection.now), frequency(detection.now.found))];
    lines.push(match &detection.by_samples {
        Some(found) => format!("{power} are found from {} on: {}", how(found), frequency(found.found)),
        None => format!("{power} are found with no number of samples up to 100 per case"),
    });
    lines.push(match &detection.by_cases {
        Some(found) => format!("{power} are found from {} on, alike to these: {}", how(found), frequency(found.found)),
        None => format!("{power} are found with no number of cases up to thirty times as many"),
    });
    lines.push(match detection.smallest {
        Some(smallest) => format!("the smallest loss of which {power} are found as things are: about {}", points(smallest)),
        None => format!("of no loss {power} are found as things are"),
    });
    lines
}

/// `a loss of 5 points in every case`.
pub(crate) fn loss(detection: &Detection) -> String {
    format!("a loss of {} in every case", points(detection.drop))
}

/// The cases that are not noise, in a line: `35 cases always passed, 1 never did: a::b`.
pub(crate) fn steady(calibration: &Calibration) -> Option<String> {
    let steady = || calibration.cases.iter().filter(|case| !case.flaky && case.counts.samples > 0);
    let never: Vec<String> = steady().filter(|case| case.counts.passes == 0).map(|case| case.case.clone()).collect();
    let always = steady().count() - never.len();
    let passed = (always > 0).then(|| format!("{} always passed", figures::counted(always as u64, "case", "cases")));
    let failed = (!never.is_empty())
        .then(|| format!("{} never did: {}", figures::counted(never.len() as u64, "case", "cases"), super::compared::names(&never)));
    let said: Vec<String> = passed.into_iter().chain(failed).collect();
    (!said.is_empty()).then(|| said.join(", "))
}

#[cfg(test)]
#[path = "calibrated_tests.rs"]
mod tests;
