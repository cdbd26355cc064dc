//! The run as a pull request comment or a job summary: verdict first, then what to look at, within the limit of a comment?
//!
//! ```markdown
//! <!-- promptkeel: report -->
//! ## ❌ promptkeel: the gate fails
//!
//! 20 cells: 18 passed, 1 failed, 1 errored, 0 skipped
//!
//! | gate | suite | model | |
//! | --- | --- | --- | --- |
//! | ❌ fails | `ticket-triage` | `claude-haiku-4-5` | pass rate 95.0 % (19 of 20 cells), at least 100.0 % asked for |
//! ```
//! Nothing that a model wrote is Markdown or HTML here: it stands in code spans, or in fences that are longer than any run of
//! backquotes in it, so it mentions nobody, links nothing and closes nothing.

pub(crate) mod calibrated;
pub(crate) mod compared;
mod escaped;
mod samples;
mod sums;

use std::collections::HashSet;
use std::fmt::Write as _;
use std::io;

use crate::model::gate::{Exit, GateOutcome, GateResult};
use crate::model::money::Money;
use crate::model::problem::Problem;
use crate::model::run::{Address, CellResult, PromptChange, RunReport};
use crate::model::verdict::{SnapshotState, Verdict};
use crate::report::finding::{self, Layout};
use crate::report::markdown::escaped::{cell_code, code, fenced, html, prose};
use crate::report::remembered::FlakyCells;
use crate::report::standing::{self, Standing, Standings};
use crate::report::strange::{self, Noun};
use crate::report::style::Style;
use crate::report::{difference, figures, problem, retries, words};

/// By this a bot finds its own comment again and replaces it. Nothing of an output can look like it.
const MARKER: &str = "<!-- promptkeel: report -->\n";

/// Characters of the whole page. GitHub takes 65,536; whoever posts the page has room for a line of his own.
const PAGE: usize = 65_000;
/// Characters of the part above the details, and of the part below them.
const FRAME: usize = 14_000;
/// Characters that are kept for the notices of what was left out.
const NOTICES: usize = 4_000;
/// Most retried cells that are listed.
const RETRIED: usize = 20;
/// Most orphaned snapshots that are listed.
const ORPHANS: usize = 50;

/// Writes `report` as Markdown.
pub(crate) fn write(report: &RunReport, out: &mut dyn io::Write) -> io::Result<()> {
    // At most a comment's worth of text: here, and only here, a whole document may be held.
    let head = head(report);
    let tail = sums::tail(report);
    let mut page = Page { most: PAGE - head.length - tail.length - NOTICES, ..Page::default() };
    details(report, &mut page);
    [head, page, tail].iter().try_for_each(|part| out.write_all(part.text.as_bytes()))
}

/// Writes why nothing was run.
pub(crate) fn write_failure(exit: Exit, problems: &[Problem], out: &mut dyn io::Write) -> io::Result<()> {
    write!(out, "{MARKER}## {} promptkeel: {}\n\n", sign(exit), words::exit(exit))?;
    write!(out, "{}", fenced(&problem::render(problems, Style { colour: false, width: 100 })))
}

/// A text that does not grow beyond its limit.
#[derive(Default)]
struct Page {
    text: String,
    length: usize,
    most: usize,
}

impl Page {
    fn frame() -> Self {
        Self { most: FRAME, ..Self::default() }
    }

    /// Adds the text whole, or not at all.
    fn add(&mut self, text: &str) -> bool {
        let fits = self.length + length(text) <= self.most;
        if fits {
            self.note(text);
        }
        fits
    }

    /// Adds a short text that must stand there; [`NOTICES`] has room for it.
    fn note(&mut self, text: &str) {
        self.text.push_str(text);
        self.length += length(text);
    }
}

/// In UTF-16: GitHub's forms count so, its API counts code points, which are never more.
fn length(text: &str) -> usize {
    text.encode_utf16().count()
}

const fn sign(exit: Exit) -> &'static str {
    match exit {
        Exit::Holds => "✅",
        Exit::Fails | Exit::Invalid | Exit::NotWritten => "❌",
        Exit::MissingVerdicts | Exit::NothingSelected | Exit::Budget | Exit::Undecided | Exit::Interrupted => "⚠️",
    }
}

