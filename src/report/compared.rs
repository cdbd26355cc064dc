//! What does a comparison of two arms say, in words that every format can carry?

use std::borrow::Cow;

use chrono::{DateTime, Utc};

use crate::model::comparison::{Comparison, ComparisonVerdict, Counts, Interval};
use crate::model::gate::{GateKind, GateResult};
use crate::model::money::Money;
use crate::model::side_by_side::{Arm, ArmComparison, Cheapest, Finding, FindingKind, SCHEMA, SideBySide};
use crate::report::{figures, visible};

/// The JSON Schema of what `promptkeel compare --json FILE` writes.
pub(crate) fn schema() -> serde_json::Value {
    let mut schema = schemars::schema_for!(SideBySide).to_value();
    schema["title"] = "promptkeel comparison".into();
    schema["properties"]["schema"]["const"] = SCHEMA.into();
    schema
}

/// Most cases of one finding that are named.
const NAMED: usize = 3;

/// `3 of 3`.
pub(crate) fn of(counts: Counts) -> String {
    format!("{} of {}", counts.passes, counts.samples)
}

/// `95.0 %`, or a dash where nothing reached a verdict.
pub(crate) fn rate(counts: Counts) -> String {
    figures::share(u64::from(counts.passes), u64::from(counts.samples))
}

/// `86.3-98.3`, in per cent.
pub(crate) fn interval(interval: Interval) -> String {
    format!("{:.1}-{:.1}", interval.low * 100.0, interval.high * 100.0)
}

/// The difference with its interval, in points: `-0.6 (-3.1 to +1.9)`.
pub(crate) fn points(comparison: &Comparison) -> String {
    let signed = |share: f64| {
        let text = format!("{:+.1}", share * 100.0);
        if text == "-0.0" || text == "+0.0" { "0.0".to_owned() } else { text }
    };
    let Interval { low, high } = comparison.interval;
    format!("{} ({} to {})", signed(comparison.difference), signed(low), signed(high))
}

/// What a thousand calls cost; `+` where some have no price. Simulated money says so.
pub(crate) fn cost(arm: &Arm) -> String {
    let Some(cost) = arm.cost_per_1000_calls_usd else {
        return if arm.unpriced > 0 { "unpriced".to_owned() } else { "–".to_owned() };
    };
    let decimals = if cost.pico() >= Money::from_pico(1_000_000_000_000).pico() { 2 } else { 4 };
    let more = if arm.unpriced > 0 { "+" } else { "" };
    format!("{}{more}{}", cost.display(decimals), if arm.simulated { " sim" } else { "" })
}

/// `0.8/1.9 s`.
pub(crate) fn latency(arm: &Arm) -> String {
    match (arm.latency_p50_ms, arm.latency_p95_ms) {
        (Some(p50), Some(p95)) if p95 < 1_000 => format!("{p50}/{p95} ms"),
        (Some(p50), Some(p95)) => {
            let seconds = |milliseconds: u64| format!("{}.{}", figures::count(milliseconds / 1000), milliseconds % 1000 / 100);
            format!("{}/{} s", seconds(p50), seconds(p95))
        }
        _ => "–".to_owned(),
    }
}

/// Tokens of a call, in and out: the mean.
pub(crate) fn tokens(arm: &Arm) -> String {
    let mean = |sum: u64| (sum + arm.replies / 2).checked_div(arm.replies).map_or_else(|| "–".to_owned(), figures::compact);
    arm.tokens.as_ref().map_or_else(|| "–".to_owned(), |tokens| format!("{}/{}", mean(tokens.prompt()), mean(tokens.output)))
}

/// How many replies did so; a dash where nobody knows.
pub(crate) fn of_replies(count: Option<u64>) -> String {
    count.map_or_else(|| "–".to_owned(), figures::count)
}

