//! What do the assertions of the sample say, hostile words among them?

use crate::model::assertion::AssertionSeverity;
use crate::model::verdict::{AssertionResult, Change, Diff, Failure, Outcome, TextDiff};
use crate::report::sample::differences::{hunk, json_diff};
use crate::report::sample::{HOSTILE, site};

pub(super) fn result(name: &str, severity: AssertionSeverity, outcome: Outcome) -> AssertionResult {
    AssertionResult { name: name.to_owned(), severity, outcome, site: Some(site("ticket-triage", 31)) }
}

pub(crate) fn failed(name: &str, expected: &str, got: &str, diff: Option<Diff>) -> AssertionResult {
    let failure = Failure { expected: expected.to_owned(), got: got.to_owned(), diff };
    result(name, AssertionSeverity::Fail, Outcome::Fail(failure))
}

pub(super) fn queue() -> AssertionResult {
    let result = failed("the queue is right", "`$.queue` equals \"billing\"", "\"refunds\"", Some(json_diff()));
    AssertionResult { severity: AssertionSeverity::Critical, ..result }
}

pub(super) fn refund() -> AssertionResult {
    failed(
        "contains",
        "a text that contains `within 30 days`",
        "You can return shoes at any time if they were not worn outside. Please send them back in the box in which they came, together with the slip that was in it; we will then …",
        None,
    )
}

pub(super) fn language() -> AssertionResult {
    let text = "Le client demande un remboursement.\nIl a été débité deux fois.";
    failed("starts_with", "a text that starts with `Zusammenfassung:`", text, None)
}

pub(super) fn truncated() -> AssertionResult {
    let result = failed("not truncated", "a whole reply", "a reply that was cut at `max_tokens` after 512 tokens", None);
    AssertionResult { site: None, ..result }
}

pub(super) fn refused() -> AssertionResult {
    let result = failed("not refused", "an answer", "a structural refusal (stop reason `refusal`, category `cyber`)", None);
    AssertionResult { site: None, ..result }
}

pub(super) fn unjudged() -> AssertionResult {
    result("regex", AssertionSeverity::Fail, Outcome::Error("the regular expression took more than 1,000,000 steps".to_owned()))
}

pub(super) fn warning() -> AssertionResult {
    let result = failed("length", "at most 12 words", "17 words", None);
    AssertionResult { severity: AssertionSeverity::Warn, ..result }
}

pub(super) fn hostile() -> AssertionResult {
    failed(
        "equals",
        "the text `ok`",
        HOSTILE,
        Some(Diff::Text(TextDiff {
            hunks: vec![hunk(1, &[(Change::Removed, &[("ok", true)]), (Change::Added, &[(HOSTILE, true)])])],
            cut: true,
            ..TextDiff::default()
        })),
    )
}

pub(super) fn held() -> AssertionResult {
    result("refusal", AssertionSeverity::Fail, Outcome::Pass)
}
