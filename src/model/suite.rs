//! What did the author ask for, resolved: suites, prompts, models, cases, policies?

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::model::assertion::Assertion;
use crate::model::money::Money;
use crate::model::problem::Site;
use crate::model::request::{Params, Role};

/// A case's variables, in the order in which they were written.
pub type Variables = Map<String, Value>;

/// One suite file with everything that it names already read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Suite {
    /// Unique in the project.
    pub name: String,
    /// For people.
    pub description: Option<String>,
    /// Where `suite:` stands.
    pub site: Site,
    /// At least one; several run side by side.
    pub prompts: Vec<Prompt>,
    /// At least one.
    pub models: Vec<ModelSpec>,
    /// Parameters of every request of this suite.
    pub request: Params,
    /// How JSON is found in a reply.
    pub parse: Parse,
    /// Who marks what the provider's prompt cache may keep.
    #[serde(default)]
    pub cache: PromptCache,
    /// Independent answers per cell, at least 1.
    pub samples: u32,
    /// How samples make a cell's verdict.
    pub pass: PassRule,
    /// What snapshots do.
    pub snapshot: SnapshotPolicy,
    /// What fails the gate.
    pub gate: GatePolicy,
    /// Whether its requests are asked in message batches; `None` means as the settings say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<BatchPolicy>,
    /// At least one, ids unique.
    pub cases: Vec<Arc<Case>>,
    /// Every file that was read for it, the suite file first: watching, digests.
    pub files: Vec<SourceFile>,
}

/// A file that was read, and what was in it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
pub struct SourceFile {
    /// Project-relative, forward slashes.
    pub path: Arc<str>,
    /// blake3 of its bytes, in hex.
    pub digest: Arc<str>,
}

/// A named prompt and those of its versions that the suite lists.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Prompt {
    /// The folder's name.
    pub name: String,
    /// Ascending by number, at least one; the last one is gated and owns the snapshots.
    pub versions: Vec<Arc<PromptVersion>>,
}

/// One version of a prompt: templates, split into turns before anything is rendered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PromptVersion {
    /// The prompt's name.
    pub prompt: String,
    /// From the file's name; compared as a number.
    pub version: u32,
    /// Its file; the digest is what `prompts.toml` locks: that of the text with line feeds and without a byte order mark.
    pub file: SourceFile,
    /// Front matter, for people.
    pub description: Option<String>,
    /// System blocks; empty means none.
    pub system: Vec<BlockTemplate>,
    /// At least one turn.
    pub turns: Vec<TurnTemplate>,
    /// Parameters that belong to the prompt: tools, output format. They overlay the suite's.
    pub request: Params,
}

/// One turn of a prompt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TurnTemplate {
    /// Who speaks.
    pub role: Role,
    /// In order.
    pub content: Vec<BlockTemplate>,
}

/// One content block of a prompt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum BlockTemplate {
    /// A text block: one Jinja template.
    Text {
        /// The template.
        template: String,
        /// 1-based line of the prompt file on which it begins, for messages.
        line: u32,
    },
    /// Any other block (and text blocks with `cache_control`), files already embedded; each string in it is a template of its own,
    /// except base64 `data`.
    Structured {
        /// The block as the API spells it.
        block: Map<String, Value>,
        /// 1-based line of the prompt file on which it begins.
        line: u32,
    },
}

/// A model that a suite selects.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelSpec {
    /// The id as the API spells it, sent as written.
    pub id: String,
    /// The author's name for it; unique in the suite. Addresses and snapshot paths use it instead of the id.
    pub label: Option<String>,
    /// The endpoint that answers for it; `None` means the project's default.
    pub endpoint: Option<String>,
    /// Parameters for this model alone. They overlay the suite's and the prompt's.
    pub request: Params,
    /// Whether its cells count for the gate.
    pub gate: bool,
    /// The user accepts an incomplete bill: `price: unpriced`.
    pub unpriced: bool,
    /// Where it stands.
    pub site: Site,
}

impl ModelSpec {
    /// What addresses, tables and paths call it.
    #[must_use]
    pub fn name(&self) -> &str {
        self.label.as_deref().unwrap_or(&self.id)
    }
}

/// One set of inputs with its assertions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Case {
    /// Given by the author, unique in the suite.
    pub id: String,
    /// What it stands or falls with, in its suite; `None`: nothing.
    pub cluster: Option<Arc<str>>,
    /// Features, customer segments, anything to select and total by.
    pub tags: Vec<String>,
    /// Values for the templates; files already read.
    pub variables: Arc<Variables>,
    /// The effective assertions: the suite's and its own, `refusal` and `stop_reason` replaced, `inherit: false` applied.
    pub assertions: Vec<Arc<Assertion>>,
    /// Overrides the suite's `samples`.
    pub samples: Option<u32>,
    /// Where it stands: its entry in the suite, or its row in a table.
    pub site: Site,
    /// Files that its variables came from.
    pub fixtures: Vec<SourceFile>,
}

