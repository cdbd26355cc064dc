//! How is a comparison said in one line?
//!
//! ```text
//! not worse on 60 cases x 3 samples (difference -0.6 points, 90 % interval -3.1 to +1.9, margin 5)
//! worse on 40 cases x 3 samples (...): refund-de passed 10 of 10 fresh samples before and 2 of 10 now (p 0.0007, level 0.025)
//! undecided on 20 cases x 3 samples (...): 1 case looks worse and wants 10 fresh samples in each arm: refund-de
//! ```

use super::sign_flip::fewest_units;
use crate::model::comparison::{Comparison, ComparisonVerdict, Confirmed, Counts, Need, ScreenedCase, percent};

/// So many cases are named; the report has all of them.
const NAMED: usize = 3;

/// The verdict with its numbers and its reason.
#[must_use]
pub fn verdict(comparison: &Comparison) -> String {
    if comparison.cases == 0 {
        return format!("undecided: no case has a verdict in both arms{}", left_out(comparison));
    }
    let only_broad = comparison.broad.regressed && confirmed(comparison).next().is_none();
    let word = match comparison.verdict {
        ComparisonVerdict::Regressed if only_broad && comparison.interval.low > -comparison.policy.margin => {
            "worse, by less than the margin,"
        }
        ComparisonVerdict::Regressed => "worse",
        ComparisonVerdict::NotWorse => "not worse",
        ComparisonVerdict::Undecided => "undecided",
    };
    let numbers = format!(
        "difference {} points, {} % interval {} to {}, margin {}",
        signed(comparison.difference),
        percent(comparison.confidence),
        signed(comparison.interval.low),
        signed(comparison.interval.high),
        plain(comparison.policy.margin * 100.0),
    );
    let why = match (&comparison.need, comparison.verdict) {
        (Some(need), _) => needed(need, comparison),
        (None, ComparisonVerdict::Regressed) => shown(comparison),
        (None, ComparisonVerdict::NotWorse | ComparisonVerdict::Undecided) => String::new(),
    };
    let colon = if why.is_empty() { "" } else { ": " };
    format!("{word} on {} ({numbers}){colon}{why}{}{}", size(comparison), beyond(comparison), left_out(comparison))
}

/// What this comparison could have seen at all.
#[must_use]
pub fn sensitivity(comparison: &Comparison) -> String {
    if let Some(detectable) = comparison.detectable {
        return format!("a loss of {} points over all cases would be found in four of five such comparisons", plain(detectable * 100.0));
    }
    match fewest_units(comparison.broad.level) {
        Some(fewest) if comparison.units < fewest => {
            let units = if comparison.units == comparison.cases { "case" } else { "unit" };
            format!(
                "no loss could be found by the average: {} that differ are needed, and there {} {}",
                counted(fewest, units),
                if comparison.units == 1 { "is" } else { "are" },
                comparison.units
            )
        }
        _ => "no loss over all cases would be found in four of five such comparisons".to_owned(),
    }
}

/// `60 cases x 3 samples`, or the samples of each arm where they are not the same everywhere.
fn size(comparison: &Comparison) -> String {
    let Comparison { cases, baseline: Counts { samples: baseline, .. }, candidate: Counts { samples: candidate, .. }, .. } = comparison;
    let size = match (baseline == candidate && baseline % cases == 0, baseline / cases) {
        (true, each) => format!("{} x {}", counted(*cases, "case"), counted(each, "sample")),
        (false, _) => format!("{} with {baseline} and {candidate} samples", counted(*cases, "case")),
    };
    if comparison.units == *cases { size } else { format!("{size} in {}", counted(comparison.units, "unit")) }
}

fn confirmed(comparison: &Comparison) -> impl Iterator<Item = (&ScreenedCase, Confirmed)> {
    let cases = comparison.local.iter().flat_map(|local| &local.cases);
    cases.filter_map(|case| case.confirmed.filter(|confirmed| confirmed.regressed).map(|confirmed| (case, confirmed)))
}

fn shown(comparison: &Comparison) -> String {
    let mut reasons = Vec::new();
    if comparison.broad.regressed {
        reasons.push(format!("all cases together (p {}, level {})", small(comparison.broad.p), small(comparison.broad.level)));
    }
    let of = |counts: Counts| format!("{} of {}", counts.passes, counts.samples);
    let level = comparison.local.as_ref().map_or(0.0, |local| local.level);
    for (case, fresh) in confirmed(comparison).take(NAMED) {
        let (before, now) = (of(fresh.baseline), of(fresh.candidate));
        let p = small(fresh.adjusted);
        reasons.push(format!("{} passed {before} fresh samples before and {now} now (p {p}, level {})", case.case, small(level)));
    }
    let more = confirmed(comparison).count().saturating_sub(NAMED);
    if more > 0 {
        reasons.push(format!("{more} more"));
    }
    reasons.join("; ")
}

fn needed(need: &Need, comparison: &Comparison) -> String {
    let mut wants = Vec::new();
    if let Ok(cases @ 1..) = u32::try_from(need.confirm.len()) {
        let (look, want) = if cases == 1 { ("looks", "wants") } else { ("look", "want") };
        let mut names = need.confirm.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
        if need.confirm.len() > NAMED {
            names.push_str(&format!(" and {} more", need.confirm.len() - NAMED));
        }
        let fresh = counted(need.fresh_samples, "fresh sample");
        wants.push(format!("{} {look} worse and {want} {fresh} in each arm: {names}", counted(cases, "case")));
    }
    match (need.samples, need.cases) {
        (Some(samples), Some(cases)) => {
            wants.push(format!(
                "about {} per case, or {}, would decide if the difference stayed as it is",
                counted(samples, "sample"),
                counted(cases, "case")
            ));
        }
        (None, Some(cases)) => wants.push(format!("about {} would decide if the difference stayed as it is", counted(cases, "case"))),
        (Some(samples), None) => {
            wants.push(format!("about {} per case would decide if the difference stayed as it is", counted(samples, "sample")))
        }
        (None, None) if comparison.units == 1 => wants.push(match comparison.cases {
            1 => "one case shows nothing of others: more cases are needed".to_owned(),
            _ => "all cases hang together as one unit, which shows nothing of others: cases that do not are needed".to_owned(),
        }),
        (None, None) if comparison.interval.low <= -comparison.policy.margin => {
            wants.push("no number of samples or cases would decide if the difference stayed as it is".to_owned());
        }
        (None, None) => {}
    }
    wants.join("; ")
}

