//! How is a text that a model wrote shown so that it can neither hide anything nor command the terminal?

use std::borrow::Cow;
use std::io;

use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

use crate::model::hidden::{is_concealed, is_hidden, is_shaping};

/// Hidden characters written out (`\u{1b}`, `\r`); line breaks stay, tabs become four blanks.
pub(crate) fn lines(text: &str) -> Cow<'_, str> {
    replaced(text, |character, into| match character {
        '\n' => into.push('\n'),
        '\t' => into.push_str("    "),
        hidden => escape(hidden, into),
    })
}

/// The same of a text as it came from a model: a backslash that would read like one of our escapes is written out itself, so that the
/// six letters `\u{202e}` and the character are never taken for each other.
pub(crate) fn output(text: &str) -> Cow<'_, str> {
    match literal(text) {
        Cow::Borrowed(text) => lines(text),
        Cow::Owned(text) => Cow::Owned(lines(&text).into_owned()),
    }
}

/// With `\u{5c}` for every backslash of the text behind which stands what would make it an escape of ours.
fn literal(text: &str) -> Cow<'_, str> {
    let mut shown = String::new();
    let mut from = 0;
    for (at, _) in text.match_indices("\\u{") {
        // No further than an escape is long: the text may hold any number of beginnings and no end.
        let behind = text.as_bytes()[at + 3..].iter().take(7);
        let digits = behind.clone().take_while(|byte| byte.is_ascii_hexdigit()).count();
        if (1..=6).contains(&digits) && behind.clone().nth(digits) == Some(&b'}') {
            shown.push_str(&text[from..at]);
            shown.push_str("\\u{5c}");
            from = at + 1;
        }
    }
    if from == 0 {
        return Cow::Borrowed(text);
    }
    shown.push_str(&text[from..]);
    Cow::Owned(shown)
}

/// The same on one line: line breaks become `⏎`, with a blank between the lines.
pub(crate) fn one_line(text: &str) -> Cow<'_, str> {
    replaced(text, |character, into| match character {
        '\n' => into.push_str("⏎ "),
        '\t' => into.push(' '),
        hidden => escape(hidden, into),
    })
}

/// A part of an output that changed: here tabs and blanks at its ends matter, so they are shown as `→` and `·`.
pub(crate) fn emphasised(text: &str) -> Cow<'_, str> {
    let literal = literal(text);
    let shown = replaced(&literal, |character, into| match character {
        '\t' => into.push_str("→   "),
        hidden => escape(hidden, into),
    });
    let shown = match (&literal, shown) {
        (Cow::Borrowed(_), Cow::Borrowed(_)) => Cow::Borrowed(text),
        (_, shown) => Cow::Owned(shown.into_owned()),
    };
    let blanks = |part: &str| part.len() - part.trim_start_matches(' ').len();
    if !shown.is_empty() && shown.trim_matches(' ').is_empty() {
        return Cow::Owned("·".repeat(blanks(&shown)));
    }
    shown
}

/// About `most` characters of a text, with what was left out said in its place. Less than the notice would take is not left out.
pub(crate) fn cut(text: &str, most: usize) -> Cow<'_, str> {
    const NOTICE: usize = 24;
    let Some((at, _)) = text.char_indices().nth(most) else { return Cow::Borrowed(text) };
    match text[at..].chars().count() {
        0..=NOTICE => Cow::Borrowed(text),
        more => Cow::Owned(format!("{}… ({} more characters)", text[..at].trim_end(), more)),
    }
}

/// At most `most` characters of a line, cut between words where that costs little; a backquote that was opened is closed.
pub(crate) fn clipped(line: &str, most: usize) -> String {
    if line.chars().nth(most).is_none() {
        return line.to_owned();
    }
    // Room for the mark and the backquote.
    let end = line.char_indices().nth(most.saturating_sub(2)).map_or(line.len(), |(at, _)| at);
    let whole = &line[..end];
    let words = whole.rfind(' ').filter(|blank| 2 * blank > end).map_or(whole, |blank| &whole[..blank]);
    let quote = if words.matches('`').count() % 2 == 1 { "`" } else { "" };
    format!("{}…{quote}", words.trim_end_matches([' ', ',', '…']))
}

/// One line of about `most` characters.
pub(crate) fn brief(text: &str, most: usize) -> String {
    one_line(&cut(text, most)).into_owned()
}

/// A name, an address, a path: one line, and never as long as a page.
pub(crate) fn name(text: &str) -> String {
    brief(text, 300)
}

/// Columns that a text takes in a terminal.
pub(crate) fn width(text: &str) -> usize {
    UnicodeWidthStr::width(text)
}

/// A text that fits into `columns`, with `…` in its middle where it had to give way: both ends of a name tell it apart.
pub(crate) fn fitted(text: &str, columns: usize) -> Cow<'_, str> {
    if width(text) <= columns {
        return Cow::Borrowed(text);
    }
    let room = columns.saturating_sub(1);
    let (head_room, tail_room) = (room - room / 2, room / 2);
    let head: String = taken(text.graphemes(true), head_room).into_iter().collect();
    let mut tail = taken(text.graphemes(true).rev(), tail_room);
    tail.reverse();
    Cow::Owned(format!("{head}…{}", tail.concat()))
}

