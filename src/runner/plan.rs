//! Which cells are there, with which keys, and what can each cost at most? Pure and free: everything is rendered, nothing is sent.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::NaiveDate;
use rayon::prelude::*;

use crate::model::catalog::Catalog;
use crate::model::cost;
use crate::model::key::{self, Key};
use crate::model::money::Money;
use crate::model::parameters;
use crate::model::prefix::Path;
use crate::model::problem::Problem;
use crate::model::request::{EndpointIdentity, Params, Request, Role};
use crate::model::run::Address;
use crate::model::size;
use crate::model::suite::{Case, ModelSpec, Prompt, PromptVersion, Suite};
use crate::snapshot::compare::Comparison;
use crate::snapshot::owned;
use crate::template::TemplateError;
use crate::template::prompt::CompiledPrompt;

/// Most samples of one cell: more is a slip of the keyboard that somebody would pay for.
const MOST_SAMPLES: u32 = 10_000;

/// Most answers of one plan: what a machine of 2 GiB can still hold the keys of.
const MOST_ANSWERS: u64 = 2_000_000;

/// So many keys are computed at once, before it is looked at which of their cells stay.
const CHUNK: u64 = 1 << 16;

/// What a plan depends on besides the suites.
#[derive(Debug)]
pub struct Context<'a> {
    /// Prices and limits.
    pub catalog: &'a Catalog,
    /// Every endpoint of the settings, by name.
    pub endpoints: &'a BTreeMap<String, EndpointIdentity>,
    /// The endpoint of models that name none.
    pub default_endpoint: &'a str,
    /// `--endpoint`: replaces the endpoint of every model.
    pub endpoint_override: Option<&'a str>,
    /// `max_tokens` of requests that give none.
    pub default_max_tokens: u64,
    /// The UTC day on which the upper bound is priced.
    pub day: NaiveDate,
}

/// What all cases of one suite share under one prompt version and one model.
#[derive(Debug)]
pub struct Variant {
    /// The suite.
    pub suite: Arc<Suite>,
    /// The suite's name, shared by every address.
    pub suite_name: Arc<str>,
    /// The prompt version.
    pub version: Arc<PromptVersion>,
    /// Its templates, compiled once.
    pub compiled: Arc<CompiledPrompt>,
    /// The prompt's name, shared by every address.
    pub prompt_name: Arc<str>,
    /// The model's name: label, else id.
    pub model_name: Arc<str>,
    /// The model's id.
    pub model_id: Arc<str>,
    /// The endpoint's name.
    pub endpoint: Arc<str>,
    /// Who answers.
    pub identity: EndpointIdentity,
    /// Suite, prompt and model parameters, overlaid in that order, `max_tokens` filled in.
    pub params: Params,
    /// The same as JSON, for reports.
    pub parameters: Arc<str>,
    /// Its cells count for the gate.
    pub gated: bool,
    /// Several versions or prompts run side by side in the suite.
    pub side_by_side: bool,
    /// The newest listed version of its prompt, in a suite that keeps snapshots.
    pub owns_snapshot: bool,
    /// How outputs are compared with snapshots; shared by the suite.
    pub comparison: Arc<Comparison>,
}

impl Variant {
    /// The address of its cell of this case.
    #[must_use]
    pub fn address(&self, case_id: &Arc<str>) -> Address {
        Address {
            suite: Arc::clone(&self.suite_name),
            case: Arc::clone(case_id),
            prompt: Arc::clone(&self.prompt_name),
            version: self.version.version,
            model: Arc::clone(&self.model_name),
        }
    }
}

/// One cell, ready to be asked.
#[derive(Debug)]
pub struct PlannedCell {
    /// What it shares with others.
    pub variant: Arc<Variant>,
    /// Its inputs and assertions.
    pub case: Arc<Case>,
    /// The case's id, shared with its addresses.
    pub case_id: Arc<str>,
    /// One key per sample, from [`Self::first_sample`] on.
    pub keys: Vec<Key>,
    /// The index of the first sample: 0, or more where only further ones are asked.
    pub first_sample: u32,
    /// The most that one sample can cost; `None` for an unpriced model.
    pub worst_case: Option<Money>,
    /// About so many tokens the prompt has, by its size.
    pub estimated_prompt: u64,
    /// Project-relative path of the snapshot; `None` where the cell owns none.
    pub snapshot_path: Option<Arc<str>>,
    /// How its request begins, where the provider's prompt cache may keep that.
    pub path: Option<Arc<Path>>,
    /// Which baseline it belongs to, by its place among those of the run: it is asked and paid, and not judged. `None`: the run's own.
    pub baseline: Option<usize>,
}

