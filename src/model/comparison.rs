//! What came of comparing a candidate with its baseline?

use serde::{Deserialize, Serialize};

/// Samples of one case that reached a verdict. An error is missing data: it counts in neither number.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Counts {
    /// Samples that passed.
    pub passes: u32,
    /// Samples that passed or failed.
    pub samples: u32,
}

impl Counts {
    /// More passes than samples cannot be: the surplus is dropped.
    #[must_use]
    pub fn new(passes: u32, samples: u32) -> Self {
        Self { passes: passes.min(samples), samples }
    }

    /// The share of passes; `None` without a sample.
    #[must_use]
    pub fn rate(self) -> Option<f64> {
        (self.samples > 0).then(|| f64::from(self.passes.min(self.samples)) / f64::from(self.samples))
    }
}

/// One case under both arms.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct PairedCase {
    /// The case's id.
    pub case: String,
    /// Cases of one cluster (the same document, the same template) are not independent; `None`: a cluster of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    /// What is compared with.
    pub baseline: Counts,
    /// What is judged.
    pub candidate: Counts,
}

/// Samples that were asked for after the screening, in both arms, and that nothing else has used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct FreshSamples {
    /// The case's id.
    pub case: String,
    /// New samples of the baseline.
    pub baseline: Counts,
    /// New samples of the candidate.
    pub candidate: Counts,
}

/// What a comparison asks for.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ComparisonPolicy {
    /// How often, at most, an unchanged candidate may be blocked; and how often, at most, one that is worse by the margin may be called not
    /// worse. More than 0, less than 0.5.
    pub alpha: f64,
    /// The loss of pass rate, averaged over the cases, that does not matter: 0.05 is five points.
    pub margin: f64,
    /// Whether single cases that look worse are confirmed with fresh samples; `None`: only the average over all cases is judged.
    pub local: Option<LocalPolicy>,
    /// Which of two planned looks this is; `None`: the only one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub look: Option<Look>,
    /// So many comparisons share alpha where they block, so that all of them together block at most as often. "Not worse" is not shared: whoever
    /// wants all of them to be that is not wrong more often for their number.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub family: u32,
}

const fn one() -> u32 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks with a reference")]
const fn is_one(family: &u32) -> bool {
    *family == 1
}

/// One of two looks that were planned before the first: judge, and only if that is undecided judge again with more samples of every case.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Look {
    /// With this share of all planned samples.
    First(f64),
    /// With all of them; the first look had this share. Cases that the first look confirmed are not screened again.
    Second(f64),
}

/// How single cases are confirmed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct LocalPolicy {
    /// The part of alpha that is spent here, 0 to 1; the average over all cases has the rest.
    pub share: f64,
    /// At most so many cases are confirmed, the worst first.
    pub most_cases: u32,
    /// Fresh samples per case and arm.
    pub fresh_samples: u32,
}

impl Default for ComparisonPolicy {
    fn default() -> Self {
        Self { alpha: 0.05, margin: 0.05, local: Some(LocalPolicy::default()), look: None, family: 1 }
    }
}

impl Default for LocalPolicy {
    fn default() -> Self {
        Self { share: 0.5, most_cases: 10, fresh_samples: 10 }
    }
}

/// What a comparison says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ComparisonVerdict {
    /// It was shown that the candidate is worse.
    Regressed,
    /// It was shown that the candidate is not worse by more than the margin.
    NotWorse,
    /// The samples show neither.
    Undecided,
}

/// A range that a number lies in with some confidence.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Interval {
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

