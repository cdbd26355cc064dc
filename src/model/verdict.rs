//! What was found out about a reply: assertion results, differences, snapshot states, errors, verdicts?

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::model::assertion::AssertionSeverity;
use crate::model::problem::Site;

/// The verdict of a sample or a cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Everything that was asserted holds.
    Pass,
    /// Something that was asserted does not hold.
    Fail,
    /// No verdict could be reached: provider, network, recording, judge.
    Error,
    /// Nothing was asked, on purpose: interrupted, budget, a model that cannot be reached.
    Skipped,
}

impl Verdict {
    /// Of one sample: one failure fails it, whatever else could not be judged; one error leaves it without a verdict; warnings never count.
    #[must_use]
    pub fn of(results: &[AssertionResult]) -> Self {
        let counts = |result: &&AssertionResult| result.severity != AssertionSeverity::Warn;
        let mut verdict = Self::Pass;
        for result in results.iter().filter(counts) {
            match result.outcome {
                Outcome::Pass => {}
                Outcome::Fail(_) => return Self::Fail,
                Outcome::Error(_) => verdict = Self::Error,
            }
        }
        verdict
    }

    /// As reports spell it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Error => "error",
            Self::Skipped => "skipped",
        }
    }
}

/// What one assertion said of one reply.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct AssertionResult {
    /// The author's name for it, or its key, with `not` in front where it was negated: `contains`, `not contains`.
    pub name: String,
    /// What its failure does.
    pub severity: AssertionSeverity,
    /// What came of it.
    pub outcome: Outcome,
    /// Where it stands. `None` for the rules that every cell has: a whole reply, and no refusal.
    pub site: Option<Site>,
}

/// What came of one assertion.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It holds.
    Pass,
    /// It does not hold.
    Fail(Failure),
    /// It could not be judged; never a pass, never a fail.
    Error(String),
}

/// How an assertion failed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Failure {
    /// What the assertion asks for, one line where possible: ``a text that contains `refund` ``.
    pub expected: String,
    /// What the reply has instead, an excerpt of bounded length around the interesting place.
    pub got: String,
    /// The whole difference, where there is a text or a value to compare with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub diff: Option<Diff>,
}

/// A difference between what was accepted or expected and what came.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Diff {
    /// Line by line, words highlighted, with context.
    Text(TextDiff),
    /// Path by path.
    Json(Vec<JsonChange>),
}

/// A unified diff as data.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct TextDiff {
    /// Groups of lines that changed, with three lines of context.
    pub hunks: Vec<Hunk>,
    /// Some of the difference was left out because it was too large or took too long; said where it is shown.
    pub cut: bool,
    /// Lines of the old text that went and are in no hunk, because there were too many.
    #[serde(default, skip_serializing_if = "is_none_at_all")]
    pub left_out_removed: u64,
    /// Lines of the new text that came and are in no hunk.
    #[serde(default, skip_serializing_if = "is_none_at_all")]
    pub left_out_added: u64,
}

/// A group of neighbouring lines.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Hunk {
    /// 1-based first line in the old text.
    pub old_start: u64,
    /// 1-based first line in the new text.
    pub new_start: u64,
    /// In order.
    pub lines: Vec<DiffLine>,
}

/// One line of a hunk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct DiffLine {
    /// Which side it stands on.
    pub change: Change,
    /// Its parts in order, without the line break; the emphasised ones are the words that changed.
    pub parts: Vec<DiffPart>,
}

/// A part of a line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct DiffPart {
    /// Its text.
    pub text: String,
    /// It differs from the other side.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub emphasised: bool,
}

/// Which side a line stands on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Change {
    /// Both.
    Same,
    /// Only the old text.
    Removed,
    /// Only the new text.
    Added,
}

/// One difference between two JSON values.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct JsonChange {
    /// Normalised JSONPath: `$.items[2].name`, `$['odd key']`.
    pub path: String,
    /// `None`: added.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub old: Option<Value>,
    /// `None`: removed.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub new: Option<Value>,
    /// `old` or `new` is too large to be kept whole: texts in it end in `…`, lists and objects end in a member that says how many more there are.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub shortened: bool,
    /// Only in the last change of a difference that is too large to be kept whole: so many further changes are left out behind it.
    #[serde(default, skip_serializing_if = "is_none_at_all")]
    pub left_out: u64,
}

