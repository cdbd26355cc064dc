//! What happened in a run? The one report from which every output format is rendered.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::model::baseline::{Baseline, SuiteComparison};
use crate::model::bill::{SimulatedSavings, Unanswered};
use crate::model::gate::{Exit, GateResult, SuitePolicy};
use crate::model::money::Money;
use crate::model::problem::{Problem, Site};
use crate::model::remembered::Remembered;
use crate::model::reply::{Attempt, RefusalDetails, Served, StopReason, Usage};
use crate::model::request::Role;
use crate::model::right_size::RightSize;
use crate::model::sampled::Sampled;
use crate::model::suite::SourceFile;
use crate::model::verdict::{AssertionResult, CellError, SkipReason, SnapshotState, TextDiff, Verdict};

/// How the warning begins that says what the budget left out of a run, and whose hint is the next step.
pub const LEFT_OUT_BY_BUDGET: &str = "the budget left out";

/// How the warning begins that says that the store took no more, and whose rest says why.
pub const NOT_STORED: &str = "nothing more was asked: ";

/// The value of [`RunReport::schema`] that this version writes and reads.
pub const SCHEMA: &str = "promptkeel.run/1";

/// The plain data of one run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct RunReport {
    /// [`SCHEMA`].
    pub schema: String,
    /// Which run.
    pub run: RunInfo,
    /// How many of what.
    pub totals: Totals,
    /// How much.
    pub bill: Bill,
    /// What the selected suites ask for, in plan order.
    pub policies: Vec<SuitePolicy>,
    /// What the gates say, all of them.
    pub gates: Vec<GateResult>,
    /// What they come to.
    pub exit: Exit,
    /// Totals per suite x model, in plan order.
    pub models: Vec<Group>,
    /// Totals per suite.
    pub suites: Vec<Group>,
    /// Totals per prompt version (`ticket-triage@2`).
    pub versions: Vec<Group>,
    /// Totals per tag; a cell counts for each of its tags.
    pub tags: Vec<Group>,
    /// Accepted snapshots that no case of any suite owns, project-relative.
    pub orphans: Vec<String>,
    /// Warnings and notes about what was read.
    pub problems: Vec<Problem>,
    /// What changed from the prompt version of an accepted output to the one that gave a changed output, once for each pair.
    #[serde(default)]
    pub prompt_changes: Vec<PromptChange>,
    /// What got better since an earlier run, where the store knows one; of merged shards, since the earlier run that each of them knows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub improved: Vec<Improved>,
    /// How its suites stand against their baselines, where they have one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub comparisons: Vec<SuiteComparison>,
    /// What they were compared with.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub baselines: Vec<Baseline>,
    /// What the history of runs says about this one; of merged shards the flaky cells that each of them knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remembered: Option<Remembered>,
    /// What of it is larger than it has to be.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub right_size: Vec<RightSize>,
    /// What the cells' requests say, each text once; [`RequestFacts`] points into it.
    #[serde(default)]
    pub texts: Vec<Arc<str>>,
    /// In plan order.
    pub cells: Vec<CellResult>,
}

/// Two versions of a prompt, or two prompts, that outputs were accepted with and came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct PromptChange {
    /// The version of the accepted output: `ticket-triage@2`.
    pub from: String,
    /// The version that gave the new one.
    pub to: String,
    /// The new version's file, project-relative.
    pub file: Arc<str>,
    /// The accepted text to the new one: the files, templates and all.
    pub diff: TextDiff,
}

/// Cells that pass now and failed before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Improved {
    /// The earlier run's id.
    pub run: String,
    /// Its revision, as [`RunInfo::revision`].
    pub revision: Option<String>,
    /// The cells as they are now: an older version of the prompt may have failed.
    pub cells: Vec<Address>,
}

/// Which run it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct RunInfo {
    /// Sortable by time, unique: `20261122-143120-9f3a`.
    pub id: String,
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
    /// `promptkeel 0.1.0`.
    pub tool: String,
    /// `git rev-parse HEAD`, with `-dirty` where the work tree differs; `None` outside git.
    pub revision: Option<String>,
    /// The names of the endpoints that were asked or could have been.
    pub endpoints: Vec<String>,
    /// Every reply came from a simulator: no number in here is about a real model.
    pub simulated: bool,
    /// `i/n` of a sharded run.
    pub shard: Option<Shard>,
    /// Filters were given: orphans of unselected suites are still right, history is marked partial.
    pub filtered: bool,
}

/// One part of a sharded run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Shard {
    /// 1-based.
    pub index: u32,
    /// At least 1.
    pub count: u32,
}

