//! Does a regular expression match? In linear time where that is possible, else within a bound.

use std::ops::Range;
use std::sync::Arc;

use regex_automata::meta::{BuildError, Builder, Config, Regex};
use regex_automata::util::syntax;
use regex_automata::{Anchored, Input};

use crate::assertion::compile::CompileError;
use crate::assertion::deadline::{Allowed, Bound};
use crate::assertion::filter::Asked;
use crate::assertion::held::{Engine, Held};
use crate::assertion::{Finding, Subject, excerpt};
use crate::model::verdict::Failure;

/// Steps back that a pattern with look-around or back-references may take; past it there is no verdict.
const BACKTRACK_LIMIT: usize = 1_000_000;

/// Bytes of the longest text that such a pattern is tried on where one step may read all of it: a search takes at least a step for
/// each place where a match could begin, so that its time grows with the square of the length.
pub(super) const LONGEST_TEXT: usize = 1 << 15;

/// Steps back times bytes of text, where one step may read the whole text: a second or two.
const MOST_WORK: usize = 1 << 31;

/// Bytes of a text on which such a pattern is tried without a deadline: whatever it is, it takes a moment.
const SHORT_TEXT: usize = 512;

/// Bytes of a compiled pattern in one direction, of each part of it where it looks around.
const SIZE_LIMIT: usize = 10 << 20;

/// Bytes of the longest pattern as it is written. Reading it takes some thousand times as many before the size of what it compiles to is
/// known: a list of some thousand words has its place, and no pattern takes gigabytes.
pub(super) const LONGEST: usize = 64 << 10;

/// Bytes of one that is too large, up to where that is known.
pub(super) const TOO_LARGE: usize = 2 * SIZE_LIMIT;

/// Bytes of the table that a search may fill.
const SEARCH_TABLE: usize = 2 << 20;

/// Bytes of a compiled pattern with look-around as a whole.
const WHOLE_LIMIT: usize = 10 * SIZE_LIMIT;

/// Bytes that a pattern with look-around is tried in first, and then in twice as many each time: nothing says how much one takes.
const SMALLEST: usize = 4 << 10;

/// A pattern that is one. It is compiled again when it is needed and was not held.
#[derive(Debug)]
pub(super) struct Pattern {
    text: Box<str>,
    number: u64,
    /// Bytes that it takes, forwards and backwards; where it looks around, bytes in which each part compiles.
    size: usize,
    held: Arc<Held>,
    everything: bool,
    /// Look-around and back-references: what bounds them. Without them it is linear in the text.
    bounded: Option<Bounded>,
}

/// What bounds a pattern that may step back.
#[derive(Debug)]
struct Bounded {
    /// Whether a single step may read any length of text.
    repeats: bool,
    /// What trying it on a longer text may take: nested look-around reads without stepping back, so that no count of steps bounds it.
    bound: Bound,
}

impl Bounded {
    fn new(pattern: &str, allowed: Allowed) -> Self {
        Self { repeats: repeats(pattern), bound: Bound::new(allowed) }
    }

    /// The steps back that it may take on a text of this length: as many as [`MOST_WORK`] leaves.
    fn limit(&self, pattern: &str, length: usize) -> Result<usize, String> {
        if !self.repeats || length <= MOST_WORK / BACKTRACK_LIMIT {
            return Ok(BACKTRACK_LIMIT);
        }
        let bounds = [LONGEST_TEXT / 16, LONGEST_TEXT / 4, LONGEST_TEXT];
        bounds.into_iter().find(|bound| length <= *bound).map(|bound| MOST_WORK / bound).ok_or_else(|| {
            format!(
                "the text of {length} bytes is too long for the regex {} with look-around or back-references, which may read {LONGEST_TEXT}; \
                 a pattern without them runs in linear time",
                excerpt::quoted(pattern)
            )
        })
    }
}

/// # Errors
/// Where a pattern is too long to be read at all.
pub(super) fn of_bearable_length(pattern: &str) -> Result<(), CompileError> {
    if pattern.len() <= LONGEST {
        return Ok(());
    }
    let (quoted, bytes) = (excerpt::quoted(pattern), pattern.len());
    Err(CompileError::new(format!("the regex {quoted} has {bytes} bytes: {LONGEST} are the most"))
        .hint("use several assertions, or `contains_any` with a list"))
}

fn too_large(pattern: &str) -> CompileError {
    CompileError::new(format!("the regex {} is too large when compiled", excerpt::quoted(pattern)))
        .hint("make counted repetitions such as `{1,1000}` smaller")
        .compiled(TOO_LARGE)
}

fn invalid(pattern: &str, cause: &str) -> CompileError {
    CompileError::new(format!("invalid regex {}: {}", excerpt::quoted(pattern), excerpt::clipped(cause, 300)))
}