impl PlannedCell {
    /// `suite::case::prompt@version::model`.
    #[must_use]
    pub fn address(&self) -> Address {
        self.variant.address(&self.case_id)
    }

    /// The request, rendered again whenever it is needed: a cell keeps no text.
    ///
    /// # Errors
    /// When a template cannot be rendered with the case's variables.
    pub fn request(&self) -> Result<Request, TemplateError> {
        request(&self.variant, &self.case)
    }
}

/// All cells in plan order: suites as given, then cases, prompt versions, models as written.
#[derive(Debug, Default)]
pub struct Plan {
    /// The suites that were selected.
    pub suites: Vec<Arc<Suite>>,
    /// Their cells.
    pub cells: Vec<PlannedCell>,
    /// Variants of which a cell, chosen or not, can cost any amount.
    pub unbounded: Vec<Arc<Variant>>,
}

/// A cell before it is rendered.
#[derive(Debug, Clone, Copy)]
pub struct Draft<'a> {
    /// What it shares with others.
    pub variant: &'a Variant,
    /// Its inputs and assertions.
    pub case: &'a Case,
    /// The case's id, shared with its addresses.
    pub case_id: &'a Arc<str>,
}

/// What decides which cells a plan keeps. All others are rendered too, because what is wrong with them is told; but no plan holds them.
pub trait Choice {
    /// By what is known of a cell before it is rendered; asked of every cell, in plan order.
    fn wants(&mut self, draft: Draft<'_>) -> bool;

    /// Every cell that is wanted is kept.
    fn keeps_all(&self) -> bool;

    /// By its keys too; asked of those that are wanted, in plan order.
    fn keeps(&mut self, cell: &PlannedCell) -> bool;
}

/// The choice of every cell.
#[derive(Debug)]
pub struct Everything;

impl Choice for Everything {
    fn wants(&mut self, _: Draft<'_>) -> bool {
        true
    }

    fn keeps_all(&self) -> bool {
        true
    }

    fn keeps(&mut self, _: &PlannedCell) -> bool {
        true
    }
}

impl Plan {
    /// Keys of all samples, in plan order.
    pub fn keys(&self) -> impl Iterator<Item = Key> + '_ {
        self.cells.iter().flat_map(|cell| cell.keys.iter().copied())
    }
}

/// Expands suites into cells, renders every request once and computes every key.
///
/// # Errors
/// All problems at once: templates that cannot be rendered, endpoints that the settings do not have.
pub fn build(suites: &[Arc<Suite>], context: &Context<'_>) -> Result<Plan, Vec<Problem>> {
    build_chosen(suites, context, &mut Everything)
}

/// The same, with the chosen cells alone: only they have keys, and only they take memory. A part of a project that is larger than any plan
/// can be run.
///
/// # Errors
/// All problems at once, those of cells that are not chosen too.
pub fn build_chosen(suites: &[Arc<Suite>], context: &Context<'_>, choice: &mut dyn Choice) -> Result<Plan, Vec<Problem>> {
    let mut problems = Vec::new();
    let suites_variants: Vec<_> = suites.iter().map(|suite| variants(suite, context, &mut problems)).collect();
    let all = || suites.iter().zip(&suites_variants).flat_map(|(suite, variants)| drafts(suite, variants));
    let mut wanted = Vec::new();
    let mut answers = 0;
    for (variant, case, case_id) in all() {
        let is_wanted = choice.wants(Draft { variant, case, case_id: &case_id });
        answers += if is_wanted { samples(variant, case) } else { 0 };
        wanted.push(is_wanted);
    }
    if answers > MOST_ANSWERS && choice.keeps_all() {
        return Err(vec![too_many(answers)]);
    }
    let mut building = Building { plan: Plan { suites: suites.to_vec(), ..Plan::default() }, problems, answers: 0 };
    let mut chunk = Vec::new();
    let mut weight = 0;
    for ((variant, case, case_id), is_wanted) in all().zip(wanted) {
        weight += if is_wanted { samples(variant, case) } else { 1 };
        chunk.push(Drafted { variant, case, case_id, is_wanted });
        if weight >= CHUNK {
            building.add(std::mem::take(&mut chunk), context, choice);
            weight = 0;
        }
    }
    building.add(chunk, context, choice);
    let Building { plan, mut problems, answers } = building;
    if answers > MOST_ANSWERS {
        problems.push(too_many(answers));
    }
    if problems.is_empty() { Ok(plan) } else { Err(problems) }
}