/// How many of what. `planned = passed + failed + errored + skipped`, always.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Totals {
    /// Cells.
    pub planned: u64,
    /// Cells.
    pub passed: u64,
    /// Cells.
    pub failed: u64,
    /// Cells.
    pub errored: u64,
    /// Cells.
    pub skipped: u64,
    /// Cells that passed with at least one failed `severity: warn` assertion.
    pub warned: u64,
    /// Samples, asked or not.
    pub samples: u64,
    /// Cells whose output equals its snapshot.
    pub snapshots_same: u64,
    /// Cells whose output differs from it.
    pub snapshots_changed: u64,
    /// Cells without an accepted snapshot.
    pub snapshots_new: u64,
    /// Files without a cell.
    pub snapshots_orphaned: u64,
    /// Samples that this run paid for.
    pub requests_asked: u64,
    /// Samples that were already answered.
    pub requests_cached: u64,
    /// Attempts beyond the first, of this run.
    pub requests_retried: u64,
    /// Samples whose reply is a refusal, structural (stop reason).
    pub refusals: u64,
    /// Samples cut at a token limit.
    pub truncations: u64,
    /// Tokens of every sample that has a reply, by kind, paid now or earlier.
    pub tokens: Tokens,
}

/// Tokens by kind.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Tokens {
    /// Uncached prompt.
    pub input: u64,
    /// Prompt written to the provider's cache, both lives.
    pub cache_write: u64,
    /// Prompt read from the provider's cache.
    pub cache_read: u64,
    /// Generated, thinking included.
    pub output: u64,
}

impl Tokens {
    /// Adds a reply's usage. Saturates: a server that counts nonsense must not end a run.
    pub fn add(&mut self, usage: &Usage) {
        let written = usage.cache_write_5m_tokens.saturating_add(usage.cache_write_1h_tokens);
        self.input = self.input.saturating_add(usage.input_tokens);
        self.cache_write = self.cache_write.saturating_add(written);
        self.cache_read = self.cache_read.saturating_add(usage.cache_read_tokens);
        self.output = self.output.saturating_add(usage.output_tokens);
    }

    /// The whole prompt: uncached, written and read. Saturates, as [`Self::add`] does.
    #[must_use]
    pub const fn prompt(&self) -> u64 {
        self.input.saturating_add(self.cache_write).saturating_add(self.cache_read)
    }
}

/// Money, exact. Simulated and real money never share a field: where [`RunInfo::simulated`] is false, `simulated_usd` tells the simulated part.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Bill {
    /// Paid to real endpoints by this run.
    pub spent_usd: Money,
    /// What this run's real answers that came from the local store or recordings cost when they were paid.
    pub saved_by_store_usd: Money,
    /// What the provider's prompt cache took off the price of this run's paid answers (negative where writes outweigh reads).
    pub saved_by_prompt_cache_usd: Money,
    /// What the batch discount took off the price of this run's paid answers.
    #[serde(default)]
    pub saved_by_batch_usd: Money,
    /// What simulated answers would have cost at list price; nobody paid it.
    pub simulated_usd: Money,
    /// What simulated answers did not cost.
    #[serde(default, skip_serializing_if = "SimulatedSavings::is_zero")]
    pub simulated_saved: SimulatedSavings,
    /// Samples with a reply of an unpriced model: not in any sum.
    pub unpriced_samples: u64,
    /// Attempts that failed after they were sent, and may have been billed; not in any sum.
    pub unknown_attempts: u64,
    /// The most that they can have cost together; absent where one of them has no bound, or there is none of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unknown_at_most_usd: Option<Money>,
    /// Samples whose counted tokens cannot be right: they are in the sums, which may be wrong by them.
    #[serde(default)]
    pub doubtful_samples: u64,
    /// The part of what was spent that the baseline and fresh samples cost: it stands in no cell of the run.
    #[serde(default, skip_serializing_if = "Money::is_zero")]
    pub compared_usd: Money,
    /// What a replay lacked, and what it would cost to ask for it; absent where it lacked nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unanswered: Option<Box<Unanswered>>,
}

/// Totals of some of the cells.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Group {
    /// The suite, where the group is within one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suite: Option<String>,
    /// A model's name, a suite's name, `prompt@version`, or a tag.
    pub name: String,
    /// Some of its cells count for the gate; the others (older versions, `gate: false`) inform only.
    pub gated: bool,
    /// Every model in it was simulated.
    pub simulated: bool,
    /// How many of what.
    pub totals: Totals,
    /// How much.
    pub bill: Bill,
    /// Median latency of the paid calls, in milliseconds.
    pub latency_p50_ms: Option<u64>,
    /// 95th percentile (nearest rank) of the same.
    pub latency_p95_ms: Option<u64>,
    /// What the samples say, where a cell has several; of a model those of its cells that the gate counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sampled: Option<Sampled>,
}

/// The address of a cell: `suite::case::prompt@version::model`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Address {
    /// The suite's name.
    pub suite: Arc<str>,
    /// The case's id.
    pub case: Arc<str>,
    /// The prompt's name.
    pub prompt: Arc<str>,
    /// The prompt's version.
    pub version: u32,
    /// The model's name: its label, else its id.
    pub model: Arc<str>,
}