/// The regex crate draws the pattern with a caret and names the cause in the last line.
fn cause(error: &str) -> String {
    error.lines().rev().find_map(|line| line.strip_prefix("error: ")).unwrap_or(error).to_owned()
}

#[cfg(test)]
thread_local! {
    /// How many regexes this thread has compiled.
    pub(super) static COMPILED: std::cell::Cell<u32> = const { std::cell::Cell::new(0) };
}

/// As the `regex` crate compiles it.
fn linear(pattern: &str) -> Result<Regex, Box<BuildError>> {
    #[cfg(test)]
    COMPILED.set(COMPILED.get() + 1);
    let bounds = Config::new().nfa_size_limit(Some(SIZE_LIMIT)).hybrid_cache_capacity(SEARCH_TABLE).utf8_empty(true);
    Builder::new().configure(bounds).syntax(syntax::Config::new().utf8(true)).build(pattern).map_err(Box::new)
}

fn bounded(pattern: &str, limit: usize, size: usize) -> Result<Engine, fancy_regex::Error> {
    fancy_regex::RegexBuilder::new(pattern).backtrack_limit(limit).delegate_size_limit(size).build().map(Engine::Bounded)
}

/// The parts of a pattern with look-around of which each is compiled on its own, at the most.
fn parts(pattern: &str) -> usize {
    1 + pattern.bytes().filter(|byte| matches!(byte, b'(' | b')' | b'|' | b'\\')).count()
}

/// Whether a repetition without an upper bound may stand in a pattern; one in a class or a comment counts too.
fn repeats(pattern: &str) -> bool {
    // Absent operators and calls of groups read any length too.
    if ["(?~", "\\g", "(?R", "(?0"].iter().any(|mark| pattern.contains(mark)) {
        return true;
    }
    let mut escaped = false;
    pattern.char_indices().any(|(at, character)| {
        let plain = !escaped;
        escaped = plain && character == '\\';
        plain
            && (matches!(character, '*' | '+')
                || character == '{' && pattern[at..].split('}').next().is_some_and(|range| range.ends_with(',')))
    })
}

impl Pattern {
    /// # Errors
    /// Where it is no regular expression, or too large.
    pub(super) fn compile(pattern: &str, held: &Arc<Held>) -> Result<Self, CompileError> {
        Self::compile_for(pattern, held, Allowed::default())
    }

    /// The same, where trying it on one reply may take what is `allowed`.
    ///
    /// # Errors
    /// Where it is no regular expression, or too large.
    pub(super) fn compile_for(pattern: &str, held: &Arc<Held>, allowed: impl Into<Allowed>) -> Result<Self, CompileError> {
        of_bearable_length(pattern)?;
        let too_large = || too_large(pattern);
        let made = |engine: Engine, size, everything, bounded| Self::made(pattern.into(), (engine, size), everything, bounded, held);
        let error = match linear(pattern) {
            Ok(regex) => {
                let (size, everything) = (regex.memory_usage(), matches_everything(&regex));
                return Ok(made(Engine::Linear(regex), size, everything, None));
            }
            Err(error) => error,
        };
        if error.size_limit().is_some() {
            return Err(too_large());
        }
        let limit = SIZE_LIMIT.min(WHOLE_LIMIT / parts(pattern));
        match smallest(limit, |size| bounded(pattern, BACKTRACK_LIMIT, size), is_size) {
            Ok((engine, size)) => Ok(made(engine, size, is_empty_look(pattern), Some(Bounded::new(pattern, allowed.into())))),
            Err(fancy) if is_size(&fancy) => Err(too_large()),
            Err(fancy) => {
                let cause = cause(&error.syntax_error().map_or_else(|| error.to_string(), ToString::to_string));
                let needs_fancy = cause.contains("look-around") || cause.contains("backreferences");
                let cause = if needs_fancy { fancy.to_string() } else { cause };
                Err(invalid(pattern, &cause).hint(
                    "the syntax is that of Rust's `regex` crate, with look-around; in YAML single quotes keep backslashes as they are",
                ))
            }
        }
    }