/// What looks worse and is not asked again, because so many others look as bad or worse.
fn beyond(comparison: &Comparison) -> String {
    let Some(local) = comparison.local.as_ref().filter(|local| local.beyond > 0) else { return String::new() };
    let (cases, verb) =
        if local.beyond == 1 { ("1 more case looks".to_owned(), "is") } else { (format!("{} more cases look", local.beyond), "are") };
    let mut names = local.unasked.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
    if local.unasked.len() > NAMED {
        names.push_str(&format!(" and {} more", local.unasked.len() - NAMED));
    }
    let most = local.cases.len();
    let broken = match local.broken {
        0 => String::new(),
        broken => format!("; {broken} of them failed all samples now and none before: more samples per case would tell which broke"),
    };
    format!("; {cases} worse and {verb} beyond the {most} that are asked again: {names}{broken}")
}

fn left_out(comparison: &Comparison) -> String {
    match comparison.missing.len() {
        0 => String::new(),
        1 => "; 1 case without a verdict in both arms is left out".to_owned(),
        many => format!("; {many} cases without a verdict in both arms are left out"),
    }
}

fn counted(count: u32, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

/// A share as points with a sign: `-0.6`, `+1.9`, `0.0`.
fn signed(share: f64) -> String {
    let text = format!("{:+.1}", share * 100.0);
    if text == "+0.0" || text == "-0.0" { "0.0".to_owned() } else { text }
}

/// One decimal, none where it is zero: `5`, `2.5`.
fn plain(number: f64) -> String {
    format!("{number:.1}").trim_end_matches(".0").to_owned()
}

/// A probability with two digits that mean something: `0.025`, `0.0039`.
fn small(p: f64) -> String {
    if p < 1e-6 {
        return "below 0.000001".to_owned();
    }
    let decimals = (1.0 - p.log10().floor()).clamp(2.0, 7.0) as usize;
    let text = format!("{p:.decimals$}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::super::verdict::compare;
    use super::*;
    use crate::model::comparison::{ComparisonPolicy, FreshSamples, PairedCase};

    /// All pass all of three samples, but for the first ones, which pass as often as given under the candidate.
    fn suite(cases: usize, worse: &[u32]) -> Vec<PairedCase> {
        let candidate = |index: usize| worse.get(index).copied().unwrap_or(3);
        (0..cases)
            .map(|index| PairedCase {
                case: format!("case-{index}"),
                cluster: None,
                baseline: Counts::new(3, 3),
                candidate: Counts::new(candidate(index), 3),
            })
            .collect()
    }

    fn said(cases: &[PairedCase], fresh: &[FreshSamples]) -> String {
        verdict(&compare(cases, fresh, ComparisonPolicy::default()))
    }

    #[test]
    fn a_verdict_is_said_with_its_numbers_and_its_reason() {
        let broken = FreshSamples { case: "case-0".to_owned(), baseline: Counts::new(10, 10), candidate: Counts::new(2, 10) };
        let lines = [
            said(&suite(60, &[]), &[]),
            said(&suite(100, &[0]), &[]),
            said(&suite(100, &[0]), &[broken]),
            said(&suite(40, &[2; 8]), &[]),
            said(&suite(400, &[2; 7]), &[]),
            said(&suite(12, &[2; 4]), &[]),
            said(&suite(5, &[]), &[]),
            said(&suite(1, &[0]), &[]),
            said(&[], &[]),
        ];
        insta::assert_snapshot!(lines.join("\n"));
    }

    #[test]
    fn cases_that_were_not_asked_alike_are_said_as_they_are() {
        let mut cases = suite(60, &[]);
        cases[0].candidate = Counts::new(2, 2);
        cases[1].candidate = Counts::default();
        for case in &mut cases[10..20] {
            case.cluster = Some("one document".to_owned());
        }
        insta::assert_snapshot!(said(&cases, &[]));
    }

    #[test]
    fn what_could_be_seen_is_said_in_points() {
        let comparison = compare(&suite(60, &[2; 4]), &[], ComparisonPolicy::default());
        insta::assert_snapshot!(sensitivity(&comparison));
    }

    #[test]
    fn a_confidence_that_is_nearly_all_is_not_said_to_be_all() {
        let told = [0.9, 0.939, 0.95, 0.9995, 0.99998, 1.0 - 2e-9, 1.0].map(percent);
        assert_eq!(told, ["90", "93.9", "95", "99.95", "99.998", "99.9999998", "100"]);
        let strict = ComparisonPolicy { alpha: 0.00001, ..ComparisonPolicy::default() };
        assert!(verdict(&compare(&suite(60, &[]), &[], strict)).contains("99.998 % interval"));
    }

    #[test]
    fn probabilities_keep_two_digits() {
        assert_eq!([0.025, 0.00390625, 1.0, 0.5, 0.0123, 1e-9].map(small), ["0.025", "0.0039", "1", "0.5", "0.012", "below 0.000001"]);
    }
}
