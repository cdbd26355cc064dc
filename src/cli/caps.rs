//! Can a cap on money hold, and what did it leave out? It cannot hold over a model or a request whose price has no known bound.

use std::collections::HashSet;

use crate::cli::console::counted;
use crate::cli::project::Failure;
use crate::model::catalog::Catalog;
use crate::model::money::Money;
use crate::model::problem::Problem;
use crate::model::run::CellResult;
use crate::model::suite::Suite;
use crate::model::verdict::SkipReason;
use crate::runner::plan::{Plan, PlannedCell, Variant};

/// Refuses a plan where a cap stands over cells without an upper bound; `cap` names the cap that holds for a suite.
pub(crate) fn refuse(plan: &Plan, catalog: &Catalog, cap: impl Fn(&Suite) -> Option<&'static str>) -> Result<(), Failure> {
    let unbounded = plan.cells.iter().filter(|cell| cell.worst_case.is_none());
    refuse_unbounded(unbounded.map(|cell| &*cell.variant), catalog, cap)
}

/// Refuses where a cap stands over one of these, of which a cell has no upper bound.
pub(crate) fn refuse_unbounded<'a>(
    unbounded: impl Iterator<Item = &'a Variant>,
    catalog: &Catalog,
    cap: impl Fn(&Suite) -> Option<&'static str>,
) -> Result<(), Failure> {
    let mut problems: Vec<Problem> = Vec::new();
    for variant in unbounded {
        let suite = &variant.suite;
        let Some(cap) = cap(suite) else { continue };
        let (model, id) = (&variant.model_name, &variant.model_id);
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

/// What the caps left out of these cells, and what it can cost at most to ask for it.
pub(crate) fn left_out<'a>(cells: impl Iterator<Item = (&'a PlannedCell, &'a CellResult)>) -> Option<Problem> {
    let mut keys = HashSet::new();
    let (mut left_out, mut worst) = (0, Money::ZERO);
    for (planned, cell) in cells {
        let skipped = || cell.samples.iter().filter(|sample| sample.skipped == Some(SkipReason::Budget));
        left_out += usize::from(skipped().next().is_some());
        // Equal requests have one key, and are asked once.
        let asked = skipped().filter(|sample| keys.insert(planned.keys[sample.index as usize])).count();
        worst += planned.worst_case.unwrap_or_default().times(asked as u64);
    }
    (left_out > 0).then(|| {
        let message = format!("the budget left out {}, which can cost at most {}", counted(left_out, "cell"), worst.display(4));
        Problem::warning(message).hint(format!(
            "run again with `--max-cost {worst}`, or as much in the suite's `max_cost_usd`, to ask all of them: what is answered is not paid again"
        ))
    })
}
