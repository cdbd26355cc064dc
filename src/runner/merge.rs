//! How do the reports of all shards become one run?

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use crate::gate::judge::RunFacts;
use crate::model::baseline::{Baseline, ComparisonAsked};
use crate::model::gate::{GateKind, GateResult, SuitePolicy};
use crate::model::remembered::Remembered;
use crate::model::run::{Address, Bill, CellResult, Improved, RunInfo, RunReport, Shard};
use crate::runner::assemble::{self, Parts};

/// Why reports cannot be merged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MergeError {
    /// Nothing to merge.
    #[error("no report to merge")]
    Empty,
    /// Parts of runs that were split differently.
    #[error("shard {0} of {1} cannot be merged with shards of {2}: all parts must come from one split")]
    DifferentSplits(u32, u32, u32),
    /// A report without a shard beside others.
    #[error("run {0} is not a shard: only the parts of one `--shard I/N` run can be merged")]
    NotAShard(String),
    /// The same part twice.
    #[error("shard {0} is given twice")]
    Twice(u32),
    /// No part of any split.
    #[error("there is no shard {0} of {1}")]
    NoSuchPart(u32, u32),
    /// One split deals its cells out in turn, so no part has two more than another.
    #[error("shard {0} has {1} cells and shard {2} has {3}: the parts come from different plans")]
    UnevenParts(u32, usize, u32, usize),
    /// The same cell in two parts.
    #[error("cell {0} is in two reports: the parts come from different plans")]
    Overlap(Box<Address>),
    /// Other revisions of the project.
    #[error("the shards ran on different revisions: {0} and {1}")]
    DifferentRevisions(String, String),
    /// Under one name they did not ask the same.
    #[error("shards {1} and {2} did not ask the same: {0} is not what it is in the other")]
    DifferentInputs(String, u32, u32),
    /// Other baselines under one name.
    #[error("the shards were compared with different runs, though all were asked for `{0}`")]
    DifferentBaselines(String),
    /// One part of a suite asks for another comparison than the other, or for none.
    #[error(
        "shard {1} compares suite `{0}` with {2}, and shard {3} with {4}: give every shard the same `--baseline` or `--against`, `--margin` and `--alpha`"
    )]
    DifferentComparisons(String, u32, String, u32, String),
}

impl MergeError {
    /// The two parts that do not fit, where it is these two.
    #[must_use]
    pub const fn parts(&self) -> Option<[u32; 2]> {
        match self {
            Self::DifferentInputs(_, one, other) => Some([*one, *other]),
            Self::Empty
            | Self::DifferentSplits(..)
            | Self::NotAShard(_)
            | Self::Twice(_)
            | Self::NoSuchPart(..)
            | Self::UnevenParts(..)
            | Self::Overlap(_)
            | Self::DifferentRevisions(..)
            | Self::DifferentBaselines(_)
            | Self::DifferentComparisons(..) => None,
        }
    }
}

/// Merges the shards of one run and applies the gates to the whole. A missing shard is a missing verdict; `orphans_fail` is
/// `--unreferenced reject`.
///
/// # Errors
/// When the reports are no parts of one split.
pub fn merge(mut reports: Vec<RunReport>, orphans_fail: bool) -> Result<RunReport, MergeError> {
    let shards = shards(&reports)?;
    reports.sort_by_key(|report| report.run.shard.map_or(1, |shard| shard.index));
    let mut info = merged_info(&reports)?;
    same_inputs(&reports)?;
    let missing = missing(&reports, shards.count);
    if !missing.is_empty() {
        info.filtered = true;
    }
    let carried = carried_gates(&reports);
    let policies = policies(&reports)?;
    let orphans: BTreeSet<String> = reports.iter().flat_map(|report| report.orphans.iter().cloned()).collect();
    let mut problems = Vec::new();
    for problem in reports.iter().flat_map(|report| &report.problems) {
        if !problems.contains(problem) {
            problems.push(problem.clone());
        }
    }
    let mut prompt_changes = Vec::new();
    for change in reports.iter().flat_map(|report| &report.prompt_changes) {
        if !prompt_changes.contains(change) {
            prompt_changes.push(change.clone());
        }
    }
    let baselines = baselines(&mut reports)?;
    let bill = bill(&reports);
    let improved = improved(&reports);
    let remembered = remembered(&reports);
    let texts = joined_texts(&mut reports);
    let cells = interleave(reports)?;
    let rejected_orphans = if orphans_fail { orphans.len() } else { 0 };
    let orphans = orphans.into_iter().collect();
    let parts = Parts { info, policies, cells, texts, orphans, problems, baselines, carried };
    let facts = RunFacts { missing_shards: missing, rejected_orphans, ..RunFacts::default() };
    Ok(RunReport { bill, prompt_changes, improved, remembered, ..assemble::report(parts, &facts) })
}

