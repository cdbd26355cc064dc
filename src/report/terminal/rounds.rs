//! What does a person see of a watch beside each round's summary: what began it, what it changed, and what the watch waits for?
//!
//! ```text
//! ── 14:31:07 UTC ── suites/prompts/triage/2.md changed: 12 of 40 cells ──────────
//!
//! since the last round: 1 newly failing, 2 newly passing, 7 other outputs
//!   newly failing  ticket-triage::double-charge::ticket-triage@3::claude-haiku-4-5
//!
//! session    3 rounds, $0.0123 spent
//! watching 14 files; Ctrl-C ends
//! ```

use std::collections::HashMap;
use std::io;

use chrono::{DateTime, Utc};

use super::closing::more;
use super::paint::{BAD, BOLD, DIM, GOOD, ODD, PLAIN, Screen, Span, span};
use crate::model::money::Money;
use crate::model::run::{Address, CellResult, RunReport};
use crate::model::verdict::{SnapshotState, Verdict};
use crate::report::style::Style;
use crate::report::{figures, finding, visible};

/// Most files that are named in a head.
const FILES: usize = 3;
/// Most cells that are named under one piece of news.
const NAMED: usize = 10;

/// A file, and what became of it: `changed`, `is new`, `is gone`.
pub type Change = (String, &'static str);

/// What began a round.
#[derive(Debug)]
pub struct Head<'a> {
    /// When.
    pub now: DateTime<Utc>,
    /// Empty for the first round.
    pub changes: &'a [Change],
    /// How many cells run, of how many; `None` where nothing can run.
    pub cells: Option<(usize, usize)>,
}

/// What the rounds of a watch cost together.
#[derive(Debug, Clone, Copy, Default)]
pub struct Costs {
    rounds: u64,
    spent: Money,
    simulated: Money,
    incomplete: bool,
}

impl Costs {
    /// Adds what a round asked and paid; answers of earlier rounds are not paid again.
    pub fn add(&mut self, report: &RunReport) {
        self.rounds += 1;
        self.spent += report.bill.spent_usd;
        let replies = report.cells.iter().flat_map(|cell| &cell.samples).filter_map(|sample| sample.reply.as_ref());
        let paid = replies.filter(|reply| reply.served.is_paid());
        for reply in paid {
            match reply.cost_usd {
                Some(cost) if reply.simulated => self.simulated += cost,
                Some(_) => {}
                None => self.incomplete = true,
            }
        }
        self.incomplete |= report.bill.unknown_attempts > 0;
    }
}

/// Writes what begins a round.
///
/// # Errors
///
/// Only what `out` answers.
pub fn head(head: &Head<'_>, out: &mut dyn io::Write, style: Style) -> io::Result<()> {
    let mut screen = Screen::new(out, style);
    let cells = match head.cells {
        Some((runs, all)) if runs == all => figures::counted(all as u64, "cell", "cells"),
        Some((runs, all)) => format!("{} of {}", figures::count(runs as u64), figures::counted(all as u64, "cell", "cells")),
        None => "nothing can run".to_owned(),
    };
    let what = if head.changes.is_empty() { cells } else { format!("{}: {cells}", changed(head.changes)) };
    let time = format!("── {} UTC ── ", head.now.format("%H:%M:%S"));
    let used = visible::width(&time) + visible::width(&what) + 1;
    screen.line(&[span(DIM, time), span(BOLD, what), span(DIM, format!(" {}", "─".repeat(screen.width.saturating_sub(used).max(2))))])
}

/// Writes that an edit touched nothing.
///
/// # Errors
///
/// Only what `out` answers.
pub fn nothing(now: DateTime<Utc>, changes: &[Change], out: &mut dyn io::Write, style: Style) -> io::Result<()> {
    let text = format!("{} UTC  {}: no cell is touched", now.format("%H:%M:%S"), changed(changes));
    Screen::new(out, style).line(&[span(DIM, text)])
}

/// `a.md changed, b.yaml is new and 3 more files`.
fn changed(changes: &[Change]) -> String {
    let named: Vec<String> = changes.iter().take(FILES).map(|(file, what)| format!("{} {what}", visible::name(file))).collect();
    let named = named.join(", ");
    match changes.len().saturating_sub(FILES) {
        0 => named,
        left => format!("{named} and {}", figures::counted(left as u64, "more file", "more files")),
    }
}