impl std::fmt::Display for Address {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}::{}::{}@{}::{}", self.suite, self.case, self.prompt, self.version, self.model)
    }
}

/// What came of one cell.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct CellResult {
    /// Which cell.
    pub address: Address,
    /// The model's id as the API spells it.
    pub model_id: Arc<str>,
    /// The endpoint that answers for it.
    pub endpoint: Arc<str>,
    /// Its verdict.
    pub verdict: Verdict,
    /// Whether it counts for the gate: newest listed version, `gate` not false.
    pub gated: bool,
    /// Several versions or prompts run side by side in its suite.
    pub side_by_side: bool,
    /// What the case stands or falls with, in its suite: in a comparison all cases of a cluster count as one unit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<Arc<str>>,
    /// The case's tags.
    pub tags: Arc<[String]>,
    /// Where the case stands.
    pub site: Site,
    /// How its output stands to its snapshot.
    pub snapshot: SnapshotState,
    /// The snapshot's path, project-relative; `None` where the cell owns none.
    pub snapshot_path: Option<Arc<str>>,
    /// The outputs as the snapshot's file would hold them, where they are not the accepted ones: accepting them later asks nobody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub candidate: Option<Arc<str>>,
    /// What the cell is made of, to find out what changed since.
    pub digests: CellDigests,
    /// What was sent for every sample; `None` where nothing could be or was to be sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<RequestFacts>,
    /// In the order of their index.
    pub samples: Vec<SampleResult>,
    /// What they say of the cell, where there are several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sampled: Option<Sampled>,
    /// The most that one of its attempts can have cost, where the bill of one is unknown and has a bound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt_at_most_usd: Option<Money>,
}

/// A rendered request as numbers into [`RunReport::texts`], from 0.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct RequestFacts {
    /// System blocks.
    pub system: Vec<u32>,
    /// The conversation.
    pub turns: Vec<TurnFacts>,
    /// The parameters, as JSON.
    pub parameters: u32,
}

/// One turn of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct TurnFacts {
    /// Who speaks.
    pub role: Role,
    /// Its blocks: texts as they are, other kinds as JSON with long data left out.
    pub content: Vec<u32>,
}

/// Digests (blake3, hex) of what a cell is made of.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct CellDigests {
    /// The prompt version's text.
    pub prompt: Arc<str>,
    /// The case's variables.
    pub variables: Arc<str>,
    /// The effective assertions with their schemas.
    pub assertions: Arc<str>,
    /// Everything of the cell, the accepted snapshot and the gate policy included: `--changed-since` compares it.
    pub fingerprint: Arc<str>,
    /// Fixture files.
    pub fixtures: Arc<[SourceFile]>,
}

/// What came of one sample.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct SampleResult {
    /// From 0.
    pub index: u32,
    /// The answer's cache key, in hex.
    pub key: String,
    /// Its verdict.
    pub verdict: Verdict,
    /// The reply, where there is one.
    pub reply: Option<ReplyFacts>,
    /// Every assertion, in the order in which they were written.
    pub assertions: Vec<AssertionResult>,
    /// Why there is no verdict.
    pub error: Option<CellError>,
    /// Why nothing was asked.
    pub skipped: Option<SkipReason>,
}

/// What a report keeps of a reply.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ReplyFacts {
    /// The text, all text blocks joined.
    pub text: String,
    /// Every other block that is not thinking (tool calls), as JSON.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub other_blocks: Vec<serde_json::Value>,
    /// Why it stopped.
    pub stop_reason: StopReason,
    /// Details of a structural refusal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refusal: Option<RefusalDetails>,
    /// Tokens.
    pub usage: Usage,
    /// Its price on the day that it was paid; `None` for an unpriced model.
    pub cost_usd: Option<Money>,
    /// The same without the batch discount, where there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unbatched_cost_usd: Option<Money>,
    /// The same usage with the prompt cache and batch left out.
    pub uncached_cost_usd: Option<Money>,
    /// Latency of the paid call, in milliseconds.
    pub latency_ms: u64,
    /// Where it came from this time.
    pub served: Served,
    /// A simulator answered.
    pub simulated: bool,
    /// `request-id`.
    pub request_id: Option<String>,
    /// When it was paid.
    pub answered_at: DateTime<Utc>,
    /// Every attempt of the paid call.
    pub attempts: Vec<Attempt>,
    /// Nothing but when it came is known any more: an answer of a remembered baseline that the store does not hold.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub forgotten: bool,
}

impl ReplyFacts {
    /// How long the call took; `None` in a message batch, whose hours say nothing about the model.
    #[must_use]
    pub fn latency(&self) -> Option<u64> {
        (!self.usage.is_batch()).then_some(self.latency_ms)
    }
}
