//! What does the run come to: the sums, the bill, the gates, the verdict, and the next step?
//!
//! ```text
//! cells      20 planned = 18 passed + 1 failed + 1 errored + 0 skipped
//! bill       $0.0123 spent, $0.1200 saved by the store
//!
//! gate fails  ticket-triage, claude-haiku-4-5: pass rate 95.0 % (19 of 20 cells), at least 100.0 % asked for
//!
//! FAILED (exit 1): the gate fails
//! ```

use std::io;

use super::compared;
use super::paint::{BAD, BOLD, DIM, GOOD, ODD, PLAIN, Screen, Span, span};
use crate::model::baseline::{ComparisonStanding, SuiteComparison};
use crate::model::gate::{Exit, GateKind, GateOutcome, GateResult};
use crate::model::run::{LEFT_OUT_BY_BUDGET, NOT_STORED, RunReport, SampleResult};
use crate::model::verdict::{CellError, ErrorKind, SkipReason};
use crate::report::compared::of_gate;
use crate::report::standing::{Standing, Standings};
use crate::report::{billed, figures, problem, retries, right_size, visible, words};

/// Most gates that are listed.
const GATES: usize = 40;
/// Most retried cells that are listed.
const RETRIED: usize = 5;
/// Most orphans that are listed.
const ORPHANS: usize = 10;

/// Everything below the tables.
pub(super) fn show(report: &RunReport, standings: &Standings<'_>, sized: Sized, screen: &mut Screen<'_>) -> io::Result<()> {
    screen.blank()?;
    let mut before = "";
    for (label, text) in sums(report, standings) {
        let label = if std::mem::replace(&mut before, label) == label { "" } else { label };
        screen.wrapped(&[span(DIM, format!("{label:<11}"))], &[span(PLAIN, text)], usize::MAX)?;
    }
    retried(report, screen)?;
    orphans(report, screen)?;
    compared::of_run(&report.comparisons, screen)?;
    gates(report, screen)?;
    hints(report, screen)?;
    if sized == Sized::Told {
        right_size(report, screen)?;
    }
    verdict(report, screen)
}

/// The verdict, the counts, and below them the gates that do not hold.
pub(super) fn brief(report: &RunReport, standings: &Standings<'_>, screen: &mut Screen<'_>) -> io::Result<()> {
    let sums = sums(report, standings);
    let told = sums.into_iter().filter(|(label, _)| matches!(*label, "cells" | "requests")).map(|(_, text)| text);
    screen.wrapped(&[], &judged(report), usize::MAX)?;
    screen.wrapped(&[span(PLAIN, "  ")], &[span(PLAIN, told.collect::<Vec<_>>().join("; "))], usize::MAX)?;
    report.gates.iter().filter(|gate| gate.outcome != GateOutcome::Pass).take(GATES).try_for_each(|open| gate(open, screen))
}

/// Whether it is told what of the run could be smaller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sized {
    Told,
    Untold,
}

/// What of the run could be smaller.
fn right_size(report: &RunReport, screen: &mut Screen<'_>) -> io::Result<()> {
    if report.right_size.is_empty() {
        return Ok(());
    }
    screen.heading("could be smaller", if report.run.simulated { "at list prices, which nobody paid" } else { "" })?;
    for hint in report.right_size.iter().take(right_size::MOST) {
        screen.wrapped(&[span(PLAIN, "  ")], &[span(PLAIN, right_size::line(hint))], usize::MAX)?;
    }
    more(report.right_size.len(), right_size::MOST, "hint", "hints", screen)
}

fn sums(report: &RunReport, standings: &Standings<'_>) -> Vec<(&'static str, String)> {
    let totals = &report.totals;
    let count = figures::count;
    let mut sums = Vec::new();
    let mut cells = format!(
        "{} planned = {} passed + {} failed + {} errored + {} skipped",
        count(totals.planned),
        count(totals.passed),
        count(totals.failed),
        count(totals.errored),
        count(totals.skipped)
    );
    if totals.warned > 0 {
        cells.push_str(&format!(" ({} with warnings)", count(totals.warned)));
    }
    let informing = report.cells.iter().filter(|cell| matches!(standings.standing(cell), Standing::Informs(_))).count();
    if informing > 0 {
        let verb = if informing == 1 { "informs" } else { "inform" };
        cells.push_str(&format!("; {} of them only {verb}", count(informing as u64)));
    }
    sums.push(("cells", cells));
    if totals.samples > 0 {
        let tried = |error: &CellError| !error.attempts.is_empty();
        let samples = report.cells.iter().flat_map(|cell| &cell.samples);
        let unanswered = samples.filter(|sample| sample.reply.is_none() && sample.error.as_ref().is_some_and(tried)).count() as u64;
        let asked = totals.requests_asked.saturating_add(unanswered);
        let mut requests = format!("{} asked, {} already answered", count(asked), count(totals.requests_cached));
        for (number, what) in [
            (unanswered, "without an answer"),
            (totals.requests_retried, "retried"),
            (totals.refusals, "refused"),
            (totals.truncations, "cut at a token limit"),
        ] {
            if number > 0 {
                requests.push_str(&format!(", {} {what}", count(number)));
            }
        }
        sums.push(("requests", requests));
    }
    let snapshots = [
        (totals.snapshots_same, "same"),
        (totals.snapshots_changed, "changed"),
        (totals.snapshots_new, "new"),
        (totals.snapshots_orphaned, "orphaned"),
    ];
    if snapshots.iter().any(|(number, _)| *number > 0) {
        let parts = snapshots.iter().filter(|(number, _)| *number > 0).map(|(number, what)| format!("{} {what}", count(*number)));
        sums.push(("snapshots", parts.collect::<Vec<_>>().join(", ")));
    }
    sums.extend(bill(report).into_iter().map(|text| ("bill", text)));
    let mut when = figures::duration(report.run.duration_ms);
    if let Some(shard) = report.run.shard {
        when.push_str(&format!(", shard {}/{}", shard.index, shard.count));
    }
    sums.push(("time", when));
    if !report.problems.is_empty() {
        let where_to_look = "the JSON report holds all, `promptkeel check` shows those of the suites";
        sums.push(("problems", format!("{}: {where_to_look}", problem::counts(&report.problems))));
    }
    sums
}