/// `v3 is not worse than v2`, and what stands behind it: `on 60 cases x 3 samples (...)`.
pub(crate) fn statement(comparison: &ArmComparison, name: impl Fn(&str) -> String) -> (String, String) {
    let (candidate, baseline) = (name(&comparison.candidate.name), name(&comparison.baseline.name));
    let sentence = &comparison.sentence;
    if let (Some(_), Some(why)) = (&comparison.gap, sentence.strip_prefix("undecided ")) {
        return (format!("undecided whether {candidate} is worse than {baseline}"), why.to_owned());
    }
    match (comparison.comparison.verdict, sentence.split_once(" on ")) {
        (ComparisonVerdict::Regressed | ComparisonVerdict::NotWorse, Some((verdict, rest))) => {
            (format!("{candidate} is {verdict} than {baseline}"), format!("on {rest}"))
        }
        (ComparisonVerdict::Undecided, Some((verdict, rest))) if comparison.comparison.cases > 0 => {
            (format!("{verdict} whether {candidate} is worse than {baseline}"), format!("on {rest}"))
        }
        _ => (format!("{candidate} and {baseline}"), sentence.clone()),
    }
}

/// Which model will do, in a sentence.
pub(crate) fn cheapest(cheapest: &Cheapest, margin: f64, name: impl Fn(&str) -> String) -> String {
    let points = format!("{:.1}", margin * 100.0);
    let points = points.trim_end_matches(".0");
    let against = name(&cheapest.against);
    let shared = match cheapest.candidates {
        0 | 1 => String::new(),
        many => format!("; {many} candidates share the chance of an error, so each was held to more"),
    };
    match &cheapest.model {
        Some(model) => {
            format!("the cheapest model that is not worse than {against} by more than {points} points: {}{shared}", name(model))
        }
        None => {
            let names = |models: &[String]| models.iter().map(|model| name(model)).collect::<Vec<_>>().join(", ");
            let lacking = match cheapest.lacking.as_slice() {
                [] => String::new(),
                some => format!("; of {} too little was answered to say it", names(some)),
            };
            let said = match (cheapest.cheaper, cheapest.dearer.as_slice()) {
                (Some(0), []) => format!(
                    "no model here costs less than {against}, and none that costs as much or more is shown to be not worse by more than {points} points"
                ),
                (Some(0), dearer) => {
                    format!("no model here costs less than {against}; not worse than it by more than {points} points: {}", names(dearer))
                }
                (_, []) => format!("no cheaper model is shown to be not worse than {against} by more than {points} points"),
                (_, dearer) => format!(
                    "no cheaper model is shown to be not worse than {against} by more than {points} points; without costing less, {} {} shown to be",
                    names(dearer),
                    if dearer.len() == 1 { "is" } else { "are" }
                ),
            };
            format!("{said}{lacking}{shared}")
        }
    }
}

/// A finding in a line: `2 cases left out: other assertions: triage::a, triage::b`.
pub(crate) fn finding(finding: &Finding) -> String {
    let (what, hint) = match finding.kind {
        FindingKind::Variables => ("their variables are not the same in both", ""),
        FindingKind::Fixtures => ("their fixtures are not the same in both", ""),
        FindingKind::Assertions => ("their assertions are not the same in both", ""),
        FindingKind::Model => ("the same name stands for another model", ""),
        FindingKind::Simulated => ("one is answered by a simulator, the other is not", ""),
        FindingKind::Samples => ("not as many samples in both", ""),
        FindingKind::Endpoint => ("another endpoint answered", ""),
        FindingKind::SameAnswers => ("both have the very same answers", "; `run --cache refresh` asks anew"),
        FindingKind::OnlyBaseline => ("only the baseline has them", ""),
        FindingKind::OnlyCandidate => ("only the candidate has them", ""),
        FindingKind::Informs => ("their model counts for the gate no more", ""),
        FindingKind::Gate => ("the gate asks for something else than the baseline's", ""),
        FindingKind::NoVerdictBaseline => ("no verdict in the baseline", ""),
        FindingKind::NoVerdictCandidate => ("no verdict in the candidate", ""),
    };
    let cases = figures::counted(finding.cases.len() as u64, "case", "cases");
    let left_out = if finding.left_out { " left out" } else { "" };
    let detail = finding.detail.as_deref().map(|detail| format!(" ({})", visible::brief(detail, 200))).unwrap_or_default();
    if finding.cases.is_empty() {
        return format!("{what}{detail}{hint}");
    }
    format!("{cases}{left_out}: {what}{detail}{hint}: {}", names(&finding.cases))
}

