//! What does a template say for these variables? Strict Jinja, bounded in steps and size; values are never rendered again.

mod added;
mod attribute;
pub(crate) mod bounds;
mod folding;
mod hints;
#[cfg(test)]
mod hostile;
mod known;
pub(crate) mod metered;
pub mod prompt;
mod tree;
#[cfg(test)]
mod undefined;
pub(crate) mod walk;

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::{Arc, LazyLock, OnceLock};

use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Serde, ValueKind};
use minijinja::{AutoEscape, Environment, Error, ErrorKind, Output, State, UndefinedBehavior, Value};

use crate::model::suite::Variables;
use crate::template::bounds::Refused;

/// Largest text that one template may give: 8 MiB, above what any model reads.
pub const LARGEST_OUTPUT: usize = 8 << 20;
/// Steps of one rendering; minijinja charges one per instruction and per 64 bytes made, so this bounds memory too.
const MOST_STEPS: u64 = 1_000_000;
const NAME: &str = "template";

/// Why a template cannot be read or rendered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct TemplateError {
    /// Lower case, without a place.
    pub message: String,
    /// 1-based line: of the template, or of the prompt file where a prompt was compiled.
    pub line: u32,
    /// 1-based column and length in characters, where they are known.
    pub column: Option<(u32, u32)>,
    /// The variable that no value was given for.
    pub undefined: Option<String>,
    /// A bound was passed: the template is too large, or makes too much.
    pub too_much: bool,
    /// The next step, where more is known of it than the message says.
    pub hint: Option<String>,
}

/// A template that was read and can be rendered many times, by many threads.
#[derive(Debug, Clone)]
pub struct Template(Form);

#[derive(Debug, Clone)]
enum Form {
    /// Text without a template mark: most assertions and many prompts.
    Literal(Arc<str>),
    Compiled(Box<Compiled>),
}

#[derive(Debug, Clone)]
struct Compiled {
    environment: Environment<'static>,
    /// The variables that it names and does not set itself; to find them it is read again, so once is enough.
    named: OnceLock<BTreeSet<String>>,
}

impl Compiled {
    fn named(&self) -> &BTreeSet<String> {
        self.named.get_or_init(|| template(&self.environment).undeclared_variables(false).into_iter().collect())
    }
}

/// What all templates share; a clone costs a few reference counts.
static BASE: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    environment.set_syntax(SyntaxConfig::builder().keep_trailing_newline(true).build().expect("no delimiter was changed"));
    environment.set_fuel(Some(MOST_STEPS));
    // Debug mode is what carries the columns of an error.
    environment.set_debug(true);
    environment.set_formatter(write_value);
    walk::equip(&mut environment);
    environment
});

/// Jinja would print `True`, `None` and Python's quotes; the values are JSON, and so are they written.
fn write_value(output: &mut Output<'_>, state: &mut State<'_, '_>, value: &Value) -> Result<(), Error> {
    match value.kind() {
        ValueKind::Bool | ValueKind::None | ValueKind::Seq | ValueKind::Map | ValueKind::Iterable => {
            // An iterable may be one that can be gone through once only, and what it makes may never end.
            let value = if value.kind() == ValueKind::Iterable { &bounds::collected(state, value)? } else { value };
            bounds::charge(state, value)?;
            let json = serde_json::to_string(value).map_err(|error| Error::new(ErrorKind::BadSerialization, error.to_string()))?;
            output.write_str(&json).map_err(Error::from)
        }
        _ => minijinja::escape_formatter(output, state, value),
    }
}