/// What cells of several parts are made of.
#[derive(PartialEq, Eq, Hash)]
enum Input<'a> {
    Prompt(&'a str, &'a str, u32),
    Variables(&'a str, &'a str),
    Assertions(&'a str, &'a str),
    Fixture(&'a str),
}

impl Input<'_> {
    fn said(&self) -> String {
        match self {
            Self::Prompt(suite, prompt, version) => format!("the text of prompt `{prompt}@{version}` of suite `{suite}`"),
            Self::Variables(suite, case) => format!("what case `{suite}::{case}` has for variables"),
            Self::Assertions(suite, case) => format!("what case `{suite}::{case}` asserts"),
            Self::Fixture(path) => format!("fixture `{path}`"),
        }
    }
}

/// A part of an earlier day, made before an edit that nobody committed, is no part of this run.
fn same_inputs(reports: &[RunReport]) -> Result<(), MergeError> {
    let mut known: HashMap<Input<'_>, (&str, u32)> = HashMap::new();
    for report in reports {
        let shard = report.run.shard.map_or(1, |shard| shard.index);
        for cell in &report.cells {
            let (address, digests) = (&cell.address, &cell.digests);
            let (suite, case) = (&*address.suite, &*address.case);
            let inputs = [
                (Input::Prompt(suite, &address.prompt, address.version), &digests.prompt),
                (Input::Variables(suite, case), &digests.variables),
                (Input::Assertions(suite, case), &digests.assertions),
            ];
            let fixtures = digests.fixtures.iter().map(|file| (Input::Fixture(&file.path), &file.digest));
            for (input, digest) in inputs.into_iter().chain(fixtures).filter(|(_, digest)| !digest.is_empty()) {
                match known.get(&input) {
                    Some((first, of)) if **first != **digest && *of != shard => {
                        return Err(MergeError::DifferentInputs(input.said(), *of, shard));
                    }
                    Some(_) => {}
                    None => {
                        known.insert(input, (digest, shard));
                    }
                }
            }
        }
    }
    Ok(())
}

/// The policies of all parts. A part that has no gated cell of a suite was not asked what it is compared with.
fn policies(reports: &[RunReport]) -> Result<Vec<SuitePolicy>, MergeError> {
    let mut asked: HashMap<&str, (u32, &Option<ComparisonAsked>)> = HashMap::new();
    for report in reports {
        let shard = report.run.shard.map_or(1, |shard| shard.index);
        let gated: HashSet<&str> = report.cells.iter().filter(|cell| cell.gated).map(|cell| &*cell.address.suite).collect();
        for policy in report.policies.iter().filter(|policy| gated.contains(policy.name.as_str())) {
            let (first, known) = *asked.entry(&policy.name).or_insert((shard, &policy.comparison));
            if *known != policy.comparison {
                let (known, other) = (with(known.as_ref()), with(policy.comparison.as_ref()));
                return Err(MergeError::DifferentComparisons(policy.name.clone(), first, known, shard, other));
            }
        }
    }
    let mut policies: Vec<SuitePolicy> = Vec::new();
    for policy in reports.iter().flat_map(|report| &report.policies) {
        let comparison = asked.get(policy.name.as_str()).and_then(|(_, comparison)| (*comparison).clone());
        let policy = SuitePolicy { comparison, ..policy.clone() };
        if !policies.contains(&policy) {
            policies.push(policy);
        }
    }
    Ok(policies)
}

fn with(asked: Option<&ComparisonAsked>) -> String {
    asked.map_or_else(|| "nothing".to_owned(), |asked| format!("`{}`, margin {}, alpha {}", asked.baseline, asked.margin, asked.alpha))
}