fn head(report: &RunReport) -> Page {
    let mut page = Page::frame();
    let totals = &report.totals;
    page.note(&format!("{MARKER}## {} promptkeel: {}\n\n", sign(report.exit), words::exit(report.exit)));
    if report.run.simulated {
        page.note("> **Simulated:** every reply came from a simulator. No number here is about a real model, and nothing was paid.\n\n");
    } else if report.bill.simulated_usd != Money::ZERO {
        page.note("> Some replies came from a **simulator**; their cells and costs are marked.\n\n");
    }
    let mut sums = format!(
        "{}: {} passed, {} failed, {} errored, {} skipped",
        figures::counted(totals.planned, "cell", "cells"),
        figures::count(totals.passed),
        figures::count(totals.failed),
        figures::count(totals.errored),
        figures::count(totals.skipped)
    );
    if totals.warned > 0 {
        let _ = write!(sums, " ({} with warnings)", figures::count(totals.warned));
    }
    let standings = Standings::of(report);
    let informing = report.cells.iter().filter(|cell| matches!(standings.standing(cell), Standing::Informs(_))).count();
    if informing > 0 {
        let _ = write!(sums, "; {} of them only inform{}", figures::count(informing as u64), if informing == 1 { "s" } else { "" });
    }
    let snapshots = [(totals.snapshots_changed, "changed"), (totals.snapshots_new, "new"), (totals.snapshots_orphaned, "orphaned")];
    let parts: Vec<String> =
        snapshots.iter().filter(|(number, _)| *number > 0).map(|(number, what)| format!("{} {what}", figures::count(*number))).collect();
    if !parts.is_empty() {
        let _ = write!(sums, ". Snapshots: {}", parts.join(", "));
    }
    page.note(&format!("{sums}.\n\n"));
    compared::of_run(&report.comparisons, &mut page);
    gates(report, &mut page);
    page
}

fn gates(report: &RunReport, page: &mut Page) {
    let open: Vec<&GateResult> = report.gates.iter().filter(|gate| gate.outcome != GateOutcome::Pass).collect();
    let holding = report.gates.len() - open.len();
    if open.is_empty() {
        return;
    }
    page.note("| gate | suite | model | |\n| --- | --- | --- | --- |\n");
    let mut left = 0;
    for gate in &open {
        let sign = if gate.outcome == GateOutcome::Fail { "❌" } else { "⚠️" };
        let row = format!(
            "| {sign} {} {} | {} | {} | {} |\n",
            words::gate_kind(gate.kind),
            words::gate_outcome(gate.outcome),
            gate.suite.as_deref().map(cell_code).unwrap_or_default(),
            gate.model.as_deref().map(cell_code).unwrap_or_default(),
            prose(&crate::report::compared::of_gate(gate), 400),
        );
        left += usize::from(left > 0 || !page.add(&row));
    }
    page.note("\n");
    if left > 0 {
        page.note(&format!("… and {left} more gates that do not hold; all are in the JSON report.\n\n"));
    }
    if holding > 0 {
        page.note(&format!(
            "{} hold{}.\n\n",
            figures::counted(holding as u64, "other gate", "other gates"),
            if holding == 1 { "s" } else { "" }
        ));
    }
}

/// One thing to look at: a line for its summary, and what unfolds below it.
struct Item {
    summary: String,
    body: String,
}

