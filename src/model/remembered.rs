//! What do earlier runs say about this one: how went its suites, and which of its cells are flaky?

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::model::money::Money;
use crate::model::run::Address;

/// What the history of runs adds to a report.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Remembered {
    /// By suite and model of this run, where there are at least two runs to tell of.
    pub trends: Vec<Trend>,
    /// Cells of this run that passed and failed, unchanged.
    pub flaky: Vec<FlakyCell>,
}

/// How a suite went under a model, run after run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Trend {
    /// The suite.
    pub suite: String,
    /// The model.
    pub model: String,
    /// The oldest first; the last is this run.
    pub points: Vec<TrendPoint>,
}

/// One run of a trend.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct TrendPoint {
    /// The id of the run.
    pub run: String,
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// What came of the suite and the model.
    #[serde(flatten)]
    pub sums: ModelSums,
}

/// What came of the cells of a suite under a model, those that the gate counts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ModelSums {
    /// Cells that passed.
    pub passed: u64,
    /// Cells that failed.
    pub failed: u64,
    /// What all their answers are worth, whenever they were paid; `None` where none has a price.
    pub cost_usd: Option<Money>,
    /// Median latency of the calls that gave them, in milliseconds.
    pub latency_p50_ms: Option<u64>,
}

/// A cell that passed and failed while nothing of it changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct FlakyCell {
    /// Which.
    #[serde(flatten)]
    pub address: Address,
    /// How often different answers made it pass, this run's included.
    pub passed: u64,
    /// How often different answers made it fail.
    pub failed: u64,
}
