//! What does each gate of a run say, with its numbers?

use std::collections::BTreeMap;
use std::time::Duration;

use crate::model::assertion::AssertionSeverity;
use crate::model::gate::{GateKind, GateOutcome, GateResult, SuitePolicy};
use crate::model::run::{CellResult, SampleResult, Shard};
use crate::model::suite::OnChange;
use crate::model::verdict::{ErrorKind, Outcome, SkipReason, SnapshotState, Verdict};

/// What a run knows besides its cells.
#[derive(Debug, Clone, Default)]
pub struct RunFacts {
    /// Ctrl-C or SIGTERM stopped it.
    pub interrupted: bool,
    /// The run's own time limit, where that passed first.
    pub timed_out: Option<Duration>,
    /// What could not be written, one message each.
    pub unwritten: Vec<String>,
    /// Orphaned snapshots, where they fail the gate.
    pub rejected_orphans: usize,
    /// A shard defers rates to the merge.
    pub shard: Option<Shard>,
    /// Caps on money that more was spent of than they allow, one message each.
    pub passed_caps: Vec<String>,
    /// Shards that a merge misses, one message each.
    pub missing_shards: Vec<String>,
}

/// Every gate of a run, in the order of the suites; those that hold are listed too.
#[must_use]
pub fn judge(cells: &[CellResult], suites: &[SuitePolicy], facts: &RunFacts) -> Vec<GateResult> {
    let mut by_suite: BTreeMap<&str, Vec<&CellResult>> = BTreeMap::new();
    for cell in cells {
        by_suite.entry(&cell.address.suite).or_default().push(cell);
    }
    let mut gates = Vec::new();
    for suite in suites {
        let Some(cells) = by_suite.get(suite.name.as_str()) else { continue };
        if facts.shard.is_none() {
            gates.extend(pass_rates(suite, cells));
        }
        gates.extend(critical(suite, cells));
        gates.push(snapshots(suite, cells));
        gates.extend(verdicts(suite, cells));
        gates.extend(budget(suite, cells));
    }
    let whole = |kind, outcome, message: &String| GateResult { kind, suite: None, model: None, outcome, message: message.clone() };
    if facts.interrupted {
        let message = "interrupted: what was under way was finished, the rest was not asked".to_owned();
        gates.push(whole(GateKind::Interrupted, GateOutcome::Missing, &message));
    }
    if let Some(limit) = facts.timed_out
        && cells.iter().any(|cell| matches!(cell.verdict, Verdict::Error | Verdict::Skipped))
    {
        let message = format!("the run's time limit of {limit:?} passed: what was under way was finished, the rest was not asked");
        gates.push(whole(GateKind::Verdicts, GateOutcome::Missing, &message));
    }
    if facts.rejected_orphans > 0 && facts.shard.is_none() {
        let message = format!("{} snapshot files that no case owns (`--unreferenced reject`)", facts.rejected_orphans);
        gates.push(whole(GateKind::Snapshots, GateOutcome::Fail, &message));
    }
    gates.extend(facts.passed_caps.iter().map(|message| whole(GateKind::Budget, GateOutcome::Missing, message)));
    gates.extend(facts.missing_shards.iter().map(|message| whole(GateKind::Verdicts, GateOutcome::Missing, message)));
    gates.extend(facts.unwritten.iter().map(|message| whole(GateKind::Written, GateOutcome::Fail, message)));
    gates
}

/// The share of passing cells of each gated model. Cells without a verdict count neither way; the gate fails only where
/// it would fail with all of them passed.
fn pass_rates(suite: &SuitePolicy, cells: &[&CellResult]) -> Vec<GateResult> {
    #[derive(Default)]
    struct Count {
        passed: u32,
        failed: u32,
        missing: u32,
    }
    let mut order: Vec<&str> = Vec::new();
    let mut counts: BTreeMap<&str, Count> = BTreeMap::new();
    for cell in cells.iter().filter(|cell| cell.gated) {
        let model: &str = &cell.address.model;
        let count = counts.entry(model).or_insert_with(|| {
            order.push(model);
            Count::default()
        });
        match cell.verdict {
            Verdict::Pass => count.passed += 1,
            Verdict::Fail => count.failed += 1,
            Verdict::Error | Verdict::Skipped => count.missing += 1,
        }
    }
    let reaches = |passed: u32, total: u32| f64::from(passed) + 1e-9 >= suite.min_pass_rate * f64::from(total);
    let gate = |model: &&str| {
        let Count { passed, failed, missing } = counts[model];
        let reached = passed + failed;
        let outcome = if !reaches(passed + missing, reached + missing) {
            GateOutcome::Fail
        } else if reached == 0 || !reaches(passed, reached) {
            GateOutcome::Missing
        } else {
            GateOutcome::Pass
        };
        let asked = percent(suite.min_pass_rate);
        let mut message = if reached == 0 {
            format!("no cell reached a verdict, at least {asked} must pass")
        } else {
            let rate = percent(f64::from(passed) / f64::from(reached));
            format!("pass rate {rate} ({passed} of {reached} cells), at least {asked} asked for")
        };
        if missing > 0 {
            message.push_str(&format!("; {missing} without a verdict"));
        }
        GateResult { kind: GateKind::PassRate, suite: Some(suite.name.clone()), model: Some((*model).to_owned()), outcome, message }
    };
    order.iter().map(gate).collect()
}

