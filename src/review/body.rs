//! How does an output stand in lines: as a unified difference, side by side, or whole?

use std::borrow::Cow;

use anstyle::Style;

use crate::diff::text_diff;
use crate::model::verdict::{Change, Diff, DiffLine, TextDiff};
use crate::report::difference::{self, Part, Row, Sign};
use crate::report::terminal::paint::{BAD, DIM, GOOD, NAME, ODD, PLAIN, Span, span, wrap};
use crate::report::visible;
use crate::review::item::{Difference, Item, Kind, MOST};
use crate::review::state::ShownAs;

/// One line of the screen; never wider than it was laid out for.
pub(crate) type Line = Vec<Span<'static>>;

/// How it is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Layout {
    pub(crate) width: usize,
    pub(crate) side_by_side: bool,
    pub(crate) shown_as: ShownAs,
    pub(crate) colour: bool,
}

/// A line without its colours.
pub(crate) fn plain(line: &Line) -> String {
    line.iter().map(|span| span.text.as_ref()).collect()
}

/// Lines that hold the text, whatever its case.
pub(crate) fn hits(lines: &[Line], text: &str) -> Vec<usize> {
    let wanted = text.to_lowercase();
    let holds = |line: &Line| plain(line).to_lowercase().contains(&wanted);
    if wanted.is_empty() { Vec::new() } else { lines.iter().enumerate().filter(|(_, line)| holds(line)).map(|(at, _)| at).collect() }
}

/// Some text at the width, behind a first piece; further lines stand under its text.
pub(crate) fn wrapped(first: Span<'static>, spans: &[Span<'_>], width: usize, into: &mut Vec<Line>) {
    let indent = visible::width(&first.text);
    let room = width.saturating_sub(indent).max(4);
    for (index, mut line) in wrap(spans, room).into_iter().enumerate() {
        // The blank at which a line was broken has no column of its own.
        let used: usize = line.iter().map(|piece| visible::width(&piece.text)).sum();
        if used > room
            && let Some(last) = line.last_mut()
        {
            let kept = last.text.trim_end_matches(' ').len().max((last.text.len() + room).saturating_sub(used));
            last.text.to_mut().truncate(kept);
        }
        let head = if index == 0 { first.clone() } else { span(PLAIN, " ".repeat(indent)) };
        let owned = line.into_iter().map(|piece| span(piece.style, piece.text.into_owned()));
        into.push(std::iter::once(head).chain(owned).collect());
    }
}

/// Everything of an output that can be scrolled.
pub(crate) fn lines(item: &Item, layout: Layout) -> Vec<Line> {
    let mut lines = Vec::new();
    if let (ShownAs::Prompt, Some(change)) = (layout.shown_as, &item.prompt) {
        let title = format!("the prompt itself, {} -> {}: {}", change.from, change.to, change.file);
        wrapped(span(NAME, ""), &[span(NAME, visible::name(&title))], layout.width, &mut lines);
        if layout.side_by_side {
            side_by_side(&change.diff, layout, &mut lines);
        } else {
            difference::text_rows(&change.diff).for_each(|row| unified(&row, layout, &mut lines));
        }
        return lines;
    }
    for note in &item.notes {
        let text = visible::brief(note, 1_000);
        wrapped(span(ODD, "! "), &[span(PLAIN, text)], layout.width, &mut lines);
    }
    if item.kind == Kind::Changed && !lines.is_empty() {
        lines.push(Vec::new());
    }
    match item.kind {
        Kind::Orphaned => {
            title("no case owns this file: `a` removes it, `r` leaves it", layout, &mut lines);
            whole(Sign::Removed, &item.accepted, layout, &mut lines);
        }
        Kind::New => whole(Sign::Added, &item.new, layout, &mut lines),
        Kind::Unreadable => {
            if item.is_new_unreadable() {
                title("the file of the new output, which cannot be read and so not be accepted: `r` removes it", layout, &mut lines);
                whole(Sign::Same, &item.new, layout, &mut lines);
            }
            if item.accepted.is_empty() {
                title("nothing is accepted", layout, &mut lines);
            } else if item.is_new_unreadable() {
                title("the accepted output", layout, &mut lines);
                whole(Sign::Same, &item.accepted, layout, &mut lines);
            } else {
                title("the accepted file, which cannot be read: `a` puts the new output in its place, `r` leaves it", layout, &mut lines);
                whole(Sign::Removed, &item.accepted, layout, &mut lines);
                title("the new output", layout, &mut lines);
                whole(Sign::Added, &item.new, layout, &mut lines);
            }
        }
        Kind::Changed if layout.shown_as == ShownAs::New => {
            title("the whole new output", layout, &mut lines);
            whole(Sign::Same, &item.new, layout, &mut lines);
        }
        Kind::Changed if layout.shown_as == ShownAs::Accepted => {
            title(if item.variants.accepted > 1 { "all accepted variants" } else { "the whole accepted output" }, layout, &mut lines);
            whole(Sign::Same, &item.accepted, layout, &mut lines);
        }
        Kind::Changed => {
            for (at, difference) in item.differences.iter().enumerate() {
                if at > 0 {
                    lines.push(Vec::new());
                }
                beside(difference, layout, &mut lines);
            }
        }
    }
    lines
}