fn bill(report: &RunReport) -> Vec<String> {
    let missing = billed::missing(&report.bill).map(|missing| format!("incomplete, {missing}"));
    let doubtful = billed::doubtful(&report.bill).map(|doubtful| format!("may be wrong: {doubtful}"));
    [billed::spent(report), billed::simulated(report), missing, doubtful, billed::unanswered(&report.bill)].into_iter().flatten().collect()
}

fn retried(report: &RunReport, screen: &mut Screen<'_>) -> io::Result<()> {
    let retried = retries::retried(report);
    let Some(summary) = retries::summary(&retried) else { return Ok(()) };
    screen.heading("retried", &summary)?;
    for retried in retried.iter().take(RETRIED) {
        let text = [
            span(PLAIN, visible::name(&retried.cell.address.to_string())),
            span(DIM, format!("  {}", retries::causes(retried.failed.iter().copied()))),
        ];
        screen.wrapped(&[span(PLAIN, "  ")], &text, 2)?;
    }
    more(
        retried.len(),
        RETRIED,
        "retried cell; the JSON report has every attempt",
        "retried cells; the JSON report has every attempt",
        screen,
    )
}

fn orphans(report: &RunReport, screen: &mut Screen<'_>) -> io::Result<()> {
    if report.orphans.is_empty() {
        return Ok(());
    }
    screen.heading("orphaned snapshots", "no case of any suite owns them")?;
    for path in report.orphans.iter().take(ORPHANS) {
        screen.line(&[span(PLAIN, format!("  {}", visible::name(path)))])?;
    }
    more(report.orphans.len(), ORPHANS, "orphaned snapshot", "orphaned snapshots", screen)
}

/// `  … and 12 more failures`.
pub(super) fn more(all: usize, shown: usize, one: &str, many: &str, screen: &mut Screen<'_>) -> io::Result<()> {
    match all.saturating_sub(shown) {
        0 => Ok(()),
        left => screen.line(&[span(DIM, format!("  … and {} more {}", figures::count(left as u64), if left == 1 { one } else { many }))]),
    }
}

fn gates(report: &RunReport, screen: &mut Screen<'_>) -> io::Result<()> {
    let open: Vec<&GateResult> = report.gates.iter().filter(|gate| gate.outcome != GateOutcome::Pass).collect();
    if open.is_empty() {
        return Ok(());
    }
    let holding = report.gates.len() - open.len();
    let detail = if holding == 0 { String::new() } else { format!("{} more hold", figures::count(holding as u64)) };
    screen.heading("gates", &detail)?;
    open.iter().take(GATES).try_for_each(|open| gate(open, screen))?;
    more(open.len(), GATES, "gate that does not hold", "gates that do not hold", screen)
}

