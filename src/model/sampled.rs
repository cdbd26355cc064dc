//! How often did several samples pass, and how sure is that?

use serde::{Deserialize, Serialize};

use crate::model::comparison::{Counts, Interval};

/// What several samples of a cell, or of a group of cells, say of its pass rate.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Sampled {
    /// Samples with a verdict; errors and samples that were not asked count in neither number.
    #[serde(flatten)]
    pub counts: Counts,
    /// The share that passed: of a group the mean over its cells, each counting once. `None` without a verdict.
    pub rate: Option<f64>,
    /// Wilson's interval of the rate, 95 %. Of a group, samples of one cell count as alike as they were.
    pub interval: Interval,
    /// The `k` of the next two: the samples of the cell, or the fewest (but several) that a cell of the group has.
    pub k: u32,
    /// The chance that at least one of `k` samples passes (pass@k), the mean over the cells. `None` where no cell has `k` verdicts.
    pub pass_at_k: Option<f64>,
    /// The chance that all of `k` samples pass (pass^k), the mean over the cells.
    pub all_of_k_pass: Option<f64>,
}
