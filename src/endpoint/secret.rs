//! How are keys kept out of everything that is stored or shown?
//!
//! Whatever a server sends passes here before anything else sees it: a reply after its JSON was read, so that neither an escape nor a cut
//! between two pieces of a stream hides a key, and everything else before it is cut to an excerpt, so that no half of a key is left.

use std::fmt;
use std::sync::Arc;

use regex::{Captures, Regex, RegexBuilder};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value};

use crate::model::request::Block;

/// What stands where a key stood.
const REDACTED: &str = "[REDACTED]";

/// In replies, which are stored and judged, a shorter key is left alone: replacing every `test` of a reply because a local server's key is
/// `test` would change what is judged, and such a key protects nothing. Of such keys there are no other spellings either.
const SHORTEST_IN_REPLIES: usize = 12;

/// No service has a longer key, and a file that was taken for one does.
pub(crate) const LONGEST_KEY: usize = 4096;

/// In messages, only so short a key stays that the replacement would make them unreadable.
const SHORTEST_IN_MESSAGES: usize = 3;

/// Takes the keys of a run out of texts, in each way that they may be spelled: as they are, in capitals or small letters, each character
/// escaped for JSON, a URL or HTML or not, and in Base64 wherever in the encoded text they stand.
#[derive(Clone, Default)]
pub(crate) struct Scrubber {
    replies: Option<Arc<Regex>>,
    messages: Option<Arc<Regex>>,
}

impl fmt::Debug for Scrubber {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Scrubber(..)")
    }
}

impl Scrubber {
    /// Takes nothing out.
    #[cfg(test)]
    pub(crate) const NO_KEYS: Self = Self { replies: None, messages: None };

    /// Keys of every endpoint of the run: one server may know another one's key.
    pub(crate) fn new<'a>(keys: impl IntoIterator<Item = &'a SecretString>) -> Self {
        let keys: Vec<&str> = keys.into_iter().map(|key| key.expose_secret().trim()).collect();
        let at_least = |shortest: usize| {
            let mut spellings: Vec<String> = Vec::new();
            for key in keys.iter().filter(|key| key.len() >= shortest) {
                if key.len() >= SHORTEST_IN_REPLIES { spellings.extend(all_spellings(key)) } else { spellings.push(regex::escape(key)) }
            }
            // The longest first: of two keys one may begin with the other.
            spellings.sort_by_key(|spelling| std::cmp::Reverse(spelling.len()));
            spellings.dedup();
            let pattern = spellings.join("|");
            (!spellings.is_empty()).then(|| {
                let pattern = RegexBuilder::new(&pattern).size_limit(usize::MAX).build();
                Arc::new(pattern.expect("escaped texts are a pattern, and LONGEST_KEY bounds it"))
            })
        };
        let replies = at_least(SHORTEST_IN_REPLIES);
        let none_is_short = keys.iter().all(|key| key.len() >= SHORTEST_IN_REPLIES);
        let messages = if none_is_short { replies.clone() } else { at_least(SHORTEST_IN_MESSAGES) };
        Self { replies, messages }
    }

    /// A message for people.
    pub(crate) fn message(&self, text: String) -> String {
        replaced(self.messages.as_deref(), text)
    }

    /// Whether there is anything in a text that no message may show.
    pub(crate) fn finds(&self, text: &str) -> bool {
        self.messages.as_deref().is_some_and(|pattern| pattern.is_match(text))
    }

    /// One text of a reply.
    pub(crate) fn reply_text(&self, text: &mut String) {
        if self.replies.is_some() {
            *text = replaced(self.replies.as_deref(), std::mem::take(text));
        }
    }

    /// The content of a reply: every text in it, however deep, and every name, and what the text blocks say together.
    pub(crate) fn content(&self, content: &mut [Block]) {
        if let Some(pattern) = self.replies.as_deref() {
            joined_texts(pattern, content);
            content.iter_mut().for_each(|block| self.members(&mut block.0));
        }
    }

    fn members(&self, members: &mut Map<String, Value>) {
        if members.keys().any(|key| self.replies.as_deref().is_some_and(|pattern| pattern.is_match(key))) {
            let named = |(mut key, value): (String, Value)| {
                self.reply_text(&mut key);
                (key, value)
            };
            *members = std::mem::take(members).into_iter().map(named).collect();
        }
        members.values_mut().for_each(|value| self.value(value));
    }

    fn value(&self, value: &mut Value) {
        match value {
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
            Value::String(text) => self.reply_text(text),
            Value::Array(items) => items.iter_mut().for_each(|item| self.value(item)),
            Value::Object(object) => self.members(object),
        }
    }

    /// One line for people out of anything a server sends, of bounded length and without a key.
    pub(crate) fn excerpt(&self, text: &str, longest: usize) -> String {
        excerpt(&self.message(text.to_owned()), longest)
    }
}

