//! How is a suite written? The keys of the suite file, from which its JSON Schema is made too.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::model::request::Params;
use crate::model::suite::{BatchPolicy, Compare, OnChange, Parse, PromptCache};
use crate::source::assertion_shape::{AssertionShape, Dollars, OneOrMany, scalar};
use crate::source::by_kind::by_kind;
use crate::source::node::Node;
use crate::source::spanned::Spanned;

/// A promptkeel suite: prompts, models, cases and what must hold.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Suite")]
pub(crate) struct SuiteShape {
    /// The suite's name, unique in the project.
    #[schemars(schema_with = "scalar")]
    pub(crate) suite: Spanned<String>,
    /// For people.
    pub(crate) description: Option<String>,
    /// A prompt's folder name (the newest version), `name@2` (that version), or a list that runs side by side.
    pub(crate) prompt: OneOrMany,
    /// The models that answer: ids, or mappings with more to say.
    #[schemars(length(min = 1))]
    pub(crate) models: Vec<Spanned<ModelShape>>,
    /// Messages API parameters of every request, by the API's own names.
    #[schemars(with = "Option<Params>")]
    pub(crate) request: Option<Node>,
    /// How JSON is found in a reply; governs every JSON assertion and the snapshot.
    pub(crate) parse: Option<Parse>,
    /// Who marks what the provider's prompt cache may keep: `auto` (the run, where it pays; the default), `explicit` (only your own
    /// `cache_control`) or `off` (nobody, and your own marks are not sent).
    pub(crate) cache: Option<PromptCache>,
    /// Independent answers per cell; 1 by default.
    #[schemars(range(min = 1))]
    pub(crate) samples: Option<Spanned<u32>>,
    /// How many samples of a cell must pass: `all` (the default), `{at_least: 2}` or `{rate: 0.8}`.
    pub(crate) pass: Option<Spanned<PassShape>>,
    /// Assertions on every case.
    #[schemars(with = "Option<Vec<AssertionShape>>")]
    pub(crate) assert: Option<Vec<Node>>,
    /// What snapshots do: a mapping, or only the way of comparing.
    pub(crate) snapshot: Option<SnapshotShape>,
    /// What fails the gate.
    pub(crate) gate: Option<GateShape>,
    /// Whether its requests are asked in message batches, at half price: `off`, `auto` (where 100 or more are to be asked) or `on`.
    pub(crate) batch: Option<BatchPolicy>,
    /// Inputs, each with an id: written out, or one a row of a table.
    #[schemars(length(min = 1))]
    pub(crate) cases: Vec<Spanned<CaseShape>>,
}

/// A model: its id, or more to say about it.
#[derive(Debug, JsonSchema)]
#[schemars(untagged, rename = "Model")]
pub(crate) enum ModelShape {
    /// The id as the API spells it.
    Id(String),
    /// The id and more.
    Fields(Box<ModelFields>),
}

/// A model and what is particular about it here.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ModelFields {
    /// The id as the API spells it.
    pub(crate) id: Spanned<String>,
    /// Your name for it, unique in the suite: reports and snapshot paths use it instead of the id.
    pub(crate) label: Option<Spanned<String>>,
    /// The endpoint of `promptkeel.toml` that answers for it.
    pub(crate) endpoint: Option<Spanned<String>>,
    /// Parameters for this model alone; they overlay the suite's and the prompt's.
    #[schemars(with = "Option<Params>")]
    pub(crate) request: Option<Node>,
    /// Whether its cells count for the gate; `true` by default.
    pub(crate) gate: Option<bool>,
    /// `unpriced`: the bill may be incomplete.
    pub(crate) price: Option<PriceShape>,
}

/// What is known about a price.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum PriceShape {
    /// Nothing; the bill says that it is incomplete.
    Unpriced,
}

/// How many samples of a cell must pass.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum PassShape {
    /// Every one.
    All,
    /// At least so many.
    AtLeast(u32),
    /// At least this share, 0 to 1.
    Rate(f64),
}

/// What snapshots do: a mapping, or only the way of comparing.
#[derive(Debug, JsonSchema)]
#[schemars(untagged, rename = "Snapshot")]
pub(crate) enum SnapshotShape {
    /// Only the way of comparing.
    Compare(Compare),
    /// All of it.
    Fields(SnapshotFields),
}

