//! Which regexes do the filters of a JSONPath ask for, and how is each of them read once?
//!
//! The library's own `match` and `search` read their regex anew for each value, whatever it takes, and say of one that is none that
//! nothing matches. Those that stand here take their place, by the same rules (RFC 9535, 2.4.6 and 2.4.7): what a path says by itself is
//! known when it is read, and compiled before any reply comes; what it takes from the reply is compiled once for a query.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::{Arc, LazyLock};

use serde_json::Value;
use serde_json_path::{JsonPath, ParseError};
use serde_json_path_macros::inventory;
use serde_json_path_macros::serde_json_path_core::spec::functions::{
    Evaluator, Function, FunctionArgType, FunctionExprArg, FunctionValidationError, JsonPathType, JsonPathValue, LogicalType, Validator,
    ValueType,
};
use serde_json_path_macros::serde_json_path_core::spec::selector::filter::Literal;

use crate::assertion::excerpt;
use crate::assertion::held::{Engine, Held};
use crate::assertion::json_path::HUGE;
use crate::assertion::pattern::{self, Pattern};

/// Regexes that a query takes from the reply and keeps.
const MOST_KEPT: usize = 1_000;

/// Bytes of those, compiled.
const MOST_BYTES: usize = 16 << 20;

/// A regex as a filter asks for it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Asked {
    pub(super) regex: Box<str>,
    /// `match`: the whole text must be one, and not only a part of it.
    pub(super) whole: bool,
}

impl Asked {
    /// As the `regex` crate takes it: a dot is neither a line feed nor a carriage return (RFC 9485, 5.2).
    pub(super) fn written(&self) -> String {
        if self.whole { format!("(?R)^({})$", self.regex) } else { format!("(?R)({})", self.regex) }
    }
}

/// Those of one path.
pub(super) type Regexes = Arc<[(Asked, Arc<Pattern>)]>;

/// What the filters of the query under way have needed so far.
#[derive(Default)]
struct Query {
    regexes: Option<Regexes>,
    /// By the regex, for `search` and for `match`; nothing where it is none.
    ready: [HashMap<Box<str>, Option<Arc<Engine>>>; 2],
    bytes: usize,
    /// Why nobody can say what it finds.
    trouble: Option<String>,
}

thread_local! {
    /// The regexes of the path that is being read.
    static READING: RefCell<Option<BTreeSet<Asked>>> = const { RefCell::new(None) };

    static QUERY: RefCell<Query> = RefCell::default();
}

/// Reads a path, and finds the regexes that it says by itself.
pub(super) fn read(path: &str) -> (Result<JsonPath, ParseError>, BTreeSet<Asked>) {
    READING.set(Some(BTreeSet::new()));
    let parsed = JsonPath::parse(path);
    (parsed, READING.take().unwrap_or_default())
}

/// What `query` finds, which needs these regexes.
///
/// # Errors
/// Where a regex that it takes from the reply is more than can be compiled, as the rest of a sentence about the path.
pub(super) fn with<T>(regexes: &Regexes, query: impl FnOnce() -> T) -> Result<T, String> {
    QUERY.set(Query { regexes: Some(Arc::clone(regexes)), ..Query::default() });
    let found = query();
    QUERY.take().trouble.map_or(Ok(found), Err)
}

impl Query {
    fn matches(&mut self, text: &str, regex: &str, whole: bool) -> bool {
        if !self.ready[usize::from(whole)].contains_key(regex) {
            let made = self.make(regex, whole);
            self.ready[usize::from(whole)].insert(regex.into(), made);
        }
        match self.ready[usize::from(whole)].get(regex).and_then(Option::as_deref) {
            Some(Engine::Linear(regex)) => regex.is_match(text),
            Some(Engine::Bounded(_)) | None => false,
        }
    }

    fn make(&mut self, regex: &str, whole: bool) -> Option<Arc<Engine>> {
        let own = self.regexes.iter().flat_map(|regexes| regexes.iter());
        if let Some((_, pattern)) = own.into_iter().find(|(asked, _)| asked.whole == whole && &*asked.regex == regex) {
            return pattern.ready().map_err(|message| self.trouble = Some(format!("was given up: {message}"))).ok();
        }
        if regex.len() > pattern::LONGEST {
            self.undecided(regex, "too long");
            return None;
        }
        if self.bytes > MOST_BYTES || self.ready.iter().map(HashMap::len).sum::<usize>() >= MOST_KEPT {
            (self.ready, self.bytes) = Default::default();
        }
        match Pattern::compile_in_filter(&Asked { regex: regex.into(), whole }, &Arc::new(Held::default())) {
            Ok(pattern) => {
                self.bytes += pattern.bytes();
                pattern.ready().ok()
            }
            Err(error) => {
                if error.compiled > 0 {
                    self.undecided(regex, "too large when compiled");
                }
                // What is no regex matches nothing (RFC 9535, 2.4.6).
                None
            }
        }
    }

