//! What is valid, but likely to hurt?

use crate::model::problem::Problem;
use crate::model::request::Dialect;
use crate::model::suite::{Compare, OnChange};
use crate::runner::plan::Plan;

/// Warnings about a plan: free text that is compared literally while a real model draws it anew.
pub(crate) fn advice(plan: &Plan) -> Vec<Problem> {
    let mut problems = Vec::new();
    for suite in &plan.suites {
        let literal = matches!(suite.snapshot.compare, Compare::Exact | Compare::Text) && suite.snapshot.on_change == OnChange::Fail;
        let sampled = plan.cells.iter().any(|cell| {
            cell.variant.identity.dialect == Dialect::Messages && cell.variant.suite.name == suite.name && cell.snapshot_path.is_some()
        });
        if literal && sampled {
            let compare = if suite.snapshot.compare == Compare::Exact { "exact" } else { "text" };
            problems.push(
                Problem::warning(format!(
                    "suite `{}` ({}) fails its gate on any change of free text (`snapshot.compare: {compare}`), and models draw every fresh answer anew",
                    suite.name, suite.site
                ))
                .hint("use `compare: json` or `similar`, or `on_change: warn`"),
            );
        }
    }
    problems
}
