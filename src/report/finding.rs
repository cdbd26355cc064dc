//! What is wrong with a cell, in plain text that every format can carry?
//!
//! ```text
//! json_path (suites/ticket-triage.yaml:31)
//!   expected: `$.queue` equals "billing"
//!   got:      "refunds"
//!   ~ $.queue: "billing" -> "refunds"
//! ```

use std::fmt::Write as _;

use crate::model::assertion::AssertionSeverity;
use crate::model::run::{CellResult, SampleResult};
use crate::model::verdict::{AssertionResult, CellError, Diff, Outcome, Verdict};
use crate::report::difference::Sign;
use crate::report::strange::{self, Noun, Strange};
use crate::report::{difference, figures, visible, words};

/// Most characters of one text (what was asked for, what came) in a plain report.
const TEXT: usize = 8_000;
/// Most characters of one output that nothing is compared with.
const OUTPUT: usize = 3_000;
/// Most characters of one difference in a plain report.
const DIFFERENCE: usize = 32_000;

/// Assertions that did not hold or could not be judged, warnings last.
pub(crate) fn findings(sample: &SampleResult) -> impl Iterator<Item = &AssertionResult> {
    let of = |warns: bool| {
        let news =
            move |result: &&AssertionResult| result.outcome != Outcome::Pass && (result.severity == AssertionSeverity::Warn) == warns;
        sample.assertions.iter().filter(news)
    };
    of(false).chain(of(true))
}

/// Failed `severity: warn` assertions of all samples.
pub(crate) fn warnings(cell: &CellResult) -> impl Iterator<Item = &AssertionResult> {
    let warned = |result: &&AssertionResult| result.severity == AssertionSeverity::Warn && result.outcome != Outcome::Pass;
    cell.samples.iter().flat_map(|sample| &sample.assertions).filter(warned)
}

/// Samples with this verdict.
pub(crate) fn samples(cell: &CellResult, verdict: Verdict) -> impl Iterator<Item = &SampleResult> {
    cell.samples.iter().filter(move |sample| sample.verdict == verdict)
}

/// The sample that stands for the cell: the first one with the cell's own verdict, else the first that did not pass.
pub(crate) fn leading(cell: &CellResult) -> Option<&SampleResult> {
    samples(cell, cell.verdict).next().or_else(|| cell.samples.iter().find(|sample| sample.verdict != Verdict::Pass))
}

/// One line that says what is wrong with a sample; empty where nothing is.
pub(crate) fn headline(sample: &SampleResult) -> String {
    if let Some(error) = &sample.error {
        return error_line(error);
    }
    if let Some(reason) = &sample.skipped {
        return skip_line(reason);
    }
    let mut news = findings(sample);
    let Some(first) = news.next() else { return String::new() };
    let mut line = match &first.outcome {
        Outcome::Pass => String::new(),
        Outcome::Fail(failure) => {
            let (expected, got) = (visible::brief(&failure.expected, 160), visible::brief(&failure.got, 160));
            format!("{}: expected {expected}, got {got}", visible::name(&first.name))
        }
        Outcome::Error(message) => format!("{}: {}", visible::name(&first.name), visible::brief(message, 320)),
    };
    line.push_str(&others(news.count()));
    line
}

fn others(count: usize) -> String {
    if count == 0 { String::new() } else { format!(" (and {count} more)") }
}

/// The same in at most `room` characters, for places that cannot grow: what was asked for and what came share them, and how many
/// more there are is never what is cut.
pub(crate) fn headline_in(sample: &SampleResult, room: usize) -> String {
    let whole = headline(sample);
    if whole.chars().count() <= room {
        return whole;
    }
    let mut news = findings(sample);
    let Some(AssertionResult { name, outcome: Outcome::Fail(failure), .. }) = news.next() else {
        return visible::clipped(&whole, room);
    };
    let (name, others) = (visible::name(name), others(news.count()));
    let (expected, got) = (visible::brief(&failure.expected, 1_000), visible::brief(&failure.got, 1_000));
    let [wants, came] = [&expected, &got].map(|text| text.chars().count());
    let left = room.saturating_sub(name.chars().count() + ": expected , got ".len() + others.len());
    let of_expected = wants.min(left.saturating_sub(came).max(left / 2));
    let (expected, got) = (visible::clipped(&expected, of_expected), visible::clipped(&got, left - of_expected));
    format!("{name}: expected {expected}, got {got}{others}")
}

