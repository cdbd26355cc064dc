//! The comparison of two arms for a pull request: the sentence that a reviewer needs, the numbers, and where the two differ?

use std::fmt::Write as _;
use std::io;

use super::escaped::{cell_code, code, fenced, html, prose};
use super::{FRAME, NOTICES, PAGE, Page};
use crate::model::baseline::{ComparisonStanding, SuiteComparison};
use crate::model::comparison::{ComparisonVerdict, percent};
use crate::model::side_by_side::{Arm, ArmComparison, CaseDifference, SideBySide};
use crate::report::{compared, difference, figures, visible};

/// By this a bot finds its own comment again. Nothing of an output can look like it.
const MARKER: &str = "<!-- promptkeel: comparison -->\n";

/// Characters of one line of ours.
const SENTENCE: usize = 1_500;

/// Writes a comparison as Markdown, within the limit of a comment.
pub(crate) fn write(side_by_side: &SideBySide, out: &mut dyn io::Write) -> io::Result<()> {
    let mut head = Page { most: 2 * FRAME, ..Page::default() };
    head.note(MARKER);
    let comparisons = &side_by_side.comparisons;
    if let (Some(cheapest), Some(first)) = (&side_by_side.cheapest, comparisons.first()) {
        let sign = if cheapest.model.is_some() { "✅" } else { "⚠️" };
        head.note(&format!("## {sign} {}\n\n", compared::cheapest(cheapest, first.comparison.policy.margin, name)));
    }
    let mut left = 0;
    for comparison in comparisons {
        left += usize::from(left > 0 || !head.add(&verdict(comparison, comparisons.len() == 1)));
    }
    if left > 0 {
        head.note(&format!("_{left} more comparisons are in the JSON report._\n\n"));
    }
    if let Some(simulated) = compared::simulated(comparisons) {
        head.note(&format!("> **Simulated:** {simulated}.\n\n"));
    }
    let mut page = Page { most: PAGE.saturating_sub(head.length + NOTICES), ..Page::default() };
    for comparison in comparisons {
        details(comparison, &mut page);
    }
    [head, page].iter().try_for_each(|part| out.write_all(part.text.as_bytes()))
}

/// The sentence on each suite that was compared with a baseline.
pub(super) fn of_run(comparisons: &[SuiteComparison], page: &mut Page) {
    let mut left = 0;
    let mut answered: Option<&str> = None;
    for comparison in comparisons {
        if let (Some(cheapest), Some(compared), true) = (&comparison.cheapest, &comparison.compared, answered != Some(&*comparison.suite)) {
            let sign = if cheapest.model.is_some() { "✅" } else { "⚠️" };
            let said = compared::cheapest(cheapest, compared.comparison.policy.margin, name);
            page.add(&format!("- {sign} **{}: {said}**\n", name(&comparison.suite)));
            answered = Some(&comparison.suite);
        }
        let sign = match comparison.standing {
            ComparisonStanding::Regressed => "❌",
            ComparisonStanding::NotWorse | ComparisonStanding::Unchanged | ComparisonStanding::New => "✅",
            ComparisonStanding::Undecided | ComparisonStanding::Missing | ComparisonStanding::Budget => "⚠️",
        };
        let said = match &comparison.compared {
            Some(compared) => {
                let (claim, numbers) = compared::statement(compared, name);
                let but = comparison.gap.as_ref().map(|gap| format!("**undecided**: {}; apart from that ", prose(gap, SENTENCE)));
                format!("{}{claim} {}", but.unwrap_or_default(), prose(&numbers, SENTENCE))
            }
            None => prose(&comparison.message, SENTENCE),
        };
        let sensitivity = comparison.compared.as_ref().and_then(|compared| compared.sensitivity.as_deref());
        let sensitivity = sensitivity.map(|said| format!("; {}", prose(said, SENTENCE))).unwrap_or_default();
        let line = format!("- {sign} {}: {said}{sensitivity}\n", name(&comparison.suite));
        left += usize::from(left > 0 || !page.add(&line));
    }
    if left > 0 {
        page.note(&format!("- … and {left} more comparisons; all are in the JSON report\n"));
    }
    if !comparisons.is_empty() {
        page.note("\n");
    }
}

/// The numbers of each comparison, and where the arms differ.
pub(super) fn details_of_run(comparisons: &[SuiteComparison], page: &mut Page) {
    for comparison in comparisons {
        let Some(compared) = &comparison.compared else { continue };
        if page.add(&format!("### {} compared with {}\n", name(&comparison.suite), name(&comparison.baseline))) {
            details(compared, page);
        }
    }
}

