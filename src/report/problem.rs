//! How is a problem drawn: the line that it stands on, a caret, the next step?
//!
//! ```text
//! error: unknown key `asert`
//!  --> suites/ticket-triage.yaml:18:5
//!    |
//! 18 |     asert:
//!    |     ^^^^^
//!    |
//!    = hint: did you mean `assert`?
//!
//! 1 error
//! ```

use std::fmt::Write as _;
use std::io;
use std::ops::Range;

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};
use anstyle::AnsiColor;

use crate::model::problem::{Place, Problem, Severity};
use crate::model::verdict::TextDiff;
use crate::report::difference::{self, Sign};
use crate::report::style::Style;
use crate::report::{figures, visible};

/// Most problems that are drawn; more than that nobody reads before mending the first.
const MOST: usize = 100;
/// Most lines of a difference.
const ROWS: usize = 80;
/// Most characters of one of its lines, or of one part of it.
const COLUMNS: usize = 2_000;
/// Most columns of a drawn source line; longer lines are cut around the caret.
const WIDTH: usize = 120;

/// Draws all problems in their order, and a line that counts them. Empty for no problems.
#[must_use]
pub fn render(problems: &[Problem], style: Style) -> String {
    let mut text = String::new();
    for problem in problems.iter().take(MOST) {
        match &problem.place {
            Some(place) => drawn(problem, place, style, &mut text),
            None => told(problem, style.colour, &mut text),
        }
        if let Some(diff) = &problem.diff {
            differs(diff, style.colour, &mut text);
        }
        text.push_str("\n\n");
    }
    if let Some(more) = problems.len().checked_sub(MOST).filter(|more| *more > 0) {
        let _ = writeln!(text, "… and {more} more problems\n");
    }
    let counts = counts(problems);
    if !counts.is_empty() {
        let _ = writeln!(text, "{counts}");
    }
    text
}

/// Writes what [`render`] draws, so that no line of it is a command to a CI system.
///
/// # Errors
///
/// Only what `out` answers.
pub fn write(problems: &[Problem], out: &mut dyn io::Write, style: Style) -> io::Result<()> {
    let mut out = visible::Unheeded::new(out);
    io::Write::write_all(&mut out, render(problems, style).as_bytes())?;
    io::Write::flush(&mut out)
}

/// `3 errors, 1 warning`; empty for no problems.
#[must_use]
pub fn counts(problems: &[Problem]) -> String {
    let of = |severity, one: &str, many: &str| {
        let number = problems.iter().filter(|problem| problem.severity == severity).count();
        (number > 0).then(|| figures::counted(number as u64, one, many))
    };
    let parts = [of(Severity::Error, "error", "errors"), of(Severity::Warning, "warning", "warnings"), of(Severity::Note, "note", "notes")];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

const fn name(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "note",
    }
}

fn told(problem: &Problem, colour: bool, text: &mut String) {
    let paint = |style: anstyle::Style| if colour { style.bold() } else { anstyle::Style::new() };
    let head = paint(match problem.severity {
        Severity::Error => AnsiColor::BrightRed.on_default(),
        Severity::Warning => AnsiColor::Yellow.on_default(),
        Severity::Note => AnsiColor::BrightGreen.on_default(),
    });
    let body = paint(anstyle::Style::new());
    let _ = write!(text, "{head}{}{head:#}{body}: {}{body:#}", name(problem.severity), visible::lines(&problem.message));
    if let Some(hint) = &problem.hint {
        let hint_style = paint(AnsiColor::BrightCyan.on_default());
        let _ = write!(text, "\n  = {hint_style}hint{hint_style:#}: {}", visible::lines(hint).replace('\n', "\n          "));
    }
}

/// The difference below a problem, bounded. Removed and added begin their lines, as whoever highlights a diff expects.
fn differs(diff: &TextDiff, colour: bool, text: &mut String) {
    let mut rows = difference::text_rows(diff);
    for row in rows.by_ref().take(ROWS) {
        text.push('\n');
        if !colour {
            text.push_str(&visible::cut(&row.to_plain(), COLUMNS));
            continue;
        }
        let style = match row.sign {
            Sign::Removed => AnsiColor::Red.on_default(),
            Sign::Added => AnsiColor::Green.on_default(),
            Sign::Same | Sign::Changed => anstyle::Style::new().dimmed(),
            Sign::Note => AnsiColor::Cyan.on_default(),
        };
        let _ = write!(text, "{style}{} {style:#}", if row.sign == Sign::Note { ' ' } else { row.sign.as_char() });
        for part in &row.parts {
            let style = if part.emphasised { style.bold().underline() } else { style };
            let _ = write!(text, "{style}{}{style:#}", visible::cut(&part.text, COLUMNS));
        }
    }
    match rows.count() {
        0 => {}
        left => {
            let _ = write!(text, "\n… {left} more lines of the difference");
        }
    }
}

