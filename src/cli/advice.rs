//! What is valid, but likely to hurt?

use crate::model::problem::Problem;
use crate::model::request::Dialect;
use crate::model::suite::{Compare, OnChange};
use crate::runner::plan::{Plan, PlannedCell};
use crate::store::recordings::Recordings;

/// Warnings about a plan: free text that is compared literally while a real model draws it anew, and no recording keeps what it said.
pub(crate) fn advice(plan: &Plan, recordings: &Recordings) -> Vec<Problem> {
    let mut problems = Vec::new();
    for suite in &plan.suites {
        let literal = matches!(suite.snapshot.compare, Compare::Exact | Compare::Text) && suite.snapshot.on_change == OnChange::Fail;
        let of_suite = |cell: &&PlannedCell| cell.variant.suite.name == suite.name && cell.snapshot_path.is_some();
        let sampled = || plan.cells.iter().filter(of_suite).filter(|cell| cell.variant.identity.dialect == Dialect::Messages);
        let (cells, drawn) = (sampled().count(), sampled().filter(|cell| !is_recorded(cell, recordings)).count());
        if literal && drawn > 0 {
            let compare = if suite.snapshot.compare == Compare::Exact { "exact" } else { "text" };
            let part = if drawn < cells { format!("; no answer is recorded for {drawn} of its {cells} cells") } else { String::new() };
            problems.push(
                Problem::warning(format!(
                    "suite `{}` ({}) fails its gate on any change of free text (`snapshot.compare: {compare}`), and models draw every fresh answer anew{part}",
                    suite.name, suite.site
                ))
                .hint("use `compare: json` or `similar`, or `on_change: warn`; or commit the answers (`promptkeel run --record`), which are replayed then"),
            );
        }
    }
    problems
}

fn is_recorded(cell: &PlannedCell, recordings: &Recordings) -> bool {
    cell.keys.iter().all(|key| recordings.known(key).is_some())
}
