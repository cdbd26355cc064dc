//! How is a text with characters that nobody sees stored so that a reviewer sees them?
//!
//! A control, bidirectional or invisible character in a file can hide or reorder what a pull request shows, and a carriage return
//! does not survive git's line-end conversion. A text with one of them is stored with `\\`, `\r` and `\u{202e}` in place of
//! backslash, carriage return and every other such character; line feeds and tabs stay. So is a text with a line that looks like the
//! beginning of a merge conflict.

use crate::model::hidden::is_hidden;

/// The character could not be seen, or would change how its neighbours are seen.
pub(super) fn is_concealed(character: char) -> bool {
    match character {
        '\n' | '\t' => false,
        // They were stored as they are from the beginning: another form of them would change accepted snapshots.
        '\u{ad}' | '\u{180e}' | '\u{fffe}' | '\u{ffff}' => false,
        other => is_hidden(other),
    }
}

/// What git writes around two versions that it could not merge. An output may hold the same, so there it is stored in escapes.
const CONFLICT_BEGINS: &str = "<<<<<<< ";
const CONFLICT_ENDS: &str = ">>>>>>> ";

/// The text cannot be stored as it is.
pub(super) fn needs_escape(text: &str) -> bool {
    text.chars().any(is_concealed) || text.split('\n').any(|line| line.starts_with(CONFLICT_BEGINS))
}

/// The line of a file at which a merge conflict begins that nobody resolved.
pub(super) fn conflict(file: &str) -> Option<usize> {
    let begins = file.split('\n').position(|line| line.starts_with(CONFLICT_BEGINS))?;
    file.split('\n').skip(begins).any(|line| line.starts_with(CONFLICT_ENDS)).then_some(begins + 1)
}

/// The text with every concealed character and backslash spelled out.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len() + text.len() / 8);
    for (at, character) in text.char_indices() {
        match character {
            '<' if text[at..].starts_with(CONFLICT_BEGINS) && (at == 0 || text.as_bytes()[at - 1] == b'\n') => escaped.push_str("\\u{3c}"),
            '\\' => escaped.push_str("\\\\"),
            '\r' => escaped.push_str("\\r"),
            other if is_concealed(other) => escaped.push_str(&format!("\\u{{{:x}}}", u32::from(other))),
            other => escaped.push(other),
        }
    }
    escaped
}

/// What [`escape`] was given; `Err` is the first sequence that it never writes.
pub(super) fn unescape(text: &str) -> Result<String, String> {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        plain.push_str(&rest[..at]);
        let sequence = &rest[at..];
        let (character, length) = match sequence.as_bytes().get(1) {
            Some(b'\\') => (Some('\\'), 2),
            Some(b'r') => (Some('\r'), 2),
            Some(b'u') => unicode(sequence),
            _ => (None, 2),
        };
        let Some(character) = character else {
            return Err(sequence.chars().take(length).collect());
        };
        plain.push(character);
        rest = &sequence[length..];
    }
    plain.push_str(rest);
    Ok(plain)
}

/// The character of `\u{...}` at the start of `sequence`, and how long it is written.
fn unicode(sequence: &str) -> (Option<char>, usize) {
    let digits = sequence.get(3..).and_then(|rest| rest.split_once('}')).map(|(digits, _)| digits);
    match digits {
        Some(digits)
            if sequence.as_bytes()[2] == b'{'
                && (1..=6).contains(&digits.len())
                && digits.bytes().all(|digit| digit.is_ascii_hexdigit()) =>
        {
            (u32::from_str_radix(digits, 16).ok().and_then(char::from_u32), digits.len() + 4)
        }
        _ => (None, 3),
    }
}

/// A JSON document with every concealed character as `\uXXXX`: outside of strings JSON has none but white space.
pub(super) fn escape_json(json: &str) -> String {
    let mut escaped = String::with_capacity(json.len());
    for character in json.chars() {
        if is_concealed(character) {
            for unit in character.encode_utf16(&mut [0; 2]) {
                escaped.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            escaped.push(character);
        }
    }
    escaped
}

#[cfg(test)]
mod tests {

    use super::*;

    #[test]
    fn what_cannot_be_seen_is_spelled_out() {
        let text = "a\\b\r\n\tbidi \u{202e}x nul \0 bom \u{feff} tag \u{e0041} café 👩‍👩‍👧";
        let escaped = escape(text);
        assert_eq!(escaped, "a\\\\b\\r\n\tbidi \\u{202e}x nul \\u{0} bom \\u{feff} tag \\u{e0041} café 👩‍👩‍👧");
        assert_eq!(unescape(&escaped).unwrap(), text);
    }

    #[test]
    fn an_escape_that_was_never_written_is_refused() {
        for wrong in
            ["\\n", "\\", "\\u", "\\u{", "\\u{}", "\\u{110000}", "\\u{d800}", "\\u{0000041}", "\\u0041}", "\\é", "\\ué", "\\u{+41}"]
        {
            assert!(unescape(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_json_document_keeps_its_value() {
        let json = serde_json::to_string("\u{7f}\u{202e}\u{e0041}\\ é").unwrap();
        let escaped = escape_json(&json);
        assert!(!needs_escape(&escaped));
        assert_eq!(serde_json::from_str::<String>(&escaped).unwrap(), "\u{7f}\u{202e}\u{e0041}\\ é");
    }
}
