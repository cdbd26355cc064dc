//! Can a cap on money hold, and what did it leave out? It cannot hold over a model or a request whose price has no known bound.

use std::collections::{BTreeMap, HashSet};

use crate::cli::console::counted;
use crate::cli::project::Failure;
use crate::model::catalog::Catalog;
use crate::model::money::Money;
use crate::model::problem::Problem;
use crate::model::run::{CellResult, LEFT_OUT_BY_BUDGET};
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

/// What the caps left out of these cells, and what it can cost at most to ask for it. The caps that would leave something out again are named,
/// each with what it would have to be; `max_cost` is the run's.
pub(crate) fn left_out<'a>(cells: impl Iterator<Item = (&'a PlannedCell, &'a CellResult)>, max_cost: Option<Money>) -> Option<Problem> {
    let mut keys = HashSet::new();
    let mut suites: BTreeMap<&str, (Money, Option<Money>)> = BTreeMap::new();
    let (mut left_out, mut worst) = (0, Money::ZERO);
    for (planned, cell) in cells {
        let skipped = || cell.samples.iter().filter(|sample| sample.skipped == Some(SkipReason::Budget));
        if skipped().next().is_none() {
            continue;
        }
        left_out += 1;
        // Equal requests have one key, and are asked once.
        let asked = skipped().filter(|sample| keys.insert(planned.keys[sample.index as usize])).count();
        let cost = planned.worst_case.unwrap_or_default().times(asked as u64);
        worst += cost;
        let suite = &planned.variant.suite;
        suites.entry(&suite.name).or_insert((Money::ZERO, suite.gate.max_cost_usd)).0 += cost;
    }
    let too_low = |cap: Option<Money>, worst: Money| cap.is_some_and(|cap| cap < worst);
    let run = too_low(max_cost, worst).then(|| format!("`--max-cost {worst}`"));
    let of_suite = |(name, (worst, cap)): (&&str, &(Money, Option<Money>))| {
        too_low(*cap, *worst).then(|| format!("`max_cost_usd: {worst}` in the gate of suite `{name}`"))
    };
    let raised: Vec<String> = run.into_iter().chain(suites.iter().filter_map(of_suite)).collect();
    let hint = match raised.as_slice() {
        [] => "run again to ask the rest: what is answered is not paid again".to_owned(),
        all => {
            let more = if all.len() > MOST_NAMED { ", and so on," } else { "" };
            let named = all.iter().take(MOST_NAMED).map(String::as_str).collect::<Vec<_>>().join(" and ");
            format!("run again with {named}{more} to ask all of them: what is answered is not paid again")
        }
    };
    let message = || format!("{LEFT_OUT_BY_BUDGET} {}, which can cost at most {}", counted(left_out, "cell"), worst.display(4));
    (left_out > 0).then(|| Problem::warning(message()).hint(hint))
}

/// More caps than this in one hint are not read.
const MOST_NAMED: usize = 4;