/// The verdict on a candidate with all its numbers. Every number is finite.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Comparison {
    /// What they come to.
    pub verdict: ComparisonVerdict,
    /// What was asked for.
    pub policy: ComparisonPolicy,
    /// Cases with a verdict in both arms: those that were compared.
    pub cases: u32,
    /// Independent units among them: clusters, and cases without one.
    pub units: u32,
    /// Cases that lack a verdict in an arm, by id; they count for neither side.
    pub missing: Vec<String>,
    /// All samples of the baseline that were compared.
    pub baseline: Counts,
    /// All samples of the candidate that were compared.
    pub candidate: Counts,
    /// The mean over the cases of candidate minus baseline; below 0 is worse.
    pub difference: f64,
    /// Where that mean lies with the confidence 1 - 2 alpha, or a higher one where this is one of two looks: each end is wrong at most once in
    /// 1 / alpha.
    pub interval: Interval,
    /// The interval's confidence, 0 to 1.
    pub confidence: f64,
    /// The smallest loss in every case that the average over all cases would show in four of five such comparisons; `None`: it would show none
    /// as often.
    #[serde(default)]
    pub detectable: Option<f64>,
    /// What all cases together say.
    pub broad: BroadResult,
    /// What single cases say; `None` where the policy does not ask for it.
    pub local: Option<LocalResult>,
    /// What would decide it; `None` where it is decided.
    pub need: Option<Need>,
}

/// The gate over all cases: a sign-flip test of the differences.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct BroadResult {
    /// How likely a sum of differences at least as bad is where nothing changed (mid-p, one-sided).
    pub p: f64,
    /// The part of alpha that p is held against.
    pub level: f64,
    /// Whether p is at or under the level.
    pub regressed: bool,
    /// Random draws that p was estimated with; `None`: it is exact.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub draws: Option<u32>,
}

/// The gate over single cases: those that look worse, confirmed with fresh samples.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct LocalResult {
    /// The part of alpha that the adjusted p of every case is held against.
    pub level: f64,
    /// The screened cases, the worst first.
    pub cases: Vec<ScreenedCase>,
    /// Cases that look worse too but were beyond the most that are confirmed.
    pub beyond: u32,
    /// Which these are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unasked: Vec<String>,
    /// How many of them fell from all passes to none: no verdict passes over these.
    #[serde(default)]
    pub broken: u32,
}

/// One case that looked worse.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ScreenedCase {
    /// The case's id.
    pub case: String,
    /// The baseline's samples that it was screened by.
    pub baseline: Counts,
    /// The candidate's samples that it was screened by.
    pub candidate: Counts,
    /// What the fresh samples said; `None`: there are none, or too few to show anything.
    pub confirmed: Option<Confirmed>,
}

/// What fresh samples said of one case.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Confirmed {
    /// New samples of the baseline.
    pub baseline: Counts,
    /// New samples of the candidate.
    pub candidate: Counts,
    /// Fisher's exact test, one-sided.
    pub p: f64,
    /// The same after Holm's correction for the number of screened cases.
    pub adjusted: f64,
    /// Whether the adjusted p is at or under the level.
    pub regressed: bool,
}

/// What would decide an undecided comparison.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Need {
    /// Cases that want fresh samples in both arms, by id, the worst first.
    pub confirm: Vec<String>,
    /// How many fresh samples each of them wants in each arm: the policy's, or more where these could not reach the level.
    pub fresh_samples: u32,
    /// Samples per case and arm, in all, with which it would be decided if the difference stayed as it is; `None`: the interval is narrow enough,
    /// or samples alone cannot narrow it as far.
    pub samples: Option<u32>,
    /// Cases, in all, with which it would be decided if the difference stayed as it is; `None`: the interval is narrow enough, no number would
    /// do, or all cases hang together, so that nobody knows what others would say.
    pub cases: Option<u32>,
}

/// A share in per cent with one decimal, none where it is zero; what is nearly all keeps as many as tell it from all: `90`, `93.9`, `99.998`.
#[must_use]
pub fn percent(share: f64) -> String {
    let told = (1..=12).map(|decimals| format!("{:.decimals$}", share * 100.0)).find(|text| share >= 1.0 || !text.starts_with("100"));
    told.unwrap_or_else(|| "100.0".to_owned()).trim_end_matches(".0").to_owned()
}