fn drawn(problem: &Problem, place: &Place, style: Style, text: &mut String) {
    let level = match problem.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
        Severity::Note => Level::NOTE,
    };
    let (source, span) = shown(place);
    let snippet = Snippet::source(source)
        .line_start(place.line.max(1) as usize)
        .path(visible::name(&place.file))
        .fold(false)
        .annotation(AnnotationKind::Primary.span(span));
    let mut group = level.primary_title(visible::lines(&problem.message)).element(snippet);
    if let Some(hint) = &problem.hint {
        group = group.element(Level::HELP.with_name(Some("hint")).message(visible::lines(hint)));
    }
    let renderer = if style.colour { Renderer::styled() } else { Renderer::plain() };
    text.push_str(&renderer.term_width(usize::from(style.width).clamp(40, WIDTH)).render(&[group]));
}

/// The line as it can be shown, and the bytes of it that the caret stands under. The drawing library panics on a span that
/// leaves the text or cuts a character, so whatever a place says is brought inside.
fn shown(place: &Place) -> (String, Range<usize>) {
    let line = place.source.split(['\n', '\r']).next().unwrap_or_default();
    let mut text = String::with_capacity(line.len() + 1);
    // Where each character of the line begins in the shown text, and where the last one ends.
    let mut starts = Vec::with_capacity(line.len() + 1);
    for character in line.chars() {
        starts.push(text.len());
        text.push(pictured(character));
    }
    starts.push(text.len());
    let last = starts.len() - 1;
    let first = (place.column.max(1) as usize - 1).min(last);
    let end = first.saturating_add(place.length.max(1) as usize).min(last);
    if first == last {
        // Just behind the line: something is missing there.
        text.push(' ');
        return (text, starts[last]..starts[last] + 1);
    }
    (text, starts[first]..starts[end])
}

/// One sign for one sign, so that the column that is told stays the column in the file. Tabs are laid out by the drawing library.
fn pictured(character: char) -> char {
    match character {
        '\t' => '\t',
        '\0'..='\u{1f}' => char::from_u32(0x2400 + u32::from(character)).unwrap_or('�'),
        '\u{7f}' => '␡',
        hidden if crate::model::hidden::is_hidden(hidden) => '�',
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use proptest::prelude::*;

    fn place(line: u32, column: u32, length: u32, source: &str) -> Place {
        Place { file: Arc::from("suites/ticket-triage.yaml"), line, column, length, source: source.to_owned() }
    }

    #[test]
    fn problems_are_drawn_with_their_line_a_caret_and_a_hint() {
        let problems = [
            Problem::error("unknown key `asert`").at(place(18, 5, 5, "    asert:")).hint("did you mean `assert`?"),
            Problem::warning("the text of `ticket-triage@3` changed since it was accepted")
                .at(place(7, 1, 30, "prompt: ticket-triage"))
                .hint("write the change as version 4, or accept it again with `promptkeel accept --prompts`"),
            Problem::error("`{{ tikcet }}` is undefined").at(place(103, 10, 6, "\tBitte prüfe {{ tikcet }}")),
            Problem::error("environment variable `ANTHROPIC_API_KEY` is not set").hint("set it, or run with `--endpoint simulated`"),
            Problem::note("column `notes` is used by no prompt and no assertion").at(place(1, 99, 4, "id,ticket,notes")),
        ];
        insta::assert_snapshot!(render(&problems, Style::PLAIN));
    }

    #[test]
    fn many_problems_are_bounded_and_counted() {
        let problems = vec![Problem::error("wrong"); 1_000];
        let text = render(&problems, Style::PLAIN);
        assert_eq!(text.matches("error: wrong").count(), MOST);
        assert!(text.ends_with("… and 900 more problems\n\n1,000 errors\n"), "{}", &text[text.len() - 80..]);
    }

    #[test]
    fn without_colour_there_is_no_escape_and_with_colour_there_is() {
        let problem = [Problem::error("wrong \u{1b}[2J").at(place(1, 1, 1, "\u{1b}[31m evil \u{202e}")).hint("mend it\u{7}")];
        assert!(!render(&problem, Style::PLAIN).contains(|c| c != '\n' && crate::model::hidden::is_hidden(c)));
        let coloured = render(&problem, Style { colour: true, ..Style::PLAIN });
        assert!(coloured.contains("\u{1b}["));
        assert!(!coloured.contains("\u{1b}[2J"));
    }

    #[test]
    fn no_problems_are_no_text() {
        assert_eq!(render(&[], Style::PLAIN), "");
    }

    proptest! {
        #[test]
        fn no_place_whatever_it_says_breaks_the_drawing(
            line in any::<u32>(), column in any::<u32>(), length in any::<u32>(), near in 0_u32..80, short in 0_u32..20,
            source in any::<String>(), wide in "[ä日👩‍👩‍👧\t a-z\u{202e}]{0,300}", message in any::<String>(), hint in any::<Option<String>>(), colour in any::<bool>(), width in any::<u16>(),
        ) {
            for place in [place(line, column, length, &source), place(line, near, short, &source), place(1, near, short, &wide), place(0, near, length, &wide)] {
                let problem = Problem { severity: Severity::Error, message: message.clone(), place: Some(place), hint: hint.clone(), diff: Some(Box::new(crate::diff::text_diff(&message, &source))) };
                let text = render(&[problem], Style { colour, width });
                prop_assert!(text.ends_with("1 error\n"));
            }
        }
    }
}
