//! With what is each suite of a run compared, and where is that found?

pub(crate) mod blessed;
pub(crate) mod deciding;
pub(crate) mod planned;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;

use chrono::{DateTime, Utc};

use crate::cli::arguments::baseline::ComparisonArguments;
use crate::cli::arguments::run::RunArguments;
use crate::cli::baseline::planned::{Asking, GIT, PREVIOUS, PlannedBaseline};
use crate::cli::formats;
use crate::cli::history;
use crate::cli::project::{Failure, Project};
use crate::model::baseline::{Baseline, ComparisonAsked, KeptCell};
use crate::model::catalog::Catalog;
use crate::model::cost;
use crate::model::gate::{Exit, SuitePolicy};
use crate::model::problem::Problem;
use crate::model::reply::Served;
use crate::model::run::{Bill, CellResult, RunReport};
use crate::runner::plan::{Plan, PlannedCell};
use crate::runner::run::Ran;
use crate::runner::{execute, totals};
use crate::store::history::{RunHead, RunRecord};
use crate::store::{Store, StoreError};

/// Accepted loss and chance of an error where neither flag nor suite says them.
const DEFAULT: f64 = 0.05;

/// What a run is compared with.
#[derive(Debug, Default)]
pub(crate) struct Compared {
    /// What each suite asks for, by its name.
    pub(crate) asked: BTreeMap<String, ComparisonAsked>,
    /// What they are compared with.
    pub(crate) baselines: Vec<Baseline>,
    /// What fresh samples cost.
    pub(crate) fresh: Bill,
}

impl Compared {
    /// Finds what the flags or the suites name. Cells of a baseline that is asked in this run are put beside those of the plan.
    pub(crate) fn open(
        project: &Project,
        arguments: &RunArguments,
        plan: &mut Plan,
        store: &Store,
        now: DateTime<Utc>,
    ) -> Result<Self, Failure> {
        let of_run = arguments;
        let arguments = &arguments.comparison;
        let asked = asked(arguments, plan);
        if arguments.decide && (asked.is_empty() || of_run.selection.shard.is_some()) {
            let (what, hint) = if asked.is_empty() {
                ("nothing is compared, so there is nothing to decide", "add `--baseline REF`, or `gate: {baseline: REF}` to a suite")
            } else {
                ("a shard compares nothing, so it has nothing to decide", "leave `--decide` out, or run without `--shard`")
            };
            return Err(Problem::error(format!("`--decide`: {what}")).hint(hint).into());
        }
        let (mut cells, mut unbounded) = (Vec::new(), Vec::new());
        let mut references: Vec<&str> = asked.values().map(|asked| asked.baseline.as_str()).collect();
        references.sort_unstable();
        references.dedup();
        let mut baselines = Vec::new();
        for reference in references {
            let suites: HashSet<&str> =
                asked.iter().filter(|(_, asked)| asked.baseline == reference).map(|(suite, _)| suite.as_str()).collect();
            let asking = Asking { project, plan, selection: &of_run.selection, answers: &of_run.answers, now };
            let planned = match reference {
                PREVIOUS => Some(asking.previous_version(&suites)?),
                git if git.starts_with(GIT) => Some(asking.revision(git, &suites)?),
                _ => None,
            };
            if let Some(PlannedBaseline { baseline, cells: of_baseline, unbounded: of_them }) = planned {
                let place = baselines.len();
                unbounded.extend(of_them);
                cells.extend(of_baseline.into_iter().map(|cell| PlannedCell { baseline: Some(place), ..cell }));
                baselines.push(baseline);
                continue;
            }
            // A flag's path starts where the user stands, a suite's at the project's root.
            let folder = if arguments.baseline.is_some() { &project.current } else { &project.root };
            let mut baseline = Finding { project, plan, store, folder }.find(reference, &suites)?;
            baseline.cells.retain(|cell| suites.contains(&*cell.address.suite));
            in_common(&baseline, plan)?;
            baselines.push(baseline);
        }
        beside(plan, cells);
        plan.unbounded.extend(unbounded);
        Ok(Self { asked, baselines, fresh: Bill::default() })
    }

    /// Takes the cells of the baselines out of what was run: they are no result of it.
    pub(crate) fn take(&mut self, plan: &Plan, ran: &mut Ran) {
        if plan.cells.iter().all(|cell| cell.baseline.is_none()) {
            return;
        }
        let cells = std::mem::take(&mut ran.cells);
        for (planned, cell) in plan.cells.iter().zip(cells) {
            match planned.baseline.and_then(|place| self.baselines.get_mut(place)) {
                Some(baseline) => baseline.cells.push(without_request(cell)),
                None => ran.cells.push(cell),
            }
        }
    }

