//! What is a run compared with, and what came of it?

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::model::comparison::{ComparisonPolicy, FreshSamples, LocalPolicy};
use crate::model::key::Key;
use crate::model::problem::Site;
use crate::model::reply::{Served, StopReason, Usage};
use crate::model::run::{Address, CellDigests, CellResult, ReplyFacts, SampleResult};
use crate::model::side_by_side::{ArmComparison, Cheapest, Finding};
use crate::model::suite::SourceFile;
use crate::model::verdict::{SnapshotState, Verdict};

/// What a suite's comparison asks for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ComparisonAsked {
    /// With what, as it was asked for: `last-green`, `main.json`, `git:main`.
    pub baseline: String,
    /// The loss of pass rate, averaged over the cases, that does not matter: 0.05 is five points.
    pub margin: f64,
    /// How often, at most, a verdict may be wrong.
    pub alpha: f64,
    /// It may buy what it needs to be decided: fresh samples of single cases, and then a second look with more samples of all. Both looks were
    /// planned before the first, so each is held to less than alpha.
    #[serde(default, skip_serializing_if = "is_false")]
    pub decides: bool,
}

/// How another model of the same run is named where a baseline is: `model:claude-sonnet-4-6`.
pub const MODEL: &str = "model:";

impl ComparisonAsked {
    /// The same for the statistics: single cases are confirmed, and everything is judged once, unless looks are planned.
    #[must_use]
    pub fn policy(&self) -> ComparisonPolicy {
        ComparisonPolicy { alpha: self.alpha, margin: self.margin, local: Some(LocalPolicy::default()), look: None, family: 1 }
    }
}

/// What a run is compared with.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Baseline {
    /// As it was asked for: `last-green`, `main.json`, `git:main`.
    pub reference: String,
    /// The model of this run that is held against it, where it is a model of this run too: then it has no cells of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The id of the run that it is; `None` where its cells were answered in this run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// Its git revision, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// When that run began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<DateTime<Utc>>,
    /// Its cells. They count in no total of this run and in no other gate; what they cost in this run is on its bill.
    pub cells: Vec<CellResult>,
    /// It has only some of the cells of its suites: what it lacks need not be new.
    #[serde(default, skip_serializing_if = "is_false")]
    pub part: bool,
    /// It answers the very same as this run, and its own gate did not hold.
    #[serde(default, skip_serializing_if = "is_false")]
    pub failed: bool,
    /// Its own gate did not hold, whatever it answers.
    #[serde(default, skip_serializing_if = "is_false")]
    pub not_held: bool,
    /// Suites that it knows, though it may have no cell of them that stands against one of this run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub suites: Vec<KnownSuite>,
    /// Suites that it gates, and that nothing gates any more: gone, renamed, or informing only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gone: Vec<GoneSuite>,
    /// Cases that stand elsewhere now, under another id or in another suite: what is new by its address alone is not new.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub renamed: Vec<RenamedCase>,
    /// Cases that only it has, where its cells were answered in this run: they were not asked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dropped: Vec<String>,
    /// Cases of models that count for its gate and only inform in this run: they were not asked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub informing: Vec<String>,
    /// Samples that were asked afresh in both arms, because these cases looked worse.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fresh: Vec<FreshSamples>,
    /// Samples that were asked for the second of two planned looks, of all cases in both arms, beside those of the cells.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub second: Vec<FreshSamples>,
    /// Cases that wanted fresh samples and did not get them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unasked: Vec<Unasked>,
    /// Cases in whose fresh samples of the candidate a `critical` assertion failed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub critical: Vec<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
const fn is_false(flag: &bool) -> bool {
    !*flag
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
const fn is_true(flag: &bool) -> bool {
    *flag
}

const fn yes() -> bool {
    true
}

/// How each prompt's version before its newest one is asked for.
pub const PREVIOUS: &str = "previous-version";

/// A suite as a baseline knows it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct KnownSuite {
    /// Its name.
    pub name: String,
    /// The models that count for its gate there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub models: Vec<String>,
    /// The prompts that count for its gate there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub prompts: Vec<String>,
    /// What its gate asks for there and not here, where that is known: `margin 0.05 -> 0.5`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gate: Vec<String>,
}

