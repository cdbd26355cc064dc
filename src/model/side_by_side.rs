//! How do two arms (runs, models, versions of a prompt) stand side by side: quality with its verdict, cost, speed, and where they differ?

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::model::comparison::{Comparison, Counts, Interval};
use crate::model::money::Money;
use crate::model::run::Tokens;
use crate::model::verdict::Diff;

/// The value of [`SideBySide::schema`] that this version writes.
pub const SCHEMA: &str = "promptkeel.comparison/1";

/// Everything that `promptkeel compare` says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct SideBySide {
    /// [`SCHEMA`].
    pub schema: String,
    /// `promptkeel 0.1.0`.
    pub tool: String,
    /// The cheapest candidate that is shown to be not worse; `None` where nobody asked for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cheapest: Option<Cheapest>,
    /// One for each candidate, the cheapest first where there are several.
    pub comparisons: Vec<ArmComparison>,
}

/// Which of several models is the cheapest that will do?
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Cheapest {
    /// The model that the others are held against.
    pub against: String,
    /// The cheapest that is not worse than it by more than the margin, and costs less; `None`: none is shown to be.
    pub model: Option<String>,
    /// So many candidates share alpha, so that together they are wrong no more often than one would be.
    pub candidates: u32,
    /// How many of them may cost less than it: all but those that are known to cost as much or more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cheaper: Option<u32>,
    /// Candidates that are not worse, and do not cost less.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dearer: Vec<String>,
    /// Candidates that are not worse in what is compared, which is too little: verdicts are missing, or cases.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lacking: Vec<String>,
}

/// When the answers of an arm came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Answered {
    /// The first of them.
    pub first: DateTime<Utc>,
    /// The last.
    pub last: DateTime<Utc>,
}

impl Answered {
    /// So many whole days lie between its last answer and the first of the other.
    #[must_use]
    pub fn days_before(self, other: Self) -> i64 {
        (other.first - self.last).num_days()
    }
}

/// A candidate beside its baseline.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ArmComparison {
    /// What is compared with.
    pub baseline: Arm,
    /// What is judged.
    pub candidate: Arm,
    /// The verdict in one line with its numbers.
    pub sentence: String,
    /// Why it is undecided, though what is compared is shown to be not worse; `None` where nothing else speaks against it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gap: Option<String>,
    /// What could have been seen at all, in one line; `None` where no case was compared.
    pub sensitivity: Option<String>,
    /// The verdict with its numbers.
    pub comparison: Comparison,
    /// What keeps cases from being compared, or is not the same in both arms.
    pub validity: Vec<Finding>,
    /// Cases of the candidate in which a `critical` assertion failed: no average excuses it.
    pub critical: Vec<String>,
    /// Cases whose pass rates differ, the worst first.
    pub differing: Vec<CaseDifference>,
    /// Compared cases with equal pass rates and outputs that are not the same.
    pub other_outputs: u32,
    /// What the fresh samples would cost that an undecided comparison wants; `None` where it wants none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirming: Option<Price>,
    /// What a second look would take, where the interval is too wide; `None` where it is not, or no number of samples would narrow it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub second_look: Option<SecondLook>,
}

/// A second look: with more samples of every case in both arms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct SecondLook {
    /// Samples of each case in each arm at the first look.
    pub first: u32,
    /// At the second, those of the first included.
    pub second: u32,
    /// Whether that would decide it if the difference stayed as it is.
    pub would_decide: bool,
    /// What the further samples would cost.
    pub price: Price,
}

/// What some more samples cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Price {
    /// In both arms together.
    pub samples: u64,
    /// Of so many cases.
    pub cases: u64,
    /// About so much, from what the samples at hand cost; `None` where none of them has a price.
    pub cost_usd: Option<Money>,
}