    /// Puts on the bill what the baselines cost in this run.
    pub(crate) fn bill(report: &mut RunReport, fresh: &Bill) {
        add(&mut report.bill, fresh);
        for baseline in report.baselines.iter().filter(|baseline| baseline.run.is_none()) {
            add(&mut report.bill, &totals::sum(&baseline.cells, 0).bill);
        }
    }

    /// What the gate of a suite asks for, its comparison included.
    pub(crate) fn policy(&self, mut policy: SuitePolicy) -> SuitePolicy {
        policy.comparison = self.asked.get(&policy.name).cloned();
        policy
    }
}

/// More money of the same run, for what stands beside its own cells.
pub(crate) fn add(bill: &mut Bill, more: &Bill) {
    bill.add(more);
    bill.compared_usd += more.spent_usd;
}

/// Each case's cells of a baseline behind its own: what is asked at the same time meets the same model, and a cap leaves out both.
fn beside(plan: &mut Plan, cells: Vec<PlannedCell>) {
    if cells.is_empty() {
        return;
    }
    let place = |cell: &PlannedCell| (cell.variant.suite_name.to_string(), cell.case_id.to_string(), cell.variant.model_name.to_string());
    let mut behind: HashMap<_, Vec<PlannedCell>> = HashMap::new();
    for cell in cells {
        behind.entry(place(&cell)).or_default().push(cell);
    }
    for cell in std::mem::take(&mut plan.cells) {
        let is_gated = cell.variant.gated;
        let others = if is_gated { behind.remove(&place(&cell)) } else { None };
        plan.cells.push(cell);
        plan.cells.extend(others.into_iter().flatten());
    }
    plan.cells.extend(behind.into_values().flatten());
}

/// What each suite with gated cells asks for.
fn asked(arguments: &ComparisonArguments, plan: &Plan) -> BTreeMap<String, ComparisonAsked> {
    let gated = plan.cells.iter().filter(|cell| cell.variant.gated);
    let suites: HashSet<&str> = gated.map(|cell| &*cell.variant.suite_name).collect();
    let of_suites = plan.suites.iter().filter(|suite| suites.contains(suite.name.as_str()));
    let asked = of_suites.filter_map(|suite| {
        let baseline = arguments.baseline.as_ref().or(suite.gate.baseline.as_ref()).filter(|baseline| *baseline != "none")?;
        let margin = arguments.margin.or(suite.gate.margin).unwrap_or(DEFAULT);
        let alpha = arguments.alpha.or(suite.gate.alpha).unwrap_or(DEFAULT);
        Some((suite.name.clone(), ComparisonAsked { baseline: baseline.clone(), margin, alpha }))
    });
    asked.collect()
}

/// Where a baseline is looked for.
struct Finding<'a> {
    project: &'a Project,
    plan: &'a Plan,
    store: &'a Store,
    folder: &'a Path,
}

