//! Which models of a suite are held against which, where models of one run are compared?

use std::collections::{BTreeSet, HashSet};

use crate::model::baseline::Baseline;
use crate::model::problem::Problem;
use crate::runner::plan::Plan;

/// The name that the suite has for this model, which may be given by its id. A suite without it, or without any other, cannot be compared.
pub(super) fn base(plan: &Plan, suite: &str, model: &str) -> Result<String, Problem> {
    let of_suite = || plan.cells.iter().filter(|cell| cell.baseline.is_none() && &*cell.variant.suite_name == suite);
    let models: BTreeSet<&str> = of_suite().map(|cell| &*cell.variant.model_name).collect();
    let listed = models.iter().copied().collect::<Vec<_>>().join(", ");
    let by_id: BTreeSet<&str> = of_suite().filter(|cell| &*cell.variant.model_id == model).map(|cell| &*cell.variant.model_name).collect();
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
pub(super) fn beside(plan: &Plan, reference: &str, base: &str, suites: &HashSet<&str>) -> Vec<Baseline> {
    let of_suites = plan.cells.iter().filter(|cell| cell.baseline.is_none() && suites.contains(&*cell.variant.suite_name));
    let others: BTreeSet<&str> = of_suites.map(|cell| &*cell.variant.model_name).filter(|model| *model != base).collect();
    let of_model = |model: &str| Baseline { reference: reference.to_owned(), model: Some(model.to_owned()), ..Baseline::default() };
    others.into_iter().map(of_model).collect()
}