/// A suite that a baseline gates, and that nothing gates any more.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct GoneSuite {
    /// Its name in the baseline.
    pub name: String,
    /// How many cases of it are gated there.
    pub cases: u32,
    /// The suite that is perhaps the same under another name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub like: Option<LikeSuite>,
    /// What became of it.
    #[serde(default, skip_serializing_if = "How::is_default")]
    pub how: How,
}

/// Why nothing gates a suite any more.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum How {
    /// The project has no suite of that name.
    #[default]
    Gone,
    /// None of its models counts for the gate.
    Informs,
    /// It names no baseline any more.
    Uncompared,
}

impl How {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
    const fn is_default(&self) -> bool {
        matches!(self, Self::Gone)
    }
}

/// A case of a baseline that stands elsewhere now: the same variables under another id, or in another suite.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct RenamedCase {
    /// The suite that has it now.
    pub suite: String,
    /// The suite that has it in the baseline, where that is another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// The id in the baseline.
    pub before: String,
    /// The id now.
    pub now: String,
}

/// A suite that the baseline does not know, with most cases of one that is gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct LikeSuite {
    /// Its name.
    pub name: String,
    /// How many of those cases it has: the same id, the same variables.
    pub cases: u32,
}

impl Baseline {
    /// It was there before this run's suite of this name.
    #[must_use]
    pub fn knows(&self, suite: &str) -> bool {
        self.suites.iter().any(|known| known.name == suite) || self.cells.iter().any(|cell| &*cell.address.suite == suite)
    }
}

/// The place of what this suite is compared with: of several runs that one reference names, the one that knows the suite.
#[must_use]
pub fn place(baselines: &[Baseline], reference: &str, suite: &str) -> Option<usize> {
    let mut named = (0..).zip(baselines).filter(|(_, baseline)| baseline.reference == reference);
    let known = named.clone().find(|(_, baseline)| baseline.knows(suite));
    known.or_else(|| named.next()).map(|(place, _)| place)
}

/// A case that wanted fresh samples and did not get them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Unasked {
    /// The case.
    pub case: String,
    /// Why not.
    pub reason: WhyUnasked,
}

/// Why no fresh samples were got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WhyUnasked {
    /// The budget left them out.
    Budget,
    /// What the baseline asked is neither on the disk nor in its revision.
    Lost,
    /// They reached no verdict.
    Unanswered,
}

/// How one suite of a run stands against its baseline.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct SuiteComparison {
    /// The suite.
    pub suite: String,
    /// The baseline, as it was asked for.
    pub baseline: String,
    /// The model that is held against it, where that is a model of the same run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// What it came to.
    pub standing: ComparisonStanding,
    /// Both arms and the verdict; `None` where nothing could be compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compared: Option<ArmComparison>,
    /// Why it does not pass, though what is compared would let it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gap: Option<String>,
    /// What kept the cases out, where nothing could be compared.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<Finding>,
    /// Which of the suite's models is the cheapest that does, where models are compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cheapest: Option<Cheapest>,
    /// The one line that a reviewer needs.
    pub message: String,
}

impl SuiteComparison {
    /// The place of what it is compared with, among the baselines of its run.
    #[must_use]
    pub fn place(&self, baselines: &[Baseline]) -> Option<usize> {
        match &self.model {
            Some(_) => baselines.iter().position(|baseline| baseline.reference == self.baseline && baseline.model == self.model),
            None => place(baselines, &self.baseline, &self.suite),
        }
    }
}

/// What a comparison gate came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ComparisonStanding {
    /// It was shown that the candidate is worse.
    Regressed,
    /// It was shown that it is not worse by more than the margin.
    NotWorse,
    /// What may be compared asks the very same and has the very same answers as the baseline: there is nothing to compare.
    Unchanged,
    /// The baseline does not know this suite: it is new.
    New,
    /// The samples show neither, or nothing may be compared.
    Undecided,
    /// Verdicts are missing that could change what it comes to.
    Missing,
    /// The budget left out what it needs.
    Budget,
}

/// The value of [`Blessed::schema`] that this version writes and reads.
pub const BLESSED: &str = "promptkeel.baseline/1";

/// The run that was blessed: enough to compare with it where nothing else of it is left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Blessed {
    /// [`BLESSED`].
    pub schema: String,
    /// `promptkeel 0.1.0`.
    pub tool: String,
    /// The id of the run.
    pub run: String,
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// Its git revision.
    pub revision: Option<String>,
    /// It has only some of the cells.
    #[serde(default, skip_serializing_if = "is_false")]
    pub part: bool,
    /// Of all of this, so that a slip in an editor or a merge is seen.
    #[serde(default)]
    pub digest: String,
    /// Every cell of it that has a verdict.
    pub cells: Vec<KeptCell>,
}