fn gate(gate: &GateResult, screen: &mut Screen<'_>) -> io::Result<()> {
    let style = if gate.outcome == GateOutcome::Fail { BAD } else { ODD };
    let first = [span(PLAIN, "  "), span(style, format!("{:<9}", words::gate_outcome(gate.outcome))), span(PLAIN, "  ")];
    let rest: [Span<'_>; 2] = [span(BOLD, about(gate)), span(PLAIN, visible::brief(&of_gate(gate), 1_000))];
    screen.wrapped(&first, &rest, 6).map(drop)
}

/// `ticket-triage, claude-haiku-4-5: `.
fn about(gate: &GateResult) -> String {
    let parts: Vec<_> = [gate.suite.as_deref(), gate.model.as_deref()].into_iter().flatten().map(visible::name).collect();
    if parts.is_empty() { String::new() } else { format!("{}: ", parts.join(", ")) }
}

fn hints(report: &RunReport, screen: &mut Screen<'_>) -> io::Result<()> {
    let totals = &report.totals;
    let mut hints: Vec<String> = Vec::new();
    if totals.snapshots_changed + totals.snapshots_new > 0 {
        let outputs = figures::counted(totals.snapshots_changed + totals.snapshots_new, "output is", "outputs are");
        hints.push(format!(
            "{outputs} new or changed: after a run at home `promptkeel review` goes through them, and `promptkeel accept` takes them unseen"
        ));
    }
    let left_out: Vec<String> = by_budget(report).collect();
    if !left_out.is_empty() {
        // Running again as before would leave the same out.
        hints.extend(left_out);
    } else if totals.errored > 0 || (totals.skipped > 0 && report.exit != Exit::Fails) {
        hints.push(again(report).to_owned());
    }
    if totals.failed > 0 && report.exit == Exit::Fails {
        hints.push("`promptkeel run --failed` runs what did not pass".to_owned());
    }
    let wants = |comparison: &SuiteComparison| {
        let need = comparison.compared.as_ref().and_then(|compared| compared.comparison.need.as_ref());
        let look = comparison.compared.as_ref().and_then(|compared| compared.second_look);
        let is_wanted = need.is_some_and(|need| !need.confirm.is_empty()) || look.is_some_and(|look| look.would_decide);
        comparison.standing == ComparisonStanding::Undecided && is_wanted
    };
    let is_asked = |comparison: &SuiteComparison| {
        let baseline = comparison.place(&report.baselines).and_then(|place| report.baselines.get(place));
        baseline.is_some_and(|baseline| !baseline.unasked.is_empty() || !baseline.fresh.is_empty())
    };
    if report.comparisons.iter().any(|comparison| wants(comparison) && !is_asked(comparison)) {
        hints.push("`--decide` asks what an undecided comparison wants: fresh samples of cases that look worse, and a second look with more of all".to_owned());
    }
    let is_as_good = |suite: Option<&str>| {
        let mut of_suite = report.comparisons.iter().filter(|comparison| Some(comparison.suite.as_str()) == suite);
        of_suite.any(|comparison| comparison.standing == ComparisonStanding::NotWorse)
    };
    let by_rate = |gate: &&GateResult| gate.kind == GateKind::PassRate && gate.outcome == GateOutcome::Fail;
    if report.gates.iter().filter(by_rate).any(|gate| is_as_good(gate.suite.as_deref())) {
        hints.push(
            "not worse than its baseline, and below `min_pass_rate`: a lower one leaves the verdict on cases that pass sometimes to the comparison"
                .to_owned(),
        );
    }
    if hints.is_empty() {
        return Ok(());
    }
    screen.blank()?;
    for hint in hints {
        screen.wrapped(&[span(DIM, "hint: ")], &[span(PLAIN, hint)], usize::MAX)?;
    }
    Ok(())
}

/// What the budget left out, and what it would have to be; each part of a merged run has said it for itself.
fn by_budget(report: &RunReport) -> impl Iterator<Item = String> {
    let said = report.problems.iter().filter(|problem| problem.place.is_none() && problem.message.starts_with(LEFT_OUT_BY_BUDGET));
    said.take(GATES).map(|problem| {
        let hint = problem.hint.as_deref().map_or_else(String::new, |hint| format!("; {}", visible::brief(hint, 1_000)));
        format!("{}{hint}", visible::brief(&problem.message, 1_000))
    })
}

/// What another run would ask.
fn again(report: &RunReport) -> &'static str {
    let unstored = |sample: &SampleResult| {
        sample.error.as_ref().is_some_and(|error| error.kind == ErrorKind::Store)
            || matches!(sample.skipped, Some(SkipReason::StoreFailed(_)))
    };
    let unasked =
        |sample: &SampleResult| sample.skipped.is_some() || sample.error.as_ref().is_some_and(|error| error.kind != ErrorKind::Judging);
    let samples = || report.cells.iter().flat_map(|cell| &cell.samples);
    // The last answer of a run may be the one that the store did not take: no sample shows that.
    let untaken = report.problems.iter().any(|problem| problem.place.is_none() && problem.message.starts_with(NOT_STORED));
    if untaken || samples().any(unstored) {
        "the store failed: `promptkeel run` again asks, and pays, whatever is not in it, so mend it first"
    } else if !samples().any(unasked) {
        "everything is answered and stored: `promptkeel run` again asks nothing, so mend what could not be judged"
    } else {
        "what is answered is stored: `promptkeel run` again asks only what is missing"
    }
}

fn verdict(report: &RunReport, screen: &mut Screen<'_>) -> io::Result<()> {
    screen.blank()?;
    screen.wrapped(&[], &judged(report), usize::MAX).map(drop)
}

/// `FAILED (exit 1): the gate fails`.
fn judged(report: &RunReport) -> Vec<Span<'static>> {
    let style = match report.exit {
        Exit::Holds => GOOD,
        Exit::Fails | Exit::Invalid | Exit::NotWritten => BAD,
        Exit::MissingVerdicts | Exit::NothingSelected | Exit::Budget | Exit::Undecided | Exit::Interrupted => ODD,
    };
    let mut line = vec![
        span(style.bold(), words::headline(report.exit)),
        span(PLAIN, format!(" (exit {}): {}", report.exit.code(), words::exit(report.exit))),
    ];
    if report.run.simulated {
        line.push(span(ODD, " (simulated: no number here is about a real model)"));
    }
    line
}
