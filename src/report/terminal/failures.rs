//! Which cells must somebody look at, in which order, and how many of them fit on a screen?

use std::collections::HashMap;
use std::io;

use super::closing::more;
use super::details;
use super::paint::{BAD, BOLD, DIM, NAME, ODD, PLAIN, Screen, span};
use crate::model::run::{CellResult, RunReport};
use crate::model::verdict::{SnapshotState, Verdict};
use crate::report::remembered::FlakyCells;
use crate::report::standing::{self, Standing, Standings, Tolerance};
use crate::report::{figures, finding, visible};

/// Failures and changed snapshots that are shown with all that they say.
const WHOLE: usize = 20;
/// Further failures that get one line each.
const LINES: usize = 50;
/// Cells that are named under one heading that only informs, under one error, under one reason.
const NAMED: usize = 5;

/// All sections, from what only informs to what counts most.
pub(super) fn show(report: &RunReport, standings: &Standings<'_>, screen: &mut Screen<'_>) -> io::Result<()> {
    let mut sorted = Sorted::default();
    for cell in &report.cells {
        let standing = standings.standing(cell);
        match standing {
            Standing::Passed => {}
            Standing::Snapshot => sorted.snapshots.push(cell),
            Standing::Failed => sorted.failed.push(cell),
            Standing::Informs(tolerance) => sorted.informs.push((tolerance, cell)),
            Standing::Errored => sorted.errored.push(cell),
            Standing::Skipped => sorted.skipped.push(cell),
        }
        if standing == Standing::Passed && standing::is_news(&cell.snapshot) {
            sorted.tolerated.push(cell);
        }
        if cell.verdict == Verdict::Pass && finding::warnings(cell).next().is_some() {
            sorted.warned.push(cell);
        }
    }
    informs(&sorted.informs, screen)?;
    warned(&sorted.warned, screen)?;
    snapshots("snapshots that the gate does not mind", &sorted.tolerated, screen)?;
    snapshots("snapshots", &sorted.snapshots, screen)?;
    let skipped = sorted.skipped.iter().map(|cell| {
        let reason = finding::leading(cell).and_then(|sample| sample.skipped.as_ref());
        (reason.map_or_else(|| "nothing was asked".to_owned(), finding::skip_line), None, *cell)
    });
    causes("skipped", "SKIP", skipped.collect(), screen)?;
    causes("errors: no verdict could be reached", "ERROR", sorted.errored.iter().map(|cell| cause(cell)).collect(), screen)?;
    failed(&sorted.failed, &FlakyCells::of(report), screen)
}

#[derive(Default)]
struct Sorted<'a> {
    informs: Vec<(Tolerance, &'a CellResult)>,
    warned: Vec<&'a CellResult>,
    tolerated: Vec<&'a CellResult>,
    snapshots: Vec<&'a CellResult>,
    skipped: Vec<&'a CellResult>,
    errored: Vec<&'a CellResult>,
    failed: Vec<&'a CellResult>,
}

fn cells(count: usize) -> String {
    figures::counted(count as u64, "cell", "cells")
}

/// What fails and does not count: told, not alarmed about.
fn informs(found: &[(Tolerance, &CellResult)], screen: &mut Screen<'_>) -> io::Result<()> {
    if found.is_empty() {
        return Ok(());
    }
    screen.heading("for information", &format!("{} that the gate does not count", cells(found.len())))?;
    let groups = grouped(found.iter().map(|(tolerance, cell)| {
        let address = &cell.address;
        let name = match tolerance {
            Tolerance::OlderVersion => format!("{}: {}@{}, {}", address.suite, address.prompt, address.version, address.model),
            Tolerance::UngatedModel | Tolerance::WithinRate => format!("{}: {}", address.suite, address.model),
        };
        ((name, *tolerance), *cell)
    }));
    for ((name, tolerance), found) in groups {
        let verb = if found.len() == 1 { "does" } else { "do" };
        let head = format!("{} {verb} not pass", cells(found.len()));
        let spans = [span(BOLD, visible::name(&name)), span(PLAIN, format!("  {head} ({})", tolerance.reason()))];
        screen.wrapped(&[span(PLAIN, "  ")], &spans, 4)?;
        for cell in found.iter().take(NAMED) {
            let case = visible::name(&cell.address.case);
            let line = headline(cell, 3, &case, screen);
            let text = [span(PLAIN, case), span(DIM, format!("  {line}"))];
            screen.wrapped(&[span(ODD, "    · ")], &text, 3)?;
        }
        more(found.len(), NAMED, "cell", "cells", screen)?;
    }
    Ok(())
}

/// What is wrong with a cell, for what is left of some lines behind its name and an indentation of six columns.
fn headline(cell: &CellResult, lines: usize, name: &str, screen: &Screen<'_>) -> String {
    // A line that breaks between words is not full.
    let columns = lines * screen.width.saturating_sub(6 + 8);
    finding::leading(cell)
        .map(|sample| finding::headline_in(sample, columns.saturating_sub(visible::width(name) + 2).max(80)))
        .unwrap_or_default()
}

fn warned(found: &[&CellResult], screen: &mut Screen<'_>) -> io::Result<()> {
    if found.is_empty() {
        return Ok(());
    }
    screen.heading("warnings", &format!("{} passed with a failed `severity: warn` assertion", cells(found.len())))?;
    for cell in found.iter().take(NAMED) {
        details::head(cell, "WARN", ODD, "", screen)?;
        for result in finding::warnings(cell).take(NAMED) {
            details::assertion(result, screen)?;
        }
    }
    more(found.len(), NAMED, "cell with warnings", "cells with warnings", screen)
}

