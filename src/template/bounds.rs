//! Can a template be read, and a value be written, within a bounded stack?
//!
//! The engine bounds how deep brackets and blocks nest, how many steps a rendering takes and how much it makes. It does not bound the
//! length of a chain, `1+1+1...` or `x|f|f|f...`, which becomes a tree as deep as the chain is long, nor what a formatter of ours does.

use minijinja::machinery::{Token, parse, tokenize};
use minijinja::syntax::SyntaxConfig;
use minijinja::value::ValueKind;
use minijinja::{Error, ErrorKind, State, Value};

use super::walk::{DEEPEST_VALUE, defined};
use super::{folding, known};

/// Words, signs and texts that may stand in a tag without a comma between, with those in its brackets: a tree as deep as that.
const LONGEST_CHAIN: usize = 300;

/// Branches of all `{% if %}` together: each stands inside of the one before.
const MOST_BRANCHES: usize = 300;

/// Largest template: as large as the largest text that it may give.
const LARGEST_TEMPLATE: usize = super::LARGEST_OUTPUT;

/// Why a template is refused before the engine reads it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    /// Lower case, without a place.
    pub(crate) message: String,
    /// The offset of what it is about.
    pub(crate) at: usize,
    /// The next step, where something is named that does not exist here; otherwise a bound was passed.
    pub(crate) hint: Option<String>,
}

/// What a template may not have, to be asked before the engine reads it.
pub(crate) fn refused(text: &str, syntax: &SyntaxConfig) -> Option<Refused> {
    let too_much = |(message, at)| Refused { message, at, hint: None };
    // A tree as deep as a chain may be read only if no chain is too long.
    if let Some(chained) = chained_too_long(text, syntax) {
        return Some(too_much(chained));
    }
    // One that cannot be read makes nothing.
    let template = parse(text, "template", syntax.clone()).ok()?;
    known::refused(&template).or_else(|| folding::too_much(text, &template).map(too_much))
}

fn chained_too_long(text: &str, syntax: &SyntaxConfig) -> Option<(String, usize)> {
    if text.len() > LARGEST_TEMPLATE {
        return Some((format!("a template of {} MiB is too large: {} MiB may be", text.len() >> 20, LARGEST_TEMPLATE >> 20), 0));
    }
    // As the engine reads them, so that nothing is text here and a tag there. Behind what it cannot read it reads no further.
    let tokens = tokenize(text, false, syntax.clone()).map_while(Result::ok);
    let mut branches = 0;
    let mut levels: Vec<Level> = Vec::new();
    // What the levels count together.
    let mut open = 0;
    let mut tag = 0;
    for (token, span) in tokens {
        match token {
            Token::TemplateData(_) | Token::VariableEnd | Token::BlockEnd => continue,
            Token::VariableStart | Token::BlockStart => {
                levels = vec![Level::default()];
                open = 0;
                tag = span.start_offset as usize;
                continue;
            }
            Token::Ident("elif") if open == 0 => {
                branches += 1;
                if branches > MOST_BRANCHES {
                    return Some((format!("more than {MOST_BRANCHES} `elif` are too many for a template"), tag));
                }
            }
            Token::Comma => {
                open -= levels.last_mut().map_or(0, Level::next);
                continue;
            }
            Token::BracketClose | Token::ParenClose | Token::BraceClose if levels.len() > 1 => {
                let mut closed = levels.pop().unwrap_or_default();
                open -= closed.next();
                if let Some(level) = levels.last_mut() {
                    level.inside = level.inside.max(closed.deepest);
                }
            }
            _ => {}
        }
        let Some(level) = levels.last_mut() else { continue };
        level.chain += 1;
        open += 1;
        if open + level.inside > LONGEST_CHAIN {
            return Some((format!("this chain of more than {LONGEST_CHAIN} words and signs is too long for a template"), tag));
        }
        if matches!(token, Token::BracketOpen | Token::ParenOpen | Token::BraceOpen) {
            levels.push(Level::default());
        }
    }
    None
}

