//! Can a template be read, and a value be written, within a bounded stack?
//!
//! The engine bounds how deep brackets and blocks nest, how many steps a rendering takes and how much it makes. It does not bound the
//! length of a chain, `1+1+1...` or `x|f|f|f...`, which becomes a tree as deep as the chain is long, nor what a formatter of ours does.

use minijinja::machinery::parse;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::ValueKind;
use minijinja::{Error, ErrorKind, State, Value};

use super::walk::DEEPEST_VALUE;
use super::{folding, known};

/// Words, signs and texts that may stand in a tag without a comma between: a chain of that many operators.
const LONGEST_CHAIN: usize = 300;

/// Branches of all `{% if %}` together: each stands inside of the one before.
const MOST_BRANCHES: usize = 300;

/// Largest template: as large as the largest text that it may give.
const LARGEST_TEMPLATE: usize = super::LARGEST_OUTPUT;

/// What is too much in a template, and the offset at which it is; to be asked before the engine reads it.
pub(crate) fn too_much(text: &str, syntax: &SyntaxConfig) -> Option<(String, usize)> {
    // A tree as deep as a chain may be read only if no chain is too long.
    chained_too_long(text).or_else(|| {
        // One that cannot be read makes nothing.
        let template = parse(text, "template", syntax.clone()).ok()?;
        known::refused(&template).or_else(|| folding::too_much(text, &template))
    })
}

fn chained_too_long(text: &str) -> Option<(String, usize)> {
    if text.len() > LARGEST_TEMPLATE {
        return Some((format!("a template of {} MiB is too large: {} MiB may be", text.len() >> 20, LARGEST_TEMPLATE >> 20), 0));
    }
    let mut branches = 0;
    let mut from = 0;
    while let Some(at) = text[from..].find('{').map(|at| from + at) {
        let rest = &text.as_bytes()[at + 1..];
        from = match rest.first() {
            Some(b'#') => text[at..].find("#}").map_or(text.len(), |end| at + end + 2),
            Some(b'{' | b'%') => {
                let tag = Tag::read(&text[at + 2..]);
                if tag.chain > LONGEST_CHAIN {
                    let message = format!("this chain of more than {LONGEST_CHAIN} words and signs is too long for a template");
                    return Some((message, at));
                }
                branches += usize::from(tag.name == "elif");
                if branches > MOST_BRANCHES {
                    return Some((format!("more than {MOST_BRANCHES} `elif` are too many for a template"), at));
                }
                let end = at + 2 + tag.length;
                // What stands in a raw block is text.
                if tag.name == "raw" { text[end..].find("endraw").map_or(text.len(), |length| end + length) } else { end }
            }
            _ => at + 1,
        };
    }
    None
}

/// What stands between `{{` and `}}`, or `{%` and `%}`.
struct Tag<'a> {
    name: &'a str,
    /// Bytes up to behind its end.
    length: usize,
    /// The longest run of words, signs and texts without a comma.
    chain: usize,
}

impl<'a> Tag<'a> {
    fn read(text: &'a str) -> Self {
        let bytes = text.as_bytes();
        let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_' || *byte >= 0x80;
        let mut tag = Self { name: "", length: bytes.len(), chain: 0 };
        let (mut at, mut chain, mut open) = (0, 0_usize, 0_usize);
        while let Some(&byte) = bytes.get(at) {
            let begin = at;
            at += 1;
            match byte {
                b'}' | b'%' if open == 0 && bytes.get(at) == Some(&b'}') => {
                    tag.length = at + 1;
                    return tag;
                }
                byte if byte.is_ascii_whitespace() => continue,
                b',' => {
                    chain = 0;
                    continue;
                }
                b'"' | b'\'' => at = end_of_text(bytes, at, byte),
                b'{' => open += 1,
                b'}' => open = open.saturating_sub(1),
                byte if is_word(&byte) => {
                    at += bytes[at..].iter().take_while(|byte| is_word(byte)).count();
                    if tag.name.is_empty() {
                        tag.name = &text[begin..at];
                    }
                }
                _ => {}
            }
            chain += 1;
            tag.chain = tag.chain.max(chain);
            if tag.chain > LONGEST_CHAIN {
                return tag;
            }
        }
        tag
    }
}

/// The offset behind a text that begins at `at`.
fn end_of_text(bytes: &[u8], mut at: usize, quote: u8) -> usize {
    while let Some(&byte) = bytes.get(at) {
        at += if byte == b'\\' { 2 } else { 1 };
        if byte == quote {
            break;
        }
    }
    at.min(bytes.len())
}

/// Takes from the steps of a rendering what writing a value as JSON costs, before anything is written: a list that holds one other twice,
/// and that one another twice, is small and has no end on paper.
pub(crate) fn charge(state: &State<'_, '_>, value: &Value) -> Result<(), Error> {
    charge_below(state, value, DEEPEST_VALUE)
}

/// The items of an iterable, a step each.
pub(super) fn collected(state: &State<'_, '_>, value: &Value) -> Result<Value, Error> {
    let items = value.try_iter()?.map(|item| state.consume_fuel(1).map(|()| item));
    items.collect::<Result<Vec<_>, _>>().map(Value::from)
}

fn charge_below(state: &State<'_, '_>, value: &Value, depth: usize) -> Result<(), Error> {
    let length = value.as_str().map_or(0, str::len) as u64;
    // The engine's own price of serialized text: 16 units of which a step has 64.
    state.consume_fuel(1 + length / 4)?;
    if !matches!(value.kind(), ValueKind::Seq | ValueKind::Map | ValueKind::Iterable) {
        return Ok(());
    }
    let Some(below) = depth.checked_sub(1) else {
        let message = format!("a list or mapping is nested deeper than {DEEPEST_VALUE} levels");
        return Err(Error::new(ErrorKind::InvalidOperation, message));
    };
    for item in value.try_iter()? {
        charge_below(state, &item, below)?;
        if value.kind() == ValueKind::Map {
            charge_below(state, &value.get_item(&item)?, below)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn message(text: &str) -> Option<String> {
        too_much(text, &SyntaxConfig::default()).map(|(message, _)| message)
    }

    #[test]
    fn chains_are_bounded_and_long_lists_and_texts_are_not() {
        for chain in ["-", "not ", "x.", "1+", "x|f|", "(", "x ~ '}}' ~ "] {
            assert!(message(&format!("{{{{ {}1 }}}}", chain.repeat(400))).is_some_and(|message| message.contains("chain")), "{chain}");
        }
        assert!(message(&format!("{{{{ {{'a': {{}}}} {} }}}}", "-".repeat(400))).is_some(), "braces inside do not end a tag");
        assert!(message(&"{% elif x %}".repeat(400)).is_some_and(|message| message.contains("elif")));
        for text in [
            format!("{{{{ [{}] }}}}", "'x', ".repeat(10_000)),
            format!("{{{{ \"{}\" }}}}", "\\\" a + b }} ".repeat(10_000)),
            "{{ a.b }} {% if c %}{% endif %}".repeat(1_000),
            format!("{{% raw %}}{{{{ {} {{% endraw %}}", "-".repeat(1_000)),
            format!("{{# {{{{ {} #}}", "-".repeat(1_000)),
        ] {
            assert_eq!(message(&text), None, "{}", &text[..40]);
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[{}%# a-c|.'\"\\\\\n(\\[ß-]{0,80}") {
            let _ = too_much(&text, &SyntaxConfig::default());
        }
    }
}
