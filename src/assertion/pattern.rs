//! Does a regular expression match? In linear time where that is possible, else within a bound.

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::assertion::compile::CompileError;
use crate::assertion::{Finding, Subject, deadline, excerpt};
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

/// Bytes of a compiled pattern.
const SIZE_LIMIT: usize = 10 << 20;

/// A compiled pattern.
#[derive(Debug)]
pub(super) enum Pattern {
    /// The `regex` crate: linear in the text.
    Linear(regex::Regex),
    /// `fancy-regex`: look-around and back-references, with a limit.
    Bounded(Box<Bounded>),
}

/// A pattern that may step back.
#[derive(Debug)]
pub(super) struct Bounded {
    /// With [`BACKTRACK_LIMIT`].
    short: fancy_regex::Regex,
    /// The same for texts of up to this many bytes, with as many steps as [`MOST_WORK`] leaves; made when first needed.
    longer: [(usize, OnceLock<fancy_regex::Regex>); 3],
    /// Whether a single step may read any length of text.
    repeats: bool,
    /// What trying it on a longer text may take.
    longest: Duration,
    /// Bytes of the shortest text on which its time passed: nested look-around reads without stepping back, so that no count of steps
    /// bounds it, and one that was given up is not tried on as much again.
    too_slow: AtomicUsize,
}

impl Bounded {
    fn new(short: fancy_regex::Regex, longest: Duration) -> Self {
        let repeats = repeats(short.as_str());
        let longer = [LONGEST_TEXT / 16, LONGEST_TEXT / 4, LONGEST_TEXT].map(|length| (length, OnceLock::new()));
        Self { short, longer, repeats, longest, too_slow: AtomicUsize::new(usize::MAX) }
    }

    fn find(&self, text: &str) -> Result<Option<Range<usize>>, String> {
        self.within(text, |regex, text| regex.find(text).map(|found| found.map(|found| found.range())))
    }

    fn is_match(&self, text: &str) -> Result<bool, String> {
        self.within(text, fancy_regex::Regex::is_match)
    }

    fn within<T: Send + 'static>(
        &self,
        text: &str,
        search: fn(&fancy_regex::Regex, &str) -> Result<T, fancy_regex::Error>,
    ) -> Result<T, String> {
        let (regex, limit) = self.for_length(text.len())?;
        let too_many = |_| gave_up(regex.as_str(), limit);
        if text.len() <= SHORT_TEXT {
            return search(regex, text).map_err(too_many);
        }
        if text.len() < self.too_slow.load(Ordering::Relaxed) {
            let (regex, text) = (regex.clone(), text.to_owned());
            let length = text.len();
            if let Some(found) = deadline::within(self.longest, move || search(&regex, &text)) {
                return found.map_err(too_many);
            }
            self.too_slow.fetch_min(length, Ordering::Relaxed);
        }
        Err(format!(
            "the regex {} was given up after {} seconds; write it without look-around or back-references, which makes it linear",
            excerpt::quoted(regex.as_str()),
            self.longest.as_secs()
        ))
    }

    fn for_length(&self, length: usize) -> Result<(&fancy_regex::Regex, usize), String> {
        if !self.repeats || length <= MOST_WORK / BACKTRACK_LIMIT {
            return Ok((&self.short, BACKTRACK_LIMIT));
        }
        let Some((bound, regex)) = self.longer.iter().find(|(bound, _)| length <= *bound) else {
            return Err(format!(
                "the text of {length} bytes is too long for the regex {} with look-around or back-references, which may read {LONGEST_TEXT}; \
                 a pattern without them runs in linear time",
                excerpt::quoted(self.short.as_str())
            ));
        };
        let limit = MOST_WORK / bound;
        Ok((regex.get_or_init(|| build(self.short.as_str(), limit).unwrap_or_else(|_| self.short.clone())), limit))
    }
}