fn taken<'a>(graphemes: impl Iterator<Item = &'a str>, room: usize) -> Vec<&'a str> {
    let mut used = 0;
    graphemes
        .take_while(|grapheme| {
            used += width(grapheme);
            used <= room
        })
        .collect()
}

fn escape(character: char, into: &mut String) {
    match character {
        '\n' => into.push_str("\\n"),
        '\r' => into.push_str("\\r"),
        '\t' => into.push_str("\\t"),
        other => into.extend(other.escape_unicode()),
    }
}

fn replaced(text: &str, mut hidden: impl FnMut(char, &mut String)) -> Cow<'_, str> {
    let Some(first) = text.find(|character| is_hidden(character) || is_shaping(character)) else { return disarmed(text) };
    let mut shown = String::with_capacity(text.len() + 16);
    shown.push_str(&text[..first]);
    let mut before = text[..first].chars().next_back();
    let mut rest = text[first..].chars();
    while let Some(character) = rest.next() {
        if is_concealed(character, before, rest.as_str().chars().next()) {
            hidden(character, &mut shown)
        } else {
            shown.push(character)
        }
        before = Some(character);
    }
    if shown.contains("##") { Cow::Owned(disarmed(&shown).into_owned()) } else { Cow::Owned(shown) }
}

/// Without commands to the CI system whose log this gets into: `##vso[...]` (Azure), `##[...]` (GitHub) and `##teamcity[...]` are
/// obeyed wherever they stand in a line, and could set variables of the job.
fn disarmed(text: &str) -> Cow<'_, str> {
    let mut shown = String::new();
    let mut from = 0;
    for (bracket, _) in text.match_indices('[') {
        let before = text[..bracket].trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
        if before.ends_with("##") {
            shown.push_str(&text[from..before.len() - 1]);
            shown.push_str("\\u{23}");
            from = before.len();
        }
    }
    if from == 0 {
        return Cow::Borrowed(text);
    }
    shown.push_str(&text[from..]);
    Cow::Owned(shown)
}

/// Behind `##` this makes a command to a CI system: letters, and a bracket.
pub(crate) fn begins_command(text: &str) -> bool {
    text.trim_start_matches(|letter: char| letter.is_ascii_alphabetic()).starts_with('[')
}

/// Passes bytes on, and takes the meaning from lines that begin with `::` (blanks apart): in a log of GitHub Actions such a line is a
/// command, and obeyed. JSON has no such lines, and our own reports none that means it.
pub(crate) struct Unheeded<W> {
    out: W,
    at: Place,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Nothing but blanks yet. A byte that is not ASCII may belong to a blank.
    Blanks,
    /// A first colon, which is not passed on yet.
    Colon,
    /// Anything.
    Inside,
}

impl<W: io::Write> Unheeded<W> {
    pub(crate) const fn new(out: W) -> Self {
        Self { out, at: Place::Blanks }
    }
}