/// What a gate says in a list of them: the numbers of a comparison stand beside that list, so they are left out here.
pub(crate) fn of_gate(gate: &GateResult) -> Cow<'_, str> {
    let parts = gate.message.split_once(" (difference ").and_then(|(claim, rest)| Some((claim, rest.split_once(')')?.1)));
    match (gate.kind, parts) {
        (GateKind::Comparison, Some((claim, rest))) => Cow::Owned(format!("{claim}{rest}")),
        _ => Cow::Borrowed(&gate.message),
    }
}

/// The first names, and how many more there are.
pub(crate) fn names(cases: &[String]) -> String {
    let mut text = cases.iter().take(NAMED).map(|case| visible::name(case)).collect::<Vec<_>>().join(", ");
    if cases.len() > NAMED {
        text.push_str(&format!(" and {} more", figures::count((cases.len() - NAMED) as u64)));
    }
    text
}

/// `; answered 2026-11-02, 21 days before the other`.
fn answered(arm: &Arm, other: Option<&Arm>) -> String {
    let Some(own) = arm.answered else { return String::new() };
    let day = |at: DateTime<Utc>| at.format("%Y-%m-%d").to_string();
    let (first, last) = (day(own.first), day(own.last));
    let when = if first == last { first } else { format!("{first} to {last}") };
    let age = other.and_then(|other| other.answered).map_or(0, |other| own.days_before(other));
    let age = match age {
        1 => ", a day before the candidate".to_owned(),
        days @ 2.. => format!(", {} days before the candidate", figures::count(days.unsigned_abs())),
        _ => String::new(),
    };
    format!("; answered {when}{age}")
}

/// Where an arm comes from: prompts, models, run, and when it was answered; `other`: what is held against it.
pub(crate) fn origin(arm: &Arm, other: Option<&Arm>) -> String {
    let listed = |names: &[String]| if names.len() > NAMED { format!("{} of them", names.len()) } else { names.join(", ") };
    // The arm of the run that is looked at has no other name for it.
    let run = if arm.run.is_empty() { String::new() } else { format!(", run {}", arm.run) };
    // What a store has lost since, or a committed file never had.
    let known = match (arm.replies, u64::from(arm.counts.samples) + arm.missing_samples) {
        (0, 1..) => "; its answers are not stored any more, only their verdicts".to_owned(),
        (replies, samples) if arm.missing_samples == 0 && replies < samples => {
            format!(
                "; cost, latency and tokens are those of the {} of {} answers that are stored",
                figures::count(replies),
                figures::count(samples)
            )
        }
        _ => String::new(),
    };
    visible::brief(&format!("{}, {}{run}{}{known}", listed(&arm.prompts), listed(&arm.models), answered(arm, other)), 400)
}

/// `2 worse, 1 better; the outputs of 4 other cases are not the same`.
pub(crate) fn differing(comparison: &ArmComparison) -> String {
    let worse = comparison.differing.iter().filter(|case| case.candidate.rate() < case.baseline.rate()).count();
    let better = comparison.differing.len() - worse;
    let others = match comparison.other_outputs {
        0 => String::new(),
        1 => "; 1 other case has another output".to_owned(),
        many => format!("; {} other cases have other outputs", figures::count(u64::from(many))),
    };
    format!("{worse} worse, {better} better{others}")
}

/// What stands above everything where a simulator answered.
pub(crate) fn simulated(comparisons: &[ArmComparison]) -> Option<&'static str> {
    let arms = || comparisons.iter().flat_map(|comparison| [&comparison.baseline, &comparison.candidate]);
    match (arms().all(|arm| arm.simulated), arms().any(|arm| arm.simulated)) {
        (true, _) => Some("every reply came from a simulator: no number here is about a real model"),
        (false, true) => Some("some replies came from a simulator: their costs are marked, and no verdict on them is about a real model"),
        (false, false) => None,
    }
}

#[cfg(test)]
#[path = "compared_tests.rs"]
pub(crate) mod tests;

#[cfg(test)]
#[path = "compared_in_runs_tests.rs"]
mod in_runs;
