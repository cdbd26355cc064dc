//! How do two arms stand side by side on a screen? The verdict comes first: what follows may be long.
//!
//! ```text
//! claude-haiku-4-5 is not worse than claude-sonnet-4-6 on 60 cases x 3 samples (...)
//!
//! claude-sonnet-4-6 and claude-haiku-4-5
//!                      pass rate  90 % interval  cost/1,000    p50/p95  tokens in/out  refusals  cut
//!   claude-sonnet-4-6     98.3 %      95.6-99.4       $4.20  1.9/3.1 s         312/84         0    0
//!   claude-haiku-4-5      97.8 %      94.9-99.1       $1.40  0.8/1.2 s         312/79         0    0
//! ```

use std::io;

use super::details;
use super::paint::{BAD, BOLD, DIM, GOOD, ODD, PLAIN, Screen, span};
use super::table::{self, Column, Field, Row, field};
use crate::model::baseline::{ComparisonStanding, SuiteComparison};
use crate::model::comparison::{ComparisonVerdict, percent};
use crate::model::side_by_side::{Arm, ArmComparison, CaseDifference, Finding, SideBySide};
use crate::report::{compared, figures, visible};

/// How many of the cases that differ are shown, the worst first.
#[derive(Debug, Clone, Copy)]
struct Most {
    /// With the difference of their outputs.
    whole: usize,
    /// Further ones, a line each.
    lines: usize,
    /// Where the others are.
    others: &'static str,
}

/// Shows everything that was compared; `all`: every case that differs, with its difference.
pub(super) fn show(side_by_side: &SideBySide, all: bool, screen: &mut Screen<'_>) -> io::Result<()> {
    let comparisons = &side_by_side.comparisons;
    if let Some(simulated) = compared::simulated(comparisons) {
        screen.wrapped(&[span(ODD.bold(), "SIMULATED ")], &[span(PLAIN, simulated)], 3)?;
    }
    screen.blank()?;
    if let (Some(cheapest), Some(first)) = (&side_by_side.cheapest, comparisons.first()) {
        let line = compared::cheapest(cheapest, first.comparison.policy.margin, visible::name);
        let style = if cheapest.model.is_some() { GOOD } else { ODD };
        screen.wrapped(&[span(PLAIN, "")], &[span(style.bold(), line)], 6)?;
        let is_open = comparisons.iter().any(|one| one.comparison.verdict == ComparisonVerdict::Undecided);
        if cheapest.model.is_none() && is_open {
            let asked = visible::name(&cheapest.against);
            let hint = format!("`promptkeel run --against {asked} --decide --max-cost DOLLARS` buys the samples that the answer wants");
            screen.wrapped(&[span(DIM, "hint: ")], &[span(PLAIN, hint)], 6)?;
        }
    }
    for comparison in comparisons {
        verdict(comparison, screen)?;
    }
    let others = "`--all` shows them, `--html` and `--json` have them";
    let most = match (all, comparisons.len()) {
        (true, _) => Most { whole: usize::MAX, lines: 0, others },
        (false, 1) => Most { whole: 3, lines: 10, others },
        (false, _) => Most { whole: 1, lines: 5, others },
    };
    for comparison in comparisons {
        let (baseline, candidate) = (&comparison.baseline, &comparison.candidate);
        let title = format!("{} and {}", visible::name(&baseline.name), visible::name(&candidate.name));
        screen.heading(&title, "")?;
        figures_of(comparison, most, screen)?;
    }
    Ok(())
}

/// Shows how the suites of a run stand against their baselines.
pub(super) fn of_run(comparisons: &[SuiteComparison], screen: &mut Screen<'_>) -> io::Result<()> {
    for (index, comparison) in comparisons.iter().enumerate() {
        screen.heading("compared", &format!("{} with {}", visible::name(&comparison.suite), visible::name(&comparison.baseline)))?;
        let Some(compared) = &comparison.compared else {
            let style = match comparison.standing {
                ComparisonStanding::New | ComparisonStanding::Unchanged => PLAIN,
                ComparisonStanding::Undecided | ComparisonStanding::Missing | ComparisonStanding::Budget => ODD,
                ComparisonStanding::Regressed => BAD,
                ComparisonStanding::NotWorse => GOOD,
            };
            screen.wrapped(&[span(PLAIN, "  ")], &[span(style, visible::brief(&comparison.message, 2_000))], 6)?;
            findings(&comparison.left_out, screen)?;
            continue;
        };
        // Several models of a suite have one answer.
        let is_first = index == 0 || comparisons[index - 1].suite != comparison.suite || comparisons[index - 1].model.is_none();
        if let Some(cheapest) = comparison.cheapest.as_ref().filter(|_| is_first) {
            let line = compared::cheapest(cheapest, compared.comparison.policy.margin, visible::name);
            let style = if cheapest.model.is_some() { GOOD } else { ODD };
            screen.wrapped(&[span(PLAIN, "")], &[span(style.bold(), line)], 6)?;
        }
        if let Some(gap) = &comparison.gap {
            let gap = visible::brief(&format!("undecided: {gap}; apart from that:"), 2_000);
            screen.wrapped(&[span(PLAIN, "  ")], &[span(ODD, gap)], 6)?;
        }
        verdict(compared, screen)?;
        screen.blank()?;
        figures_of(compared, Most { whole: 1, lines: 5, others: "`--html` and `--json` have them" }, screen)?;
    }
    Ok(())
}