/// Writes what is other than after the last round; `alone`: below a few lines, and not below a summary; `reasons` where no progress told them.
///
/// # Errors
///
/// Only what `out` answers.
pub fn news(before: &RunReport, after: &RunReport, alone: bool, reasons: bool, out: &mut dyn io::Write, style: Style) -> io::Result<()> {
    let mut screen = Screen::new(out, style);
    let news = News::of(before, after);
    let verdicts =
        [("newly failing", BAD, &news.failing), ("newly without a verdict", ODD, &news.unknown), ("newly passing", GOOD, &news.passing)];
    let named = verdicts.iter().map(|(what, style, cells)| (cells.len(), (*what).to_owned(), *style));
    let outputs = if news.outputs == 1 { "other output" } else { "other outputs" };
    let counted = [
        (news.outputs, outputs.to_owned(), PLAIN),
        (news.accepted, "newly as accepted".to_owned(), GOOD),
        (news.beside, if news.beside == 1 { "beside another snapshot" } else { "beside other snapshots" }.to_owned(), PLAIN),
        (news.new, if news.new == 1 { "new cell" } else { "new cells" }.to_owned(), PLAIN),
        (news.gone, if news.gone == 1 { "cell less" } else { "cells less" }.to_owned(), PLAIN),
    ];
    let mut line: Vec<Span<'_>> = vec![span(BOLD, "since the last round: ")];
    for (count, what, style) in named.chain(counted).filter(|(count, ..)| *count > 0) {
        if line.len() > 1 {
            line.push(span(PLAIN, ", "));
        }
        line.push(span(style, format!("{} {what}", figures::count(count as u64))));
    }
    if line.len() == 1 {
        line.push(span(DIM, "every verdict, every output and every snapshot is the same"));
    }
    if !alone {
        screen.blank()?;
    }
    screen.wrapped(&[], &line, usize::MAX)?;
    for (what, style, cells) in verdicts {
        for cell in cells.iter().take(NAMED) {
            screen.line(&[span(style, format!("  {what:<14} ")), span(PLAIN, visible::name(&cell.address.to_string()))])?;
            let why =
                finding::leading(cell).filter(|_| reasons && cell.verdict != Verdict::Pass).map(finding::headline).unwrap_or_default();
            if !why.is_empty() {
                screen.wrapped(&[span(PLAIN, "    ")], &[span(PLAIN, why)], 3)?;
            }
        }
        more(cells.len(), NAMED, what, what, &mut screen)?;
    }
    Ok(())
}

/// What is other than before.
#[derive(Debug, Default)]
struct News<'a> {
    failing: Vec<&'a CellResult>,
    passing: Vec<&'a CellResult>,
    unknown: Vec<&'a CellResult>,
    outputs: usize,
    /// What is accepted now, and was not.
    accepted: usize,
    /// The same outputs, compared with something else.
    beside: usize,
    new: usize,
    gone: usize,
}

impl<'a> News<'a> {
    fn of(before: &RunReport, after: &'a RunReport) -> Self {
        let mut known: HashMap<&Address, &CellResult> = before.cells.iter().map(|cell| (&cell.address, cell)).collect();
        let mut news = Self::default();
        for cell in &after.cells {
            let old = known.remove(&cell.address);
            news.new += usize::from(old.is_none());
            news.outputs += usize::from(old.is_some_and(|old| is_other(old, cell)));
            if let Some(old) = old.filter(|old| old.snapshot != cell.snapshot) {
                let is_accepted = cell.snapshot == SnapshotState::Same;
                news.accepted += usize::from(is_accepted);
                news.beside += usize::from(!is_accepted && !is_other(old, cell));
            }
            if old.is_some_and(|old| old.verdict == cell.verdict) {
                continue;
            }
            match cell.verdict {
                Verdict::Fail => news.failing.push(cell),
                // A new cell that passes is no news beside its being new.
                Verdict::Pass if old.is_some() => news.passing.push(cell),
                Verdict::Error | Verdict::Skipped => news.unknown.push(cell),
                Verdict::Pass => {}
            }
        }
        news.gone = known.len();
        news
    }
}

/// Both were answered, and differently.
fn is_other(old: &CellResult, new: &CellResult) -> bool {
    let texts = |cell: &CellResult| -> Vec<Option<String>> {
        let reply = |sample: &crate::model::run::SampleResult| {
            sample.reply.as_ref().map(|reply| format!("{}\n{:?}", reply.text, reply.other_blocks))
        };
        cell.samples.iter().map(reply).collect()
    };
    let (old, new) = (texts(old), texts(new));
    old.iter().flatten().next().is_some() && new.iter().flatten().next().is_some() && old != new
}

