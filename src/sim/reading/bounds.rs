//! Can a script's template be read within a bounded stack?
//!
//! The engine bounds how deep brackets and blocks nest and how many steps a rendering takes, not how long a chain is: `1+1+1...` or
//! `x|f|f|f...` becomes a tree as deep as the chain is long. The prompts' own templates are bounded in the same way elsewhere; the simulator
//! stands alone.

use minijinja::value::ValueKind;
use minijinja::{Error, ErrorKind, State, Value};

/// Words, signs and texts that may stand in a tag without a comma between.
const LONGEST_CHAIN: usize = 300;

/// Branches of all `{% if %}` together: each stands inside of the one before.
const MOST_BRANCHES: usize = 300;

/// Deepest nesting of a list or mapping that is written out.
const DEEPEST_VALUE: usize = 128;

/// Takes from the steps of a rendering what writing a list or mapping costs, before it is written: one that holds another twice, and that
/// one another twice, is small and has no end on paper.
pub(super) fn charge(state: &State<'_, '_>, value: &Value) -> Result<(), Error> {
    charge_below(state, value, DEEPEST_VALUE)
}

fn charge_below(state: &State<'_, '_>, value: &Value, depth: usize) -> Result<(), Error> {
    state.consume_fuel(1 + value.as_str().map_or(0, str::len) as u64 / 64)?;
    if !matches!(value.kind(), ValueKind::Seq | ValueKind::Map) {
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

/// What is too much in a template.
pub(super) fn too_much(text: &str) -> Option<String> {
    let (mut branches, mut from) = (0, 0);
    while let Some(at) = text[from..].find('{').map(|at| from + at) {
        from = match text.as_bytes().get(at + 1) {
            Some(b'#') => text[at..].find("#}").map_or(text.len(), |end| at + end + 2),
            Some(b'{' | b'%') => {
                let (chain, name, length) = tag(&text[at + 2..]);
                if chain > LONGEST_CHAIN {
                    return Some(format!("a chain of more than {LONGEST_CHAIN} words and signs is too long"));
                }
                branches += usize::from(name == "elif");
                if branches > MOST_BRANCHES {
                    return Some(format!("more than {MOST_BRANCHES} `elif` are too many"));
                }
                let end = at + 2 + length;
                if name == "raw" { text[end..].find("endraw").map_or(text.len(), |length| end + length) } else { end }
            }
            _ => at + 1,
        };
    }
    None
}

/// The longest chain of the tag that `text` begins inside of, its first word, and the bytes up to behind its end.
fn tag(text: &str) -> (usize, &str, usize) {
    let bytes = text.as_bytes();
    let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_' || *byte >= 0x80;
    let (mut name, mut longest, mut chain, mut open, mut at) = ("", 0, 0_usize, 0_usize, 0);
    while let Some(&byte) = bytes.get(at) {
        let begin = at;
        at += 1;
        match byte {
            b'}' | b'%' if open == 0 && bytes.get(at) == Some(&b'}') => return (longest, name, at + 1),
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
                if name.is_empty() {
                    name = &text[begin..at];
                }
            }
            _ => {}
        }
        chain += 1;
        longest = longest.max(chain);
        if longest > LONGEST_CHAIN {
            break;
        }
    }
    (longest, name, bytes.len())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chains_are_bounded_and_long_lists_and_texts_are_not() {
        for chain in ["-", "not ", "x.", "1+", "x|f|", "(", "x ~ '}}' ~ "] {
            assert!(too_much(&format!("{{{{ {}1 }}}}", chain.repeat(400))).is_some_and(|message| message.contains("chain")), "{chain}");
        }
        assert!(too_much(&"{% elif x %}".repeat(400)).is_some_and(|message| message.contains("elif")));
        for text in [
            format!("{{{{ [{}] }}}}", "'x', ".repeat(10_000)),
            "{{ a.b }} {% if c %}{% endif %}".repeat(1_000),
            format!("{{% raw %}}{{{{ {} {{% endraw %}}", "-".repeat(1_000)),
        ] {
            assert_eq!(too_much(&text), None, "{}", &text[..40]);
        }
    }
}