    /// One that a filter of a JSONPath asks for: without look-around, so that it is linear in the text.
    ///
    /// # Errors
    /// Where it is no such regular expression, or too large.
    pub(super) fn compile_in_filter(asked: &Asked, held: &Arc<Held>) -> Result<Self, CompileError> {
        of_bearable_length(&asked.regex)?;
        let hint = "in a filter the syntax is that of Rust's `regex` crate, without look-around and back-references; a backslash is \
                    written twice, as the path's quotes take one away";
        // By itself, too: `a)|(b` is one only between parentheses.
        syntax::parse(&asked.regex).map_err(|error| invalid(&asked.regex, &cause(&error.to_string())).hint(hint))?;
        let written = asked.written();
        match linear(&written) {
            Ok(regex) => {
                let size = regex.memory_usage();
                Ok(Self::made(written.into(), (Engine::Linear(regex), size), false, None, held))
            }
            Err(error) if error.size_limit().is_some() => Err(too_large(&asked.regex)),
            Err(error) => {
                let said = error.syntax_error().map_or_else(|| error.to_string(), ToString::to_string);
                Err(invalid(&asked.regex, &cause(&said)).hint(hint))
            }
        }
    }

    fn made(text: Box<str>, (engine, size): (Engine, usize), everything: bool, bounded: Option<Bounded>, held: &Arc<Held>) -> Self {
        let number = held.number();
        let made = Self { text, number, size, held: Arc::clone(held), everything, bounded };
        held.hold((number, BACKTRACK_LIMIT), made.bytes(), engine);
        made
    }

    /// In the form in which it searches, for as long as it is needed.
    ///
    /// # Errors
    /// Where it could not be compiled again.
    pub(super) fn ready(&self) -> Result<Arc<Engine>, String> {
        self.engine(BACKTRACK_LIMIT)
    }

    /// The bytes that it takes: forwards and backwards.
    pub(super) fn bytes(&self) -> usize {
        if self.bounded.is_some() { 2 * self.size * parts(&self.text) } else { self.size }
    }

    fn engine(&self, limit: usize) -> Result<Arc<Engine>, String> {
        let compile = || match &self.bounded {
            None => linear(&self.text).map(Engine::Linear).map_err(|error| error.to_string()),
            Some(_) => bounded(&self.text, limit, self.size).map_err(|error| error.to_string()),
        };
        self.held.engine((self.number, limit), self.bytes(), compile)
    }

    /// # Errors
    /// Where the pattern took too many steps, or would.
    pub(super) fn find(&self, text: &str) -> Result<Option<Range<usize>>, String> {
        self.search(
            text,
            |regex, text| regex.find(text).map(|found| found.range()),
            |regex, text| regex.find(text).map(|found| found.map(|found| found.range())),
        )
    }

    /// # Errors
    /// Where the pattern took too many steps, or would.
    pub(super) fn is_match(&self, text: &str) -> Result<bool, String> {
        self.search(text, |regex, text| regex.is_match(text), fancy_regex::Regex::is_match)
    }

    fn search<T: Send + 'static>(
        &self,
        text: &str,
        linear: fn(&Regex, &str) -> T,
        stepping: fn(&fancy_regex::Regex, &str) -> Result<T, fancy_regex::Error>,
    ) -> Result<T, String> {
        let limit = self.bounded.as_ref().map_or(Ok(BACKTRACK_LIMIT), |bounded| bounded.limit(&self.text, text.len()))?;
        let engine = self.engine(limit)?;
        let search = move |engine: &Engine, text: &str| match engine {
            Engine::Linear(regex) => Ok(linear(regex, text)),
            Engine::Bounded(regex) => stepping(regex, text),
        };
        let too_many = |_| gave_up(&self.text, limit);
        let Some(bounded) = self.bounded.as_ref().filter(|_| text.len() > SHORT_TEXT) else {
            return search(&engine, text).map_err(too_many);
        };
        let text = text.to_owned();
        let found = bounded.bound.within(text.len(), move || search(&engine, &text));
        let found = found.map_err(|gave_up| {
            let regex = excerpt::quoted(&self.text);
            format!("the regex {regex} {}", gave_up.advising("write it without look-around or back-references, which makes it linear"))
        });
        found?.map_err(too_many)
    }

    /// Whether it matches every text.
    pub(super) const fn matches_everything(&self) -> bool {
        self.everything
    }
}

impl Drop for Pattern {
    fn drop(&mut self) {
        self.held.forget(self.number);
    }
}

/// What compiles, and in how many bytes, up to `limit`.
fn smallest<E>(
    limit: usize,
    mut compile: impl FnMut(usize) -> Result<Engine, E>,
    is_size: impl Fn(&E) -> bool,
) -> Result<(Engine, usize), E> {
    let mut size = SMALLEST.min(limit);
    loop {
        match compile(size) {
            Err(error) if is_size(&error) && size < limit => size = (size * 2).min(limit),
            made => return made.map(|engine| (engine, size)),
        }
    }
}

fn is_size(error: &fancy_regex::Error) -> bool {
    let fancy_regex::Error::CompileError(error) = error else { return false };
    matches!(&**error, fancy_regex::CompileError::InnerError(error) if error.size_limit().is_some())
}

