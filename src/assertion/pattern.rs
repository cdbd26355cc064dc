//! Does a regular expression match? In linear time where that is possible, else within a bound.

use std::ops::Range;
use std::sync::Arc;

use crate::assertion::compile::CompileError;
use crate::assertion::{Finding, Subject, excerpt};
use crate::model::verdict::Failure;

/// Steps back that a pattern with look-around or back-references may take; past it there is no verdict.
const BACKTRACK_LIMIT: usize = 1_000_000;

/// Bytes of a compiled pattern.
const SIZE_LIMIT: usize = 10 << 20;

/// A compiled pattern.
#[derive(Debug)]
pub(super) enum Pattern {
    /// The `regex` crate: linear in the text.
    Linear(regex::Regex),
    /// `fancy-regex`: look-around and back-references, with a limit.
    Bounded(fancy_regex::Regex),
}

impl Pattern {
    /// # Errors
    /// Where it is no regular expression, or too large.
    pub(super) fn compile(pattern: &str) -> Result<Self, CompileError> {
        let error = match regex::RegexBuilder::new(pattern).size_limit(SIZE_LIMIT).build() {
            Ok(regex) => return Ok(Self::Linear(regex)),
            Err(error) => error,
        };
        if let regex::Error::CompiledTooBig(_) = error {
            return Err(CompileError::new(format!("the regex {} is too large when compiled", excerpt::quoted(pattern)))
                .hint("make counted repetitions such as `{1,1000}` smaller"));
        }
        let fancy = fancy_regex::RegexBuilder::new(pattern).backtrack_limit(BACKTRACK_LIMIT).delegate_size_limit(SIZE_LIMIT).build();
        fancy.map(Self::Bounded).map_err(|fancy| {
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
    /// Where the pattern took too many steps.
    pub(super) fn find(&self, text: &str) -> Result<Option<Range<usize>>, String> {
        match self {
            Self::Linear(regex) => Ok(regex.find(text).map(|found| found.range())),
            Self::Bounded(regex) => regex.find(text).map(|found| found.map(|found| found.range())).map_err(|_| gave_up(regex.as_str())),
        }
    }

    /// # Errors
    /// Where the pattern took too many steps.
    pub(super) fn is_match(&self, text: &str) -> Result<bool, String> {
        match self {
            Self::Linear(regex) => Ok(regex.is_match(text)),
            Self::Bounded(regex) => regex.is_match(text).map_err(|_| gave_up(regex.as_str())),
        }
    }

    /// Whether it matches every text: it matches nothing at all, wherever it stands.
    ///
    /// An empty match depends only on what stands directly beside it, so it is tried between every kind of neighbours; and at the
    /// beginning and at the end, which every text has. With look-around nothing is known.
    pub(super) fn matches_everything(&self) -> bool {
        let Self::Linear(regex) = self else { return false };
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

fn gave_up(pattern: &str) -> String {
    format!(
        "the regex {} was given up after {BACKTRACK_LIMIT} steps back; write it without look-around or back-references, \
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