/// One difference; of JSON values, which tell what changed and not in what, the documents below.
fn beside(difference: &Difference, layout: Layout, into: &mut Vec<Line>) {
    if !difference.title.is_empty() {
        wrapped(span(NAME, ""), &[span(NAME, visible::name(&difference.title))], layout.width, into);
    }
    for told in &difference.notes {
        wrapped(span(ODD, "! "), &[span(PLAIN, visible::brief(told, 1_000))], layout.width, into);
    }
    match &difference.diff {
        Diff::Text(text) if layout.side_by_side => side_by_side(difference.at_length(text), layout, into),
        Diff::Text(text) => difference::text_rows(difference.at_length(text)).for_each(|row| unified(&row, layout, into)),
        json @ Diff::Json(_) => {
            by_path(&difference::rows(json, true).collect::<Vec<_>>(), layout, into);
            if layout.side_by_side {
                into.push(Vec::new());
                side_by_side(difference.documents(), layout, into);
            } else {
                title("the whole new output", layout, into);
                whole(Sign::Same, &difference.new, layout, into);
            }
        }
    }
}

/// What the lines below are, so that it cannot be taken for one of them.
fn title(text: &str, layout: Layout, into: &mut Vec<Line>) {
    if into.last().is_some_and(|last| !last.is_empty()) {
        into.push(Vec::new());
    }
    wrapped(span(DIM, "── "), &[span(NAME, text.to_owned())], layout.width, into);
}

fn note(text: &str, layout: Layout, into: &mut Vec<Line>) {
    wrapped(span(DIM, "  "), &[span(DIM, text.to_owned())], layout.width, into);
}

fn style(sign: Sign) -> Style {
    match sign {
        Sign::Same | Sign::Changed => PLAIN,
        Sign::Removed => BAD,
        Sign::Added => GOOD,
        Sign::Note => NAME,
    }
}

/// A text from its first to its last line, each behind its sign.
fn whole(sign: Sign, text: &str, layout: Layout, into: &mut Vec<Line>) {
    if text.is_empty() {
        return note("(empty)", layout, into);
    }
    let shown = visible::cut(text, MOST);
    for line in shown.strip_suffix('\n').unwrap_or(&shown).split('\n') {
        let head = span(style(sign), format!("{} ", sign.as_char()));
        wrapped(head, &[span(PLAIN, visible::output(line))], layout.width, into);
    }
}

fn unified(row: &Row<'_>, layout: Layout, into: &mut Vec<Line>) {
    let sign = if row.sign == Sign::Note { String::new() } else { format!("{} ", row.sign.as_char()) };
    wrapped(span(style(row.sign), sign), &spans(row.sign, &row.parts, row.marks(), layout.colour), layout.width, into);
}