/// The baselines of all parts: what one part asked of its own cells, and what all read from the same place.
fn baselines(reports: &mut [RunReport]) -> Result<Vec<Baseline>, MergeError> {
    let mut all: Vec<Baseline> = Vec::new();
    for mut one in reports.iter_mut().flat_map(|report| std::mem::take(&mut report.baselines)) {
        let is_named_so = |known: &Baseline| (&known.reference, &known.model) == (&one.reference, &one.model);
        let is_like = |known: &Baseline| is_named_so(known) && (&known.run, &known.revision) == (&one.run, &one.revision);
        let others = all.iter().filter(|known| is_named_so(known) && !is_like(known));
        // Of remembered runs one may be found for one suite and another for another; never two for the same.
        let mut suites = one.cells.iter().map(|cell| &*cell.address.suite).chain(one.suites.iter().map(|known| known.name.as_str()));
        if others.clone().any(|other| other.run.is_none() || one.run.is_none())
            || suites.any(|suite| others.clone().any(|other| other.knows(suite)))
        {
            return Err(MergeError::DifferentBaselines(one.reference));
        }
        let Some(known) = all.iter_mut().find(|known| is_like(known)) else {
            all.push(one);
            continue;
        };
        let there: HashSet<Address> = known.cells.iter().map(|cell| cell.address.clone()).collect();
        known.cells.extend(one.cells.drain(..).filter(|cell| !there.contains(&cell.address)));
        known.part |= one.part;
        known.failed |= one.failed;
        for suite in one.gone {
            if !known.gone.contains(&suite) {
                known.gone.push(suite);
            }
        }
        for case in one.renamed {
            if !known.renamed.contains(&case) {
                known.renamed.push(case);
            }
        }
        for case in one.dropped {
            if !known.dropped.contains(&case) {
                known.dropped.push(case);
            }
        }
        for suite in one.suites {
            if !known.suites.contains(&suite) {
                known.suites.push(suite);
            }
        }
    }
    Ok(all)
}

/// What got better since the runs that the parts know: each may have a store of its own, with a history of its own.
fn improved(reports: &[RunReport]) -> Vec<Improved> {
    let mut all: Vec<Improved> = Vec::new();
    for one in reports.iter().flat_map(|report| &report.improved) {
        match all.iter_mut().find(|known| (&known.run, &known.revision) == (&one.run, &one.revision)) {
            Some(known) => known.cells.extend(one.cells.iter().cloned()),
            None => all.push(one.clone()),
        }
    }
    all
}

/// Flaky cells belong to one part each. The histories of the parts tell of parts, so that no trend is one of the whole.
fn remembered(reports: &[RunReport]) -> Option<Remembered> {
    let flaky: Vec<_> = reports.iter().flat_map(|report| &report.remembered).flat_map(|known| known.flaky.iter().cloned()).collect();
    (!flaky.is_empty()).then(|| Remembered { trends: Vec::new(), flaky })
}

/// The common split, every part at most once.
fn shards(reports: &[RunReport]) -> Result<Shard, MergeError> {
    let mut seen = BTreeSet::new();
    let mut common: Option<Shard> = None;
    for report in reports {
        let shard = match report.run.shard {
            Some(shard) => shard,
            None if reports.len() == 1 => Shard { index: 1, count: 1 },
            None => return Err(MergeError::NotAShard(report.run.id.clone())),
        };
        if shard.index == 0 || shard.index > shard.count {
            return Err(MergeError::NoSuchPart(shard.index, shard.count));
        }
        let count = common.get_or_insert(shard).count;
        if shard.count != count {
            return Err(MergeError::DifferentSplits(shard.index, shard.count, count));
        }
        if !seen.insert(shard.index) {
            return Err(MergeError::Twice(shard.index));
        }
    }
    common.ok_or(MergeError::Empty)
}

/// One message per gap between the parts that are there, in order of their index.
fn missing(reports: &[RunReport], count: u32) -> Vec<String> {
    if reports.iter().all(|report| report.run.shard.is_none()) {
        return Vec::new();
    }
    let mut messages = Vec::new();
    let mut next = 1_u64;
    let ends = reports.iter().filter_map(|report| report.run.shard).map(|shard| u64::from(shard.index)).chain([u64::from(count) + 1]);
    for index in ends {
        match index - next {
            0 => {}
            1 => messages.push(format!("shard {next} of {count} is missing")),
            _ => messages.push(format!("shards {next} to {} of {count} are missing", index - 1)),
        }
        next = index + 1;
    }
    messages
}