/// Whether a text holds anything that a template would replace.
#[must_use]
pub fn is_template(text: &str) -> bool {
    text.contains("{{") || text.contains("{%") || text.contains("{#")
}

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// A syntax error, with its line.
    pub fn compile(text: &str) -> Result<Self, TemplateError> {
        if !is_template(text) {
            return Ok(Self(Form::Literal(text.into())));
        }
        if let Some(Refused { message, at, hint }) = bounds::refused(text, BASE.syntax()) {
            let (line, column, length) = line_and_column(text, at, (at + 2).min(text.len()));
            return Err(TemplateError { message, line, column: Some((column, length)), undefined: None, too_much: hint.is_none(), hint });
        }
        let mut environment = BASE.clone();
        environment.add_template_owned(NAME, text.to_owned()).map_err(|error| describe(&error, text, &BTreeSet::new()))?;
        Ok(Self(Form::Compiled(Box::new(Compiled { environment, named: OnceLock::new() }))))
    }

    /// The text for these variables.
    ///
    /// # Errors
    /// An undefined variable, a wrong filter, or a bound that was passed, with its line.
    pub fn render(&self, variables: &Variables) -> Result<String, TemplateError> {
        match &self.0 {
            Form::Literal(text) => Ok(text.to_string()),
            Form::Compiled(_) => self.render_value(&value(variables), variables),
        }
    }

    /// Every variable that the template names and does not set itself.
    #[must_use]
    pub fn variables(&self) -> BTreeSet<String> {
        match &self.0 {
            Form::Literal(_) => BTreeSet::new(),
            Form::Compiled(compiled) => compiled.named().clone(),
        }
    }

    fn render_value(&self, context: &Value, variables: &Variables) -> Result<String, TemplateError> {
        match &self.0 {
            Form::Literal(text) => Ok(text.to_string()),
            Form::Compiled(compiled) => {
                let text = metered::render(&compiled.environment, NAME, context.clone()).map_err(|error| {
                    let missing = compiled
                        .named()
                        .iter()
                        .filter(|name| !variables.contains_key(*name) && !compiled.environment.globals().any(|(known, _)| known == *name));
                    describe(&error, template(&compiled.environment).source(), &missing.cloned().collect())
                })?;
                if text.len() > LARGEST_OUTPUT { Err(too_large()) } else { Ok(text) }
            }
        }
    }
}

fn template<'env>(environment: &'env Environment<'static>) -> minijinja::Template<'env, 'env> {
    environment.get_template(NAME).expect("the environment of a compiled template holds it")
}

/// The variables as the engine wants them; made once for all blocks of a prompt.
fn value(variables: &Variables) -> Value {
    Value::from(Serde(variables))
}

fn too_large() -> TemplateError {
    TemplateError {
        message: format!("the rendered text is larger than {} MiB", LARGEST_OUTPUT >> 20),
        line: 1,
        column: None,
        undefined: None,
        too_much: true,
        hint: None,
    }
}

/// `missing`: the variables that the template wants from outside and was not given.
fn describe(error: &Error, source: &str, missing: &BTreeSet<String>) -> TemplateError {
    let detail = error.detail().unwrap_or_default();
    let range = error.range().filter(|range| source.get(range.clone()).is_some());
    let known = undefined_expression(detail);
    let is_undefined = error.kind() == ErrorKind::UndefinedError || known.is_some();
    let range = if is_undefined { range.map(|range| with_operand(source, range)) } else { range };
    // Where the engine does not know what was undefined, it is the first name of the expression that has no value.
    let is_meant = |word: &str| known.map_or_else(|| missing.contains(word), |known| known == word && missing.contains(word));
    let undefined = Some(is_undefined).filter(|is_undefined| *is_undefined).and_then(|_| {
        [range.clone(), line_range(source, error.line())].into_iter().flatten().find_map(|range| word(source, range, is_meant))
    });
    let expression = range.clone().map(|range| source[range].trim()).unwrap_or_default();
    let expression = known.filter(|known| !known.contains("(...)")).unwrap_or(expression);
    // A statement (`if visits > 1`) is reported whole: what is missing in it is what has to be shown.
    let named = known.and_then(|known| {
        let range = range.clone()?;
        let at = range.start + source[range].find(known)?;
        Some(at..at + known.len())
    });
    let shown = undefined.as_ref().map(|(range, _)| range.clone()).or(named).or(range);
    let (line, column) = shown.map_or_else(
        || (u32::try_from(error.line().unwrap_or(1)).unwrap_or(u32::MAX), None),
        |range| {
            let (line, column, length) = line_and_column(source, range.start, range.end);
            (line, Some((column, length)))
        },
    );
    let undefined = undefined.map(|(_, name)| name);
    let message = match error.kind() {
        _ if is_undefined => match &undefined {
            Some(name) => format!("undefined variable `{name}`"),
            None if detail == walk::INSIDE => format!("something that `{expression}` writes is undefined"),
            None if expression.is_empty() => "an undefined value is used here".to_owned(),
            None => format!("`{expression}` is undefined"),
        },
        ErrorKind::OutOfFuel => "the template takes too many steps or makes too much text".to_owned(),
        ErrorKind::TemplateNotFound | ErrorKind::BadInclude => "templates cannot include other files".to_owned(),
        ErrorKind::SyntaxError => format!("the template is not valid: {detail}"),
        kind if detail.is_empty() => format!("the template cannot be rendered: {kind}"),
        _ => format!("the template cannot be rendered: {detail}"),
    };
    let hint = if is_undefined { None } else { hints::after(error) };
    TemplateError { message, line, column, undefined, too_much: error.kind() == ErrorKind::OutOfFuel, hint }
}