/// Cells that pass and whose output is not what was accepted: changed ones with their difference, new ones as a list.
fn snapshots(title: &str, found: &[&CellResult], screen: &mut Screen<'_>) -> io::Result<()> {
    let is_new = |cell: &&&CellResult| matches!(cell.snapshot, SnapshotState::New { .. });
    let is_broken = |cell: &CellResult| matches!(cell.snapshot, SnapshotState::Unreadable { .. });
    let (new, differing): (Vec<&CellResult>, Vec<&CellResult>) = found.iter().partition(is_new);
    if found.is_empty() {
        return Ok(());
    }
    let broken = differing.iter().filter(|cell| is_broken(cell)).count();
    let counts = [(differing.len() - broken, "changed"), (new.len(), "new"), (broken, "unreadable")];
    let counts = counts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{} {what}", figures::count(*count as u64)));
    screen.heading(title, &counts.collect::<Vec<_>>().join(", "))?;
    for cell in differing.iter().take(WHOLE) {
        let (word, style) = if is_broken(cell) { ("ERROR", ODD) } else { ("DIFF", NAME) };
        details::head(cell, word, style, "", screen)?;
        details::snapshot(cell, screen)?;
    }
    more(differing.len(), WHOLE, "changed snapshot", "changed snapshots", screen)?;
    if new.is_empty() {
        return Ok(());
    }
    screen.blank()?;
    for cell in new.iter().take(2 * NAMED) {
        let SnapshotState::New { reason } = &cell.snapshot else { continue };
        let reason = reason.as_deref().map(|reason| format!("  {}", visible::brief(reason, 1_000))).unwrap_or_default();
        let text = [span(PLAIN, visible::name(&cell.address.to_string())), span(DIM, reason)];
        screen.wrapped(&[span(NAME, "NEW   ")], &text, 4)?;
    }
    more(new.len(), 2 * NAMED, "new snapshot", "new snapshots", screen)
}

/// What kept a cell from a verdict, with the next step.
fn cause(cell: &CellResult) -> (String, Option<String>, &CellResult) {
    let Some(sample) = finding::leading(cell) else { return ("no verdict".to_owned(), None, cell) };
    let hint = sample.error.as_ref().and_then(|error| error.hint.as_deref()).map(|hint| visible::brief(hint, 1_000));
    (finding::headline(sample), hint, cell)
}

/// An outage is one cause and many cells: the cause is told once.
fn causes(title: &str, word: &'static str, found: Vec<(String, Option<String>, &CellResult)>, screen: &mut Screen<'_>) -> io::Result<()> {
    if found.is_empty() {
        return Ok(());
    }
    screen.heading(title, &cells(found.len()))?;
    let groups = grouped(found.into_iter().map(|(line, hint, cell)| ((line, hint), cell)));
    for ((line, hint), found) in groups.iter().take(WHOLE) {
        screen.blank()?;
        let times = if found.len() == 1 { String::new() } else { format!("{}: ", cells(found.len())) };
        screen.wrapped(&[span(ODD.bold(), format!("{word:<5} "))], &[span(BOLD, times), span(PLAIN, line.as_str())], 8)?;
        for cell in found.iter().take(NAMED) {
            screen.line(&[span(DIM, format!("      {}", visible::name(&cell.address.to_string())))])?;
        }
        more(found.len(), NAMED, "cell", "cells", screen)?;
        if let Some(hint) = hint {
            screen.wrapped(&[span(DIM, "      hint: ")], &[span(PLAIN, hint.as_str())], 4)?;
        }
    }
    more(groups.len(), WHOLE, "cause", "causes", screen)
}

fn failed(found: &[&CellResult], flaky: &FlakyCells<'_>, screen: &mut Screen<'_>) -> io::Result<()> {
    if found.is_empty() {
        return Ok(());
    }
    screen.heading("failures", &cells(found.len()))?;
    let groups = grouped(found.iter().map(|cell| (cell.address.suite.to_string(), *cell)));
    let several = groups.len() > 1;
    let (mut whole, mut lines) = (0, 0);
    for (suite, found) in groups {
        if several {
            screen.blank()?;
            let title = format!("── {} ── {} ", visible::name(&suite), cells(found.len()));
            let rule = "─".repeat(screen.width.saturating_sub(visible::width(&title)));
            screen.line(&[span(DIM, format!("{title}{rule}"))])?;
        }
        for cell in found {
            if whole < WHOLE {
                details::head(cell, "FAIL", BAD, &details::share(cell), screen)?;
                if let Some(line) = flaky.line(cell) {
                    screen.wrapped(&[span(PLAIN, "      ")], &[span(ODD, line)], 2)?;
                }
                details::failure(cell, screen)?;
                whole += 1;
            } else if lines < LINES {
                if lines == 0 {
                    screen.blank()?;
                }
                let address = visible::name(&cell.address.to_string());
                let line = headline(cell, 2, &address, screen);
                let text = [span(PLAIN, address), span(DIM, format!("  {line}"))];
                screen.wrapped(&[span(BAD.bold(), "FAIL  ")], &text, 2)?;
                lines += 1;
            }
        }
    }
    more(
        found.len(),
        WHOLE + LINES,
        "failure; all are in the JSON and JUnit reports",
        "failures; all are in the JSON and JUnit reports",
        screen,
    )
}

/// Groups in the order of their first member.
fn grouped<'a, K: std::hash::Hash + Eq + Clone>(found: impl Iterator<Item = (K, &'a CellResult)>) -> Vec<(K, Vec<&'a CellResult>)> {
    let mut places: HashMap<K, usize> = HashMap::new();
    let mut groups: Vec<(K, Vec<&CellResult>)> = Vec::new();
    for (key, cell) in found {
        let place = *places.entry(key.clone()).or_insert_with(|| {
            groups.push((key, Vec::new()));
            groups.len() - 1
        });
        groups[place].1.push(cell);
    }
    groups
}
