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
use crate::model::problem::Problem;
use crate::model::request::{EndpointIdentity, Params, Request, Role};
use crate::model::run::Address;
use crate::model::suite::{Case, Compare, ModelSpec, Prompt, PromptVersion, Suite};
use crate::snapshot;
use crate::snapshot::compare::Comparison;
use crate::template::TemplateError;
use crate::template::prompt::CompiledPrompt;

/// Most samples of one cell: more is a slip of the keyboard that somebody would pay for.
const MOST_SAMPLES: u32 = 10_000;

/// Most answers of one plan: what a machine of 2 GiB can still hold the keys of.
const MOST_ANSWERS: u64 = 2_000_000;

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

/// One cell, ready to be asked.
#[derive(Debug)]
pub struct PlannedCell {
    /// What it shares with others.
    pub variant: Arc<Variant>,
    /// Its inputs and assertions.
    pub case: Arc<Case>,
    /// The case's id, shared with its addresses.
    pub case_id: Arc<str>,
    /// One key per sample, by index.
    pub keys: Vec<Key>,
    /// The most that one sample can cost; `None` for an unpriced model.
    pub worst_case: Option<Money>,
    /// Project-relative path of the snapshot; `None` where the cell owns none.
    pub snapshot_path: Option<Arc<str>>,
}

impl PlannedCell {
    /// `suite::case::prompt@version::model`.
    #[must_use]
    pub fn address(&self) -> Address {
        Address {
            suite: Arc::clone(&self.variant.suite_name),
            case: Arc::clone(&self.case_id),
            prompt: Arc::clone(&self.variant.prompt_name),
            version: self.variant.version.version,
            model: Arc::clone(&self.variant.model_name),
        }
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
    let mut problems = Vec::new();
    let mut drafts: Vec<(Arc<Variant>, Arc<Case>, Arc<str>)> = Vec::new();
    let answers = suites.iter().fold(0_u64, |answers, suite| answers.saturating_add(asked(suite)));
    if answers > MOST_ANSWERS {
        let problem = Problem::error(format!("{answers} answers would be asked for, and a plan may hold {MOST_ANSWERS}"));
        return Err(vec![problem.hint("name fewer suites, or ask for fewer samples")]);
    }
    for suite in suites {
        let variants = variants(suite, context, &mut problems);
        for case in &suite.cases {
            let case_id: Arc<str> = Arc::from(case.id.as_str());
            drafts.extend(variants.iter().map(|variant| (Arc::clone(variant), Arc::clone(case), Arc::clone(&case_id))));
        }
    }
    let planned: Vec<Result<PlannedCell, Problem>> =
        drafts.into_par_iter().map(|(variant, case, case_id)| plan_cell(variant, case, case_id, context)).collect();
    let mut cells = Vec::with_capacity(planned.len());
    for cell in planned {
        match cell {
            Ok(cell) => cells.push(cell),
            Err(problem) => problems.push(problem),
        }
    }
    if problems.is_empty() { Ok(Plan { suites: suites.to_vec(), cells }) } else { Err(problems) }
}

/// How many answers a suite asks for: cases and their samples, times prompt versions, times models.
fn asked(suite: &Suite) -> u64 {
    let samples = suite.cases.iter().map(|case| u64::from(case.samples.unwrap_or(suite.samples).clamp(1, MOST_SAMPLES)));
    let versions: usize = suite.prompts.iter().map(|prompt| prompt.versions.len()).sum();
    let pairs = u64::try_from(versions.saturating_mul(suite.models.len())).unwrap_or(u64::MAX);
    samples.fold(0, u64::saturating_add).saturating_mul(pairs)
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
                    owns_snapshot: newest && suite.snapshot.compare != Compare::Off,
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

fn plan_cell(variant: Arc<Variant>, case: Arc<Case>, case_id: Arc<str>, context: &Context<'_>) -> Result<PlannedCell, Problem> {
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
    let keys = (0..samples).map(|sample| key::key(&request, &variant.identity, sample)).collect();
    let worst_case = cost::prompt_bound(context.catalog, &request)
        .and_then(|bound| cost::upper_bound(context.catalog, &variant.model_id, bound, &variant.params, context.day));
    let snapshot_path = variant.owns_snapshot.then(|| {
        let prompt = (variant.suite.prompts.len() > 1).then_some(&*variant.prompt_name);
        Arc::from(snapshot::path::path(&variant.suite.name, &case.id, prompt, &variant.model_name))
    });
    Ok(PlannedCell { variant, case, case_id, keys, worst_case, snapshot_path })
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