impl JsonChange {
    /// A change that is kept whole.
    #[must_use]
    pub const fn new(path: String, old: Option<Value>, new: Option<Value>) -> Self {
        Self { path, old, new, shortened: false, left_out: 0 }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks by reference")]
const fn is_none_at_all(number: &u64) -> bool {
    *number == 0
}

/// A JSON `null` that is there is `Some(Null)`; only an absent member is `None`.
fn present<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

/// How a cell's output stands to its snapshot.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase", tag = "state")]
pub enum SnapshotState {
    /// Equal under the suite's comparison.
    Same,
    /// Different.
    Changed {
        /// Accepted to new; for several variants against the nearest.
        diff: Diff,
        /// The prompt version in the accepted head, `ticket-triage@2`.
        accepted_prompt: String,
        /// What the diff alone does not say, a sentence each: another stop reason, an output that is not JSON.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        notes: Vec<String>,
        /// Where there are several new outputs or several accepted variants: which of them `diff` compares, and the other differences.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        variants: Option<Box<VariantDifferences>>,
    },
    /// No accepted snapshot, or one of the other kind (simulated, real).
    New {
        /// Why it counts as new where a file is there.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// The snapshot file cannot be read.
    Unreadable {
        /// What is wrong with it.
        message: String,
    },
    /// The suite keeps no snapshots, or another version or no reply at all owns this comparison.
    None,
}

impl SnapshotState {
    /// Names outputs by the samples that gave them: `samples` has the index of each compared output, and `all` is how many there are.
    pub fn of_samples(&mut self, samples: &[u32], all: u32) {
        let Self::Changed { variants: Some(variants), .. } = self else { return };
        variants.outputs = all;
        for output in std::iter::once(&mut variants.first).chain(variants.others.iter_mut().map(|other| &mut other.pair)) {
            for number in &mut output.outputs {
                *number = samples.get(*number as usize).copied().unwrap_or(*number);
            }
        }
    }
}

/// Several new outputs against several accepted variants. All numbers count from 0.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct VariantDifferences {
    /// How many new outputs there are: the samples of a run.
    pub outputs: u32,
    /// How many variants are accepted.
    pub accepted: u32,
    /// New outputs that match no variant.
    pub strange: u32,
    /// Accepted variants that no new output matches.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unmatched: Vec<u32>,
    /// What the `diff` beside it compares.
    pub first: VariantPair,
    /// The other outputs that match no variant, each kind once, against the variant that is nearest to it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub others: Vec<VariantDifference>,
    /// Further kinds of outputs that match no variant, left out because there are too many or they are too large.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub left_out: u32,
}

/// A new output and the variant that is nearest to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct VariantPair {
    /// Which new outputs, equal under the suite's comparison; the first of them is shown. Those of a run are the samples' indices.
    pub outputs: Vec<u32>,
    /// Which variant.
    pub variant: u32,
}

/// One of several differences.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct VariantDifference {
    /// What is compared.
    #[serde(flatten)]
    pub pair: VariantPair,
    /// The variant to the output.
    pub diff: Diff,
    /// What the diff alone does not say.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks by reference")]
const fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// Which class of trouble kept a sample from an answer. Decides retries and exit codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ErrorKind {
    /// No connection, or it broke before the whole reply came.
    Connection,
    /// The attempt or the case took too long.
    Timeout,
    /// 429 that a wait can cure.
    RateLimited,
    /// 429 or 400 that says a spending limit is reached; a wait cannot cure it.
    SpendLimit,
    /// 529.
    Overloaded,
    /// 5xx, 408, 409.
    Server,
    /// 401, 403, or 402.
    Denied,
    /// 404: no such model or address.
    NotFound,
    /// 400, 413, 422: the request itself.
    InvalidRequest,
    /// A body that is no reply: cut, HTML, other JSON.
    MalformedReply,
    /// It was not sent, because it could have passed a cap on money.
    Budget,
    /// The endpoint was given up, because it answered nothing for too long.
    Unavailable,
    /// A message batch that has not ended holds the request, or nothing came of one.
    Batch,
    /// `--cache only` and nothing stored.
    CacheMiss,
    /// The store could not be read or written.
    Store,
    /// An assertion could not be judged.
    Judging,
    /// A template could not be rendered within its bounds.
    Template,
}

/// Why a cell or a sample has no verdict.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize, schemars::JsonSchema)]
#[error("{message}")]
pub struct CellError {
    /// The class of trouble.
    pub kind: ErrorKind,
    /// One sentence, with the status and the server's own words where there are some.
    pub message: String,
    /// The next step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Every attempt that was made.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attempts: Vec<crate::model::reply::Attempt>,
}

/// Why nothing was asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SkipReason {
    /// Ctrl-C or SIGTERM came first.
    Interrupted,
    /// It could have passed the budget.
    Budget,
    /// `--max-fail` was reached.
    MaxFail,
    /// The model or its key was refused (401, 403, 404), with the first error's words.
    ModelUnavailable(String),
    /// A paid answer could not be stored, so nothing more is asked.
    StoreFailed(String),
    /// The endpoint answered nothing for too long and was given up; says for how long, and where to look.
    EndpointDown(String),
    /// A message batch that has not ended holds the request, or nothing came of one; says which, and what to do.
    Batch(String),
    /// The run's own time limit passed first.
    RunTimeout,
}
