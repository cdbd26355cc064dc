//! Does a reply do what was asserted of it?
//!
//! An assertion is compiled once for a case ([`compile`]: templates rendered, regexes, schemas and paths read) and then evaluated
//! against any number of replies ([`subject`], [`judge`]). Both are pure: the same assertion and reply give the same result,
//! `similar` on more than 3,000 words apart, whose search ends after two seconds and can then only come out too low, and patterns,
//! paths and schemas that compute for more than ten seconds, of which nobody can know.
//!
//! What an assertion says of a reply is one of four things (`Finding`): it holds, it does not, the comparison could not be reached
//! (no JSON to look into), or nobody can know (no price to compare with). `not` swaps the first two and leaves the others alone.

mod behaviour;
mod cache;
mod claims;
mod compile;
mod cost;
mod deadline;
mod excerpt;
mod filter;
mod held;
mod json;
mod json_path;
mod path;
mod pattern;
mod reach;
mod recursion;
pub mod refusal;
mod schema;
mod similar;
mod size;
mod subject;
mod text;
mod work;
mod xml;

use std::sync::Arc;

use crate::model::assertion::{Assertion, AssertionKind, AssertionSeverity, RefusalRule};
use crate::model::problem::Site;
use crate::model::suite::Compare;
use crate::model::verdict::{AssertionResult, Failure, Outcome};

pub use cache::CompileCache;
pub use compile::{CompileError, compile, variables};
pub use subject::{NotJson, Subject, subject};

/// An assertion that is ready for any number of replies. Cheap to keep: what does not depend on the case is shared.
#[derive(Debug, Clone)]
pub struct Compiled {
    name: Arc<str>,
    severity: AssertionSeverity,
    site: Site,
    negated: bool,
    check: Check,
}

impl Compiled {
    /// One that [`compile`] refused when the reply was there already, and not before: it alone is an error then, and the reply, what it cost
    /// and what the other assertions say of it stand.
    #[must_use]
    pub fn unread(assertion: &Assertion, error: &CompileError) -> Self {
        let key = assertion.kind.key();
        let name = match &assertion.name {
            Some(name) => name.clone(),
            None if assertion.negated => format!("not {key}"),
            None => key.to_owned(),
        };
        let why = error.hint.as_ref().map_or_else(|| error.message.clone(), |hint| format!("{}; {hint}", error.message));
        Self {
            name: name.into(),
            severity: assertion.severity,
            site: assertion.site.clone(),
            negated: assertion.negated,
            check: Check::Unread(why.into()),
        }
    }
}

/// One check of any family.
#[derive(Debug, Clone)]
enum Check {
    Text(text::TextCheck),
    Regex(pattern::RegexCheck),
    Similar(similar::SimilarCheck),
    Json(json::JsonCheck),
    JsonPath(Arc<json_path::PathCheck>),
    Xml(xml::XmlShape),
    Length(size::LengthCheck),
    MaxOutputTokens(size::OutputTokens),
    Refusal(behaviour::RefusalCheck),
    StopReason(behaviour::StopReasonCheck),
    MaxCost(cost::CostCheck),
    MaxLatency(cost::LatencyCheck),
    Unread(Arc<str>),
}

/// What a check found.
#[derive(Debug)]
enum Finding {
    /// The comparison was reached and holds.
    Holds,
    /// The comparison was reached and does not hold.
    Differs,
    /// There was nothing to compare; fails, negated or not.
    Unreachable(Failure),
    /// Nobody can know; an error, negated or not.
    Unknown(String),
}

impl Finding {
    const fn of(holds: bool) -> Self {
        if holds { Self::Holds } else { Self::Differs }
    }
}

impl Check {
    fn find(&self, subject: &Subject<'_>) -> Finding {
        match self {
            Self::Text(check) => check.find(subject),
            Self::Regex(check) => check.find(subject),
            Self::Similar(check) => check.find(subject),
            Self::Json(check) => check.find(subject),
            Self::JsonPath(check) => check.find(subject),
            Self::Xml(check) => check.find(subject),
            Self::Length(check) => check.find(subject),
            Self::MaxOutputTokens(check) => check.find(subject),
            Self::Refusal(check) => check.find(subject),
            Self::StopReason(check) => check.find(subject),
            Self::MaxCost(check) => check.find(subject),
            Self::MaxLatency(check) => check.find(subject),
            Self::Unread(why) => Finding::Unknown(why.as_ref().to_owned()),
        }
    }