fn details(report: &RunReport, page: &mut Page) {
    let standings = Standings::of(report);
    let of = |wanted: fn(Standing) -> bool| report.cells.iter().filter(|cell| wanted(standings.standing(cell))).collect::<Vec<_>>();
    let failed = of(|standing| standing == Standing::Failed);
    let errored = of(|standing| standing == Standing::Errored);
    let skipped = of(|standing| standing == Standing::Skipped);
    let informs = of(|standing| matches!(standing, Standing::Informs(_)));
    // What failed shows its difference there.
    let news = |cell: &&CellResult| standing::is_news(&cell.snapshot) && cell.verdict != Verdict::Fail;
    let is_new = |cell: &&CellResult| matches!(cell.snapshot, SnapshotState::New { .. });
    let is_broken = |cell: &&CellResult| matches!(cell.snapshot, SnapshotState::Unreadable { .. });
    let (new, differing): (Vec<&CellResult>, Vec<&CellResult>) = report.cells.iter().filter(news).partition(is_new);
    let (broken, changed): (Vec<&CellResult>, Vec<&CellResult>) = differing.into_iter().partition(is_broken);
    let warned: Vec<&CellResult> = report.cells.iter().filter(|cell| finding::warnings(cell).next().is_some()).collect();

    compared::details_of_run(&report.comparisons, page);
    let flaky = FlakyCells::of(report);
    section(page, "Failures", "failures", &failed, |cell| {
        let known = flaky.line(cell);
        let sign = if known.is_some() { "❌ 🎲" } else { "❌" };
        let known = known.map(|line| format!("🎲 {line}\n\n")).unwrap_or_default();
        Item { summary: html_line(sign, cell, &headline(cell)), body: known + &story(cell) + &snapshot(cell) }
    });
    section(page, "Changed outputs that pass: to be reviewed", "changed outputs", &changed, |cell| Item {
        summary: html_line("📝", cell, &change(cell)),
        body: snapshot(cell),
    });
    section(page, "Unreadable snapshots", "unreadable snapshots", &broken, |cell| Item {
        summary: html_line("⚠️", cell, &finding::snapshot_line(cell)),
        body: String::new(),
    });
    section(page, "Errors: no verdict could be reached", "errors", &errored, |cell| Item {
        summary: html_line("⚠️", cell, &headline(cell)),
        body: story(cell),
    });
    improved(report, page);
    section(page, "New outputs: nothing is accepted yet", "new outputs", &new, |cell| Item {
        summary: html_line("🆕", cell, &finding::snapshot_line(cell)),
        body: outputs(cell),
    });
    orphans(report, page);
    section(page, "For information: the gate does not count these", "cells that only inform", &informs, |cell| Item {
        summary: html_line("ℹ️", cell, &headline(cell)),
        body: story(cell) + &snapshot(cell),
    });
    section(page, "Warnings", "cells with warnings", &warned, |cell| Item {
        summary: html_line("⚠️", cell, &warning(cell)),
        body: String::new(),
    });
    section(page, "Skipped", "skipped cells", &skipped, |cell| Item {
        summary: html_line("⏭️", cell, &headline(cell)),
        body: String::new(),
    });
    prompts(report, page);
    problems(report, page);
    retried(report, page);
}

/// What an earlier run saw fail.
fn improved(report: &RunReport, page: &mut Page) {
    let improved: HashSet<&Address> = report.improved.iter().flat_map(|improved| &improved.cells).collect();
    if improved.is_empty() {
        return;
    }
    let cells: Vec<&CellResult> = report.cells.iter().filter(|cell| improved.contains(&cell.address)).collect();
    let line = |cell: &CellResult| Item { summary: html_line("💚", cell, ""), body: String::new() };
    section(page, "Improved: they failed in the run before", "improved cells", &cells, line);
}

/// Accepted outputs that no case owns any more.
fn orphans(report: &RunReport, page: &mut Page) {
    if report.orphans.is_empty() {
        return;
    }
    let all = report.orphans.len();
    let mut text = format!("<details><summary>🗑️ {} of no case</summary>\n\n", figures::counted(all as u64, "snapshot", "snapshots"));
    for path in report.orphans.iter().take(ORPHANS) {
        let _ = writeln!(text, "- {}", code(path));
    }
    if all > ORPHANS {
        let _ = writeln!(text, "- … and {} more, in the JSON report", figures::count((all - ORPHANS) as u64));
    }
    text.push_str("\n</details>\n");
    page.note("### Orphaned snapshots\n\n");
    if !page.add(&text) {
        page.note(&format!(
            "<p>🗑️ {} of no case; the JSON report names them.</p>\n",
            figures::counted(all as u64, "snapshot", "snapshots")
        ));
    }
    page.note("\n");
}

/// What changed in the prompts between accepted outputs and changed ones, a block for each.
fn prompts(report: &RunReport, page: &mut Page) {
    if report.prompt_changes.is_empty() {
        return;
    }
    page.note(&format!("### Prompts ({})\n\n", figures::count(report.prompt_changes.len() as u64)));
    let mut left = 0;
    for PromptChange { from, to, file, diff } in &report.prompt_changes {
        let lines: String = difference::text_rows(diff).map(|row| row.to_plain() + "\n").collect();
        let summary = format!("{} {}", html(&format!("{from} -> {to}"), 300), html(file, 300));
        let block = format!("<details><summary>📜 <code>{summary}</code></summary>\n\n{}\n</details>\n", fenced(&lines));
        left += usize::from(left > 0 || !(page.add(&block) || page.add(&format!("<p>📜 <code>{summary}</code></p>\n"))));
    }
    page.note("\n");
    if left > 0 {
        page.note(&format!("_… and {left} more; the JSON report has them._\n\n"));
    }
}

/// What the run has to say about what it read.
fn problems(report: &RunReport, page: &mut Page) {
    if report.problems.is_empty() {
        return;
    }
    let counts = problem::counts(&report.problems);
    let told = fenced(&problem::render(&report.problems, Style { colour: false, width: 100 }));
    page.note("### What was noticed\n\n");
    if !page.add(&format!("<details><summary>{counts}</summary>\n\n{told}\n</details>\n\n")) {
        page.note(&format!("{counts}; the JSON report has them.\n\n"));
    }
}