/// A tag, or a bracket that is open in it. Between commas stands an expression that may be as deep as it has words, signs and texts, and as
/// what is in its brackets.
#[derive(Default)]
struct Level {
    /// Since the last comma.
    chain: usize,
    /// The deepest bracket since then.
    inside: usize,
    /// The deepest of the expressions before.
    deepest: usize,
}

impl Level {
    /// The next expression begins; gives how long this one is.
    fn next(&mut self) -> usize {
        let chain = std::mem::take(&mut self.chain);
        self.deepest = self.deepest.max(chain + std::mem::take(&mut self.inside));
        chain
    }
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
    defined(state, value)?;
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
        refused(text, &SyntaxConfig::default()).map(|refused| refused.message)
    }

    #[test]
    fn chains_are_bounded_and_long_lists_and_texts_are_not() {
        for chain in ["-", "not ", "x.", "1+", "x|f|", "(", "x ~ '}}' ~ "] {
            assert!(message(&format!("{{{{ {}1 }}}}", chain.repeat(400))).is_some_and(|message| message.contains("chain")), "{chain}");
        }
        assert!(message(&format!("{{{{ {{'a': {{}}}} {} }}}}", "-".repeat(400))).is_some(), "braces inside do not end a tag");
        for hidden in [
            // A variable of that name, and not the word.
            "{{ raw }}{{ name CHAIN }}",
            "{% raw %} endraw {{ ' {% endraw %}{{ name CHAIN }}",
            "{%- raw -%} {{ '{%+ endraw -%}{{ name CHAIN }}",
            // A comment that has begun, and not ended.
            "{#}{{ '#}{{ name CHAIN }}",
            "{# {% raw %} #}{{ name CHAIN }}",
            "{% set a, b = name CHAIN %}",
            "{{ [1, {'a': f(2, name CHAIN)}] }}",
        ] {
            assert!(message(&hidden.replace("CHAIN", &".x".repeat(200))).is_some_and(|message| message.contains("chain")), "{hidden}");
        }
        for nested in ["{{ name CHAIN }}", "{{ f(1, [name CHAIN, 2]) }}"] {
            // A comma in brackets does not end what the brackets stand in.
            assert!(
                message(&nested.replace("CHAIN", &"|f(1, 2)".repeat(200))).is_some_and(|message| message.contains("chain")),
                "{nested}"
            );
        }
        // Each bracket is short, and all are in each other.
        let (open, close) = (format!("[0{}, ", ".x".repeat(8)), format!("]{}", ".x".repeat(8)));
        assert!(message(&format!("{{{{ {}1{} }}}}", open.repeat(60), close.repeat(60))).is_some_and(|message| message.contains("chain")));
        assert!(message(&"{% elif x %}".repeat(400)).is_some_and(|message| message.contains("elif")));
        for text in [
            format!("{{{{ [{}] }}}}", "'x', ".repeat(10_000)),
            format!("{{{{ \"{}\" }}}}", "\\\" a + b }} ".repeat(10_000)),
            "{{ a.b }} {% if c %}{% endif %}".repeat(1_000),
            format!("{{% raw %}}{{{{ {} {{% endraw %}}", "-".repeat(1_000)),
            format!("{{# {{{{ {} #}}", "-".repeat(1_000)),
            format!("{{{{ [{}] }}}}", "{'q': a.b|d(1), 'n': [1, 2]}, ".repeat(1_000)),
            format!("{{{{ f({}) }}}}", "x.y.z(1, 2)|upper, ".repeat(1_000)),
        ] {
            assert_eq!(message(&text), None, "{}", &text[..40]);
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[{}%# a-c|.'\"\\\\\n(\\[ß-]{0,80}") {
            let _ = refused(&text, &SyntaxConfig::default());
        }
    }
}