    fn undecided(&mut self, regex: &str, why: &str) {
        self.trouble = Some(format!(
            "was given up: the regex {} that it takes from the reply is {why}; write the regex into the path",
            excerpt::quoted(regex)
        ));
    }
}

fn matches(arguments: VecDeque<JsonPathValue<'_>>, whole: bool) -> LogicalType {
    let mut values = arguments.into_iter().map(ValueType::try_from);
    let (Some(Ok(text)), Some(Ok(regex))) = (values.next(), values.next()) else { return LogicalType::False };
    match (text.as_value(), regex.as_value()) {
        (Some(Value::String(text)), Some(Value::String(regex))) => QUERY.with_borrow_mut(|query| query.matches(text, regex, whole)).into(),
        _ => LogicalType::False,
    }
}

fn matches_whole(arguments: VecDeque<JsonPathValue<'_>>) -> JsonPathValue<'_> {
    matches(arguments, true).into()
}

fn matches_part(arguments: VecDeque<JsonPathValue<'_>>) -> JsonPathValue<'_> {
    matches(arguments, false).into()
}

/// Two values, as the library asks for them; a regex among them that the path says by itself is remembered.
fn validate(name: &str, arguments: &[FunctionExprArg]) -> Result<(), FunctionValidationError> {
    let [_, regex] = arguments else {
        return Err(FunctionValidationError::NumberOfArgsMismatch { expected: 2, received: arguments.len() });
    };
    let expected = JsonPathType::Value;
    for (position, argument) in arguments.iter().enumerate() {
        let received = argument.as_type_kind()?;
        if !received.converts_to(expected) {
            return Err(FunctionValidationError::MismatchTypeKind { name: name.to_owned(), expected, received, position });
        }
    }
    if let FunctionExprArg::Literal(Literal::String(regex)) = regex {
        let asked = Asked { regex: regex.as_str().into(), whole: name == MATCH };
        READING.with_borrow_mut(|reading| reading.as_mut().map(|reading| reading.insert(asked)));
    }
    Ok(())
}

/// Whether a path, which can be read, compares numbers of the reply with each other, or with one as large as an integer that is kept rounded:
/// any other literal is unlike that integer or on the same side of it, rounded or not.
pub(super) fn is_by_digits(path: &str) -> bool {
    // Outside of quotes, which stay as empty texts.
    let (mut bare, mut quote, mut escaped) = (String::with_capacity(path.len()), None, false);
    for character in path.chars() {
        match quote {
            Some(_) if escaped => escaped = false,
            Some(_) if character == '\\' => escaped = true,
            Some(open) if open == character => {
                quote = None;
                bare.push('"');
            }
            Some(_) => {}
            None => {
                quote = matches!(character, '"' | '\'').then_some(character);
                bare.push(if quote.is_some() { '"' } else { character });
            }
        }
    }
    let is_break = |character: char| character.is_whitespace() || "()[]&|!=<>,?".contains(character);
    let is_harmless = |operand: &str| match operand {
        "\"\"" | "true" | "false" | "null" => true,
        number => number.parse::<f64>().is_ok_and(|number| number.abs() < HUGE),
    };
    let operators = bare.match_indices(['=', '<', '>']).map(|(at, _)| at);
    let mut sides = operators.map(|at| {
        let before = bare[..at].trim_end_matches(['=', '!', '<', '>']).trim_end().rsplit(is_break).next().unwrap_or_default();
        let behind = bare[at..].trim_start_matches(['=', '<', '>']).trim_start().split(is_break).next().unwrap_or_default();
        [before, behind]
    });
    sides.any(|sides| !sides.into_iter().any(is_harmless))
}

const MATCH: &str = "match";
const SEARCH: &str = "search";

static VALIDATE_MATCH: Validator = LazyLock::new(|| Box::new(|arguments: &[FunctionExprArg]| validate(MATCH, arguments)));
static VALIDATE_SEARCH: Validator = LazyLock::new(|| Box::new(|arguments: &[FunctionExprArg]| validate(SEARCH, arguments)));
static EVALUATE_MATCH: Evaluator = LazyLock::new(|| Box::new(matches_whole));
static EVALUATE_SEARCH: Evaluator = LazyLock::new(|| Box::new(matches_part));

inventory::submit! { Function::new(MATCH, FunctionArgType::Logical, &EVALUATE_MATCH, &VALIDATE_MATCH) }
inventory::submit! { Function::new(SEARCH, FunctionArgType::Logical, &EVALUATE_SEARCH, &VALIDATE_SEARCH) }
