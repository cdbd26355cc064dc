//! Does the reply equal, contain, begin or end with a text?

use std::ops::Range;
use std::sync::Arc;

use crate::assertion::subject::{fold, unfold};
use crate::assertion::{Finding, Subject, excerpt};
use crate::diff::text_diff;
use crate::model::verdict::{Diff, Failure};

/// An expected text.
#[derive(Debug, Clone)]
pub(super) struct Text {
    shown: Arc<str>,
    /// Without upper and lower case, where they do not matter.
    folded: Option<Arc<str>>,
}

impl Text {
    pub(super) fn new(text: Arc<str>, ignore_case: bool) -> Self {
        let folded = ignore_case.then(|| Arc::from(fold(&text)));
        Self { shown: text, folded }
    }

    /// What is compared: this text and the reply's.
    fn pair<'a>(&'a self, subject: &'a Subject<'_>) -> (&'a str, &'a str) {
        match &self.folded {
            Some(folded) => (folded, subject.folded()),
            None => (&self.shown, subject.text()),
        }
    }

    fn is_all_of(&self, subject: &Subject<'_>) -> bool {
        let (text, reply) = self.pair(subject);
        text.trim() == reply.trim()
    }

    fn is_in(&self, subject: &Subject<'_>) -> bool {
        let (text, reply) = self.pair(subject);
        reply.contains(text)
    }

    /// Where it stands in the reply's own text.
    fn place(&self, subject: &Subject<'_>) -> Option<Range<usize>> {
        let (text, reply) = self.pair(subject);
        let start = reply.find(text)?;
        let range = start..start + text.len();
        Some(match self.folded {
            Some(_) => unfold(subject.text(), range.start)..unfold(subject.text(), range.end),
            None => range,
        })
    }

    /// Where it stands in the reply if upper and lower case did not matter.
    fn place_in_other_case(&self, subject: &Subject<'_>) -> Option<Range<usize>> {
        let insensitive = Self::new(Arc::clone(&self.shown), true);
        if self.folded.is_some() { None } else { insensitive.place(subject) }
    }
}

/// One of the text assertions.
#[derive(Debug, Clone)]
pub(super) enum TextCheck {
    Equals(Text),
    Contains(Text),
    ContainsAny(Arc<[Text]>),
    ContainsAll(Arc<[Text]>),
    StartsWith(Text),
    EndsWith(Text),
    OneOf(Arc<[Text]>),
}

impl TextCheck {
    /// `Some` where every reply (true) or no reply (false) passes.
    pub(super) fn constant(&self) -> Option<bool> {
        let is_empty = |text: &Text| text.shown.is_empty();
        match self {
            Self::Equals(_) => None,
            Self::Contains(text) => is_empty(text).then_some(true),
            Self::StartsWith(text) | Self::EndsWith(text) => text.shown.trim().is_empty().then_some(true),
            Self::ContainsAny(texts) if texts.is_empty() => Some(false),
            Self::ContainsAny(texts) => texts.iter().any(is_empty).then_some(true),
            Self::ContainsAll(texts) => texts.iter().all(is_empty).then_some(true),
            Self::OneOf(texts) => texts.is_empty().then_some(false),
        }
    }

    pub(super) fn find(&self, subject: &Subject<'_>) -> Finding {
        Finding::of(match self {
            Self::Equals(text) => text.is_all_of(subject),
            Self::Contains(text) => text.is_in(subject),
            Self::ContainsAny(texts) => texts.iter().any(|text| text.is_in(subject)),
            Self::ContainsAll(texts) => texts.iter().all(|text| text.is_in(subject)),
            Self::StartsWith(text) => {
                let (text, reply) = text.pair(subject);
                reply.trim_start().starts_with(text.trim_start())
            }
            Self::EndsWith(text) => {
                let (text, reply) = text.pair(subject);
                reply.trim_end().ends_with(text.trim_end())
            }
            Self::OneOf(texts) => texts.iter().any(|text| text.is_all_of(subject)),
        })
    }

