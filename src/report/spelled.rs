//! How is JSON written so that what a server or a model said commands no terminal and no CI system that shows it?
//!
//! JSON escapes the control characters below U+0020 by itself. The others, direction overrides and invisible characters are escaped here
//! too, and so is the second `#` of what CI systems obey wherever it stands in a line (`##[...]`, `##vso[...]`). The value stays the same.

use std::io;

use serde::Serialize;
use serde_json::ser::{CompactFormatter, Formatter, PrettyFormatter};

use crate::model::hidden::{is_concealed, is_hidden, is_shaping};
use crate::report::visible;

/// Writes `value` on one line.
///
/// # Errors
/// Only what `out` answers.
pub fn write(out: &mut dyn io::Write, value: &impl Serialize) -> io::Result<()> {
    value.serialize(&mut serde_json::Serializer::with_formatter(out, Spelled(CompactFormatter)))?;
    Ok(())
}

/// Writes `value` with a line for each member.
///
/// # Errors
/// Only what `out` answers.
pub fn write_pretty(out: &mut dyn io::Write, value: &impl Serialize) -> io::Result<()> {
    value.serialize(&mut serde_json::Serializer::with_formatter(out, Spelled(PrettyFormatter::new())))?;
    Ok(())
}

/// Another formatter, with strings spelled out.
struct Spelled<F>(F);

impl<F: Formatter> Formatter for Spelled<F> {
    fn write_string_fragment<W: ?Sized + io::Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        let mut from = 0;
        let mut before = None;
        for (at, character) in fragment.char_indices() {
            // What follows counts as it will be written: one that is escaped is no emoji that a joiner could show beside.
            let after = fragment[at + character.len_utf8()..].chars().next().filter(|after| !is_hidden(*after) && !is_shaping(*after));
            let concealed = is_concealed(character, before, after);
            before = Some(character);
            // A fragment ends only where JSON escapes by itself: no command goes over its end.
            let obeyed = character == '#' && visible::begins_command(&fragment[at + 1..]) && fragment[..at].ends_with('#');
            if !obeyed && !concealed {
                continue;
            }
            self.0.write_string_fragment(writer, &fragment[from..at])?;
            from = at + character.len_utf8();
            for unit in character.encode_utf16(&mut [0; 2]) {
                write!(writer, "\\u{unit:04x}")?;
            }
        }
        self.0.write_string_fragment(writer, &fragment[from..])
    }

    fn begin_array<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.begin_array(writer)
    }

    fn end_array<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_array(writer)
    }

    fn begin_array_value<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        self.0.begin_array_value(writer, first)
    }

    fn end_array_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_array_value(writer)
    }

    fn begin_object<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.begin_object(writer)
    }

    fn end_object<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_object(writer)
    }

    fn begin_object_key<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        self.0.begin_object_key(writer, first)
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.begin_object_value(writer)
    }

    fn end_object_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_object_value(writer)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn spelled(value: &Value) -> String {
        let mut out = Vec::new();
        write(&mut out, value).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn what_a_terminal_or_a_ci_system_would_obey_is_escaped() {
        assert_eq!(
            spelled(&json!({"a\u{9b}2J": ["\u{1b}[2J \u{202e} \u{7f} \u{e0041} é", "##vso[x] ##[error] ## heading"]})),
            r###"{"a\u009b2J":["\u001b[2J \u202e \u007f \udb40\udc41 é","#\u0023vso[x] #\u0023[error] ## heading"]}"###
        );
        let mut pretty = Vec::new();
        write_pretty(&mut pretty, &json!({"a": [1, "x"]})).unwrap();
        assert_eq!(String::from_utf8(pretty).unwrap(), serde_json::to_string_pretty(&json!({"a": [1, "x"]})).unwrap());
    }

    #[test]
    fn a_selector_or_joiner_that_shows_nothing_is_escaped_and_an_emoji_stays() {
        assert_eq!(spelled(&json!("a\u{180b}b\u{fe0f}c\u{200d}")), "\"a\\u180bb\\ufe0fc\\u200d\"");
        assert_eq!(spelled(&json!("❤\u{fe0f}👩\u{200d}👧")), "\"❤\u{fe0f}👩\u{200d}👧\"");
    }

    proptest! {
        #[test]
        fn the_value_stays_the_same_and_nothing_hidden_is_left(text in any::<String>(), key in "[#a\\[\u{80}-\u{9f}\"\\\\]{0,12}") {
            let value = json!({ key: text });
            let spelled = spelled(&value);
            prop_assert!(!spelled.contains(is_hidden));
            prop_assert_eq!(visible::lines(&spelled), spelled.as_str(), "and nothing is obeyed");
            prop_assert_eq!(serde_json::from_str::<Value>(&spelled).unwrap(), value);
        }
    }
}
