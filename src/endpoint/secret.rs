//! How are keys kept out of everything that is stored or shown?

use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

/// What stands where a key stood.
const REDACTED: &str = "[REDACTED]";

/// In replies, which are stored and judged, a shorter key is left alone: replacing every `test` of a reply because a local server's key is
/// `test` would change what is judged, and such a key protects nothing.
const SHORTEST_IN_REPLIES: usize = 12;

/// In messages, only so short a key stays that the replacement would make them unreadable.
const SHORTEST_IN_MESSAGES: usize = 3;

/// Takes one endpoint's key out of texts, in each way that it may be spelled.
#[derive(Debug, Clone)]
pub(crate) struct Scrubber {
    spellings: Vec<SecretString>,
}

impl Scrubber {
    pub(crate) fn new(key: Option<&SecretString>) -> Self {
        let mut spellings = Vec::new();
        if let Some(key) = key {
            let plain = key.expose_secret().trim();
            let quoted = Value::from(plain).to_string();
            let escaped = quoted.trim_matches('"').to_owned();
            let slashed = escaped.replace('/', "\\/");
            for spelling in [plain.to_owned(), escaped, slashed] {
                if !spellings.iter().any(|known: &SecretString| known.expose_secret() == spelling) {
                    spellings.push(SecretString::from(spelling));
                }
            }
        }
        Self { spellings }
    }

    /// A reply's body.
    pub(crate) fn body(&self, text: String) -> String {
        self.scrub(text, SHORTEST_IN_REPLIES)
    }

    /// A reply that was put together from a stream, where a key may have come in two pieces: every text in it, the names of members too.
    pub(crate) fn value(&self, value: &mut Value) {
        match value {
            Value::String(text) => *text = self.body(std::mem::take(text)),
            Value::Array(elements) => elements.iter_mut().for_each(|element| self.value(element)),
            Value::Object(members) => {
                let taken = std::mem::take(members);
                members.extend(taken.into_iter().map(|(name, mut member)| {
                    self.value(&mut member);
                    (self.body(name), member)
                }));
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    /// A message for people.
    pub(crate) fn message(&self, text: String) -> String {
        self.scrub(text, SHORTEST_IN_MESSAGES)
    }

    fn scrub(&self, text: String, shortest: usize) -> String {
        let mut text = text;
        for spelling in &self.spellings {
            let spelling = spelling.expose_secret();
            if spelling.len() >= shortest && text.contains(spelling) {
                text = text.replace(spelling, REDACTED);
            }
        }
        text
    }
}

/// One line for people out of anything a server sends: no control characters, bounded length.
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

    fn scrubber(key: &str) -> Scrubber {
        Scrubber::new(Some(&SecretString::from(key)))
    }

    #[test]
    fn a_key_is_taken_out_however_json_spells_it() {
        let scrubber = scrubber("sk-ant/abc\"123");
        let said = scrubber.body(r#"{"plain":"sk-ant/abc\"123","slashed":"sk-ant\/abc\"123"} sk-ant/abc"123"#.to_owned());
        assert_eq!(said, r#"{"plain":"[REDACTED]","slashed":"[REDACTED]"} [REDACTED]"#);
    }

    #[test]
    fn a_key_is_taken_out_of_every_text_of_a_value() {
        let scrubber = scrubber("sk-ant/abc\"123");
        let mut value = serde_json::json!({"a": ["sk-ant/abc\"123", {"sk-ant/abc\"123": "{\"b\":\"sk-ant\\/abc\\\"123\"}"}, 7], "c": null});
        scrubber.value(&mut value);
        assert_eq!(value, serde_json::json!({"a": ["[REDACTED]", {"[REDACTED]": "{\"b\":\"[REDACTED]\"}"}, 7], "c": null}));
    }

    #[test]
    fn a_short_key_changes_no_reply_but_no_message_shows_it() {
        let scrubber = scrubber("test");
        assert_eq!(scrubber.body("a test".to_owned()), "a test");
        assert_eq!(scrubber.message("invalid key test".to_owned()), "invalid key [REDACTED]");
    }

    #[test]
    fn the_scrubber_itself_does_not_print_the_key() {
        assert!(!format!("{:?}", scrubber("hunter2hunter2")).contains("hunter2"));
    }

    #[test]
    fn an_excerpt_is_one_bounded_line() {
        assert_eq!(excerpt("<html>\r\n\t<b>\u{1b}[31mbad</b>\u{0}", 100), "<html> <b> [31mbad</b>");
        assert_eq!(excerpt("äöü äöü", 5), "äöü ä...");
    }
}