/// The sum of their bills, not of their cells: an answer that came after its cell had given up is in no cell.
fn bill(reports: &[RunReport]) -> Bill {
    let mut sum = Bill::default();
    reports.iter().for_each(|report| sum.add(&report.bill));
    sum
}

fn merged_info(reports: &[RunReport]) -> Result<RunInfo, MergeError> {
    let first = reports.first().ok_or(MergeError::Empty)?;
    let mut info = first.run.clone();
    for report in &reports[1..] {
        let run = &report.run;
        if run.revision != info.revision {
            let name = |revision: &Option<String>| revision.clone().unwrap_or_else(|| "none".to_owned());
            return Err(MergeError::DifferentRevisions(name(&info.revision), name(&run.revision)));
        }
        info.started_at = info.started_at.min(run.started_at);
        info.duration_ms = info.duration_ms.max(run.duration_ms);
        info.filtered |= run.filtered;
        for endpoint in &run.endpoints {
            if !info.endpoints.contains(endpoint) {
                info.endpoints.push(endpoint.clone());
            }
        }
    }
    info.id = format!("{}-merged", info.id);
    info.shard = None;
    Ok(info)
}

/// What only the shards themselves know: interrupts, time limits, unwritten files, changed prompt versions.
fn carried_gates(reports: &[RunReport]) -> Vec<GateResult> {
    let only_theirs = |gate: &&GateResult| match gate.kind {
        GateKind::Interrupted | GateKind::Written => true,
        // That a shard's time limit passed, or a batch of an earlier run cost more than its cap.
        GateKind::Verdicts | GateKind::Budget => gate.suite.is_none(),
        GateKind::PassRate | GateKind::Critical | GateKind::Snapshots | GateKind::Comparison => false,
    };
    let mut carried: Vec<GateResult> = Vec::new();
    for gate in reports.iter().flat_map(|report| &report.gates).filter(only_theirs) {
        if !carried.contains(gate) {
            carried.push(gate.clone());
        }
    }
    carried
}

/// The texts of all parts in one list, and every request pointing into it.
fn joined_texts(reports: &mut [RunReport]) -> Vec<Arc<str>> {
    let mut joined: Vec<Arc<str>> = Vec::new();
    for report in reports {
        let texts = std::mem::take(&mut report.texts);
        let count = texts.len();
        let offset = u32::try_from(joined.len()).unwrap_or(u32::MAX);
        for request in report.cells.iter_mut().filter_map(|cell| cell.request.as_mut()) {
            let turns = request.turns.iter_mut().flat_map(|turn| &mut turn.content);
            for number in request.system.iter_mut().chain(turns).chain([&mut request.parameters]) {
                // A number beyond its own list stays one beyond every list.
                *number = if (*number as usize) < count { number.saturating_add(offset) } else { u32::MAX };
            }
        }
        joined.extend(texts);
    }
    joined
}

/// Back in plan order: shard i of n holds the cells i, i + n, i + 2n ...
fn interleave(reports: Vec<RunReport>) -> Result<Vec<CellResult>, MergeError> {
    let mut seen: HashMap<Address, ()> = HashMap::new();
    for pair in reports.windows(2) {
        let part = |report: &RunReport| (report.run.shard.map_or(1, |shard| shard.index), report.cells.len());
        let ((first, more), (later, fewer)) = (part(&pair[0]), part(&pair[1]));
        if fewer > more || fewer + 1 < more {
            return Err(MergeError::UnevenParts(first, more, later, fewer));
        }
    }
    let mut parts: Vec<_> = reports.into_iter().map(|report| report.cells.into_iter()).collect();
    let mut cells = Vec::new();
    loop {
        let before = cells.len();
        for part in &mut parts {
            if let Some(cell) = part.next() {
                if seen.insert(cell.address.clone(), ()).is_some() {
                    return Err(MergeError::Overlap(Box::new(cell.address)));
                }
                cells.push(cell);
            }
        }
        if cells.len() == before {
            return Ok(cells);
        }
    }
}

#[cfg(test)]
#[path = "merge_tests.rs"]
mod tests;