/// One side. All its numbers are those of the compared cases alone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Arm {
    /// When its answers came; `None` where nobody knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answered: Option<Answered>,
    /// What tells it from the other: a model, `prompt@version`, or the run.
    pub name: String,
    /// The run that it is read from.
    pub run: String,
    /// The versions of prompts in it, `ticket-triage@3`.
    pub prompts: Vec<String>,
    /// The models in it.
    pub models: Vec<String>,
    /// Samples that passed, of those that reached a verdict.
    pub counts: Counts,
    /// Wilson's interval of the pass rate, at the confidence of the comparison.
    pub interval: Interval,
    /// Samples with a reply that is known: of a remembered run only what the store still has.
    pub replies: u64,
    /// Samples without a verdict.
    pub missing_samples: u64,
    /// What a thousand such calls cost at the prices that were paid; `None` where no reply has a price.
    pub cost_per_1000_calls_usd: Option<Money>,
    /// Replies of models without a price: not in the cost.
    pub unpriced: u64,
    /// Median latency, in milliseconds.
    pub latency_p50_ms: Option<u64>,
    /// 95th percentile (nearest rank) of the same.
    pub latency_p95_ms: Option<u64>,
    /// Tokens of all replies; `None`, as with what follows, where no reply is known.
    pub tokens: Option<Tokens>,
    /// Replies that are refusals, by their stop reason.
    pub refusals: Option<u64>,
    /// Replies that were cut at a limit of tokens.
    pub truncations: Option<u64>,
    /// A simulator answered: no number is about a real model.
    pub simulated: bool,
}

/// What is to be known about the pairs of the arms.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Finding {
    /// What it is about.
    pub kind: FindingKind,
    /// The cases are left out of the comparison because of it.
    pub left_out: bool,
    /// Which cases, in the order of the baseline.
    pub cases: Vec<String>,
    /// What the first of them says, where there is something: a model's id, an error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// What differs, or is missing, so that a case cannot be compared or only with care.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FindingKind {
    /// The case's variables are other ones.
    Variables,
    /// Its fixture files are.
    Fixtures,
    /// Its assertions are.
    Assertions,
    /// The same name stands for another model.
    Model,
    /// A simulator answered one arm, a real model the other.
    Simulated,
    /// The numbers of samples are not the same. Rates of cases can still be compared.
    Samples,
    /// The endpoints have other names. What they answer may still be compared.
    Endpoint,
    /// Both arms have the very same answers, so they say nothing about a difference.
    SameAnswers,
    /// Only the baseline has the case.
    OnlyBaseline,
    /// Only the candidate has it.
    OnlyCandidate,
    /// The baseline was gated by its model, and this run only informs of it.
    Informs,
    /// The suite's gate asks for something else than in the baseline; it is about no single case.
    Gate,
    /// No sample of the baseline reached a verdict.
    NoVerdictBaseline,
    /// No sample of the candidate did.
    NoVerdictCandidate,
}

/// A case that passes more often in one arm.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct CaseDifference {
    /// The case.
    pub case: String,
    /// The baseline's samples.
    pub baseline: Counts,
    /// The candidate's samples.
    pub candidate: Counts,
    /// Two samples that show the difference, where both arms have a reply: one that passed, one that failed.
    pub shown: Option<ShownPair>,
}

/// A sample of each arm.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ShownPair {
    /// The baseline's sample, from 0.
    pub baseline_sample: u32,
    /// The candidate's.
    pub candidate_sample: u32,
    /// What the one that failed says: name, expected and got.
    pub failed: Option<FailedAssertion>,
    /// The baseline's output to the candidate's; `None` for cases that are not among the worst.
    pub diff: Option<Diff>,
    /// The baseline's output, until the difference is made.
    #[serde(skip)]
    pub baseline_output: String,
    /// The candidate's output.
    #[serde(skip)]
    pub candidate_output: String,
}

/// The first assertion that did not hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct FailedAssertion {
    /// Its name.
    pub name: String,
    /// What it asks for.
    pub expected: String,
    /// What came.
    pub got: String,
}
