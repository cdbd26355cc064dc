//! What do the remembered runs say about one of them: how did its suites go before, and which of its cells are flaky?

use std::collections::{BTreeMap, HashSet};

use serde::{Deserialize, Serialize};

use crate::model::gate::Exit;
use crate::model::money::Money;
use crate::model::remembered::{FlakyCell, ModelSums, Remembered, Trend, TrendPoint};
use crate::model::run::{Address, CellResult, ReplyFacts, RunReport};
use crate::model::verdict::Verdict;
use crate::store::history::{RunHead, RunRecord};
use crate::store::recent::Flaky;

/// Runs in a trend.
pub const TREND: usize = 30;

/// Trends of one report: what somebody looks at.
const MOST_TRENDS: usize = 200;

/// A suite under a model, as a run remembers it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelPoint {
    /// The suite's name.
    pub suite: String,
    /// The model's name.
    pub model: String,
    /// What came of it.
    #[serde(flatten)]
    pub sums: ModelSums,
}

/// What a run remembers of its suites and models, in plan order: of the cells that the gate counts.
pub(super) fn points(report: &RunReport) -> Vec<ModelPoint> {
    let mut order: Vec<(&str, &str)> = Vec::new();
    let mut cells: BTreeMap<(&str, &str), Vec<&CellResult>> = BTreeMap::new();
    for cell in report.cells.iter().filter(|cell| cell.gated) {
        let key = (&*cell.address.suite, &*cell.address.model);
        cells.entry(key).or_insert_with(|| {
            order.push(key);
            Vec::new()
        });
        if let Some(known) = cells.get_mut(&key) {
            known.push(cell);
        }
    }
    let point = |key: &(&str, &str)| ModelPoint { suite: key.0.to_owned(), model: key.1.to_owned(), sums: sums(&cells[key]) };
    order.iter().map(point).collect()
}

fn sums(cells: &[&CellResult]) -> ModelSums {
    let count = |verdict| cells.iter().filter(|cell| cell.verdict == verdict).count() as u64;
    let replies = || cells.iter().flat_map(|cell| &cell.samples).filter_map(|sample| sample.reply.as_ref());
    let costs: Vec<Money> = replies().filter_map(|reply| reply.cost_usd).collect();
    let mut latencies: Vec<u64> = replies().filter_map(ReplyFacts::latency).collect();
    latencies.sort_unstable();
    ModelSums {
        passed: count(Verdict::Pass),
        failed: count(Verdict::Fail),
        cost_usd: (!costs.is_empty()).then(|| costs.iter().copied().sum()),
        latency_p50_ms: latencies.get(latencies.len().saturating_sub(1) / 2).copied(),
    }
}

/// What the history says about this run; `heads` are the remembered runs, the newest first. `None` where it says nothing.
///
/// A run of a part of the suites says nothing about the rest, and one of another kind (simulated, another server) nothing about this one.
#[must_use]
pub fn remembered(heads: &[RunHead], flaky: Vec<Flaky>, report: &RunReport) -> Option<Remembered> {
    let of_this_run: HashSet<&Address> = report.cells.iter().map(|cell| &cell.address).collect();
    let flaky: Vec<FlakyCell> = flaky
        .into_iter()
        .filter(|cell| of_this_run.contains(&cell.address))
        .map(|Flaky { address, passed, failed }| FlakyCell { address, passed, failed })
        .collect();
    let trends = if report.run.filtered || report.exit == Exit::Interrupted { Vec::new() } else { trends(heads, report) };
    (!trends.is_empty() || !flaky.is_empty()).then_some(Remembered { trends, flaky })
}

fn trends(heads: &[RunHead], report: &RunReport) -> Vec<Trend> {
    let is_whole = |head: &&RunHead| head.is_like(&report.run) && !head.filtered && head.exit != Exit::Interrupted;
    let before = heads.iter().filter(is_whole).take(TREND - 1);
    let now = RunRecord::of(report).head;
    let mut runs: Vec<&RunHead> = before.collect();
    runs.reverse();
    runs.push(&now);
    let of = |point: &ModelPoint| {
        let known = runs.iter().filter_map(|head| {
            let same = head.models.iter().find(|known| (&known.suite, &known.model) == (&point.suite, &point.model))?;
            Some(TrendPoint { run: head.id.clone(), started_at: head.started_at, sums: same.sums.clone() })
        });
        Trend { suite: point.suite.clone(), model: point.model.clone(), points: known.collect() }
    };
    now.models.iter().take(MOST_TRENDS).map(of).filter(|trend| trend.points.len() > 1).collect()
}