    pub(super) fn failure(&self, subject: &Subject<'_>, negated: bool) -> Failure {
        let shown = |texts: &[Text]| excerpt::list(texts.iter().map(|text| text.shown.as_ref()));
        let quoted = |text: &Text| excerpt::quoted(&text.shown);
        let expected = match (self, negated) {
            (Self::Equals(text), false) => format!("the text {}", quoted(text)),
            (Self::Equals(text), true) => format!("any text but {}", quoted(text)),
            (Self::Contains(text), false) => format!("a text that contains {}", quoted(text)),
            (Self::Contains(text), true) => format!("a text without {}", quoted(text)),
            (Self::ContainsAny(texts), false) => format!("a text that contains at least one of {}", shown(texts)),
            (Self::ContainsAny(texts), true) => format!("a text without any of {}", shown(texts)),
            (Self::ContainsAll(texts), false) => format!("a text that contains all of {}", shown(texts)),
            (Self::ContainsAll(texts), true) => format!("a text that lacks at least one of {}", shown(texts)),
            (Self::StartsWith(text), false) => format!("a text that begins with {}", quoted(text)),
            (Self::StartsWith(text), true) => format!("a text that does not begin with {}", quoted(text)),
            (Self::EndsWith(text), false) => format!("a text that ends with {}", quoted(text)),
            (Self::EndsWith(text), true) => format!("a text that does not end with {}", quoted(text)),
            (Self::OneOf(texts), false) => format!("one of {}", shown(texts)),
            (Self::OneOf(texts), true) => format!("none of {}", shown(texts)),
        };
        let diff = match self {
            Self::Equals(text) if !negated => {
                Some(Diff::Text(text_diff(text.shown.trim(), subject.text().trim()))).filter(|_| worth_a_diff(&text.shown, subject.text()))
            }
            _ => None,
        };
        Failure { expected: with_case(expected, self.ignores_case()), got: self.got(subject), diff }
    }

    fn got(&self, subject: &Subject<'_>) -> String {
        let reply = subject.text();
        match self {
            Self::Contains(text) => match (text.place(subject), text.place_in_other_case(subject)) {
                (Some(place), _) => excerpt::around(reply, place),
                (None, Some(place)) => format!("{}, which differs in upper and lower case", excerpt::around(reply, place)),
                (None, None) => excerpt::opening(reply),
            },
            Self::ContainsAny(texts) => texts
                .iter()
                .find_map(|text| text.place(subject))
                .map_or_else(|| excerpt::opening(reply), |place| excerpt::around(reply, place)),
            Self::ContainsAll(texts) => {
                let missing: Vec<_> = texts.iter().filter(|text| !text.is_in(subject)).map(|text| text.shown.as_ref()).collect();
                if missing.is_empty() {
                    format!("all of them in {}", excerpt::opening(reply))
                } else {
                    format!("nothing of {} in {}", excerpt::list(missing.into_iter()), excerpt::opening(reply))
                }
            }
            Self::EndsWith(_) => excerpt::ending(reply),
            Self::Equals(_) | Self::StartsWith(_) | Self::OneOf(_) => excerpt::opening(reply),
        }
    }

    fn ignores_case(&self) -> bool {
        match self {
            Self::Equals(text) | Self::Contains(text) | Self::StartsWith(text) | Self::EndsWith(text) => text.folded.is_some(),
            Self::ContainsAny(texts) | Self::ContainsAll(texts) | Self::OneOf(texts) => texts.iter().any(|text| text.folded.is_some()),
        }
    }
}

fn with_case(expected: String, ignores_case: bool) -> String {
    if ignores_case { format!("{expected}, in upper or lower case") } else { expected }
}

/// A difference of two short lines says nothing that the two do not.
fn worth_a_diff(expected: &str, got: &str) -> bool {
    let long = |text: &str| text.trim().len() > 40 || text.trim().contains('\n');
    long(expected) || (long(got) && !expected.trim().is_empty())
}