/// Whether it matches every text: it matches nothing at all, wherever it stands.
///
/// An empty match depends only on what stands directly beside it, so it is tried between every kind of neighbours; and at the
/// beginning and at the end, which every text has. With look-around only one thing is known: alone around such a pattern, as in
/// `(?=)`, it cannot fail either.
fn matches_everything(regex: &Regex) -> bool {
    if !regex.is_match("") {
        return false;
    }
    let everywhere = |contexts: &[(&str, &str)]| {
        contexts.iter().all(|(before, after)| {
            let text = format!("{before}{after}");
            // What stands beside the empty range is looked at all the same.
            regex.is_match(Input::new(&text).range(before.len()..before.len()).anchored(Anchored::Yes))
        })
    };
    everywhere(&[("x", "y"), ("!", "!"), ("x", "!"), ("!", "x"), ("\n", "\n"), ("\r", "x")])
        || everywhere(&[("", ""), ("", "x"), ("", "!"), ("", "\n"), ("", "\r")])
        || everywhere(&[("", ""), ("x", ""), ("!", ""), ("\n", ""), ("\r", "")])
}

/// `(?=)` and `(?<=)`, alone: what they look for is always there.
fn is_empty_look(pattern: &str) -> bool {
    let body = pattern.strip_prefix("(?=").or_else(|| pattern.strip_prefix("(?<=")).and_then(|rest| rest.strip_suffix(')'));
    let whole = |body: &str| linear(body).is_ok_and(|regex| regex.captures_len() == 1 && matches_everything(&regex));
    body.is_some_and(whole)
}

fn gave_up(pattern: &str, limit: usize) -> String {
    format!(
        "the regex {} was given up after {limit} steps back; write it without look-around or back-references, \
         which makes it linear, or without nested repetition",
        excerpt::quoted(pattern)
    )
}

/// `regex`: a match somewhere in the reply.
#[derive(Debug, Clone)]
pub(super) struct RegexCheck {
    pub(super) pattern: Arc<Pattern>,
    pub(super) shown: Arc<str>,
}

impl RegexCheck {
    pub(super) fn find(&self, subject: &Subject<'_>) -> Finding {
        match self.pattern.is_match(subject.text()) {
            Ok(matches) => Finding::of(matches),
            Err(message) => Finding::Unknown(message),
        }
    }

    pub(super) fn failure(&self, subject: &Subject<'_>, negated: bool) -> Failure {
        let found = self.pattern.find(subject.text()).ok().flatten();
        Failure {
            expected: format!("{} match for the regex {}", if negated { "no" } else { "a" }, excerpt::quoted(&self.shown)),
            got: match found {
                Some(range) => format!("a match: {}", excerpt::around(subject.text(), range)),
                None => excerpt::opening(subject.text()),
            },
            diff: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_that_is_not_held_any_more_searches_as_before() {
        const MOST: usize = 40 << 20;
        let held = Arc::new(Held::up_to(MOST));
        let patterns: Vec<Pattern> = (20..28)
            .map(|times| (times, if times % 2 == 0 { format!(r"^\w{{{times}}}$") } else { format!(r"^\w{{{times}}}(?!.)") }))
            .map(|(_, pattern)| Pattern::compile(&pattern, &held).unwrap())
            .collect();
        assert!(patterns.iter().map(Pattern::bytes).sum::<usize>() > MOST, "not all are held");
        assert!(patterns.iter().all(|pattern| pattern.bytes() > 1 << 20), "each is large");
        assert!(held.bytes() <= MOST, "{} bytes are held", held.bytes());
        for _ in 0..2 {
            for (times, pattern) in (20..28).zip(&patterns) {
                assert_eq!(pattern.is_match(&"ä".repeat(times)), Ok(true), "{times}");
                assert_eq!(pattern.find(&"ä".repeat(times + 1)), Ok(None), "{times}");
                assert!(held.bytes() <= MOST, "{} bytes are held", held.bytes());
            }
        }
        drop(patterns);
        assert_eq!(held.bytes(), 0);
    }

    #[test]
    fn an_ordinary_pattern_is_small_and_all_parts_of_one_together_are_bounded() {
        for pattern in [r"^[A-Z]{2}-\d{4}$", r"(?i)\b(yes|no|maybe)\b", r"^(?=.*\d)(?!.*\s).{8,64}$"] {
            assert!(Pattern::compile(pattern, &Arc::default()).unwrap().bytes() <= 2 << 20, "{pattern}");
        }
        let looking: String = (60..90).map(|times| format!(r"(?=.*\w{{{times}}}z)")).collect();
        let error = Pattern::compile(&looking, &Arc::default()).unwrap_err();
        assert!(error.message.ends_with("is too large when compiled"), "{error}");
    }
}