/// The cells of a suite in plan order.
fn drafts<'a>(suite: &'a Suite, variants: &'a [Arc<Variant>]) -> impl Iterator<Item = (&'a Arc<Variant>, &'a Arc<Case>, Arc<str>)> {
    suite.cases.iter().flat_map(move |case| {
        let case_id: Arc<str> = Arc::from(case.id.as_str());
        variants.iter().map(move |variant| (variant, case, Arc::clone(&case_id)))
    })
}

/// How many answers a cell asks for, as far as any may.
fn samples(variant: &Variant, case: &Case) -> u64 {
    u64::from(case.samples.unwrap_or(variant.suite.samples).clamp(1, MOST_SAMPLES))
}

fn too_many(answers: u64) -> Problem {
    let problem = Problem::error(format!("{answers} answers would be asked for, and a plan may hold {MOST_ANSWERS}"));
    problem.hint("run a part of it (`--shard 1/4`, `--case`, `--tag` or some suites), or ask for fewer samples")
}

/// A cell that was looked at, before it is rendered.
struct Drafted<'a> {
    variant: &'a Arc<Variant>,
    case: &'a Arc<Case>,
    case_id: Arc<str>,
    is_wanted: bool,
}

/// A plan as it grows.
struct Building {
    plan: Plan,
    problems: Vec<Problem>,
    answers: u64,
}

impl Building {
    fn add(&mut self, drafts: Vec<Drafted<'_>>, context: &Context<'_>, choice: &mut dyn Choice) {
        let plan = |Drafted { variant, case, case_id, is_wanted }: Drafted<'_>| {
            (plan_cell(Arc::clone(variant), Arc::clone(case), case_id, is_wanted, context), is_wanted)
        };
        let planned: Vec<(Result<PlannedCell, Problem>, bool)> = drafts.into_par_iter().map(plan).collect();
        for (cell, is_wanted) in planned {
            let cell = match cell {
                Ok(cell) => cell,
                Err(problem) => {
                    self.problems.push(problem);
                    continue;
                }
            };
            if cell.worst_case.is_none() && !self.plan.unbounded.iter().any(|variant| Arc::ptr_eq(variant, &cell.variant)) {
                self.plan.unbounded.push(Arc::clone(&cell.variant));
            }
            if is_wanted && choice.keeps(&cell) {
                self.answers += cell.keys.len() as u64;
                // Beyond that they are only counted.
                if self.answers <= MOST_ANSWERS {
                    self.plan.cells.push(cell);
                }
            }
        }
    }
}

fn variants(suite: &Arc<Suite>, context: &Context<'_>, problems: &mut Vec<Problem>) -> Vec<Arc<Variant>> {
    let side_by_side = suite.prompts.len() > 1 || suite.prompts.iter().any(|prompt| prompt.versions.len() > 1);
    let suite_name: Arc<str> = Arc::from(suite.name.as_str());
    let comparison = match Comparison::new(&suite.snapshot, suite.parse) {
        Ok(comparison) => Arc::new(comparison),
        Err(error) => {
            problems.push(Problem::error(format!("suite `{}` ({}): {error}", suite.name, suite.site)).hint(error.hint()));
            return Vec::new();
        }
    };
    let mut variants = Vec::new();
    for prompt in &suite.prompts {
        let prompt_name: Arc<str> = Arc::from(prompt.name.as_str());
        for version in &prompt.versions {
            let compiled = match CompiledPrompt::compile(version) {
                Ok(compiled) => Arc::new(compiled),
                Err(error) => {
                    problems.push(Problem::error(format!("{}:{}: {}", version.file.path, error.line, error.message)));
                    continue;
                }
            };
            let newest = is_newest(prompt, version);
            for model in &suite.models {
                let endpoint = context.endpoint_override.or(model.endpoint.as_deref()).unwrap_or(context.default_endpoint);
                let Some(identity) = context.endpoints.get(endpoint) else {
                    let names: Vec<&str> = context.endpoints.keys().map(String::as_str).collect();
                    let problem = Problem::error(format!("no endpoint is named `{endpoint}`"));
                    problems.push(problem.hint(format!("the settings have: {}", names.join(", "))));
                    continue;
                };
                let params = params(suite, version, model, context.default_max_tokens);
                problems.extend(rejected(context.catalog, identity, version, model, &params));
                variants.push(Arc::new(Variant {
                    suite: Arc::clone(suite),
                    suite_name: Arc::clone(&suite_name),
                    version: Arc::clone(version),
                    compiled: Arc::clone(&compiled),
                    prompt_name: Arc::clone(&prompt_name),
                    model_name: Arc::from(model.name()),
                    model_id: Arc::from(model.id.as_str()),
                    endpoint: Arc::from(endpoint),
                    identity: identity.clone(),
                    parameters: Arc::from(serde_json::to_string_pretty(&params).unwrap_or_default()),
                    params,
                    gated: newest && model.gate,
                    side_by_side,
                    owns_snapshot: newest && owned::keeps_snapshots(suite),
                    comparison: Arc::clone(&comparison),
                }));
            }
        }
    }
    variants
}