    /// Why it failed: it does not hold, or it does and `negated` says that it must not. Only asked for after a failure.
    fn failure(&self, subject: &Subject<'_>, negated: bool) -> Failure {
        match self {
            Self::Text(check) => check.failure(subject, negated),
            Self::Regex(check) => check.failure(subject, negated),
            Self::Similar(check) => check.failure(subject, negated),
            Self::Json(check) => check.failure(subject, negated),
            Self::JsonPath(check) => check.failure(subject, negated),
            Self::Xml(check) => check.failure(subject, negated),
            Self::Length(check) => check.failure(subject, negated),
            Self::MaxOutputTokens(check) => check.failure(subject, negated),
            Self::Refusal(check) => check.failure(subject, negated),
            Self::StopReason(check) => check.failure(subject, negated),
            Self::MaxCost(check) => check.failure(subject, negated),
            Self::MaxLatency(check) => check.failure(subject, negated),
            Self::Unread(why) => Failure { expected: "an assertion that can be read".to_owned(), got: why.as_ref().to_owned(), diff: None },
        }
    }

    /// Whether it speaks of what the reply says, and not of how it ended or what it cost.
    const fn is_about_content(&self) -> bool {
        match self {
            Self::Text(_) | Self::Regex(_) | Self::Similar(_) | Self::Json(_) | Self::JsonPath(_) | Self::Xml(_) | Self::Length(_) => true,
            Self::MaxOutputTokens(_) | Self::Refusal(_) | Self::StopReason(_) | Self::MaxCost(_) | Self::MaxLatency(_) => false,
            // What it speaks of is not known: nothing excuses it.
            Self::Unread(_) => false,
        }
    }
}

/// What one assertion says of one reply.
#[must_use]
pub fn evaluate(compiled: &Compiled, subject: &Subject<'_>) -> AssertionResult {
    let outcome = match (compiled.check.find(subject), compiled.negated) {
        (Finding::Holds, false) | (Finding::Differs, true) => Outcome::Pass,
        (Finding::Holds, true) | (Finding::Differs, false) => Outcome::Fail(compiled.check.failure(subject, compiled.negated)),
        (Finding::Unreachable(failure), false) => Outcome::Fail(failure),
        // What was asked for is the opposite of what the check says by itself.
        (Finding::Unreachable(failure), true) => {
            Outcome::Fail(Failure { expected: compiled.check.failure(subject, true).expected, ..failure })
        }
        (Finding::Unknown(message), _) => Outcome::Error(message),
    };
    AssertionResult { name: compiled.name.as_ref().to_owned(), severity: compiled.severity, outcome, site: Some(compiled.site.clone()) }
}

/// What all assertions of a case say of one reply, in their order, and behind them the failure of the rules that every cell
/// has: a reply that was cut at a token limit or paused fails, and so does one that the API refused; one that stopped for a reason which
/// is not known is an error. A `stop_reason` or a `refusal` assertion may say otherwise.
///
/// Under `refusal: allowed` a refused reply passes: what the other assertions ask of its content is not judged and has no result.
#[must_use]
pub fn judge(compiled: &[Compiled], subject: &Subject<'_>) -> Vec<AssertionResult> {
    let allowed = compiled.iter().any(|compiled| matches!(&compiled.check, Check::Refusal(check) if check.allows()));
    let excused = allowed && (refusal::structural(subject.reply).is_some() || subject.textual_refusal().is_some());
    let mut results: Vec<_> = compiled
        .iter()
        .filter(|compiled| !(excused && compiled.check.is_about_content()))
        .map(|compiled| evaluate(compiled, subject))
        .collect();
    results.extend(behaviour::rules_of_every_cell(compiled, subject));
    results
}

/// Whether nothing can fail a case with these assertions: `severity: warn` and `refusal: allowed` never do, and no snapshot is
/// compared. Assertions that can never fail do not get this far: they do not compile.
#[must_use]
pub fn fails_vacuously(assertions: &[Arc<Assertion>], compare: Compare) -> bool {
    let can_fail = |assertion: &Arc<Assertion>| {
        assertion.severity != AssertionSeverity::Warn && assertion.kind != AssertionKind::Refusal(RefusalRule::Allowed)
    };
    compare == Compare::Off && !assertions.iter().any(can_fail)
}

#[cfg(test)]
mod tests;