/// `overloaded: 529 overloaded_error: Overloaded`.
pub(crate) fn error_line(error: &CellError) -> String {
    format!("{}: {}", words::error_kind(error.kind), visible::brief(&error.message, 400))
}

/// `nothing was asked: the model cannot be reached: 404 ...`.
pub(crate) fn skip_line(reason: &crate::model::verdict::SkipReason) -> String {
    match words::skip(reason) {
        (reason, None) => format!("nothing was asked: {}", visible::brief(reason, 400)),
        (reason, Some(words)) => format!("nothing was asked: {reason}: {}", visible::brief(words, 400)),
    }
}

/// How differences stand in the lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layout {
    /// Indented under what they belong to, short JSON changes with an arrow.
    Indented,
    /// `-` and `+` first on the line, so that what highlights a diff sees them.
    Diff,
}

/// Everything that is wrong with a sample, in lines.
pub(crate) fn tell(sample: &SampleResult, layout: Layout, into: &mut String) {
    if let Some(error) = &sample.error {
        tell_error(error, into);
    }
    if let Some(reason) = &sample.skipped {
        let _ = writeln!(into, "{}", skip_line(reason));
    }
    for result in findings(sample) {
        tell_assertion(result, layout, into);
    }
}

/// One assertion that did not hold.
pub(crate) fn tell_assertion(result: &AssertionResult, layout: Layout, into: &mut String) {
    let _ = writeln!(into, "{}", title(result));
    match &result.outcome {
        Outcome::Pass => {}
        Outcome::Fail(failure) => {
            labelled("expected: ", &failure.expected, into);
            labelled("got:      ", &failure.got, into);
            if let Some(diff) = &failure.diff {
                tell_difference(diff, layout, into);
            }
        }
        Outcome::Error(message) => labelled("not judged: ", message, into),
    }
}

/// `json_path, critical (suites/ticket-triage.yaml:31)`.
pub(crate) fn title(result: &AssertionResult) -> String {
    let mut title = visible::name(&result.name);
    let weight = words::severity(result.severity);
    if !weight.is_empty() {
        let _ = write!(title, ", {weight}");
    }
    if let Some(site) = &result.site {
        let _ = write!(title, " ({})", visible::name(&site.to_string()));
    }
    title
}

/// Why there is no verdict, with every attempt and the next step.
pub(crate) fn tell_error(error: &CellError, into: &mut String) {
    let _ = writeln!(into, "{}", error_line(error));
    for (index, attempt) in error.attempts.iter().enumerate() {
        let status = attempt.status.map_or_else(|| "no response".to_owned(), |status| status.to_string());
        let message = attempt.message.as_deref().map(|message| format!(": {}", visible::brief(message, 200))).unwrap_or_default();
        let request = attempt.request_id.as_deref().map(|id| format!(" [{}]", visible::name(id))).unwrap_or_default();
        let _ = writeln!(into, "  attempt {}: {status} after {} ms{message}{request}", index + 1, attempt.duration_ms);
    }
    if let Some(hint) = &error.hint {
        let _ = writeln!(into, "  hint: {}", visible::brief(hint, 1_000));
    }
}