fn build(pattern: &str, limit: usize) -> Result<fancy_regex::Regex, fancy_regex::Error> {
    fancy_regex::RegexBuilder::new(pattern).backtrack_limit(limit).delegate_size_limit(SIZE_LIMIT).build()
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
    pub(super) fn compile(pattern: &str) -> Result<Self, CompileError> {
        Self::compile_for(pattern, deadline::LONGEST)
    }

    /// The same, where trying it on one reply may take `longest`.
    ///
    /// # Errors
    /// The same.
    pub(super) fn compile_for(pattern: &str, longest: Duration) -> Result<Self, CompileError> {
        let error = match regex::RegexBuilder::new(pattern).size_limit(SIZE_LIMIT).build() {
            Ok(regex) => return Ok(Self::Linear(regex)),
            Err(error) => error,
        };
        if let regex::Error::CompiledTooBig(_) = error {
            return Err(CompileError::new(format!("the regex {} is too large when compiled", excerpt::quoted(pattern)))
                .hint("make counted repetitions such as `{1,1000}` smaller"));
        }
        build(pattern, BACKTRACK_LIMIT).map(|regex| Self::Bounded(Box::new(Bounded::new(regex, longest)))).map_err(|fancy| {
            let linear = error.to_string();
            // The regex crate draws the pattern with a caret and names the cause in the last line.
            let cause = linear.lines().rev().find_map(|line| line.strip_prefix("error: ")).unwrap_or(&linear).to_owned();
            let needs_fancy = cause.contains("look-around") || cause.contains("backreferences");
            let cause = if needs_fancy { fancy.to_string() } else { cause };
            CompileError::new(format!("invalid regex {}: {}", excerpt::quoted(pattern), excerpt::clipped(&cause, 300)))
                .hint("the syntax is that of Rust's `regex` crate, with look-around; in YAML single quotes keep backslashes as they are")
        })
    }

    /// # Errors
    /// Where the pattern took too many steps, or would.
    pub(super) fn find(&self, text: &str) -> Result<Option<Range<usize>>, String> {
        match self {
            Self::Linear(regex) => Ok(regex.find(text).map(|found| found.range())),
            Self::Bounded(regex) => regex.find(text),
        }
    }

    /// # Errors
    /// Where the pattern took too many steps, or would.
    pub(super) fn is_match(&self, text: &str) -> Result<bool, String> {
        match self {
            Self::Linear(regex) => Ok(regex.is_match(text)),
            Self::Bounded(regex) => regex.is_match(text),
        }
    }

    /// Whether it matches every text: it matches nothing at all, wherever it stands.
    ///
    /// An empty match depends only on what stands directly beside it, so it is tried between every kind of neighbours; and at the
    /// beginning and at the end, which every text has. With look-around only one thing is known: alone around such a pattern, as in
    /// `(?=)`, it cannot fail either.
    pub(super) fn matches_everything(&self) -> bool {
        let regex = match self {
            Self::Linear(regex) => regex,
            Self::Bounded(bounded) => return is_empty_look(bounded.short.as_str()),
        };
        if !regex.is_match("") {
            return false;
        }
        let everywhere = |contexts: &[(&str, &str)]| {
            contexts.iter().all(|(before, after)| {
                let quote = |text: &str| regex::escape(text);
                // On its own line, so that a comment at the end of a verbose pattern does not swallow the parenthesis.
                let wrapped = format!("\\A{}(?:{}\n){}\\z", quote(before), regex.as_str(), quote(after));
                let plain = format!("\\A{}(?:{}){}\\z", quote(before), regex.as_str(), quote(after));
                let text = format!("{before}{after}");
                [plain, wrapped].iter().any(|pattern| regex::Regex::new(pattern).is_ok_and(|regex| regex.is_match(&text)))
            })
        };
        everywhere(&[("x", "y"), ("!", "!"), ("x", "!"), ("!", "x"), ("\n", "\n"), ("\r", "x")])
            || everywhere(&[("", ""), ("", "x"), ("", "!"), ("", "\n"), ("", "\r")])
            || everywhere(&[("", ""), ("x", ""), ("!", ""), ("\n", ""), ("\r", "")])
    }
}

/// `(?=)` and `(?<=)`, alone: what they look for is always there.
fn is_empty_look(pattern: &str) -> bool {
    let body = pattern.strip_prefix("(?=").or_else(|| pattern.strip_prefix("(?<=")).and_then(|rest| rest.strip_suffix(')'));
    let whole =
        |body: &str| regex::Regex::new(body).is_ok_and(|regex| regex.captures_len() == 1 && Pattern::Linear(regex).matches_everything());
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