impl Finding<'_> {
    fn find(&self, reference: &str, suites: &HashSet<&str>) -> Result<Baseline, Failure> {
        if history::names_run(reference) {
            let record = self.remembered(reference, suites)?;
            return self.of_record(reference, record, suites);
        }
        if reference == blessed::REFERENCE {
            return blessed::baseline(self.project, self.store, suites);
        }
        let report = formats::read(self.folder, Path::new(reference)).map_err(|mut failure| {
            for problem in &mut failure.problems {
                problem.message = format!("baseline `{reference}`: {}", problem.message);
            }
            failure.problems.push(Problem::note(
                "a baseline is `last`, `last-green`, a run's id, `previous-version`, `git:REVISION`, or the file that `promptkeel run --json FILE` \
                 wrote; `none` compares with nothing",
            ));
            failure
        })?;
        Ok(Baseline {
            reference: reference.to_owned(),
            run: Some(report.run.id),
            revision: report.run.revision,
            started_at: Some(report.run.started_at),
            cells: report.cells.into_iter().map(without_request).collect(),
            ..Baseline::default()
        })
    }

    /// The run of this id; of `last` and `last-green` the newest that has one of these suites, and was answered by the same endpoints: what
    /// was tried with the simulator in between is no baseline of what is real.
    fn remembered(&self, reference: &str, suites: &HashSet<&str>) -> Result<RunRecord, Failure> {
        let missing = |what: String| {
            let problem = Problem::error(format!("baseline `{reference}`: {what} is remembered"));
            let hint = "`promptkeel history` lists what is; `--baseline none` compares with nothing";
            Failure::from(problem.hint(hint))
        };
        let record = match reference {
            "last" | "last-green" => {
                let found = self.store.suites_of_runs().map_err(told)?;
                let asked: HashSet<&str> = self.plan.cells.iter().map(|cell| &*cell.variant.endpoint).collect();
                let is_like =
                    |run: &RunHead| run.endpoints.is_empty() || asked.iter().all(|name| run.endpoints.iter().any(|one| one == name));
                let has_suite = |run: &&RunHead| {
                    let of = found.get(&run.id);
                    is_like(run) && of.is_some_and(|of| of.iter().any(|counts| suites.contains(counts.suite.as_str())))
                };
                let runs = self.store.runs().map_err(told)?;
                let mut those = runs.iter().filter(has_suite);
                let (found, what) = match reference {
                    "last" => (those.next(), "no run of these suites"),
                    _ => (those.find(|run| run.exit == Exit::Holds), "no run of these suites whose gate held"),
                };
                let id = &found.ok_or_else(|| missing(what.to_owned()))?.id;
                self.store.run(id).map_err(told)?
            }
            id => self.store.run(id).map_err(told)?,
        };
        record.ok_or_else(|| missing(format!("no run `{reference}`")))
    }

    fn of_record(&self, reference: &str, record: RunRecord, suites: &HashSet<&str>) -> Result<Baseline, Failure> {
        if record.is_unfinished() {
            let problem = Problem::error(format!("baseline `{reference}`: run {} did not finish", record.head.id));
            return Err(problem.hint("name another run of `promptkeel history`").into());
        }
        let of_suites = record.cells.iter().filter(|cell| suites.contains(&*cell.address.suite));
        let kept: Vec<&KeptCell> = of_suites.filter_map(|cell| cell.kept.as_ref()).collect();
        let cells = kept.into_iter().map(|kept| known_again(self.store, &self.project.catalog, kept)).collect::<Result<Vec<_>, _>>()?;
        if cells.is_empty() {
            let problem =
                Problem::error(format!("baseline `{reference}`: of run {} too little is remembered to compare with", record.head.id));
            return Err(problem.hint("an earlier version of promptkeel made it, or none of these suites was in it; run again").into());
        }
        Ok(Baseline {
            reference: reference.to_owned(),
            run: Some(record.head.id),
            revision: record.head.revision,
            started_at: Some(record.head.started_at),
            cells,
            ..Baseline::default()
        })
    }
}

/// A kept cell with the replies that the store still has: what they cost, how long they took, what they said.
pub(crate) fn known_again(store: &Store, catalog: &Catalog, kept: &KeptCell) -> Result<CellResult, Failure> {
    let mut cell = kept.cell();
    for (sample, kept) in cell.samples.iter_mut().zip(&kept.samples) {
        let Some(answered_at) = kept.answered_at else { continue };
        let reply = store.find(&kept.key).map_err(told)?.map(|answer| answer.reply);
        // Asked again since then: another answer.
        let reply = reply.filter(|reply| reply.answered_at.timestamp_micros() == answered_at.timestamp_micros());
        if let Some(reply) = reply {
            let cost = cost::cost(catalog, &cell.model_id, &reply);
            sample.reply = Some(execute::facts(&reply, Served::Stored, cost));
        }
    }
    Ok(cell)
}

/// Comparing needs no request: the report has those of its own cells.
fn without_request(mut cell: CellResult) -> CellResult {
    cell.request = None;
    cell
}

/// A baseline that has nothing to do with this run is a slip, and found before anything is sent.
fn in_common(baseline: &Baseline, plan: &Plan) -> Result<(), Failure> {
    let known: HashSet<(&str, &str)> = baseline.cells.iter().map(|cell| (&*cell.address.suite, &*cell.address.case)).collect();
    if plan.cells.iter().any(|cell| known.contains(&(&*cell.variant.suite_name, &*cell.case_id))) {
        return Ok(());
    }
    let problem = Problem::error(format!("baseline `{}` has no case in common with what is run", baseline.reference));
    Err(problem.hint("cases are paired by suite and id; name another baseline, or `--baseline none`").into())
}

pub(crate) fn told(error: StoreError) -> Failure {
    Problem::error(error.to_string()).hint(error.hint()).into()
}
