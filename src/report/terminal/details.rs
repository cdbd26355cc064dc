//! What is shown of one cell: which assertion, what was expected, what came, and where the two part?

use std::borrow::Cow;
use std::io;

use anstyle::Style;

use super::Waiting;
use super::paint::{BAD, BOLD, DIM, GOOD, NAME, ODD, PLAIN, Screen, Span, span};
use crate::model::assertion::AssertionSeverity;
use crate::model::run::{CellResult, SampleResult};
use crate::model::verdict::{AssertionResult, Diff, Outcome, SnapshotState, TextDiff, Verdict};
use crate::report::difference::{self, Part, Row, Sign};
use crate::report::strange::{self, Noun, Strange};
use crate::report::{figures, finding, visible, words};

/// Most lines of one text.
const LINES: usize = 12;
/// Most rows of one difference.
const ROWS: usize = 40;
/// Most samples of one cell that are shown.
const SAMPLES: usize = 3;
/// Columns that an unchanged stretch keeps at each side of a change, where the line is long.
const AROUND: usize = 50;

/// `FAIL  suite::case::prompt@version::model`, and where it stands.
pub(super) fn head(cell: &CellResult, word: &'static str, style: Style, note: &str, screen: &mut Screen<'_>) -> io::Result<()> {
    screen.blank()?;
    let address = visible::name(&cell.address.to_string());
    screen.line(&[span(style.bold(), format!("{word:<5}")), span(PLAIN, " "), span(BOLD, address)])?;
    let mut place = visible::name(&cell.site.to_string());
    if !note.is_empty() {
        place.push_str(", ");
        place.push_str(note);
    }
    screen.line(&[span(DIM, format!("      {place}"))])
}

/// How many samples share the cell's verdict; empty where there is one sample.
pub(super) fn share(cell: &CellResult) -> String {
    match cell.samples.len() {
        0 | 1 => String::new(),
        all => format!("{} of {all} samples", finding::samples(cell, cell.verdict).count()),
    }
}

/// Everything that a failed cell says.
pub(super) fn failure(cell: &CellResult, screen: &mut Screen<'_>) -> io::Result<()> {
    let failing: Vec<&SampleResult> = finding::samples(cell, Verdict::Fail).collect();
    for sample in failing.iter().take(SAMPLES) {
        if cell.samples.len() > 1 {
            screen.line(&[span(DIM, format!("  sample {}", sample.index + 1))])?;
        }
        for result in finding::findings(sample) {
            assertion(result, screen)?;
        }
    }
    super::closing::more(failing.len(), SAMPLES, "failing sample", "failing samples", screen)?;
    snapshot(cell, screen)
}

/// One assertion that does not hold.
pub(super) fn assertion(result: &AssertionResult, screen: &mut Screen<'_>) -> io::Result<()> {
    let style = if result.severity == AssertionSeverity::Warn { ODD } else { BAD };
    let mut head = vec![span(PLAIN, "  "), span(style, visible::name(&result.name))];
    let weight = words::severity(result.severity);
    if !weight.is_empty() {
        head.push(span(style, format!(" ({weight})")));
    }
    if let Some(site) = &result.site {
        head.push(span(DIM, format!("  {}", visible::name(&site.to_string()))));
    }
    screen.line(&head)?;
    match &result.outcome {
        Outcome::Pass => Ok(()),
        Outcome::Fail(failure) => {
            text("expected", &failure.expected, screen)?;
            text("got", &failure.got, screen)?;
            failure.diff.as_ref().map_or(Ok(()), |diff| rows(diff, screen))
        }
        Outcome::Error(message) => text("not judged", message, screen),
    }
}

/// What is to be seen at a cell's snapshot; nothing where there is no news.
pub(super) fn snapshot(cell: &CellResult, screen: &mut Screen<'_>) -> io::Result<()> {
    let line = finding::snapshot_line(cell);
    state(&line, &cell.snapshot, Noun::Sample, cell.snapshot_path.as_deref(), screen)
}

/// An output that waits for a decision.
pub(super) fn pending(waiting: &Waiting<'_>, screen: &mut Screen<'_>) -> io::Result<()> {
    let Waiting { address, path, prompt, state: waits, new_text, variants } = waiting;
    screen.line(&[span(BOLD, visible::name(address))])?;
    state(&strange::line(waits, prompt), waits, Noun::Output, Some(path), screen)?;
    if let Some(variants) = variants {
        screen.wrapped(&[span(PLAIN, "    ")], &[span(DIM, variants.clone())], 3)?;
    }
    let whole = new_text.trim_end_matches('\n');
    if !whole.is_empty() {
        let most = whole.match_indices('\n').nth(LINES - 1).map_or(whole.len(), |(at, _)| at);
        let begun = visible::cut(&whole[..most], LINES * screen.width);
        let left = screen.wrapped(&[span(GOOD, "    + ")], &[span(PLAIN, visible::output(&begun))], LINES)?;
        if left > 0 || begun.len() < whole.len() {
            screen.line(&[span(DIM, format!("      the rest stands in {}.new", visible::name(path)))])?;
        }
    }
    screen.blank()
}