/// Writes what the watch cost so far, and what it waits for: an edit, and keys where somebody can press them. `cap` is what was taken from `--max-cost`, and that. `alone`: below a few lines, and not below a summary.
///
/// # Errors
///
/// Only what `out` answers.
pub fn foot(
    files: usize,
    has_keys: bool,
    alone: bool,
    costs: Costs,
    cap: Option<(Money, Money)>,
    out: &mut dyn io::Write,
    style: Style,
) -> io::Result<()> {
    let mut screen = Screen::new(out, style);
    let mut text = figures::counted(costs.rounds, "round", "rounds");
    if costs.spent != Money::ZERO || costs.simulated == Money::ZERO {
        text.push_str(&format!(", {} spent", figures::dollars(costs.spent)));
    }
    if costs.simulated != Money::ZERO {
        text.push_str(&format!(", simulated: {} at list prices, which nobody paid", figures::dollars(costs.simulated)));
    }
    if costs.incomplete {
        text.push_str(" (incomplete: some bills are not known)");
    }
    if let Some((taken, cap)) = cap {
        text.push_str(&format!("; {} of `--max-cost` {} are taken", figures::dollars(taken), figures::dollars(cap)));
    }
    if !alone {
        screen.blank()?;
    }
    screen.wrapped(&[span(DIM, format!("{:<11}", "session"))], &[span(PLAIN, text)], usize::MAX)?;
    let files = figures::counted(files as u64, "file", "files");
    let keys = if has_keys { "Enter runs everything, f what did not pass, q quits" } else { "Ctrl-C ends" };
    screen.line(&[span(DIM, format!("watching {files}; {keys}"))])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    fn drawn(draw: impl FnOnce(&mut dyn io::Write) -> io::Result<()>) -> String {
        let mut out = Vec::new();
        draw(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    const STYLE: Style = Style { width: 80, ..Style::PLAIN };

    #[test]
    fn a_head_names_what_began_the_round() {
        let changes: Vec<Change> = ["a.md", "b.md", "c.md", "d.md", "e.md"].iter().map(|name| ((*name).to_owned(), "changed")).collect();
        let now = "2026-11-22T14:31:07Z".parse().unwrap();
        let first = drawn(|out| head(&Head { now, changes: &[], cells: Some((40, 40)) }, out, STYLE));
        let some = drawn(|out| head(&Head { now, changes: &changes[..1], cells: Some((1200, 4000)) }, out, STYLE));
        let many = drawn(|out| head(&Head { now, changes: &changes, cells: None }, out, STYLE));
        let idle = drawn(|out| nothing(now, &changes[..2], out, STYLE));
        insta::assert_snapshot!(format!("{first}{some}{many}{idle}"), @r"
        ── 14:31:07 UTC ── 40 cells ────────────────────────────────────────────────────
        ── 14:31:07 UTC ── a.md changed: 1,200 of 4,000 cells ──────────────────────────
        ── 14:31:07 UTC ── a.md changed, b.md changed, c.md changed and 2 more files: nothing can run ──
        14:31:07 UTC  a.md changed, b.md changed: no cell is touched
        ");
    }

    #[test]
    fn news_are_verdicts_outputs_and_cells_that_come_and_go() {
        let before = sample::report();
        let same = drawn(|out| news(&before, &before, false, false, out, STYLE));
        assert_eq!(same, "\nsince the last round: every verdict, every output and every snapshot is the same\n");
        let mut after = before.clone();
        let passed = after.cells.iter().position(|cell| cell.verdict == Verdict::Pass).unwrap();
        let failed = after.cells.iter().position(|cell| cell.verdict == Verdict::Fail).unwrap();
        after.cells[passed].verdict = Verdict::Fail;
        after.cells[failed].verdict = Verdict::Pass;
        let reply = after.cells[failed].samples.iter_mut().find_map(|sample| sample.reply.as_mut()).unwrap();
        reply.text.push_str(" now");
        let (worse, better) = (after.cells[passed].address.to_string(), after.cells[failed].address.to_string());
        let told = drawn(|out| news(&before, &after, false, false, out, STYLE));
        let wanted = format!(
            "\nsince the last round: 1 newly failing, 1 newly passing, 1 other output\n  newly failing  {worse}\n  newly passing  {better}\n"
        );
        assert_eq!(told, wanted);
        let reasons = drawn(|out| news(&before, &after, true, true, out, STYLE));
        assert!(reasons.starts_with("since") && reasons.contains(&format!("  newly failing  {worse}\n")), "{reasons}");
        let mut accepted = before.clone();
        let waited = accepted.cells.iter().position(|cell| matches!(cell.snapshot, SnapshotState::Changed { .. })).unwrap();
        accepted.cells[waited].snapshot = SnapshotState::Same;
        assert_eq!(drawn(|out| news(&before, &accepted, true, false, out, STYLE)), "since the last round: 1 newly as accepted\n");
        assert_eq!(drawn(|out| news(&accepted, &before, true, false, out, STYLE)), "since the last round: 1 beside another snapshot\n");
        let fewer = RunReport { cells: before.cells[1..].to_vec(), ..before.clone() };
        assert!(drawn(|out| news(&before, &fewer, false, false, out, STYLE)).contains("1 cell less"));
        assert!(drawn(|out| news(&fewer, &before, false, false, out, STYLE)).contains("1 new cell"));
    }

    #[test]
    fn a_session_adds_up_what_its_rounds_paid() {
        let report = sample::report();
        let mut costs = Costs::default();
        costs.add(&report);
        costs.add(&report);
        assert_eq!((costs.rounds, costs.spent), (2, report.bill.spent_usd + report.bill.spent_usd));
        let cap = Some(("0.5".parse().unwrap(), "2".parse().unwrap()));
        let plain = drawn(|out| foot(14, false, false, Costs::default(), cap, out, STYLE));
        assert_eq!(plain, "\nsession    0 rounds, $0.00 spent; $0.5000 of `--max-cost` $2.00 are taken\nwatching 14 files; Ctrl-C ends\n");
        assert!(
            drawn(|out| foot(1, true, false, costs, None, out, STYLE))
                .ends_with("watching 1 file; Enter runs everything, f what did not pass, q quits\n")
        );
    }
}