/// How JSON is found in a reply; governs every JSON assertion and the snapshot.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Parse {
    /// One Markdown code fence around the whole answer is taken off.
    pub fenced: bool,
}

impl Parse {
    /// Where JSON is looked for in `text`: the whole of it, or what one code fence around the whole of it holds.
    #[must_use]
    pub fn json_text(self, text: &str) -> &str {
        if self.fenced { unfenced(text).unwrap_or(text) } else { text }
    }
}

/// What stands in the one code fence that `text` is (CommonMark 0.31, section 4.5), white space around it apart.
fn unfenced(text: &str) -> Option<&str> {
    let text = text.trim();
    let mark = text.chars().next().filter(|first| matches!(first, '`' | '~'))?;
    let marks = |line: &str| line.chars().take_while(|&character| character == mark).count();
    let opening = marks(text);
    let (first, rest) = text.split_once('\n')?;
    if opening < 3 || (mark == '`' && first.get(opening..)?.contains(mark)) {
        return None;
    }
    let closes = |line: &str| marks(line.trim()) >= opening && line.trim().chars().all(|character| character == mark);
    let (body, last) = rest.rsplit_once('\n').unwrap_or(("", rest));
    // A fence that closes earlier does not hold the whole answer.
    (closes(last) && !body.lines().any(closes)).then_some(body)
}

/// Who marks what the provider's prompt cache may keep. Never changes what the model sees, nor a key.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum PromptCache {
    /// The run, where it pays, beside the author's own `cache_control`.
    #[default]
    Auto,
    /// Only the author.
    Explicit,
    /// Nobody: the author's own marks are not sent either.
    Off,
}

/// How many samples of a cell must pass.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub enum PassRule {
    /// Every one.
    #[default]
    All,
    /// At least so many.
    AtLeast(u32),
    /// At least this share, 0 to 1.
    Rate(f64),
}

/// Whether requests are asked in message batches: at half price, within an hour for the most part, and a day at most.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum BatchPolicy {
    /// One by one.
    #[default]
    Off,
    /// Where there are many to ask.
    Auto,
    /// However few there are.
    On,
}

/// How outputs are compared with snapshots.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Compare {
    /// Byte for byte.
    Exact,
    /// White space and Unicode normalised.
    #[default]
    Text,
    /// As JSON values.
    Json,
    /// Word tokens, a threshold.
    Similar,
    /// No snapshot.
    Off,
}

/// What a changed or new output does to the gate.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnChange {
    /// The gate fails.
    #[default]
    Fail,
    /// It is reported.
    Warn,
}

/// What a suite's snapshots do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SnapshotPolicy {
    /// How outputs are compared.
    pub compare: Compare,
    /// JSONPaths (RFC 9535) left out of a `json` comparison.
    pub ignore: Vec<String>,
    /// What a change does.
    pub on_change: OnChange,
    /// Least similarity under `similar`, 0 to 1.
    pub threshold: f64,
}

impl Default for SnapshotPolicy {
    fn default() -> Self {
        Self { compare: Compare::default(), ignore: Vec::new(), on_change: OnChange::default(), threshold: 0.9 }
    }
}

/// What a suite's gate asks for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GatePolicy {
    /// Least share of passing cells per model, 0 to 1; 1.0 means that any failed cell fails the gate.
    pub min_pass_rate: f64,
    /// Most that one run of this suite may spend.
    pub max_cost_usd: Option<Money>,
    /// What a run is compared with, where no flag says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baseline: Option<String>,
    /// The loss of pass rate that a comparison allows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub margin: Option<f64>,
    /// How often, at most, a comparison may be wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alpha: Option<f64>,
}

impl Default for GatePolicy {
    fn default() -> Self {
        Self { min_pass_rate: 1.0, max_cost_usd: None, baseline: None, margin: None, alpha: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_fence_around_the_whole_answer_is_taken_off() {
        let parse = Parse { fenced: true };
        for (text, json) in [
            ("```json\n{\"a\": 1}\n```", "{\"a\": 1}"),
            ("  ~~~\n[1]\n[2]\n~~~~\n\n", "[1]\n[2]"),
            ("```\n```", ""),
            ("{\"a\": 1}", "{\"a\": 1}"),
            ("```json\n1\n```\nand\n```json\n2\n```", "```json\n1\n```\nand\n```json\n2\n```"),
            ("Here it is:\n```json\n1\n```", "Here it is:\n```json\n1\n```"),
            ("```json {\"a\": 1}```", "```json {\"a\": 1}```"),
            ("````\n1\n```", "````\n1\n```"),
        ] {
            assert_eq!(parse.json_text(text), json);
            assert_eq!(Parse::default().json_text(text), text);
        }
    }
}
