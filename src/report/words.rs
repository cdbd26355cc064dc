//! In which words do all formats name the same thing?

use crate::model::assertion::AssertionSeverity;
use crate::model::baseline::ComparisonStanding;
use crate::model::gate::{Exit, GateKind, GateOutcome};
use crate::model::reply::Served;
use crate::model::verdict::{ErrorKind, SkipReason};

/// What kept a sample from an answer.
pub(crate) const fn error_kind(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::Connection => "connection",
        ErrorKind::Timeout => "timeout",
        ErrorKind::RateLimited => "rate limited",
        ErrorKind::SpendLimit => "spend limit",
        ErrorKind::Overloaded => "overloaded",
        ErrorKind::Server => "server error",
        ErrorKind::Denied => "denied",
        ErrorKind::NotFound => "not found",
        ErrorKind::InvalidRequest => "invalid request",
        ErrorKind::MalformedReply => "malformed reply",
        ErrorKind::Budget => "over budget",
        ErrorKind::Unavailable => "endpoint down",
        ErrorKind::Batch => "batch",
        ErrorKind::CacheMiss => "not recorded",
        ErrorKind::Store => "store",
        ErrorKind::Judging => "judging",
        ErrorKind::Template => "template",
    }
}

/// The same as one word, for the `type` of a JUnit element.
pub(crate) const fn error_type(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::Connection => "connection",
        ErrorKind::Timeout => "timeout",
        ErrorKind::RateLimited => "rate_limited",
        ErrorKind::SpendLimit => "spend_limit",
        ErrorKind::Overloaded => "overloaded",
        ErrorKind::Server => "server",
        ErrorKind::Denied => "denied",
        ErrorKind::NotFound => "not_found",
        ErrorKind::InvalidRequest => "invalid_request",
        ErrorKind::MalformedReply => "malformed_reply",
        ErrorKind::Budget => "budget",
        ErrorKind::Unavailable => "unavailable",
        ErrorKind::Batch => "batch",
        ErrorKind::CacheMiss => "cache_miss",
        ErrorKind::Store => "store",
        ErrorKind::Judging => "judging",
        ErrorKind::Template => "template",
    }
}

/// Why nothing was asked: a short reason, and somebody else's words on it.
pub(crate) fn skip(reason: &SkipReason) -> (&str, Option<&str>) {
    match reason {
        SkipReason::Interrupted => ("interrupted", None),
        SkipReason::Budget => ("it could have passed the budget", None),
        SkipReason::MaxFail => ("`--max-fail` was reached", None),
        SkipReason::ModelUnavailable(words) => ("the model cannot be reached", Some(words)),
        SkipReason::StoreFailed(words) => ("the store takes no more, so nothing more was asked", Some(words)),
        SkipReason::EndpointDown(words) => ("the endpoint is down", Some(words)),
        SkipReason::Batch(words) => (words, None),
        SkipReason::RunTimeout => ("the run's time limit passed", None),
    }
}

/// What a gate is about.
pub(crate) const fn gate_kind(kind: GateKind) -> &'static str {
    match kind {
        GateKind::PassRate => "pass rate",
        GateKind::Critical => "critical",
        GateKind::Snapshots => "snapshots",
        GateKind::Verdicts => "verdicts",
        GateKind::Budget => "budget",
        GateKind::Interrupted => "interrupted",
        GateKind::Written => "written",
        GateKind::Comparison => "comparison",
    }
}

/// How a suite stands against its baseline.
pub(crate) const fn standing(standing: ComparisonStanding) -> &'static str {
    match standing {
        ComparisonStanding::Regressed => "worse",
        ComparisonStanding::NotWorse => "not worse",
        ComparisonStanding::Unchanged => "unchanged",
        ComparisonStanding::New => "new",
        ComparisonStanding::Undecided => "undecided",
        ComparisonStanding::Missing => "verdicts are missing",
        ComparisonStanding::Budget => "left out by the budget",
    }
}

/// What a gate says.
pub(crate) const fn gate_outcome(outcome: GateOutcome) -> &'static str {
    match outcome {
        GateOutcome::Pass => "holds",
        GateOutcome::Fail => "fails",
        GateOutcome::Missing => "missing",
        GateOutcome::Undecided => "undecided",
    }
}

/// What a run's end means, as half a sentence.
pub(crate) const fn exit(exit: Exit) -> &'static str {
    match exit {
        Exit::Holds => "the gate holds",
        Exit::Fails => "the gate fails",
        Exit::Invalid => "settings or suites are invalid, nothing was sent",
        Exit::MissingVerdicts => "verdicts are missing: no regression was found, and none can be ruled out",
        Exit::NothingSelected => "nothing was selected",
        Exit::NotWritten => "a report or a snapshot could not be written",
        Exit::Budget => "stopped by the budget",
        Exit::Undecided => "the samples cannot decide at the asked confidence",
        Exit::Interrupted => "interrupted",
    }
}

/// One word for the headline.
pub(crate) const fn headline(exit: Exit) -> &'static str {
    match exit {
        Exit::Holds => "PASSED",
        Exit::Fails => "FAILED",
        Exit::Invalid => "INVALID",
        Exit::MissingVerdicts => "INCOMPLETE",
        Exit::NothingSelected => "EMPTY",
        Exit::NotWritten => "NOT WRITTEN",
        Exit::Budget => "OVER BUDGET",
        Exit::Undecided => "UNDECIDED",
        Exit::Interrupted => "INTERRUPTED",
    }
}

/// Where an answer came from.
pub(crate) const fn served(served: Served) -> &'static str {
    match served {
        Served::Fresh => "fresh",
        Served::Batch => "batch",
        Served::Stored => "stored",
        Served::Shared => "shared",
        Served::Recorded => "recorded",
    }
}

/// How much a failed assertion weighs; empty for the usual weight.
pub(crate) const fn severity(severity: AssertionSeverity) -> &'static str {
    match severity {
        AssertionSeverity::Warn => "warning",
        AssertionSeverity::Fail => "",
        AssertionSeverity::Critical => "critical",
    }
}