/// Takes out what stands in several text blocks, a piece in each. Whatever judges or shows a reply reads its text blocks as one text, also
/// past blocks of other kinds ([`crate::model::reply::Reply::text`]), so that nobody else need put the pieces together.
fn joined_texts(pattern: &Regex, content: &mut [Block]) {
    let mut texts: Vec<&mut String> = content.iter_mut().filter_map(Block::as_text_mut).filter(|text| !text.is_empty()).collect();
    if texts.len() < 2 {
        return;
    }
    let joined: String = texts.iter().map(|text| text.as_str()).collect();
    let mut keys = pattern.find_iter(&joined).map(|found| found.range()).peekable();
    let mut begin = 0;
    for text in &mut texts {
        let end = begin + text.len();
        let mut kept = String::new();
        let mut from = begin;
        while let Some(key) = keys.peek().filter(|key| key.start < end).cloned() {
            // The block in which a key begins has the mark; the others lose their piece of it.
            if key.start >= begin {
                kept.push_str(&joined[from..key.start]);
                kept.push_str(REDACTED);
            }
            from = key.end.min(end);
            if key.end > end {
                break;
            }
            keys.next();
        }
        if from > begin {
            kept.push_str(&joined[from..end]);
            **text = kept;
        }
        begin = end;
    }
}

fn replaced(pattern: Option<&Regex>, text: String) -> String {
    let Some(pattern) = pattern else { return text };
    match pattern.replace_all(&text, |_: &Captures<'_>| REDACTED) {
        std::borrow::Cow::Borrowed(_) => text,
        std::borrow::Cow::Owned(replaced) => replaced,
    }
}

/// Patterns of every spelling of a key that is long enough to be looked for in replies.
fn all_spellings(key: &str) -> Vec<String> {
    let mut spellings = vec![key.chars().map(any_spelling).collect()];
    // In Base64 capitals and small letters are different bytes; both alphabets are told apart by two signs.
    let encoded = (0..3).map(|before| regex::escape(&base64(key.as_bytes(), before)).replace("\\+", "[+-]").replace('/', "[/_]"));
    spellings.extend(encoded);
    spellings
}

/// One character by itself or as anybody may encode it: `+` is also `%2B`, `%252B`, `\u002B`, `\x2b`, `&#43;` and `&#x2B;`. Encoders differ
/// in which characters they leave alone, so each character stands for itself.
fn any_spelling(character: char) -> String {
    let mut buffer = [0; 4];
    let percent: String = character.encode_utf8(&mut buffer).bytes().map(|byte| format!("%(?:25)?{byte:02x}")).collect();
    let code = u32::from(character);
    let mut spellings = vec![regex::escape(&character.to_string()), percent, format!("&#0*{code};"), format!("&#x0*{code:x};")];
    if code <= 0xffff {
        spellings.push(format!(r"\\+u{code:04x}"));
    }
    if code <= 0xff {
        spellings.push(format!(r"\\+x{code:02x}"));
    }
    if matches!(character, '/' | '"' | '\\') {
        spellings.push(format!(r"\\+{}", regex::escape(&character.to_string())));
    }
    let named = match character {
        '"' => Some("quot"),
        '&' => Some("amp"),
        '<' => Some("lt"),
        '>' => Some("gt"),
        '\'' => Some("apos"),
        _ => None,
    };
    spellings.extend(named.map(|name| format!("&{name};")));
    // A key is ASCII, where a pattern need not know the capitals of every script.
    let flags = if character.is_ascii() { "(?i-u:" } else { "(?i:" };
    format!("{flags}{})", spellings.join("|"))
}

