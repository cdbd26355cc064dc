//! Do the cells of a run report bear out what it says? A report is passed from machine to machine, and may be cut or edited on its way.

use std::collections::HashSet;

use crate::gate::against;
use crate::gate::exit::exit;
use crate::gate::judge::{RunFacts, judge};
use crate::model::gate::{GateResult, SuitePolicy};
use crate::model::money::Money;
use crate::model::run::{Address, Bill, CellResult, RunReport, SampleResult};
use crate::model::suite::OnChange;
use crate::model::verdict::Verdict;
use crate::runner::totals;

/// What a report says against its own cells.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Contradiction {
    /// A sample passes or fails, and its assertions say something else.
    #[error("the verdict of sample {1} of {0} is not that of its assertions")]
    Sample(Box<Address>, u32),
    /// A cell has a verdict that none of its samples has.
    #[error("the verdict of {0} is not that of its samples")]
    Cell(Box<Address>),
    /// The same cell twice.
    #[error("{0} stands twice in it")]
    Twice(Box<Address>),
    /// Nobody is paid for an answer.
    #[error("an answer of {0} costs less than nothing")]
    Negative(Box<Address>),
    /// A run that selected nothing on purpose is filtered or a part.
    #[error("it has no cells")]
    NoCells,
    /// There is no such part of a split.
    #[error("there is no shard {0} of {1}")]
    NoSuchPart(u32, u32),
    /// A share that no suite can ask for.
    #[error("the least pass rate of suite `{0}` is no share from 0 to 1")]
    NoShare(String),
    /// Sums.
    #[error("its totals are not those of its cells")]
    Totals,
    /// Sums of money.
    #[error("its bill is smaller than that of its cells")]
    Bill,
    /// The exit does not follow from the gates, or the gates not from the cells.
    #[error("its exit is not that of its gates, and those are not those of its cells")]
    Exit,
}

/// The report with every sum and every gate as its cells make them.
///
/// # Errors
/// Where the verdicts, the totals, the bill or the exit are not what the cells come to: then something in it was changed, and nobody knows
/// which part of it is true.
pub fn borne_out(mut report: RunReport) -> Result<RunReport, Contradiction> {
    if let Some(shard) = report.run.shard
        && !(1..=shard.count).contains(&shard.index)
    {
        return Err(Contradiction::NoSuchPart(shard.index, shard.count));
    }
    if report.cells.is_empty() && !report.run.filtered && report.run.shard.is_none() {
        return Err(Contradiction::NoCells);
    }
    let mut seen = HashSet::new();
    for cell in &report.cells {
        verdicts(cell)?;
        if !seen.insert(&cell.address) {
            return Err(Contradiction::Twice(Box::new(cell.address.clone())));
        }
    }
    drop(seen);
    let sums = totals::sum(&report.cells, report.orphans.len());
    if sums.totals != report.totals {
        return Err(Contradiction::Totals);
    }
    if !covers(&report.bill, &sums.bill) {
        return Err(Contradiction::Bill);
    }
    complete(&mut report)?;
    if report.run.shard.is_none() {
        report.comparisons = against::compare(&report.cells, &report.policies, &report.baselines, report.run.filtered);
    }
    let gates = gates(&report);
    if exit(&report.gates) != report.exit || exit(&gates) != report.exit {
        return Err(Contradiction::Exit);
    }
    let mut replies = report.cells.iter().flat_map(|cell| &cell.samples).filter_map(|sample| sample.reply.as_ref()).peekable();
    report.run.simulated = replies.peek().is_some() && replies.all(|reply| reply.simulated);
    Ok(RunReport { gates, models: sums.models, suites: sums.suites, versions: sums.versions, tags: sums.tags, ..report })
}

/// Each verdict has what makes it. How many samples of a cell must pass stands in the suite alone, so of several any may decide.
fn verdicts(cell: &CellResult) -> Result<(), Contradiction> {
    for sample in &cell.samples {
        if !is_judged(sample) {
            return Err(Contradiction::Sample(Box::new(cell.address.clone()), sample.index));
        }
        let cost = |amount: Option<Money>| amount.is_some_and(|amount| amount < Money::ZERO);
        if sample
            .reply
            .as_ref()
            .is_some_and(|reply| [reply.cost_usd, reply.unbatched_cost_usd, reply.uncached_cost_usd].into_iter().any(cost))
        {
            return Err(Contradiction::Negative(Box::new(cell.address.clone())));
        }
    }
    let unasked = cell.verdict == Verdict::Skipped && cell.samples.is_empty();
    if unasked || cell.samples.iter().any(|sample| sample.verdict == cell.verdict) {
        Ok(())
    } else {
        Err(Contradiction::Cell(Box::new(cell.address.clone())))
    }
}

fn is_judged(sample: &SampleResult) -> bool {
    let answered = sample.reply.is_some() && sample.error.is_none() && sample.skipped.is_none();
    match sample.verdict {
        Verdict::Pass | Verdict::Fail => answered && Verdict::of(&sample.assertions) == sample.verdict,
        Verdict::Error => sample.error.is_some() || Verdict::of(&sample.assertions) == Verdict::Error,
        Verdict::Skipped => sample.skipped.is_some(),
    }
}

/// Answers that came after their cell had given up are in the bill and in no cell.
fn covers(bill: &Bill, cells: &Bill) -> bool {
    // What the prompt cache saved may be less than nothing, so it has no least amount; what is doubtful stands in no cell.
    let Bill { spent_usd, saved_by_store_usd, saved_by_prompt_cache_usd: _, saved_by_batch_usd, simulated_usd, .. } = cells;
    let Bill { unpriced_samples, unknown_attempts, doubtful_samples: _, .. } = cells;
    bill.spent_usd >= *spent_usd
        && bill.saved_by_store_usd >= *saved_by_store_usd
        && bill.saved_by_batch_usd >= *saved_by_batch_usd
        && bill.simulated_usd >= *simulated_usd
        && bill.unpriced_samples >= *unpriced_samples
        && bill.unknown_attempts >= *unknown_attempts
}

/// A policy for every suite: one that is not there asks for everything, as a suite does that says nothing.
fn complete(report: &mut RunReport) -> Result<(), Contradiction> {
    if let Some(policy) = report.policies.iter().find(|policy| !(0.0..=1.0).contains(&policy.min_pass_rate)) {
        return Err(Contradiction::NoShare(policy.name.clone()));
    }
    let mut named: HashSet<String> = report.policies.iter().map(|policy| policy.name.clone()).collect();
    for cell in &report.cells {
        if named.insert(cell.address.suite.to_string()) {
            let name = cell.address.suite.to_string();
            report.policies.push(SuitePolicy { name, min_pass_rate: 1.0, on_change: OnChange::Fail, comparison: None });
        }
    }
    Ok(())
}

/// Those of the suites, judged again, and those of the whole run, which only the run itself knew.
fn gates(report: &RunReport) -> Vec<GateResult> {
    let facts = RunFacts { shard: report.run.shard, ..RunFacts::default() };
    let mut gates = judge(&report.cells, &report.policies, &facts);
    gates.extend(against::gates(&report.comparisons));
    gates.extend(report.gates.iter().filter(|gate| gate.suite.is_none()).cloned());
    gates
}
