//! How does a gate behave on prompts that did not change, and what would it find?

use serde::{Deserialize, Serialize};

use crate::model::comparison::{ComparisonPolicy, Counts, Interval};
use crate::model::money::Money;

/// The value of [`Calibration::schema`] that this version writes.
pub const SCHEMA: &str = "promptkeel.calibration/1";

/// Everything that `promptkeel calibrate` says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Calibration {
    /// [`SCHEMA`].
    pub schema: String,
    /// `promptkeel 0.1.0`.
    pub tool: String,
    /// Which suites were asked, by name.
    pub suites: Vec<String>,
    /// So many runs were collected.
    pub runs: u32,
    /// Every reply came from a simulator: no number is about a real model.
    pub simulated: bool,
    /// All samples with a verdict, and how many of them passed.
    pub collected: Counts,
    /// Samples without a verdict; they count nowhere.
    pub missing_samples: u64,
    /// Samples that were asked now; the others were stored.
    pub asked: u64,
    /// What these cost.
    pub spent_usd: Money,
    /// How the gate is set; of several suites that are not set alike the mean of their alphas, which is what a run of all of them may block at most,
    /// and the smallest margin.
    pub policy: ComparisonPolicy,
    /// What random draws began with: the same samples and seed give the same numbers.
    pub seed: u64,
    /// What the gate of a comparison says of an unchanged prompt.
    pub comparison: Unchanged,
    /// What the suites' own pass rates say of it, by suite and model.
    pub pass_rates: Vec<PassRateBlocks>,
    /// What a real loss would come to; `None` where no case has two samples.
    pub detection: Option<Detection>,
    /// Every case, the noisiest first.
    pub cases: Vec<CaseNoise>,
    /// Cases with fewer than two samples that reached a verdict: they are in no comparison.
    pub left_out: Vec<String>,
}

/// How often something happened in random draws, with the interval that so many draws leave.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Frequency {
    /// Draws in which it did.
    pub count: u32,
    /// All draws.
    pub draws: u32,
    /// Wilson's interval of the share, 95 %: of the drawing alone, the collected samples taken as they are.
    pub interval: Interval,
}

impl Frequency {
    /// The share of the draws.
    #[must_use]
    pub fn share(&self) -> f64 {
        f64::from(self.count) / f64::from(self.draws.max(1))
    }
}

/// What the gate of a comparison says where both arms are samples of the very same prompt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Unchanged {
    /// Cases in each comparison.
    pub cases: u32,
    /// Independent units among them.
    pub units: u32,
    /// The fewest and the most samples of a case in each arm.
    pub samples: [u32; 2],
    /// Blocked, for whichever reason: a false alarm.
    pub blocked: Frequency,
    /// Blocked by the average over all cases.
    pub broad: u32,
    /// Blocked by single cases that fresh samples confirmed.
    pub local: u32,
    /// Blocked because a critical assertion failed in the candidate.
    pub critical: u32,
    /// Shown to be not worse.
    pub not_worse: Frequency,
    /// Neither.
    pub undecided: Frequency,
    /// Cases with too few samples for fresh ones of their own: theirs were drawn again from those that there are.
    pub reused: u32,
    /// Of the comparisons whose baseline would have been green by the suites' own gates, those that blocked: what `last-green` does.
    /// `None` where hardly any was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub green: Option<Frequency>,
    /// Each suite's part, where there are several: every one is compared for itself, with its part of alpha.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub suites: Vec<SuiteUnchanged>,
}

/// What the comparison of one of several suites says where nothing changed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct SuiteUnchanged {
    /// The suite.
    pub suite: String,
    /// How its gate is set, before alpha is shared.
    pub policy: ComparisonPolicy,
    /// Cases in each comparison.
    pub cases: u32,
    /// Blocked: a false alarm.
    pub blocked: Frequency,
    /// Shown to be not worse.
    pub not_worse: Frequency,
}

/// How often a suite's own gate fails though nothing changed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct PassRateBlocks {
    /// The suite.
    pub suite: String,
    /// The model.
    pub model: String,
    /// The least share of passing cells that it asks for.
    pub min_pass_rate: f64,
    /// Its cells.
    pub cells: u32,
    /// Runs in which too few passed.
    pub blocked: Frequency,
}

/// How often a loss in every case would be found, and what it would take to find it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Detection {
    /// The loss of pass rate in every case: 0.05 is five points.
    pub drop: f64,
    /// How often it is to be found.
    pub power: f64,
    /// With the cases and samples as they are.
    pub now: Found,
    /// With the fewest samples per case and arm that find it often enough; `None`: no number up to a hundred does.
    pub by_samples: Option<Found>,
    /// With the fewest cases, alike to these, that find it often enough; `None`: no number up to thirty times as many does.
    pub by_cases: Option<Found>,
    /// The smallest loss that is found often enough as things are, to a tenth of a point; `None`: none up to everything is.
    pub smallest: Option<f64>,
}

/// How often the loss was found.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Found {
    /// Cases.
    pub cases: u32,
    /// Samples per case and arm, the most where they are not the same.
    pub samples: u32,
    /// Comparisons in which the candidate was shown to be worse.
    pub found: Frequency,
}

/// How a case's samples turn out, unchanged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct CaseNoise {
    /// The case.
    pub case: String,
    /// How many samples passed.
    pub counts: Counts,
    /// Wilson's interval of the pass rate, 95 %.
    pub interval: Interval,
    /// It passed and failed.
    pub flaky: bool,
    /// The part of all noise that comes from this case, 0 to 1.
    pub share_of_noise: f64,
    /// Samples in which a critical assertion failed.
    pub critical: u32,
}