fn name(name: &str) -> String {
    code(&visible::brief(name, 120))
}

fn verdict(comparison: &ArmComparison, alone: bool) -> String {
    let sign = match comparison.comparison.verdict {
        _ if !comparison.critical.is_empty() => "❌",
        ComparisonVerdict::Regressed => "❌",
        ComparisonVerdict::NotWorse => "✅",
        ComparisonVerdict::Undecided => "⚠️",
    };
    let (claim, numbers) = compared::statement(comparison, name);
    let but = if comparison.critical.is_empty() { "" } else { ", and a critical assertion fails" };
    let mut text = match alone {
        true => format!("## {sign} {claim}{but}\n\n{claim} {}.\n\n", prose(&numbers, SENTENCE)),
        false => format!("- {sign} {claim} {}\n", prose(&numbers, SENTENCE)),
    };
    if !comparison.critical.is_empty() {
        let cases = prose(&compared::names(&comparison.critical), SENTENCE);
        let _ = write!(text, "**Critical:** a critical assertion fails in the candidate: {cases}\n\n");
    }
    if let Some(sensitivity) = comparison.sensitivity.as_deref().filter(|_| alone) {
        let _ = write!(text, "Sensitivity: {}.\n\n", prose(sensitivity, SENTENCE));
    }
    text
}

fn details(comparison: &ArmComparison, page: &mut Page) {
    let confidence = percent(comparison.comparison.confidence);
    let mut table =
        format!("\n| | pass rate | {confidence} % interval | cost per 1,000 calls | p50/p95 | tokens in/out | refusals | cut |\n");
    table.push_str("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n");
    for arm in [&comparison.baseline, &comparison.candidate] {
        table.push_str(&row(arm));
    }
    table.push('\n');
    let fits = page.add(&table);
    let (baseline, candidate) = (&comparison.baseline, &comparison.candidate);
    if fits && baseline.answered.is_some() {
        page.add(&format!("- baseline: {}\n", prose(&compared::origin(baseline, Some(candidate)), SENTENCE)));
    }
    for finding in &comparison.validity {
        if fits {
            page.add(&format!("- {}\n", prose(&compared::finding(finding), SENTENCE)));
        }
    }
    if comparison.differing.is_empty() {
        return;
    }
    page.note(&format!("\n### Where they differ: {}\n\n", compared::differing(comparison)));
    let mut shown = 0;
    for case in &comparison.differing {
        let (summary, body) = difference_of(case);
        let folded = format!("<details><summary>{summary}</summary>\n\n{body}\n</details>\n");
        let line = format!("<p>{summary}</p>\n");
        let added = if body.is_empty() { page.add(&line) } else { page.add(&folded) || page.add(&line) };
        if !added {
            break;
        }
        shown += 1;
    }
    let left = comparison.differing.len() - shown;
    if left > 0 {
        page.note(&format!("\n_{} more cases are in the JSON report._\n", figures::count(left as u64)));
    }
    page.note("\n");
}

fn row(arm: &Arm) -> String {
    format!(
        "| {} | {} ({}) | {} | {} | {} | {} | {} | {} |\n",
        cell_code(&arm.name),
        compared::rate(arm.counts),
        compared::of(arm.counts),
        compared::interval(arm.interval),
        compared::cost(arm),
        compared::latency(arm),
        compared::tokens(arm),
        compared::of_replies(arm.refusals),
        compared::of_replies(arm.truncations),
    )
}

/// A line of HTML, and what unfolds below it.
fn difference_of(case: &CaseDifference) -> (String, String) {
    let is_worse = case.candidate.rate() < case.baseline.rate();
    let sign = if is_worse { "🔻" } else { "🔺" };
    let mut summary =
        format!("{sign} <code>{}</code> {} -&gt; {}", html(&case.case, 300), compared::of(case.baseline), compared::of(case.candidate));
    let Some(shown) = &case.shown else { return (summary, String::new()) };
    if let Some(failed) = &shown.failed {
        let line = format!("{}: expected {}, got {}", failed.name, failed.expected, failed.got);
        let _ = write!(summary, " <code>{}</code>", html(&line, 440));
    }
    let lines: Option<String> = shown.diff.as_ref().map(|diff| difference::rows(diff, false).map(|row| row.to_plain() + "\n").collect());
    (summary, lines.map(|lines| fenced(&lines)).unwrap_or_default())
}