fn state(line: &str, state: &SnapshotState, noun: Noun, path: Option<&str>, screen: &mut Screen<'_>) -> io::Result<()> {
    if line.is_empty() {
        return Ok(());
    }
    screen.line(&[span(PLAIN, "  "), span(NAME, line)])?;
    if let Some(path) = path {
        screen.line(&[span(DIM, format!("    {}", visible::name(path)))])?;
    }
    for told in strange::summary(state, noun) {
        screen.wrapped(&[span(PLAIN, "    ")], &[span(PLAIN, told)], 3)?;
    }
    let strangers = strange::strange(state, noun);
    for Strange { title, notes, diff } in strangers.iter().take(SAMPLES) {
        if !title.is_empty() {
            screen.line(&[span(PLAIN, "    "), span(BOLD, title.as_str())])?;
        }
        for note in *notes {
            screen.wrapped(&[span(PLAIN, "    ")], &[span(PLAIN, visible::brief(note, 1_000))], 3)?;
        }
        rows(diff, screen)?;
    }
    super::closing::more(strangers.len(), SAMPLES, "difference", "differences", screen)?;
    strange::left_out(state, noun).map_or(Ok(()), |left_out| screen.line(&[span(DIM, format!("    {left_out}"))]))
}

/// A text behind its label, wrapped and bounded.
fn text(label: &str, text: &str, screen: &mut Screen<'_>) -> io::Result<()> {
    // Wrapping costs time for every character: what cannot be shown anyway is not wrapped.
    let most = LINES * screen.width;
    let text = visible::cut(text.trim_end_matches('\n'), most);
    let first = [span(DIM, format!("    {label:<9} "))];
    let left = screen.wrapped(&first, &[span(PLAIN, visible::lines(&text))], LINES)?;
    if left > 0 {
        screen.line(&[span(
            DIM,
            format!("              … {} more; all of it is in the JSON report", figures::counted(left as u64, "line", "lines")),
        )])?;
    }
    Ok(())
}

/// A difference, wrapped and bounded; long unchanged stretches give way to `…`.
pub(super) fn rows(diff: &Diff, screen: &mut Screen<'_>) -> io::Result<()> {
    draw(difference::rows(diff, true), difference::lines_left_out(diff), screen)
}

/// The same of two texts.
pub(super) fn text_rows(diff: &TextDiff, screen: &mut Screen<'_>) -> io::Result<()> {
    draw(difference::text_rows(diff), diff.left_out_removed.saturating_add(diff.left_out_added), screen)
}

fn draw<'a>(mut rows: impl Iterator<Item = Row<'a>>, left_out: u64, screen: &mut Screen<'_>) -> io::Result<()> {
    let mut shown = 0;
    for row in rows.by_ref() {
        let style = match row.sign {
            Sign::Same => DIM,
            Sign::Removed => BAD,
            Sign::Added => GOOD,
            Sign::Changed => PLAIN,
            Sign::Note => NAME,
        };
        let marks = if screen.needs_marks() { row.marks() } else { ("", "") };
        let sign = if row.sign == Sign::Note { "    ".to_owned() } else { format!("    {} ", row.sign.as_char()) };
        let long = row.parts.iter().map(|part| visible::width(&part.text)).sum::<usize>() > 2 * screen.width;
        let last = row.parts.len().saturating_sub(1);
        let mut spans: Vec<Span<'_>> = Vec::with_capacity(row.parts.len());
        for (index, part) in row.parts.iter().enumerate() {
            if part.emphasised {
                let strong = if row.sign == Sign::Changed { GOOD } else { style.bold().underline() };
                let text = visible::cut(&part.text, 10 * screen.width);
                spans.push(span(strong, format!("{}{text}{}", marks.0, marks.1)));
            } else {
                spans.push(span(style, if long { shortened(part, index == 0, index == last) } else { part.text.clone() }));
            }
        }
        let left = screen.wrapped(&[span(style, sign)], &spans, 8)?;
        if left > 0 {
            screen.line(&[span(DIM, format!("      … {} more", figures::counted(left as u64, "line", "lines")))])?;
        }
        shown += 1;
        if shown == ROWS {
            break;
        }
    }
    let mut told = false;
    let kept = rows.inspect(|row| told |= row.sign == Sign::Note).filter(|row| row.sign != Sign::Note).count() as u64;
    match (kept, left_out) {
        (0, _) if !told => Ok(()),
        (0, 0) => Ok(()),
        (kept, left_out) => screen.line(&[span(DIM, format!("    {}", finding::more_lines(kept, left_out)))]),
    }
}

/// An unchanged stretch with its middle left out: what stands near a change is what is read.
fn shortened<'a>(part: &Part<'a>, first: bool, last: bool) -> Cow<'a, str> {
    let characters: Vec<(usize, char)> = part.text.char_indices().collect();
    let keep_head = if first && !last { AROUND / 2 } else { AROUND };
    let keep_tail = if last && !first { AROUND / 2 } else { AROUND };
    if characters.len() <= keep_head + keep_tail + 20 {
        return part.text.clone();
    }
    let (head, tail) = (characters[keep_head].0, characters[characters.len() - keep_tail].0);
    // Between words where there is a blank, as there is in most languages.
    let head = part.text[..head].rfind(' ').unwrap_or(head);
    let tail = part.text[tail..].find(' ').map_or(tail, |blank| tail + blank);
    Cow::Owned(format!("{} … {}", part.text[..head].trim_end(), part.text[tail..].trim_start()))
}