/// Suite, prompt and model parameters, overlaid in that order, `max_tokens` filled in.
#[must_use]
pub fn params(suite: &Suite, version: &PromptVersion, model: &ModelSpec, default_max_tokens: u64) -> Params {
    let mut params = suite.request.overlaid(&version.request).overlaid(&model.request);
    params.max_tokens.get_or_insert(default_max_tokens);
    params
}

/// What the model is known to reject, once `max_tokens` is filled in: loading saw only what the files say.
fn rejected(catalog: &Catalog, identity: &EndpointIdentity, version: &PromptVersion, model: &ModelSpec, params: &Params) -> Vec<Problem> {
    let ends_with_assistant = version.turns.last().is_some_and(|turn| turn.role == Role::Assistant);
    let found = parameters::rejected(catalog, &model.id, &identity.api_version, &identity.beta, params, ends_with_assistant);
    let problem = |rejection: parameters::Rejection| {
        let problem = Problem::error(format!("model `{}` ({}): {}", model.name(), model.site, rejection.message));
        match rejection.hint {
            Some(hint) => problem.hint(hint),
            None => problem,
        }
    };
    let mut problems: Vec<Problem> = found.into_iter().map(problem).collect();
    if params.max_tokens == Some(0) {
        let message = format!("`max_tokens: 0` of model `{}` ({}) asks for no answer, so no cell can pass", model.name(), model.site);
        problems.push(Problem::error(message).hint("give the answer room: at least 1, usually some hundreds"));
    }
    problems
}

fn is_newest(prompt: &Prompt, version: &PromptVersion) -> bool {
    prompt.versions.iter().all(|other| other.version <= version.version)
}

fn request(variant: &Variant, case: &Case) -> Result<Request, TemplateError> {
    let (system, turns) = variant.compiled.render(&case.variables)?;
    Ok(Request { model: variant.model_id.to_string(), system, turns, params: variant.params.clone() })
}

/// A cell that nobody wants is looked at as all others, and gets no keys.
fn plan_cell(
    variant: Arc<Variant>,
    case: Arc<Case>,
    case_id: Arc<str>,
    is_wanted: bool,
    context: &Context<'_>,
) -> Result<PlannedCell, Problem> {
    let request = request(&variant, &case).map_err(|error| {
        let place = format!("{}:{}", variant.version.file.path, error.line);
        Problem::error(format!("{place}: {} (case `{}` at {})", error.message, case.id, case.site))
    })?;
    let samples = case.samples.unwrap_or(variant.suite.samples).max(1);
    if samples > MOST_SAMPLES {
        let problem =
            Problem::error(format!("case `{}` ({}) asks for {samples} samples, and {MOST_SAMPLES} are the most", case.id, case.site));
        return Err(problem.hint("a hundred samples tell a pass rate to about ten points"));
    }
    let keyed = if is_wanted { samples } else { 0 };
    let keys = (0..keyed).map(|sample| key::key(&request, &variant.identity, sample)).collect();
    let worst_case = cost::prompt_bound(context.catalog, &request)
        .and_then(|bound| cost::upper_bound(context.catalog, &variant.model_id, bound, &variant.params, context.day));
    let owned = || owned::of_cell(&variant.suite, &case.id, &variant.prompt_name, &variant.model_name).map(Arc::from);
    let snapshot_path = if variant.owns_snapshot { owned() } else { None };
    let path = if is_wanted { Path::of(&request, &variant.endpoint, variant.suite.cache, context.catalog) } else { None };
    let path = path.map(Arc::new);
    let estimated_prompt = size::prompt_tokens(context.catalog, &request);
    Ok(PlannedCell { variant, case, case_id, keys, first_sample: 0, worst_case, estimated_prompt, snapshot_path, path, baseline: None })
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