/// What snapshots do.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SnapshotFields {
    /// How outputs are compared: `exact`, `text` (the default), `json`, `similar`, or `off`.
    pub(crate) compare: Option<Compare>,
    /// JSONPaths left out of a `json` comparison.
    pub(crate) ignore: Option<Vec<Spanned<String>>>,
    /// What a changed or new output does to the gate: `fail` (the default) or `warn`.
    pub(crate) on_change: Option<OnChange>,
    /// Least similarity under `similar`, 0 to 1; 0.9 by default.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub(crate) threshold: Option<Spanned<f64>>,
}

/// What fails the gate.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct GateShape {
    /// Least share of passing cells per model, 0 to 1; 1.0 by default: any failed cell fails the gate.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub(crate) min_pass_rate: Option<Spanned<f64>>,
    /// Most that one run of this suite may spend, in dollars.
    pub(crate) max_cost_usd: Option<Dollars>,
    /// What a run is compared with: a remembered run (`last`, `last-green`, an id), a report file, `blessed`, `previous-version`, or
    /// `git:REVISION`. `run --baseline` replaces it.
    pub(crate) baseline: Option<Spanned<String>>,
    /// The loss of pass rate, averaged over all cases, that the comparison allows; 0.05 by default: five points.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub(crate) margin: Option<Spanned<f64>>,
    /// How often, at most, the comparison may be wrong; more than 0 and less than 0.5, 0.05 by default.
    #[schemars(range(min = 0.0, max = 0.5))]
    pub(crate) alpha: Option<Spanned<f64>>,
}

/// One case (`id`), or one case for each row of a table (`from`).
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Case")]
pub(crate) struct CaseShape {
    /// The case's name, unique in the suite.
    #[serde(default)]
    #[schemars(schema_with = "scalar")]
    pub(crate) id: Option<Spanned<String>>,
    /// A table (CSV, JSON Lines, JSON, YAML), by its path from the project root: one case a row.
    pub(crate) from: Option<Spanned<String>>,
    /// The column whose values are the ids of the rows; `id` by default.
    pub(crate) id_from: Option<Spanned<String>>,
    /// What it stands or falls with: cases of one document, one template. In a comparison all cases of a cluster count as one unit.
    #[serde(default)]
    #[schemars(schema_with = "scalar")]
    pub(crate) cluster: Option<Spanned<String>>,
    /// The column whose values are the clusters of the rows.
    pub(crate) cluster_from: Option<Spanned<String>>,
    /// Features, customer segments, anything to select and total by.
    pub(crate) tags: Option<Vec<Spanned<String>>>,
    /// Values for the templates; `{file: path}` reads one from a file.
    #[schemars(with = "Option<serde_json::Map<String, serde_json::Value>>")]
    pub(crate) vars: Option<Node>,
    /// Assertions on this case, beside the suite's.
    #[schemars(with = "Option<Vec<AssertionShape>>")]
    pub(crate) assert: Option<Vec<Node>>,
    /// Independent answers for this case, instead of the suite's number.
    #[schemars(range(min = 1))]
    pub(crate) samples: Option<Spanned<u32>>,
    /// `false`: none of the suite's assertions hold for this case.
    pub(crate) inherit: Option<bool>,
}

by_kind!(ModelShape, "a model's id, or a mapping with its `id`", text: |text: &str| Ok(ModelShape::Id(text.to_owned())), mapping: |fields| ModelShape::Fields(Box::new(fields)));
by_kind!(SnapshotShape, "`exact`, `text`, `json`, `similar`, `off`, or a mapping", text: |text: &str| compare(text), mapping: SnapshotShape::Fields);

fn compare<E: serde::de::Error>(text: &str) -> Result<SnapshotShape, E> {
    let name: serde::de::value::StrDeserializer<'_, E> = serde::de::IntoDeserializer::into_deserializer(text);
    Compare::deserialize(name).map(SnapshotShape::Compare)
}

/// The JSON Schema of the suite file, made from the types above.
#[must_use]
pub fn schema() -> serde_json::Value {
    let mut schema = schemars::schema_for!(SuiteShape);
    schema.insert("$id".to_owned(), "suite.schema.json".into());
    schema.to_value()
}
