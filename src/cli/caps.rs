//! Can a cap on money hold? Not over a model or a request whose price has no known bound.

use crate::cli::project::Failure;
use crate::model::catalog::Catalog;
use crate::model::problem::Problem;
use crate::model::suite::Suite;
use crate::runner::plan::Plan;

/// Refuses a plan where a cap stands over cells without an upper bound; `cap` names the cap that holds for a suite.
pub(crate) fn refuse(plan: &Plan, catalog: &Catalog, cap: impl Fn(&Suite) -> Option<&'static str>) -> Result<(), Failure> {
    let mut problems: Vec<Problem> = Vec::new();
    for cell in plan.cells.iter().filter(|cell| cell.worst_case.is_none()) {
        let suite = &cell.variant.suite;
        let Some(cap) = cap(suite) else { continue };
        let (model, id) = (&cell.variant.model_name, &cell.variant.model_id);
        let problem = if catalog.is_priced(id) {
            Problem::error(format!("requests to `{model}` of suite `{}` can cost any amount, so {cap} cannot hold", suite.name))
                .hint("tools that the provider runs, and documents of unknown length, have no bound: leave them out, or take the cap away")
        } else {
            Problem::error(format!("model `{model}` of suite `{}` has no known price, so {cap} cannot hold", suite.name))
                .hint(format!("give it a price under [prices.\"{id}\"] in promptkeel.toml, or take the cap away"))
        };
        if !problems.contains(&problem) {
            problems.push(problem);
        }
    }
    if problems.is_empty() { Ok(()) } else { Err(problems.into()) }
}