/// What is to be seen at a cell's snapshot; nothing where there is no news.
pub(crate) fn tell_snapshot(cell: &CellResult, layout: Layout, into: &mut String) {
    let path = cell.snapshot_path.as_deref().map(|path| format!(" ({})", visible::name(path))).unwrap_or_default();
    let headline = snapshot_line(cell);
    if headline.is_empty() {
        return;
    }
    let _ = writeln!(into, "{headline}{path}");
    for note in strange::summary(&cell.snapshot, Noun::Sample) {
        let _ = writeln!(into, "  {note}");
    }
    let start = into.len();
    let mut strangers = strange::strange(&cell.snapshot, Noun::Sample).into_iter();
    for Strange { title, notes, diff } in strangers.by_ref() {
        if !title.is_empty() {
            let _ = writeln!(into, "  {title}");
        }
        for note in notes {
            let _ = writeln!(into, "  {}", visible::brief(note, 1_000));
        }
        tell_difference(diff, layout, into);
        if into.len() - start > DIFFERENCE {
            break;
        }
    }
    match strangers.len() {
        0 => {}
        left => {
            let differences = figures::counted(left as u64, "more difference is", "more differences are");
            let _ = writeln!(into, "  … {differences} in the JSON report");
        }
    }
    if let Some(left_out) = strange::left_out(&cell.snapshot, Noun::Sample) {
        let _ = writeln!(into, "  {left_out}");
    }
}

/// Every output of a cell once, line by line as something that is added.
pub(crate) fn tell_outputs(cell: &CellResult, into: &mut String) {
    let mut outputs: Vec<(String, usize)> = Vec::new();
    for reply in cell.samples.iter().filter_map(|sample| sample.reply.as_ref()) {
        let blocks = reply.other_blocks.iter().map(serde_json::Value::to_string);
        let parts: Vec<String> = std::iter::once(reply.text.clone()).filter(|text| !text.is_empty()).chain(blocks).collect();
        let output = parts.join("\n");
        match outputs.iter_mut().find(|(known, _)| *known == output) {
            Some((_, samples)) => *samples += 1,
            None => outputs.push((output, 1)),
        }
    }
    let several = outputs.len() > 1;
    for (output, samples) in &outputs {
        if several {
            let _ = writeln!(into, "{}:", figures::counted(*samples as u64, "sample", "samples"));
        }
        let shown = visible::cut(output, OUTPUT);
        for line in visible::output(&shown).trim_end_matches('\n').split('\n') {
            let _ = writeln!(into, "+{line}");
        }
    }
}

/// `snapshot changed, ticket-triage@2 -> ticket-triage@3`; empty where there is no news.
pub(crate) fn snapshot_line(cell: &CellResult) -> String {
    strange::line(&cell.snapshot, &format!("{}@{}", cell.address.prompt, cell.address.version))
}

/// A difference in lines, cut where it is too long.
fn tell_difference(diff: &Diff, layout: Layout, into: &mut String) {
    let start = into.len();
    let indent = if layout == Layout::Indented { "  " } else { "" };
    let mut rows = difference::rows(diff, layout == Layout::Indented);
    for row in rows.by_ref() {
        let line = row.to_plain();
        let _ = writeln!(into, "{indent}{}", visible::cut(&line, TEXT));
        if into.len() - start > DIFFERENCE {
            let (kept, left_out) = (rows.filter(|row| row.sign != Sign::Note).count() as u64, difference::lines_left_out(diff));
            if kept + left_out > 0 {
                let _ = writeln!(into, "{indent}{}", more_lines(kept, left_out));
            }
            return;
        }
    }
}

/// That so many lines of a difference stand in the report, and so many others nowhere.
pub(crate) fn more_lines(kept: u64, left_out: u64) -> String {
    let lines = figures::counted(kept.saturating_add(left_out), "more line of the difference", "more lines of the difference");
    match (kept, left_out) {
        (1, 0) => format!("… {lines} is in the JSON report"),
        (_, 0) => format!("… {lines} are in the JSON report"),
        (_, _) => format!("… {lines}, {} of them in the JSON report", figures::count(kept)),
    }
}

/// A text behind its label; further lines stand under its first one.
fn labelled(label: &str, text: &str, into: &mut String) {
    let text = visible::cut(text, TEXT);
    for (index, line) in visible::lines(&text).trim_end_matches('\n').split('\n').enumerate() {
        let label = if index == 0 { label } else { "          " };
        let line = format!("  {label}{line}");
        let _ = writeln!(into, "{}", line.trim_end());
    }
}
