//! Is the reply long and short enough?

use unicode_segmentation::UnicodeSegmentation;

use crate::assertion::{Finding, Subject, excerpt};
use crate::model::assertion::LengthBounds;
use crate::model::verdict::Failure;

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    Characters,
    Words,
    Lines,
    Sentences,
    Bytes,
}

impl Unit {
    fn name(self, count: u64) -> &'static str {
        let name = match self {
            Self::Characters => "characters",
            Self::Words => "words",
            Self::Lines => "lines",
            Self::Sentences => "sentences",
            Self::Bytes => "bytes",
        };
        if count == 1 { name.trim_end_matches('s') } else { name }
    }

    fn count(self, text: &str) -> u64 {
        match self {
            Self::Characters => excerpt::count(text.chars()),
            Self::Words => excerpt::count(text.unicode_words()),
            Self::Lines => excerpt::count(text.lines()),
            Self::Sentences => excerpt::count(text.unicode_sentences()),
            Self::Bytes => u64::try_from(text.len()).unwrap_or(u64::MAX),
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct Bound {
    unit: Unit,
    least: Option<u64>,
    most: Option<u64>,
}

impl Bound {
    fn admits(self, count: u64) -> bool {
        self.least.is_none_or(|least| count >= least) && self.most.is_none_or(|most| count <= most)
    }

    fn describe(self) -> String {
        let unit = |count| self.unit.name(count);
        match (self.least, self.most) {
            (Some(least), Some(most)) if least == most => format!("{} {}", excerpt::thousands(least), unit(least)),
            (Some(least), Some(most)) => format!("{} to {} {}", excerpt::thousands(least), excerpt::thousands(most), unit(most)),
            (Some(least), None) => format!("at least {} {}", excerpt::thousands(least), unit(least)),
            (None, Some(most)) => format!("at most {} {}", excerpt::thousands(most), unit(most)),
            (None, None) => String::new(),
        }
    }
}

/// `length`: every bound holds.
#[derive(Debug, Clone)]
pub(super) struct LengthCheck {
    bounds: Vec<Bound>,
}

impl LengthCheck {
    /// With only those bounds that say something: every text has at least nothing.
    pub(super) fn new(bounds: &LengthBounds) -> Self {
        let all = [
            (Unit::Characters, bounds.min_chars, bounds.max_chars),
            (Unit::Words, bounds.min_words, bounds.max_words),
            (Unit::Lines, bounds.min_lines, bounds.max_lines),
            (Unit::Sentences, bounds.min_sentences, bounds.max_sentences),
            (Unit::Bytes, bounds.min_bytes, bounds.max_bytes),
        ];
        let bounds = all.into_iter().map(|(unit, least, most)| Bound { unit, least: least.filter(|&least| least > 0), most });
        Self { bounds: bounds.filter(|bound| bound.least.is_some() || bound.most.is_some()).collect() }
    }

    /// `Some` where every reply (true) or no reply (false) passes.
    pub(super) fn constant(&self) -> Option<bool> {
        let empty = |bound: &Bound| bound.least.zip(bound.most).is_some_and(|(least, most)| least > most);
        if self.bounds.is_empty() { Some(true) } else { self.bounds.iter().any(empty).then_some(false) }
    }

    pub(super) fn find(&self, subject: &Subject<'_>) -> Finding {
        Finding::of(self.bounds.iter().all(|bound| bound.admits(bound.unit.count(subject.text()))))
    }

    pub(super) fn failure(&self, subject: &Subject<'_>, negated: bool) -> Failure {
        let mut got = Vec::new();
        for bound in &self.bounds {
            let count = bound.unit.count(subject.text());
            if negated || !bound.admits(count) {
                got.push(format!("{} {}", excerpt::thousands(count), bound.unit.name(count)));
            }
        }
        let expected = self.bounds.iter().map(|bound| bound.describe()).collect::<Vec<_>>().join(", ");
        Failure {
            expected: if negated { format!("any length but {expected}") } else { expected },
            got: format!("{}: {}", got.join(", "), excerpt::opening(subject.text())),
            diff: None,
        }
    }
}

/// `max_output_tokens`: by the API's own count, thinking included.
#[derive(Debug, Clone, Copy)]
pub(super) struct OutputTokens(pub(super) u64);

impl OutputTokens {
    pub(super) fn find(self, subject: &Subject<'_>) -> Finding {
        Finding::of(subject.reply.usage.output_tokens <= self.0)
    }

    pub(super) fn failure(self, subject: &Subject<'_>, negated: bool) -> Failure {
        let bound = if negated { "more than" } else { "at most" };
        let usage = &subject.reply.usage;
        let thinking = match usage.thinking_tokens {
            0 => String::new(),
            tokens => format!(", {} of them thinking", excerpt::thousands(tokens)),
        };
        Failure {
            expected: format!("{bound} {} output tokens", excerpt::thousands(self.0)),
            got: format!("{} output tokens{thinking}", excerpt::thousands(usage.output_tokens)),
            diff: None,
        }
    }
}