/// Nothing to look at, so it unfolds only for those who want to know.
fn retried(report: &RunReport, page: &mut Page) {
    let retried = retries::retried(report);
    let Some(summary) = retries::summary(&retried) else { return };
    let mut text = format!("<details><summary>🔁 {summary}</summary>\n\n");
    for retried in retried.iter().take(RETRIED) {
        let line = html_line("", retried.cell, &retries::causes(retried.failed.iter().copied()));
        let _ = writeln!(text, "<p>{}</p>", line.trim_start());
    }
    if retried.len() > RETRIED {
        let _ = writeln!(text, "\n_… and {} more; the JSON report has every attempt._", figures::count((retried.len() - RETRIED) as u64));
    }
    let _ = writeln!(text, "</details>\n");
    if !page.add(&text) {
        page.note(&format!("🔁 {summary}.\n\n"));
    }
}

/// A section with as many of its items as fit, and the number of those that do not.
fn section(page: &mut Page, title: &str, noun: &str, cells: &[&CellResult], item: impl Fn(&CellResult) -> Item) {
    if cells.is_empty() {
        return;
    }
    page.note(&format!("### {title} ({})\n\n", figures::count(cells.len() as u64)));
    let mut shown = 0;
    for cell in cells {
        let Item { summary, body } = item(cell);
        let folded = format!("<details><summary>{summary}</summary>\n\n{}\n</details>\n", body.trim_start());
        let line = format!("<p>{summary}</p>\n");
        let added = if body.is_empty() { page.add(&line) } else { page.add(&folded) || page.add(&line) };
        if !added {
            break;
        }
        shown += 1;
    }
    page.note("\n");
    let left = cells.len() - shown;
    if left > 0 {
        page.note(&format!(
            "_{} of {} {noun} are left out here: a comment holds 65,536 characters. The JSON and JUnit reports have them all._\n\n",
            figures::count(left as u64),
            figures::count(cells.len() as u64)
        ));
    }
}

/// One line of HTML: Markdown is not read inside `<summary>`.
fn html_line(sign: &str, cell: &CellResult, text: &str) -> String {
    let address = html(&cell.address.to_string(), 300);
    if text.is_empty() {
        format!("{sign} <code>{address}</code>")
    } else {
        format!("{sign} <code>{address}</code> <code>{}</code>", html(text, 440))
    }
}

fn headline(cell: &CellResult) -> String {
    let line = finding::leading(cell).map(finding::headline).unwrap_or_default();
    if cell.samples.len() > 1 {
        format!("{} of {} samples: {line}", finding::samples(cell, cell.verdict).count(), cell.samples.len())
    } else {
        line
    }
}

fn warning(cell: &CellResult) -> String {
    finding::warnings(cell).map(finding::title).collect::<Vec<_>>().join(", ")
}

fn change(cell: &CellResult) -> String {
    match &cell.snapshot {
        SnapshotState::Changed { accepted_prompt, .. } => {
            let now = format!("{}@{}", cell.address.prompt, cell.address.version);
            let way = if *accepted_prompt == now { String::new() } else { format!("{accepted_prompt} -> {now}: ") };
            format!("{way}{}", strange::size(&cell.snapshot, Noun::Sample))
        }
        SnapshotState::Same | SnapshotState::New { .. } | SnapshotState::Unreadable { .. } | SnapshotState::None => {
            finding::snapshot_line(cell)
        }
    }
}

fn story(cell: &CellResult) -> String {
    let mut text = String::new();
    if let Some(sample) = finding::leading(cell) {
        finding::tell(sample, Layout::Diff, &mut text);
    }
    format!("{}\n\n{}", code(&cell.site.to_string()), fenced(&text))
}

/// Empty where there is nothing to be seen.
fn snapshot(cell: &CellResult) -> String {
    let mut text = String::new();
    finding::tell_snapshot(cell, Layout::Diff, &mut text);
    if text.is_empty() { text } else { format!("\n{}", fenced(&text)) }
}

/// What nothing is accepted of yet: there is no difference to show, so it is shown itself.
fn outputs(cell: &CellResult) -> String {
    let mut text = String::new();
    finding::tell_outputs(cell, &mut text);
    if text.is_empty() { text } else { format!("{}\n\n{}", code(&cell.site.to_string()), fenced(&text)) }
}
