//! Did the reply end as it should: whole, refused or not?

use std::sync::Arc;

use crate::assertion::refusal::{self, Structural};
use crate::assertion::{Check, Compiled, Finding, Subject, excerpt};
use crate::model::assertion::{AssertionSeverity, RefusalRule};
use crate::model::reply::StopReason;
use crate::model::verdict::{AssertionResult, Failure, Outcome};

/// `refusal`.
#[derive(Debug, Clone, Copy)]
pub(super) struct RefusalCheck(pub(super) RefusalRule);

impl RefusalCheck {
    pub(super) fn allows(self) -> bool {
        self.0 == RefusalRule::Allowed
    }

    pub(super) fn find(self, subject: &Subject<'_>) -> Finding {
        let refused = || refusal::structural(subject.reply).is_some() || subject.textual_refusal().is_some();
        Finding::of(match self.0 {
            RefusalRule::Never => !refused(),
            RefusalRule::Always => refused(),
            RefusalRule::Allowed => true,
        })
    }

    pub(super) fn failure(self, subject: &Subject<'_>, negated: bool) -> Failure {
        let wants_refusal = (self.0 == RefusalRule::Always) != negated;
        let got = match (refusal::structural(subject.reply), subject.textual_refusal()) {
            (Some(structural), _) => describe(&structural),
            (None, Some(words)) => format!("a reply that opens with a refusal: {}", excerpt::quoted(words)),
            (None, None) => format!("no refusal: {}", excerpt::opening(subject.text())),
        };
        Failure { expected: if wants_refusal { "a refusal" } else { "no refusal" }.to_owned(), got, diff: None }
    }
}

fn describe(structural: &Structural<'_>) -> String {
    let category = structural.category.map_or_else(String::new, |category| format!(", category `{}`", excerpt::clipped(category, 80)));
    let explanation = structural.explanation.map_or_else(String::new, |words| format!(": {}", excerpt::quoted(words)));
    format!("a refusal by the API (stop reason `refusal`{category}){explanation}")
}

/// `stop_reason`: one of these.
#[derive(Debug, Clone)]
pub(super) struct StopReasonCheck(pub(super) Arc<[StopReason]>);

impl StopReasonCheck {
    fn names(&self, reason: &StopReason) -> bool {
        self.0.contains(reason)
    }

    pub(super) fn find(&self, subject: &Subject<'_>) -> Finding {
        Finding::of(self.names(&subject.reply.stop_reason))
    }

    pub(super) fn failure(&self, subject: &Subject<'_>, negated: bool) -> Failure {
        let reasons = self.0.iter().map(|reason| excerpt::quoted(reason.as_str())).collect::<Vec<_>>().join(" or ");
        Failure {
            expected: format!("{} {reasons}", if negated { "any stop reason but" } else { "the stop reason" }),
            got: format!("`{}` after {}", excerpt::clipped(subject.reply.stop_reason.as_str(), 80), excerpt::ending(subject.text())),
            diff: None,
        }
    }
}

/// The failure of the rules that hold for every cell: the reply is whole, and the API did not refuse it. Whether a reply is whole that
/// stopped for a reason which is newer than this program, nobody can know: that is an error.
///
/// An assertion that names the stop reason (or wants or allows refusals) lifts the rule; one that will fail for the same cause takes
/// its place, so that one cause is one failure. A `severity: warn` assertion cannot take the place of a rule, but it can lift one.
pub(super) fn rules_of_every_cell(compiled: &[Compiled], subject: &Subject<'_>) -> Option<AssertionResult> {
    let reason = &subject.reply.stop_reason;
    let refused = *reason == StopReason::Refusal;
    if reason.is_whole() {
        return None;
    }
    let speaks = |assertion: &Compiled| {
        let fails_itself = assertion.severity != AssertionSeverity::Warn;
        match &assertion.check {
            Check::StopReason(check) => {
                let names = check.names(reason);
                if assertion.negated { names && fails_itself } else { names || fails_itself }
            }
            Check::Refusal(check) if refused => match (check.0, assertion.negated) {
                (RefusalRule::Allowed, _) | (RefusalRule::Always, false) | (RefusalRule::Never, true) => true,
                (RefusalRule::Never, false) | (RefusalRule::Always, true) => fails_itself,
            },
            _ => false,
        }
    };
    if compiled.iter().any(speaks) {
        return None;
    }
    let tokens = || excerpt::thousands(subject.reply.usage.output_tokens);
    let got = || format!("`{}` after {} output tokens: {}", reason.as_str(), tokens(), excerpt::ending(subject.text()));
    let (name, outcome) = match reason {
        StopReason::EndTurn | StopReason::StopSequence | StopReason::ToolUse => return None,
        StopReason::Refusal => {
            let got = refusal::structural(subject.reply).as_ref().map_or_else(String::new, describe);
            let hint = "`refusal: allowed` or `refusal: always` accepts it";
            ("not refused", Outcome::Fail(Failure { expected: format!("a reply that was not refused ({hint})"), got, diff: None }))
        }
        StopReason::MaxTokens | StopReason::ModelContextWindowExceeded => {
            let hint = format!("raise `max_tokens`, or accept it with `stop_reason: {}`", reason.as_str());
            ("not truncated", Outcome::Fail(Failure { expected: format!("a whole reply ({hint})"), got: got(), diff: None }))
        }
        StopReason::PauseTurn => {
            let hint = "a server tool paused it, and it is not continued; accept it with `stop_reason: pause_turn`";
            ("not paused", Outcome::Fail(Failure { expected: format!("a whole reply ({hint})"), got: got(), diff: None }))
        }
        StopReason::Other(other) => {
            let other = excerpt::clipped(other, 80);
            let said = format!(
                "nobody can know whether the reply is whole: promptkeel does not know the stop reason `{other}` (look it up in the API's \
                 documentation, and accept it with `stop_reason: {other}`)"
            );
            ("known stop reason", Outcome::Error(said))
        }
    };
    Some(AssertionResult { name: name.to_owned(), severity: AssertionSeverity::Fail, outcome, site: None })
}