/// A share as a percentage with one decimal, rounded down so that 99.96 % is never shown as 100 %.
fn percent(share: f64) -> String {
    format!("{:.1} %", (share * 1000.0 + 1e-6).floor() / 10.0)
}

/// Failed `critical` assertions of gated cells: they fail the gate whatever the rates say.
fn critical(suite: &SuitePolicy, cells: &[&CellResult]) -> Option<GateResult> {
    let is_critical_failure = |cell: &&&CellResult| {
        let mut results = cell.samples.iter().flat_map(|sample| &sample.assertions);
        results.any(|result| result.severity == AssertionSeverity::Critical && matches!(result.outcome, Outcome::Fail(_)))
    };
    let failed: Vec<String> =
        cells.iter().filter(|cell| cell.gated).filter(is_critical_failure).map(|cell| cell.address.to_string()).collect();
    let (first, others) = failed.split_first()?;
    let message = match others.len() {
        0 => format!("a critical assertion failed in {first}"),
        more => format!("critical assertions failed in {first} and {more} more"),
    };
    Some(whole_suite(suite, GateKind::Critical, GateOutcome::Fail, message))
}

/// Changed, new and unreadable snapshots of the cells that own one.
fn snapshots(suite: &SuitePolicy, cells: &[&CellResult]) -> GateResult {
    let (mut same, mut changed, mut new, mut unreadable) = (0_u32, 0_u32, 0_u32, 0_u32);
    for cell in cells.iter().filter(|cell| cell.snapshot_path.is_some() && cell.gated) {
        match cell.snapshot {
            SnapshotState::Same => same += 1,
            SnapshotState::Changed { .. } => changed += 1,
            SnapshotState::New { .. } => new += 1,
            SnapshotState::Unreadable { .. } => unreadable += 1,
            SnapshotState::None => {}
        }
    }
    let differs = changed + new > 0;
    let (outcome, warned) = match suite.on_change {
        _ if unreadable > 0 => (GateOutcome::Fail, ""),
        OnChange::Fail if differs => (GateOutcome::Fail, ""),
        OnChange::Warn if differs => (GateOutcome::Pass, " (on_change: warn)"),
        OnChange::Fail | OnChange::Warn => (GateOutcome::Pass, ""),
    };
    let mut message = format!("snapshots: {same} same, {changed} changed, {new} new{warned}");
    if unreadable > 0 {
        message.push_str(&format!(", {unreadable} unreadable"));
    }
    whole_suite(suite, GateKind::Snapshots, outcome, message)
}

/// Gated cells that reached no verdict, those aside that the budget left out: they have a gate of their own.
fn verdicts(suite: &SuitePolicy, cells: &[&CellResult]) -> Option<GateResult> {
    let gated = || cells.iter().filter(|cell| cell.gated && !is_left_out(cell));
    let errored = gated().filter(|cell| cell.verdict == Verdict::Error).count();
    let unavailable = gated().filter(|cell| cell.verdict == Verdict::Skipped).count();
    if errored + unavailable == 0 {
        return None;
    }
    let mut parts = Vec::new();
    if errored > 0 {
        parts.push(format!("{errored} errored"));
    }
    if unavailable > 0 {
        parts.push(format!("{unavailable} skipped"));
    }
    let message = format!("{} of {} cells without a verdict", parts.join(", "), cells.iter().filter(|cell| cell.gated).count());
    Some(whole_suite(suite, GateKind::Verdicts, GateOutcome::Missing, message))
}

/// Gated cells that the budget left out.
fn budget(suite: &SuitePolicy, cells: &[&CellResult]) -> Option<GateResult> {
    let left_out = cells.iter().filter(|cell| cell.gated && is_left_out(cell)).count();
    let message = format!("the budget left out {left_out} of {} cells", cells.len());
    (left_out > 0).then(|| whole_suite(suite, GateKind::Budget, GateOutcome::Missing, message))
}

/// The budget kept it from a verdict: nothing was sent, or a failed attempt was not repeated.
fn is_left_out(cell: &CellResult) -> bool {
    let refused = |sample: &SampleResult| {
        sample.skipped == Some(SkipReason::Budget) || sample.error.as_ref().is_some_and(|error| error.kind == ErrorKind::Budget)
    };
    matches!(cell.verdict, Verdict::Skipped | Verdict::Error) && cell.samples.iter().any(refused)
}

fn whole_suite(suite: &SuitePolicy, kind: GateKind, outcome: GateOutcome, message: String) -> GateResult {
    GateResult { kind, suite: Some(suite.name.clone()), model: None, outcome, message }
}

#[cfg(test)]
#[path = "judge_tests.rs"]
mod tests;