/// The characters of Base64 that depend on these bytes alone, where `before` other bytes stand in front of them.
fn base64(bytes: &[u8], before: usize) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bits: Vec<bool> = std::iter::repeat_n(false, before * 8)
        .chain(bytes.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1 == 1)))
        .collect();
    let first = (before * 8).div_ceil(6);
    let sextet = |bits: &[bool]| ALPHABET[bits.iter().fold(0, |number, bit| number << 1 | usize::from(*bit))];
    bits.chunks_exact(6).skip(first).map(|bits| char::from(sextet(bits))).collect()
}

/// One line for people: no control characters, bounded length. Of what a server says [`Scrubber::excerpt`] makes one.
pub(crate) fn excerpt(text: &str, longest: usize) -> String {
    let mut line = String::new();
    let mut characters = 0;
    for word in text.split(|character: char| character.is_whitespace() || character.is_control()).filter(|word| !word.is_empty()) {
        if !line.is_empty() {
            line.push(' ');
            characters += 1;
        }
        for character in word.chars() {
            if characters >= longest {
                line.push_str("...");
                return line;
            }
            line.push(character);
            characters += 1;
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const KEY: &str = "sk-ant/abc+\"123?456";

    fn scrubber(keys: &[&str]) -> Scrubber {
        Scrubber::new(&keys.iter().map(|key| SecretString::from(*key)).collect::<Vec<_>>())
    }

    #[test]
    fn a_key_is_taken_out_however_it_is_spelled() {
        let scrubber = scrubber(&[KEY]);
        for spelled in [
            KEY,
            "SK-ANT/ABC+\"123?456",
            r#"sk-ant/abc+\"123?456"#,
            r#"sk-ant\/abc+\"123?456"#,
            "sk-ant%2Fabc%2B%22123%3F456",
            "sk-ant%2fabc%2b%22123%3f456",
            // What encoders leave alone differs from one to the next.
            "sk-ant/abc%2B%22123%3F456",
            "sk-ant/abc%252B%2522123?456",
            r"sk-ant/abc\u002B\u0022123?456",
            r"sk-ant\u002fabc\\u002b\\u0022123?456",
            "sk-ant/abc&#43;&quot;123?456",
            "sk-ant&#x2F;abc&#x2B;&#34;123&#063;456",
            &KEY.chars().map(|character| format!("\\u{:04x}", u32::from(character))).collect::<String>(),
            &KEY.chars().map(|character| format!("\\x{:02X}", u32::from(character))).collect::<String>(),
            &KEY.chars().map(|character| format!("%{:02x}", u32::from(character))).collect::<String>(),
        ] {
            assert_eq!(scrubber.message(format!("so: {spelled}!")), "so: [REDACTED]!");
        }
        // `printf KEY | base64`, with one and two bytes in front of it, and in the alphabet of URLs.
        for (encoded, left) in [
            ("c2stYW50L2FiYysiMTIzPzQ1Ng==", "[REDACTED]"),
            ("OnNrLWFudC9hYmMrIjEyMz80NTY=", "On"),
            ("YTpzay1hbnQvYWJjKyIxMjM/NDU2", "YTp"),
            ("YTpzay1hbnQvYWJjKyIxMjM_NDU2", "YTp"),
        ] {
            let said = scrubber.message(encoded.to_owned());
            assert!(said.contains(REDACTED) && said.starts_with(left) && said.len() < 18, "{encoded}: {said}");
        }
    }

    #[test]
    fn the_longest_key_still_makes_a_pattern() {
        let key = "aB3+/=".repeat(LONGEST_KEY / 6);
        assert_eq!(scrubber(&[&key]).message(format!("so: {key}!")), "so: [REDACTED]!");
    }

    #[test]
    fn a_reply_is_scrubbed_after_its_escapes_are_read() {
        let scrubber = scrubber(&["sk-test-0123456789"]);
        let content = r#"[{"type":"tool_use","input":{"\u0073k-test-0123456789":["a sk\u002dtest-0123456789 b"],"n":1}}]"#;
        let mut content: Vec<Block> = serde_json::from_str(content).unwrap();
        scrubber.content(&mut content);
        assert_eq!(Value::Object(content[0].0.clone()), json!({"type": "tool_use", "input": {"[REDACTED]": ["a [REDACTED] b"], "n": 1}}));
    }

    #[test]
    fn a_key_in_pieces_is_taken_out_of_every_text_block_that_has_one() {
        let scrubber = scrubber(&["sk-test-0123456789"]);
        for (pieces, left) in [
            (vec!["a sk-test-01", "23456789 b"], vec!["a [REDACTED]", " b"]),
            (vec!["a sk-te", "st-012345", "", "6789"], vec!["a [REDACTED]", "", "", ""]),
            // A whole one, one in two pieces, one in three, and an end that is none.
            (
                vec!["sk-test-0123456789 sk-", "test-0123456789 and sk-test-0", "1234", "56789sk-test-0123456789 sk-test", "!"],
                vec!["[REDACTED] [REDACTED]", " and [REDACTED]", "", "[REDACTED] sk-test", "!"],
            ),
            (vec!["SK%2Dtest%", "2D0123456789"], vec!["[REDACTED]", ""]),
            (vec!["sk-test-", "012345678"], vec!["sk-test-", "012345678"]),
        ] {
            let mut content: Vec<Block> = pieces.iter().map(|piece| Block::text(*piece)).collect();
            // Read as one text past what is none.
            let call = json!({"type": "tool_use", "name": "n", "input": {"text": "sk-test-"}});
            content.insert(1, Block(call.as_object().cloned().unwrap()));
            scrubber.content(&mut content);
            assert_eq!(content.iter().filter_map(Block::as_text).collect::<Vec<_>>(), left);
        }
    }

    #[test]
    fn signs_with_a_meaning_in_patterns_have_none_in_keys() {
        let scrubber = scrubber(&["(a|b)*.+[c]{2}\\d$"]);
        assert_eq!(scrubber.message("x (a|b)*.+[c]{2}\\d$ y".to_owned()), "x [REDACTED] y");
        assert_eq!(scrubber.message("aaaaaaaaaa".to_owned()), "aaaaaaaaaa");
    }

    #[test]
    fn every_key_is_taken_out_and_of_two_that_begin_alike_the_longer_one_whole() {
        let scrubber = scrubber(&["sk-0123456789-a", "sk-0123456789-a-and-more", "other-key-of-another-server"]);
        let said = scrubber.message("sk-0123456789-a-and-more, sk-0123456789-a, other-key-of-another-server".to_owned());
        assert_eq!(said, "[REDACTED], [REDACTED], [REDACTED]");
    }

    #[test]
    fn a_short_key_changes_no_reply_but_no_message_shows_it() {
        let scrubber = scrubber(&["test"]);
        let mut text = "a test".to_owned();
        scrubber.reply_text(&mut text);
        assert_eq!(text, "a test");
        assert_eq!(scrubber.message("invalid key test".to_owned()), "invalid key [REDACTED]");
        assert_eq!(self::scrubber(&["", "ab"]).message("about".to_owned()), "about");
    }

    #[test]
    fn an_excerpt_never_ends_in_half_a_key() {
        let scrubber = scrubber(&["sk-test-0123456789"]);
        for room in 1..40 {
            let said = scrubber.excerpt("a body with sk-test-0123456789 in it", room);
            assert!(!said.contains("sk-t"), "{said}");
        }
    }

    #[test]
    fn the_scrubber_itself_does_not_print_the_key() {
        assert!(!format!("{:?}", scrubber(&["hunter2hunter2"])).contains("hunter2"));
    }

    #[test]
    fn an_excerpt_is_one_bounded_line() {
        assert_eq!(excerpt("<html>\r\n\t<b>\u{1b}[31mbad</b>\u{0}", 100), "<html> <b> [31mbad</b>");
        assert_eq!(excerpt("äöü äöü", 5), "äöü ä...");
    }
}
