//! What does a gate say, and which exit code follows?

use serde::{Deserialize, Serialize};

use crate::model::baseline::ComparisonAsked;
use crate::model::suite::{OnChange, Suite};

/// What a run's gates come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Exit {
    /// The gate holds.
    Holds,
    /// Assertion, snapshot, pass rate or comparison fails.
    Fails,
    /// Usage, settings or suite invalid; nothing was sent.
    Invalid,
    /// Some verdict is missing.
    MissingVerdicts,
    /// Nothing was selected.
    NothingSelected,
    /// A report or a snapshot could not be written.
    NotWritten,
    /// Stopped by the budget.
    Budget,
    /// The samples cannot decide.
    Undecided,
    /// Interrupted.
    Interrupted,
}

impl Exit {
    /// The process's exit code.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Holds => 0,
            Self::Fails => 1,
            Self::Invalid => 2,
            Self::MissingVerdicts => 3,
            Self::NothingSelected => 4,
            Self::NotWritten => 5,
            Self::Budget => 6,
            Self::Undecided => 7,
            Self::Interrupted => 130,
        }
    }
}

/// What one gate is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GateKind {
    /// The share of passing cells of one suite and model.
    PassRate,
    /// One confirmed failure of a `critical` assertion.
    Critical,
    /// Changed, new or unreadable snapshots of one suite.
    Snapshots,
    /// Cells without a verdict.
    Verdicts,
    /// Money.
    Budget,
    /// The run was interrupted.
    Interrupted,
    /// Reports or snapshots that could not be written.
    Written,
    /// A comparison with a baseline.
    Comparison,
}

/// What one gate says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GateOutcome {
    /// It holds.
    Pass,
    /// It fails, however the missing verdicts would have turned out.
    Fail,
    /// It cannot be said, because verdicts are missing.
    Missing,
    /// It cannot be said at the asked confidence.
    Undecided,
}

/// One gate's verdict with its numbers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct GateResult {
    /// What it is about.
    pub kind: GateKind,
    /// The suite; `None` for the whole run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suite: Option<String>,
    /// The model's name; `None` for all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// What it says.
    pub outcome: GateOutcome,
    /// One line with the numbers: `pass rate 95.0 % (19 of 20 cells), at least 100.0 % asked for`.
    pub message: String,
}

/// What one suite's gate asks for; kept in the report so that shards can be merged and judged as a whole.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct SuitePolicy {
    /// The suite's name.
    pub name: String,
    /// Least share of passing cells per model, 0 to 1.
    pub min_pass_rate: f64,
    /// What a changed or new snapshot does.
    pub on_change: OnChange,
    /// What it is compared with, and how; `None`: with nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comparison: Option<ComparisonAsked>,
}

impl From<&Suite> for SuitePolicy {
    fn from(suite: &Suite) -> Self {
        let (min_pass_rate, on_change) = (suite.gate.min_pass_rate, suite.snapshot.on_change);
        Self { name: suite.name.clone(), min_pass_rate, on_change, comparison: None }
    }
}