/// The expression of which the engine says that it was undefined: "`user.name` is undefined", or that in parentheses behind another cause.
fn undefined_expression(detail: &str) -> Option<&str> {
    let before = &detail[..detail.rfind("` is undefined")?];
    let expression = &before[before.rfind('`')? + 1..];
    Some(expression).filter(|expression| !expression.is_empty())
}

/// What stands on a line that is counted from 1.
fn line_range(source: &str, line: Option<usize>) -> Option<Range<usize>> {
    let text = source.lines().nth(line?.checked_sub(1)?)?;
    let start = text.as_ptr().addr() - source.as_ptr().addr();
    Some(start..start + text.len())
}

/// The first word in a range of a text that is meant.
fn word(source: &str, range: Range<usize>, is_meant: impl Fn(&str) -> bool) -> Option<(Range<usize>, String)> {
    let (at, word) = words(&source[range.clone()]).find(|(_, word)| is_meant(word))?;
    Some((range.start + at..range.start + at + word.len(), word.to_owned()))
}

/// A filter with all that it is applied to, which stands before it.
fn with_operand(source: &str, filter: Range<usize>) -> Range<usize> {
    let is_applied = source[..filter.start].trim_end().ends_with('|');
    let start = if is_applied { operand(source, filter.start) } else { None };
    start.map_or(filter.clone(), |start| start..filter.end)
}

/// Where what stands before `end` begins: with the brackets, texts, members and filters that belong to it. Read from the beginning of the
/// tag, as a bracket or a `|` in a text is none.
fn operand(source: &str, end: usize) -> Option<usize> {
    const BETWEEN: [&str; 12] = ["and", "or", "not", "in", "is", "if", "elif", "else", "for", "set", "with", "call"];
    let is_part = |character: char| character.is_alphanumeric() || character == '_';
    let mut at = ["{{", "{%"].iter().filter_map(|tag| source[..end].rfind(tag)).max()? + 2;
    // For each bracket that is open.
    let mut begins: Vec<Option<usize>> = vec![None];
    while let Some(next) = source[at..end].chars().next() {
        let begin = begins.last_mut()?;
        let from = at;
        at += next.len_utf8();
        match next {
            '"' | '\'' => {
                begin.get_or_insert(from);
                let mut escaped = false;
                let closing = |character: char| {
                    let closes = character == next && !escaped;
                    escaped = character == '\\' && !escaped;
                    closes
                };
                at += source[at..end].find(closing)? + 1;
            }
            '(' | '[' | '{' => {
                begin.get_or_insert(from);
                begins.push(None);
            }
            ')' | ']' | '}' => {
                begins.pop();
            }
            _ if is_part(next) => {
                at = source[at..end].find(|character| !is_part(character)).map_or(end, |length| at + length);
                if BETWEEN.contains(&&source[from..at]) {
                    *begin = None;
                } else {
                    begin.get_or_insert(from);
                }
            }
            '|' | '.' => {}
            _ if next.is_whitespace() => {}
            _ => *begin = None,
        }
    }
    begins.pop()?
}

/// The identifiers in an expression, and where each begins; a member (`x.name`) is none of its own.
fn words(expression: &str) -> impl Iterator<Item = (usize, &str)> {
    let is_part = |character: char| character.is_alphanumeric() || character == '_';
    let mut at = 0;
    std::iter::from_fn(move || {
        let start = at + expression[at..].find(is_part)?;
        at = start + expression[start..].find(|character| !is_part(character)).unwrap_or(expression.len() - start);
        Some((start, &expression[start..at]))
    })
    .filter(|(start, _)| !expression[..*start].trim_end().ends_with('.'))
}

