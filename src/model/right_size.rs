//! What of a run is larger than it has to be, by the run's own figures?

use serde::{Deserialize, Serialize};

use crate::model::money::Money;

/// A hint, with the figures that it rests on. None is given on little evidence; `docs/cost.md` says on how much.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum RightSize {
    /// Answers may be far longer than any of them is.
    MaxTokens {
        /// The suite.
        suite: String,
        /// The model's name.
        model: String,
        /// What the requests allow.
        max_tokens: u64,
        /// The longest answer, in tokens.
        longest: u64,
        /// Of so many, none of them cut.
        answers: u64,
    },
    /// What requests share at their beginning is a little too short for the provider's prompt cache.
    BelowCacheMinimum {
        /// The suite.
        suite: String,
        /// `prompt@version`.
        prompt: String,
        /// The model's name.
        model: String,
        /// About so many tokens are shared.
        tokens: u64,
        /// The shortest prefix that the provider keeps of this model.
        minimum: u64,
        /// Requests that were paid in this run, none of which read or wrote anything.
        requests: u64,
        /// What they would have cost less with a prefix of that length.
        saving_usd: Money,
    },
    /// A cheaper model passes every case of a suite.
    CheaperModel {
        /// The suite.
        suite: String,
        /// The dearest model that its gate counts.
        model: String,
        /// The cheapest one that passes everything.
        cheaper: String,
        /// Cells of each of them.
        cells: u64,
        /// Those that the dearer one passes.
        passed: u64,
        /// What the dearer one's answers cost at plain rates.
        usd: Money,
        /// What the cheaper one's do.
        cheaper_usd: Money,
    },
    /// Requests that write to the provider's prompt cache, and never read from it.
    NeverHit {
        /// The suite.
        suite: String,
        /// `prompt@version`.
        prompt: String,
        /// The model's name.
        model: String,
        /// Requests of this run that wrote.
        requests: u64,
        /// What they wrote.
        written_tokens: u64,
        /// What that cost more than the same tokens without the cache.
        lost_usd: Money,
    },
}