/// What is kept of a cell so that later runs can be compared with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeptCell {
    /// Which.
    pub address: Address,
    /// The model's id.
    pub model_id: Arc<str>,
    /// The endpoint's name.
    pub endpoint: Arc<str>,
    /// Digest of the case's variables.
    pub variables: Arc<str>,
    /// Digest of its assertions.
    pub assertions: Arc<str>,
    /// Its fixture files.
    pub fixtures: Arc<[SourceFile]>,
    /// It counted for the gate.
    #[serde(default = "yes", skip_serializing_if = "is_true")]
    pub gated: bool,
    /// In the order of their index.
    pub samples: Vec<KeptSample>,
}

/// What is kept of a sample.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeptSample {
    /// The answer's cache key.
    pub key: Key,
    /// Its verdict.
    pub verdict: Verdict,
    /// When the answer came; `None` where there is none.
    pub answered_at: Option<DateTime<Utc>>,
    /// A simulator gave it.
    pub simulated: bool,
}

impl KeptCell {
    /// What is kept of this cell; `None` where it has nothing to be compared by.
    #[must_use]
    pub fn of(cell: &CellResult) -> Option<Self> {
        let sample = |sample: &SampleResult| {
            let reply = sample.reply.as_ref();
            Some(KeptSample {
                key: sample.key.parse().ok()?,
                verdict: sample.verdict,
                answered_at: reply.map(|reply| reply.answered_at),
                simulated: reply.is_some_and(|reply| reply.simulated),
            })
        };
        let CellDigests { variables, assertions, fixtures, .. } = &cell.digests;
        let samples: Option<Vec<KeptSample>> = cell.samples.iter().map(sample).collect();
        Some(Self {
            address: cell.address.clone(),
            model_id: Arc::clone(&cell.model_id),
            endpoint: Arc::clone(&cell.endpoint),
            variables: Arc::clone(variables),
            assertions: Arc::clone(assertions),
            fixtures: Arc::clone(fixtures),
            gated: cell.gated,
            samples: samples.filter(|samples| !samples.is_empty() && !variables.is_empty())?,
        })
    }

    /// The cell as far as it is known: its replies are forgotten but for when they came.
    #[must_use]
    pub fn cell(&self) -> CellResult {
        let reply = |sample: &KeptSample| {
            let answered_at = sample.answered_at?;
            Some(ReplyFacts {
                text: String::new(),
                other_blocks: Vec::new(),
                stop_reason: StopReason::EndTurn,
                refusal: None,
                usage: Usage::default(),
                cost_usd: None,
                unbatched_cost_usd: None,
                uncached_cost_usd: None,
                latency_ms: 0,
                served: Served::Stored,
                simulated: sample.simulated,
                request_id: None,
                answered_at,
                attempts: Vec::new(),
                forgotten: true,
            })
        };
        let sample = |(index, sample): (u32, &KeptSample)| SampleResult {
            index,
            key: sample.key.to_string(),
            verdict: sample.verdict,
            reply: reply(sample),
            assertions: Vec::new(),
            error: None,
            skipped: None,
        };
        let any = |verdict| self.samples.iter().any(|sample| sample.verdict == verdict);
        let verdicts = [Verdict::Fail, Verdict::Error, Verdict::Skipped];
        CellResult {
            address: self.address.clone(),
            model_id: Arc::clone(&self.model_id),
            endpoint: Arc::clone(&self.endpoint),
            verdict: verdicts.into_iter().find(|verdict| any(*verdict)).unwrap_or(Verdict::Pass),
            gated: self.gated,
            side_by_side: false,
            cluster: None,
            tags: Arc::from([]),
            site: Site { file: Arc::from(""), line: 1 },
            snapshot: SnapshotState::None,
            snapshot_path: None,
            candidate: None,
            digests: CellDigests {
                variables: Arc::clone(&self.variables),
                assertions: Arc::clone(&self.assertions),
                fixtures: Arc::clone(&self.fixtures),
                ..CellDigests::default()
            },
            request: None,
            samples: (0..).zip(&self.samples).map(sample).collect(),
            sampled: None,
            attempt_at_most_usd: None,
        }
    }
}