/// 1-based line and column of a byte offset, and the length in characters up to `end` or the end of that line.
fn line_and_column(text: &str, start: usize, end: usize) -> (u32, u32, u32) {
    let number = |value: usize| u32::try_from(value).unwrap_or(u32::MAX);
    let before = &text[..start];
    let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    let column = text[line_start..start].chars().count() + 1;
    let length = text[start..end].lines().next().unwrap_or_default().chars().count().max(1);
    (number(line), number(column), number(length))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn variables(value: serde_json::Value) -> Variables {
        value.as_object().unwrap().clone()
    }

    fn rendered(text: &str, value: serde_json::Value) -> Result<String, TemplateError> {
        Template::compile(text)?.render(&variables(value))
    }

    #[test]
    fn values_stand_as_they_are_and_are_never_rendered_again() {
        assert_eq!(rendered("a {{ x }} b\n", json!({"x": "{{ y }} <b> & \n"})).unwrap(), "a {{ y }} <b> & \n b\n");
        assert_eq!(rendered("{{ n }} {{ f }} {{ t }}", json!({"n": 3, "f": 1.5, "t": true})).unwrap(), "3 1.5 true");
        assert_eq!(rendered("{{ o | tojson }}", json!({"o": {"b": [1, "x"], "a": null}})).unwrap(), r#"{"b": [1, "x"], "a": null}"#);
        assert_eq!(
            rendered("{{ o }} {{ n }}", json!({"o": {"b": [1, "x"], "a": true}, "n": null})).unwrap(),
            r#"{"b":[1,"x"],"a":true} null"#
        );
        assert_eq!(rendered("no marks { } %", json!({})).unwrap(), "no marks { } %");
    }

    #[test]
    fn mistakes_name_their_line_column_and_variable() {
        let error = rendered("one\ntwo {{ tikcet }}", json!({"ticket": 1})).unwrap_err();
        assert_eq!((error.message.as_str(), error.line, error.column), ("undefined variable `tikcet`", 2, Some((8, 6))));
        assert_eq!(error.undefined.as_deref(), Some("tikcet"));
        let error = rendered("{{ user.nmae }}", json!({"user": {"name": 1}})).unwrap_err();
        assert_eq!((error.message.as_str(), error.undefined), ("`user.nmae` is undefined", None));
        let error = rendered("{% if missing %}a{% endif %}", json!({})).unwrap_err();
        assert_eq!(error.undefined.as_deref(), Some("missing"));
        assert!(rendered("{% if missing is defined %}a{% endif %}", json!({})).is_ok());
        // The variable that is missing, wherever in a statement it stands, and no name that the template makes itself.
        let error = rendered("{% if a and visits > 1 %}a{% endif %}", json!({"a": 1})).unwrap_err();
        assert_eq!((error.message.as_str(), error.column), ("undefined variable `visits`", Some((13, 6))));
        let error = rendered("{% for x in all %}{{ x.all }}{% endfor %}", json!({"all": [{}]})).unwrap_err();
        assert_eq!((error.message.as_str(), error.undefined), ("`x.all` is undefined", None));
        for (text, message) in [
            ("{{ x | nope }}", "the filter `nope` is unknown"),
            ("{% if %}", "the template is not valid: unexpected end of block"),
            ("{{ x", "the template is not valid: unexpected end of input, expected end of variable block"),
            ("{% include 'x' %}", "templates cannot include other files"),
            (
                "{% for i in range(100000) %}{% for j in range(100000) %}x{% endfor %}{% endfor %}",
                "the template takes too many steps or makes too much text",
            ),
            ("{{ 'x' * 100000000 }}", "the template takes too many steps or makes too much text"),
            ("{{ 'x' * 10000000 }}", "the rendered text is larger than 8 MiB"),
            ("{{ [x] * 100000000 }}", "the template takes too many steps or makes too much text"),
            (
                "{% set n = namespace(x=[1]) %}{% for i in range(100) %}{% set n.x = [n.x, n.x] %}{% endfor %}{{ n.x }}",
                "the template takes too many steps or makes too much text",
            ),
        ] {
            assert_eq!(rendered(text, json!({"x": 1})).unwrap_err().message, message, "{text}");
        }
    }

    #[test]
    fn what_is_refused_when_it_is_read_is_too_much_only_where_a_bound_is_passed() {
        for (text, too_much) in [("{{ x | nope }}", false), ("{% include 'x' %}", false), ("{{ [0] * 100000 == 1 }}", true)] {
            assert_eq!(Template::compile(text).unwrap_err().too_much, too_much, "{text}");
        }
        assert!(Template::compile(&format!("{{{{ x{} }}}}", ".x".repeat(400))).unwrap_err().too_much);
    }

    #[test]
    fn the_variables_are_those_that_the_template_does_not_set() {
        let template = Template::compile("{{ a.b }} {% for x in c %}{{ x }}{{ d }}{% endfor %}{% set e = 1 %}{{ e }}{# f #}").unwrap();
        assert_eq!(template.variables().into_iter().collect::<Vec<_>>(), ["a", "c", "d"]);
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[{}%# a-c|.'\"\n(\\[ß-]{0,40}", value in "[{}% a]{0,8}") {
            if let Ok(template) = Template::compile(&text) {
                let _ = template.render(&variables(json!({"a": value})));
                let _ = template.variables();
            }
        }

        #[test]
        fn a_value_comes_out_as_it_went_in(value in any::<String>()) {
            prop_assert_eq!(rendered("{{ a }}", json!({"a": value.clone()})).unwrap(), value);
        }
    }
}