/// Values by path. Of two that stand on lines of their own, because they are long, the words that differ are marked.
fn by_path(rows: &[Row<'_>], layout: Layout, into: &mut Vec<Line>) {
    let text = |row: &Row<'_>| row.parts.iter().map(|part| &*part.text).collect::<String>();
    let path = |text: &str| text.split_once(": ").map(|(path, _)| path.to_owned());
    let mut left = rows;
    while let [row, rest @ ..] = left {
        left = rest;
        if let (Sign::Removed, Some(next)) = (row.sign, rest.first().filter(|next| next.sign == Sign::Added)) {
            let (old, new) = (text(row), text(next));
            let words = text_diff(&old, &new);
            if path(&old) == path(&new)
                && let [hunk] = words.hunks.as_slice()
                && hunk.lines.len() == 2
            {
                hunk.lines.iter().for_each(|line| unified(&difference::safe_line(line), layout, into));
                left = &rest[1..];
                continue;
            }
        }
        unified(row, layout, into);
    }
}

/// The parts of a line; what changed is strong, or stands between marks where there is no colour.
fn spans<'a>(sign: Sign, parts: &'a [Part<'_>], marks: (&str, &str), colour: bool) -> Vec<Span<'a>> {
    let strong = if sign == Sign::Changed { GOOD.bold() } else { style(sign).bold().underline() };
    let marks = if colour { ("", "") } else { marks };
    let piece = |part: &'a Part<'_>| match (part.emphasised, colour) {
        (true, true) => span(strong, Cow::Borrowed(&*part.text)),
        (true, false) => span(strong, format!("{}{}{}", marks.0, part.text, marks.1)),
        (false, _) => span(style(sign), Cow::Borrowed(&*part.text)),
    };
    parts.iter().map(piece).collect()
}

/// The accepted output on the left, the new one on the right; what belongs together in one row.
fn side_by_side(text: &TextDiff, layout: Layout, into: &mut Vec<Line>) {
    let half = layout.width.saturating_sub(3) / 2;
    let row = |left: Option<&DiffLine>, right: Option<&DiffLine>, into: &mut Vec<Line>| {
        let (mut left, mut right) = (column(left, half, layout), column(right, half, layout));
        let rows = left.len().max(right.len());
        left.resize(rows, Vec::new());
        right.resize(rows, Vec::new());
        for (mut line, right) in left.into_iter().zip(right) {
            let used: usize = line.iter().map(|piece| visible::width(&piece.text)).sum();
            line.push(span(DIM, format!("{} │ ", " ".repeat(half.saturating_sub(used)))));
            line.extend(right);
            into.push(line);
        }
    };
    let titles = [format!("  {:<1$}", "accepted", half.saturating_sub(2)), " │   new".to_owned()];
    into.push(titles.into_iter().map(|title| span(DIM, title)).collect());
    for hunk in &text.hunks {
        if text.hunks.len() > 1 || hunk.old_start > 1 {
            let head = format!("@@ -{} +{} @@", hunk.old_start, hunk.new_start);
            into.push(vec![span(NAME, head)]);
        }
        let (mut removed, mut added): (Vec<&DiffLine>, Vec<&DiffLine>) = (Vec::new(), Vec::new());
        let flush = |removed: &mut Vec<&DiffLine>, added: &mut Vec<&DiffLine>, into: &mut Vec<Line>| {
            for at in 0..removed.len().max(added.len()) {
                row(removed.get(at).copied(), added.get(at).copied(), into);
            }
            removed.clear();
            added.clear();
        };
        for line in &hunk.lines {
            match line.change {
                Change::Removed => removed.push(line),
                Change::Added => added.push(line),
                Change::Same => {
                    flush(&mut removed, &mut added, into);
                    row(Some(line), Some(line), into);
                }
            }
        }
        flush(&mut removed, &mut added, into);
    }
    if let Some(told) = difference::left_out(text) {
        wrapped(span(NAME, ""), &[span(NAME, told)], layout.width, into);
    }
}

fn column(line: Option<&DiffLine>, width: usize, layout: Layout) -> Vec<Line> {
    let mut lines = Vec::new();
    if let Some(line) = line {
        let row = difference::line(line);
        let first = span(style(row.sign), format!("{} ", row.sign.as_char()));
        wrapped(first, &spans(row.sign, &row.parts, row.marks(), layout.colour), width, &mut lines);
    }
    lines
}