impl<W: io::Write> io::Write for Unheeded<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut from = 0;
        for (index, byte) in bytes.iter().enumerate() {
            self.at = match (self.at, byte) {
                (Place::Blanks, b':') => {
                    self.out.write_all(&bytes[from..index])?;
                    from = index + 1;
                    Place::Colon
                }
                (Place::Colon, byte) => {
                    self.out.write_all(if *byte == b':' { b"\\u{3a}" } else { b":" })?;
                    if *byte == b'\n' { Place::Blanks } else { Place::Inside }
                }
                (_, b'\n') => Place::Blanks,
                (Place::Blanks, byte) if byte.is_ascii_whitespace() || !byte.is_ascii() => Place::Blanks,
                _ => Place::Inside,
            };
        }
        self.out.write_all(&bytes[from..])?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.at == Place::Colon {
            self.out.write_all(b":")?;
            self.at = Place::Inside;
        }
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_would_be_acted_upon_or_hidden_is_written_out() {
        assert_eq!(lines("a\x1b[31mred\x1b[0m\r\nb\tc"), "a\\u{1b}[31mred\\u{1b}[0m\\r\nb    c");
        assert_eq!(one_line("two\nlines \u{202e}evil"), "two⏎ lines \\u{202e}evil");
        assert_eq!(lines("👩‍👩‍👧 naïve"), "👩‍👩‍👧 naïve");
        assert_eq!(
            lines("x ##vso[task.setvariable]y\t###[error] ## [link] ##"),
            "x #\\u{23}vso[task.setvariable]y    ##\\u{23}[error] ## [link] ##"
        );
    }

    #[test]
    fn a_joiner_that_joins_nothing_and_a_filler_are_written_out() {
        assert_eq!(lines("pay\u{200d}pal a\u{200c}b \u{200d}"), "pay\\u{200d}pal a\\u{200c}b \\u{200d}");
        for joined in ["👩‍👩‍👧", "🏳️‍🌈", "👩🏽‍🚀", "می‌خواهم", "क्‍ष", "ශ්‍රී"] {
            assert_eq!(lines(joined), joined);
        }
        assert_eq!(lines("a\u{115f}b\u{1160}c\u{3164}d\u{ffa0}"), "a\\u{115f}b\\u{1160}c\\u{3164}d\\u{ffa0}");
    }

    #[test]
    fn a_text_that_is_hidden_in_selectors_is_written_out() {
        assert_eq!(lines("a\u{e0141}\u{e0142}b\u{fe01}"), "a\\u{e0141}\\u{e0142}b\\u{fe01}");
        assert_eq!(lines("\u{34f}\u{17b4}\u{1d173}\u{fff0}\u{1bca0}\u{e0fff}"), "\\u{34f}\\u{17b4}\\u{1d173}\\u{fff0}\\u{1bca0}\\u{e0fff}");
        assert_eq!(lines("x\u{fe0f} ❤\u{fe0f}\u{fe0f} \u{fe0e}a\u{180b}"), "x\\u{fe0f} ❤\u{fe0f}\\u{fe0f} \\u{fe0e}a\\u{180b}");
        for seen in
            ["❤\u{fe0f}", "☎\u{fe0e}", "1\u{fe0f}\u{20e3}", "#\u{fe0f}\u{20e3}", "©\u{fe0f}", "👁\u{fe0f}\u{200d}🗨\u{fe0f}", "ᠠ\u{180b}"]
        {
            assert_eq!(lines(seen), seen);
        }
    }

    #[test]
    fn an_escape_in_an_output_and_the_character_itself_are_told_apart() {
        assert_eq!(output("\\u{202e} \u{202e}"), "\\u{5c}u{202e} \\u{202e}");
        assert_eq!(emphasised("\\u{202e}\u{202e}"), "\\u{5c}u{202e}\\u{202e}");
        assert_eq!(output("\\u{5c}u{202e}"), "\\u{5c}u{5c}u{202e}", "what we write is written out as well");
        for plain in ["C:\\users", "\\u{}", "\\u{1234567}", "\\u{xyz}", "\\u202e", "\\n"] {
            assert_eq!(output(plain), plain);
        }
    }

    #[test]
    fn beginnings_of_escapes_without_an_end_take_linear_time() {
        // Looking for the end in all that follows would take minutes.
        let beginnings = "\\u{1".repeat(2_000_000);
        assert_eq!(output(&beginnings), beginnings);
        assert_eq!(output(&format!("{beginnings}}}")), format!("{}\\u{{5c}}u{{1}}", &beginnings[..beginnings.len() - 4]));
    }

    #[test]
    fn a_line_that_would_be_a_command_is_none() {
        let text = "::error::a\n  ::add-mask::b\n\u{3000}::c\na ::d\n:e\n:\n: :f\n::\n:";
        let expected = "\\u{3a}:error::a\n  \\u{3a}:add-mask::b\n\u{3000}\\u{3a}:c\na ::d\n:e\n:\n: :f\n\\u{3a}:\n:";
        for size in 1..text.len() {
            let mut out = Vec::new();
            let mut unheeded = Unheeded::new(&mut out);
            for piece in text.as_bytes().chunks(size) {
                io::Write::write_all(&mut unheeded, piece).unwrap();
            }
            io::Write::flush(&mut unheeded).unwrap();
            assert_eq!(String::from_utf8(out).unwrap(), expected, "in pieces of {size}");
        }
    }

    #[test]
    fn a_clipped_line_ends_between_words_and_closes_its_quote() {
        assert_eq!(clipped("short", 5), "short");
        assert_eq!(clipped("got `a reply that goes on and on`", 24), "got `a reply that…`");
        assert_eq!(clipped("got `one` and more than that", 16), "got `one` and…");
    }

    #[test]
    fn changed_blanks_can_be_seen() {
        assert_eq!(emphasised("  "), "··");
        assert_eq!(emphasised("\t"), "→   ");
        assert_eq!(emphasised("a b"), "a b");
    }

    #[test]
    fn a_name_gives_way_in_its_middle() {
        assert_eq!(fitted("claude-sonnet-4-6-with-tools", 16), "claude-s…h-tools");
        assert_eq!(fitted("短い名前のモデル", 8), "短い…ル");
        assert_eq!(fitted("short", 16), "short");
    }

    proptest! {
        #[test]
        fn nothing_hidden_survives(text in any::<String>()) {
            prop_assert!(!lines(&text).chars().any(|c| c != '\n' && is_hidden(c)));
            prop_assert!(!one_line(&text).chars().any(is_hidden));
            prop_assert!(!emphasised(&text).chars().any(is_hidden));
        }

        #[test]
        fn what_is_fitted_fits(text in any::<String>(), columns in 1_usize..60) {
            prop_assert!(width(&fitted(&one_line(&text), columns)) <= columns);
        }
    }
}