fn findings(findings: &[Finding], screen: &mut Screen<'_>) -> io::Result<()> {
    for finding in findings {
        let style = if finding.left_out { ODD } else { DIM };
        screen.wrapped(&[span(style, "  ! ")], &[span(PLAIN, compared::finding(finding))], 3)?;
    }
    Ok(())
}

fn figures_of(comparison: &ArmComparison, most: Most, screen: &mut Screen<'_>) -> io::Result<()> {
    let (baseline, candidate) = (&comparison.baseline, &comparison.candidate);
    let rows = [baseline, candidate].map(|arm| Row::Fields(fields(arm)));
    table::show(screen, &columns(comparison.comparison.confidence, baseline.simulated || candidate.simulated), &rows)?;
    for (label, arm, other) in [("baseline", baseline, Some(candidate)), ("candidate", candidate, None)] {
        screen.wrapped(&[span(DIM, format!("  {label:<9}  "))], &[span(DIM, compared::origin(arm, other))], 2)?;
    }
    findings(&comparison.validity, screen)?;
    if comparison.differing.is_empty() {
        return Ok(());
    }
    screen.heading("where they differ", &compared::differing(comparison))?;
    let Most { whole, lines, others } = most;
    for case in comparison.differing.iter().take(whole) {
        difference(case, true, screen)?;
    }
    for case in comparison.differing.iter().skip(whole).take(lines) {
        difference(case, false, screen)?;
    }
    match comparison.differing.len().saturating_sub(whole.saturating_add(lines)) {
        0 => Ok(()),
        left => {
            let cases = figures::counted(left as u64, "more case", "more cases");
            screen.line(&[span(DIM, format!("  … and {cases}: {others}"))])
        }
    }
}

/// The columns; their titles are not of this place, so `90 %` is.
fn columns(confidence: f64, simulated: bool) -> [Column; 9] {
    const fn number(title: &'static str, short: &'static str) -> Column {
        Column { title, short, right: true }
    }
    let (interval, short) = match percent(confidence).as_str() {
        "90" => ("90 % interval", "90 %"),
        "95" => ("95 % interval", "95 %"),
        "99" => ("99 % interval", "99 %"),
        _ => ("interval", "interval"),
    };
    [
        Column { title: "", short: "", right: false },
        number("pass rate", "pass"),
        number(interval, short),
        if simulated { number("simulated cost/1,000", "sim./1,000") } else { number("cost/1,000 calls", "cost/1,000") },
        number("p50/p95", "p50/p95"),
        number("tokens in/out", "in/out"),
        number("refusals", "ref"),
        number("cut", "cut"),
        number("no verdict", "miss"),
    ]
}

fn fields(arm: &Arm) -> Vec<Field> {
    let counted = |count: Option<u64>| Field { text: compared::of_replies(count), style: if count.unwrap_or(0) == 0 { DIM } else { ODD } };
    let missing = if arm.missing_samples == 0 { String::new() } else { figures::count(arm.missing_samples) };
    vec![
        field(visible::name(&arm.name)),
        field(compared::rate(arm.counts)),
        field(compared::interval(arm.interval)),
        // The column's title says it.
        field(compared::cost(arm).trim_end_matches(" sim").to_owned()),
        field(compared::latency(arm)),
        field(compared::tokens(arm)),
        counted(arm.refusals),
        counted(arm.truncations),
        Field { text: missing, style: ODD },
    ]
}

fn difference(case: &CaseDifference, whole: bool, screen: &mut Screen<'_>) -> io::Result<()> {
    let is_worse = case.candidate.rate() < case.baseline.rate();
    let (word, style) = if is_worse { ("WORSE ", BAD) } else { ("BETTER", GOOD) };
    let counts = format!("  {} -> {}", compared::of(case.baseline), compared::of(case.candidate));
    if whole {
        screen.blank()?;
    }
    screen.wrapped(&[span(style.bold(), word), span(PLAIN, " ")], &[span(BOLD, visible::name(&case.case)), span(PLAIN, counts)], 3)?;
    let Some(shown) = case.shown.as_ref().filter(|_| whole) else { return Ok(()) };
    if let Some(failed) = &shown.failed {
        let what = if is_worse { "fails now" } else { "failed before" };
        let (expected, got) = (visible::brief(&failed.expected, 160), visible::brief(&failed.got, 160));
        let line = format!("{}: expected {expected}, got {got}", visible::name(&failed.name));
        screen.wrapped(&[span(style, format!("  {what}: "))], &[span(PLAIN, line)], 4)?;
    }
    shown.diff.as_ref().map_or(Ok(()), |diff| details::rows(diff, screen))
}

fn verdict(comparison: &ArmComparison, screen: &mut Screen<'_>) -> io::Result<()> {
    let style = match comparison.comparison.verdict {
        ComparisonVerdict::Regressed => BAD,
        ComparisonVerdict::NotWorse => GOOD,
        ComparisonVerdict::Undecided => ODD,
    };
    let (claim, numbers) = compared::statement(comparison, visible::name);
    screen.wrapped(&[], &[span(style.bold(), claim), span(PLAIN, " "), span(PLAIN, visible::brief(&numbers, 2_000))], 12)?;
    if !comparison.critical.is_empty() {
        let cases = format!("a critical assertion fails in the candidate: {}", compared::names(&comparison.critical));
        screen.wrapped(&[span(BAD.bold(), "  CRITICAL ")], &[span(PLAIN, cases)], 3)?;
    }
    match &comparison.sensitivity {
        Some(sensitivity) => screen.wrapped(&[span(DIM, "  ")], &[span(DIM, sensitivity.as_str())], 2).map(|_| ()),
        None => Ok(()),
    }
}
