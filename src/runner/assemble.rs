//! How do judged cells become a run report? Sums, gates and the exit follow from the cells, in one place for runs and merges.

use std::sync::Arc;

use crate::gate::against;
use crate::gate::exit::exit;
use crate::gate::judge::{RunFacts, judge};
use crate::model::baseline::Baseline;
use crate::model::gate::{GateResult, SuitePolicy};
use crate::model::problem::Problem;
use crate::model::run::{CellResult, RunInfo, RunReport, SCHEMA};
use crate::runner::{sampled, texts, totals};

/// What a report is made of.
#[derive(Debug)]
pub struct Parts {
    /// Which run; `simulated` is found out from the cells.
    pub info: RunInfo,
    /// What the selected suites ask for, in plan order.
    pub policies: Vec<SuitePolicy>,
    /// In plan order.
    pub cells: Vec<CellResult>,
    /// What their requests point at.
    pub texts: Vec<Arc<str>>,
    /// Snapshot files that no case owns.
    pub orphans: Vec<String>,
    /// Warnings and notes.
    pub problems: Vec<Problem>,
    /// What its suites are compared with.
    pub baselines: Vec<Baseline>,
    /// Gates that do not follow from the cells: those that only the shards of a merged run knew.
    pub carried: Vec<GateResult>,
}

/// The report of a run.
#[must_use]
pub fn report(parts: Parts, facts: &RunFacts) -> RunReport {
    let Parts { mut info, policies, mut cells, texts, orphans, problems, baselines, carried } = parts;
    let mut replies = cells.iter().flat_map(|cell| &cell.samples).filter_map(|sample| sample.reply.as_ref()).peekable();
    info.simulated = replies.peek().is_some() && replies.all(|reply| reply.simulated);
    let texts = texts::in_order(&mut cells, &texts);
    // A shard does not know the whole: `merge` compares it.
    let comparisons = if info.shard.is_none() { against::compare(&cells, &policies, &baselines, info.filtered) } else { Vec::new() };
    let mut gates = judge(&cells, &policies, facts);
    gates.extend(against::gates(&comparisons));
    gates.extend(carried);
    for cell in &mut cells {
        cell.sampled = sampled::of_cell(cell);
    }
    let sums = totals::sum(&cells, orphans.len());
    RunReport {
        schema: SCHEMA.to_owned(),
        run: info,
        totals: sums.totals,
        bill: sums.bill,
        policies,
        exit: exit(&gates),
        gates,
        models: sums.models,
        suites: sums.suites,
        versions: sums.versions,
        tags: sums.tags,
        orphans,
        problems,
        // From the files of prompts, which a report knows only where the project is.
        prompt_changes: Vec::new(),
        improved: Vec::new(),
        comparisons,
        baselines,
        remembered: None,
        // From prices and suites, which only the run itself knows.
        right_size: Vec::new(),
        texts,
        cells,
    }
}
