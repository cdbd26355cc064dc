//! How is a part of a reply shown in one line of bounded length?
//!
//! A reply can be megabytes long and hold anything: line feeds, escape sequences, text that runs backwards. What is shown of it
//! never breaks the line or the terminal that it stands in.

use std::fmt::Write as _;
use std::ops::Range;

use serde_json::Value;

use crate::model::hidden::is_hidden;

/// Most characters of an excerpt.
const LONGEST: usize = 160;

/// Most characters of a path into a reply: the names in it are the reply's own.
pub(super) const LONGEST_PATH: usize = 400;

/// One line, in backquotes: the whole text, or its beginning.
pub(super) fn quoted(text: &str) -> String {
    let mut shown = "`".to_owned();
    let mut characters = text.chars();
    for character in characters.by_ref().take(LONGEST) {
        push_visible(&mut shown, character);
    }
    if characters.next().is_some() {
        shown.push('…');
    }
    shown.push('`');
    shown
}

/// Several texts, quoted, at most ten of them.
pub(super) fn list<'a>(texts: impl ExactSizeIterator<Item = &'a str>) -> String {
    let (count, most) = (texts.len(), 10);
    let mut shown = texts.take(most).map(quoted).collect::<Vec<_>>().join(", ");
    if count > most {
        let _ = write!(shown, " and {} more", count - most);
    }
    shown
}

/// The beginning of a reply, and how long it is where that is not all of it.
pub(super) fn opening(text: &str) -> String {
    let trimmed = text.trim();
    if text.is_empty() {
        "an empty reply".to_owned()
    } else if trimmed.is_empty() {
        "a reply of white space only".to_owned()
    } else if trimmed.chars().nth(LONGEST).is_none() {
        quoted(trimmed)
    } else {
        format!("{} ({} characters)", quoted(trimmed), thousands(count(text.chars())))
    }
}

/// The end of a reply, and how long it is where that is not all of it.
pub(super) fn ending(text: &str) -> String {
    let trimmed = text.trim();
    let Some((start, _)) = trimmed.char_indices().rev().nth(LONGEST - 1).filter(|(start, _)| *start > 0) else {
        return opening(text);
    };
    let mut shown = "`…".to_owned();
    trimmed[start..].chars().for_each(|character| push_visible(&mut shown, character));
    let _ = write!(shown, "` ({} characters)", thousands(count(text.chars())));
    shown
}

/// The place of a reply at `range` with what stands around it.
pub(super) fn around(text: &str, range: Range<usize>) -> String {
    let start = text.floor_char_boundary(range.start.min(text.len()));
    let end = text.ceil_char_boundary(range.end.clamp(start, text.len()));
    let side = LONGEST.saturating_sub(text[start..end].chars().take(LONGEST).count()) / 2;
    let from = text[..start].char_indices().rev().take(side).last().map_or(start, |(index, _)| index);
    let until = text[end..].char_indices().nth(side).map_or(text.len(), |(index, _)| end + index);
    let mut shown = "`".to_owned();
    if from > 0 {
        shown.push('…');
    }
    let mut characters = text[from..until].chars();
    characters.by_ref().take(LONGEST).for_each(|character| push_visible(&mut shown, character));
    if until < text.len() || characters.next().is_some() {
        shown.push('…');
    }
    shown.push('`');
    shown
}

/// A JSON value on one line, without quotation marks of its own: the value shows what it is.
pub(super) fn value(value: &Value) -> String {
    let mut limited = Limited { bytes: Vec::new(), full: false };
    // Writing ends early where the excerpt is full: a value of megabytes is not written out for one line of it.
    let _ = serde_json::to_writer(&mut limited, value);
    let text = String::from_utf8_lossy(&limited.bytes);
    let text = text.trim_end_matches(char::REPLACEMENT_CHARACTER);
    let mut shown = String::new();
    text.chars().for_each(|character| push_visible(&mut shown, character));
    if limited.full {
        shown.push('…');
    }
    shown
}

/// The same text with nothing in it that moves the cursor, and not too long for a line.
pub(super) fn clipped(text: &str, longest: usize) -> String {
    let mut shown = String::new();
    let mut characters = text.chars();
    characters.by_ref().take(longest).for_each(|character| push_visible(&mut shown, character));
    if characters.next().is_some() {
        shown.push('…');
    }
    shown
}

struct Limited {
    bytes: Vec<u8>,
    full: bool,
}

impl std::io::Write for Limited {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let room = LONGEST.saturating_sub(self.bytes.len());
        self.bytes.extend_from_slice(&bytes[..bytes.len().min(room)]);
        if bytes.len() > room {
            self.full = true;
            return Err(std::io::ErrorKind::StorageFull.into());
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn push_visible(shown: &mut String, character: char) {
    match character {
        '\n' => shown.push_str("\\n"),
        '\r' => shown.push_str("\\r"),
        '\t' => shown.push_str("\\t"),
        hidden if is_hidden(hidden) => {
            let _ = write!(shown, "{}", hidden.escape_unicode());
        }
        other => shown.push(other),
    }
}

/// A count, never wrong and never too large.
pub(super) fn count(things: impl Iterator) -> u64 {
    u64::try_from(things.count()).unwrap_or(u64::MAX)
}

/// `1234567` as `1,234,567`.
pub(super) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut shown = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            shown.push(',');
        }
        shown.push(digit);
    }
    shown
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn nothing_in_an_excerpt_breaks_its_line() {
        assert_eq!(quoted("a\nb\r\tc\u{1b}[31m\u{202e}x\0"), r"`a\nb\r\tc\u{1b}[31m\u{202e}x\u{0}`");
        assert_eq!(quoted("a\u{2028}b\u{ad}\u{e0041}👩\u{200d}👧"), "`a\\u{2028}b\\u{ad}\\u{e0041}👩\u{200d}👧`");
    }

    #[test]
    fn an_excerpt_shows_the_place_and_a_bit_around_it() {
        let text = format!("{}HERE{}", "before ".repeat(100), " after".repeat(100));
        let shown = around(&text, 700..704);
        assert!(shown.starts_with("`…") && shown.ends_with("…`") && shown.contains("before HERE after"), "{shown}");
        assert_eq!(around("short", 0..2), "`short`");
    }

    #[test]
    fn a_long_text_says_how_long_it_is() {
        assert_eq!(opening("  "), "a reply of white space only");
        assert_eq!(opening(""), "an empty reply");
        assert!(opening(&"word ".repeat(1_000)).ends_with("…` (5,000 characters)"));
        assert!(ending(&format!("{}the end", "x".repeat(500))).contains("the end`"));
    }

    #[test]
    fn a_large_value_is_not_written_out() {
        assert_eq!(value(&json!({"a": [1, "x"]})), r#"{"a":[1,"x"]}"#);
        let large = value(&json!("é".repeat(1_000_000)));
        assert!(large.len() < 400 && large.ends_with('…'));
    }

    #[test]
    fn numbers_have_thousands() {
        assert_eq!((thousands(7), thousands(1_234), thousands(1_234_567)), ("7".into(), "1,234".into(), "1,234,567".into()));
    }

    proptest! {
        #[test]
        fn any_place_of_any_text_can_be_shown(text in any::<String>(), start in 0_usize..400, length in 0_usize..400) {
            let shown = around(&text, start..start + length);
            prop_assert!(shown.chars().count() <= 10 * LONGEST + 4);
            let _ = (opening(&text), ending(&text), quoted(&text), clipped(&text, 7), value(&json!(text)));
        }
    }
}
