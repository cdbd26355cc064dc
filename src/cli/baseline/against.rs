//! Which models of a suite are held against which, where models of one run are compared?

use std::collections::{BTreeSet, HashSet};

use crate::cli::arguments::SelectionArguments;
use crate::model::baseline::Baseline;
use crate::model::problem::Problem;
use crate::runner::plan::Plan;
use crate::runner::select::Pattern;

/// Name and id of each model that answers a suite in this run. Shards are dealt cell by cell, and one may have cells of one model alone: what all
/// of them ask stands in the suite, as far as `--model` leaves it.
fn models<'a>(plan: &'a Plan, suite: &str, selection: &SelectionArguments) -> BTreeSet<(&'a str, &'a str)> {
    if selection.shard.is_none() {
        let of_suite = plan.cells.iter().filter(|cell| cell.baseline.is_none() && &*cell.variant.suite_name == suite);
        return of_suite.map(|cell| (&*cell.variant.model_name, &*cell.variant.model_id)).collect();
    }
    let patterns: Vec<Pattern> = selection.models.iter().filter_map(|text| Pattern::new("--model", text).ok()).collect();
    let is_selected = |name: &str, id: &str| patterns.is_empty() || patterns.iter().any(|one| one.matches(name) || one.matches(id));
    let of_suite = plan.suites.iter().filter(|one| one.name == suite).flat_map(|one| &one.models);
    of_suite.map(|model| (model.name(), model.id.as_str())).filter(|(name, id)| is_selected(name, id)).collect()
}

/// The name that the suite has for this model, which may be given by its id. A suite without it, or without any other, cannot be compared.
pub(super) fn base(plan: &Plan, suite: &str, model: &str, selection: &SelectionArguments) -> Result<String, Problem> {
    let of_suite = models(plan, suite, selection);
    let models: BTreeSet<&str> = of_suite.iter().map(|(name, _)| *name).collect();
    let listed = models.iter().copied().collect::<Vec<_>>().join(", ");
    let by_id: BTreeSet<&str> = of_suite.iter().filter(|(_, id)| *id == model).map(|(name, _)| *name).collect();
    let mut names = by_id.into_iter();
    let label = match (models.get(model).copied(), names.next(), names.next()) {
        (Some(label), _, _) | (None, Some(label), None) => label,
        (None, Some(_), Some(_)) => {
            let problem = Problem::error(format!("suite `{suite}` asks `{model}` under several names, so nothing says which is meant"));
            return Err(problem.hint(format!("give one of the names: {listed}")));
        }
        (None, None, _) => {
            let problem = Problem::error(format!("suite `{suite}` does not ask `{model}`, so no model can be held against it"));
            return Err(problem.hint(format!("it asks {listed}; list both models under `models`, and no `--model` that leaves one out")));
        }
    };
    if models.len() < 2 {
        let problem = Problem::error(format!("suite `{suite}` asks no other model than `{label}`, so nothing can be held against it"));
        return Err(problem.hint("list the models that could take its place under `models`"));
    }
    Ok(label.to_owned())
}

/// A place for what is asked beside each model that is held against this one. Their cells are cells of the run.
pub(super) fn beside(plan: &Plan, reference: &str, base: &str, suites: &HashSet<&str>, selection: &SelectionArguments) -> Vec<Baseline> {
    let of_suites = suites.iter().flat_map(|suite| models(plan, suite, selection));
    let others: BTreeSet<&str> = of_suites.map(|(model, _)| model).filter(|model| *model != base).collect();
    let of_model = |model: &str| Baseline { reference: reference.to_owned(), model: Some(model.to_owned()), ..Baseline::default() };
    others.into_iter().map(of_model).collect()
}
