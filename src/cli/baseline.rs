//! With what is each suite of a run compared, and where is that found?

mod against;
pub(crate) mod blessed;
pub(crate) mod deciding;
pub(crate) mod gone;
pub(crate) mod planned;
mod remembered;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::cli::arguments::CacheArgument;
use crate::cli::arguments::baseline::ComparisonArguments;
use crate::cli::arguments::run::RunArguments;
use crate::cli::baseline::gone::{Before, Present};
use crate::cli::baseline::planned::{Asking, GIT, PREVIOUS, PlannedBaseline};
use crate::cli::baseline::remembered::Remembered;
use crate::cli::formats;
use crate::cli::history;
use crate::cli::project::{Failure, Project};
use crate::cli::session;
use crate::cli::settings::gate::GateSettings;
use crate::gate::models;
use crate::model::baseline::{Baseline, ComparisonAsked, How, KeptCell, KnownSuite, MODEL};
use crate::model::catalog::Catalog;
use crate::model::cost;
use crate::model::gate::{Exit, SuitePolicy};
use crate::model::problem::{Problem, Severity};
use crate::model::reply::Served;
use crate::model::run::{Bill, CellResult, RunReport, Shard};
use crate::model::suite::Suite;
use crate::runner::plan::{Plan, PlannedCell};
use crate::runner::run::Ran;
use crate::runner::{execute, totals};
use crate::store::recordings::Recordings;
use crate::store::{Store, StoreError};

/// Accepted loss and chance of an error where neither flag nor suite says them.
const DEFAULT: f64 = 0.05;

/// How it is said that nothing is compared.
pub(crate) const NONE: &str = "none";

/// What a run is compared with.
#[derive(Debug, Default)]
pub(crate) struct Compared {
    /// What each suite asks for, by its name.
    pub(crate) asked: BTreeMap<String, ComparisonAsked>,
    /// What they are compared with.
    pub(crate) baselines: Vec<Baseline>,
    /// What fresh samples cost.
    pub(crate) fresh: Bill,
    /// What is not compared, or not as was asked, and somebody may think it is.
    pub(crate) told: Vec<Problem>,
    /// What git revisions have recorded of them.
    pub(crate) recordings: Vec<Recordings>,
}

impl Compared {
    /// Finds what the flags or the suites name. Cells of a baseline that is asked in this run are put beside those of the plan.
    pub(crate) fn open(
        project: &Project,
        arguments: &RunArguments,
        plan: &mut Plan,
        all_suites: Option<&[Arc<Suite>]>,
        store: &Store,
        now: DateTime<Utc>,
    ) -> Result<Self, Failure> {
        let of_run = arguments;
        let arguments = &arguments.comparison;
        let (mut asked, mut told) = asked(of_run, &project.settings.gate, plan)?;
        if of_run.selection.failed {
            if let Some(reference) = of_flag(arguments) {
                let problem = Problem::error(format!("`--failed` cannot be compared with `{reference}`"));
                return Err(problem.hint("cases that were picked because they failed look better by chance alone: run all of them").into());
            }
            told.extend(uncompared("`--failed` runs what did not pass, which looks better by chance alone", &asked));
            asked.clear();
        }
        told.extend(not_gated(arguments, of_run, plan)?);
        if arguments.decide && (asked.is_empty() || of_run.selection.shard.is_some()) {
            let (what, hint) = if asked.is_empty() {
                (
                    "nothing is compared, so there is nothing to decide",
                    "add `--baseline REF`, `--against MODEL`, or `gate: {baseline: REF}` to a suite",
                )
            } else {
                ("a shard compares nothing, so it has nothing to decide", "leave `--decide` out, or run without `--shard`")
            };
            return Err(Problem::error(format!("`--decide`: {what}")).hint(hint).into());
        }
        let (mut cells, mut unbounded) = (Vec::new(), Vec::new());
        let mut references: Vec<&str> = asked.values().map(|asked| asked.baseline.as_str()).collect();
        references.sort_unstable();
        references.dedup();
        let (mut baselines, mut recorded) = (Vec::new(), Vec::new());
        let selected = plan.suites.clone();
        // Which suites there are does not depend on those that are named.
        let of_project = if all_suites.is_none() && !references.is_empty() { session::all_suites(project) } else { None };
        let present = Present { suites: all_suites.or(of_project.as_deref()), selected: &selected, meant: &project.settings.gate.gone };
        told.extend(present.contradicted(|suite| asked.contains_key(suite)));
        for reference in references {
            let suites: HashSet<&str> =
                asked.iter().filter(|(_, asked)| asked.baseline == reference).map(|(suite, _)| suite.as_str()).collect();
            if let Some(base) = models::named(reference) {
                baselines.extend(against::beside(plan, reference, base, &suites, &of_run.selection));
                continue;
            }
            let asking = Asking { project, plan, selection: &of_run.selection, answers: &of_run.answers, now };
            let planned = match reference {
                PREVIOUS => Some(asking.previous_version(&suites)?),
                git if git.starts_with(GIT) => Some(asking.revision(git, &suites, present)?),
                _ => None,
            };
            if let Some(PlannedBaseline { baseline, cells: of_baseline, unbounded: of_them, recordings, told: unused }) = planned {
                told.extend(unused);
                recorded.extend(recordings);
                told.extend(gone::told(reference, &baseline.gone));
                if reference == PREVIOUS && of_baseline.is_empty() && arguments.baseline.is_some() && of_run.selection.shard.is_none() {
                    let problem = Problem::error(format!("baseline `{PREVIOUS}`: no prompt of these suites has an earlier version"));
                    return Err(problem
                        .hint("write the change as the next version, or compare with `git:REVISION` or `last-green`")
                        .into());
                }
                let place = baselines.len();
                unbounded.extend(of_them);
                cells.extend(of_baseline.into_iter().map(|cell| PlannedCell { baseline: Some(place), ..cell }));
                baselines.push(baseline);
                continue;
            }
            // A flag's path starts where the user stands, a suite's at the project's root.
            let folder = if arguments.baseline.is_some() { &project.current } else { &project.root };
            let replays = matches!(of_run.answers.cache, CacheArgument::ReadWrite | CacheArgument::Only);
            let mut found = Finding { project, plan, store, replays, folder, present }.find(reference, &suites)?;
            told.extend(found.iter().flat_map(|baseline| gone::told(reference, &baseline.gone)));
            for baseline in &mut found {
                baseline.cells.retain(|cell| suites.contains(&*cell.address.suite));
            }
            in_common(reference, &found, plan)?;
            baselines.extend(found);
        }
        beside(plan, cells);
        plan.unbounded.extend(unbounded);
        Ok(Self { asked, baselines, fresh: Bill::default(), told, recordings: recorded })
    }

    /// A watch judges what was edited, again and again; held against a baseline it would be judged as often.
    pub(crate) fn of_watch(project: &Project, arguments: &RunArguments, plan: &Plan) -> Result<Self, Failure> {
        let (asked, _) = asked(arguments, &project.settings.gate, plan)?;
        let told = uncompared("a watch judges after each edit", &asked).into_iter().collect();
        Ok(Self { told, ..Self::default() })
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

/// What each suite with gated cells asks for, and which cannot have it.
fn asked(
    of_run: &RunArguments,
    of_settings: &GateSettings,
    plan: &Plan,
) -> Result<(BTreeMap<String, ComparisonAsked>, Vec<Problem>), Failure> {
    let arguments = &of_run.comparison;
    let gated = plan.cells.iter().filter(|cell| cell.variant.gated);
    let suites: HashSet<&str> = gated.map(|cell| &*cell.variant.suite_name).collect();
    let (mut asked, mut told) = (BTreeMap::new(), Vec::new());
    let of_flag = arguments.against.as_ref().map(|model| format!("{MODEL}{model}"));
    for suite in plan.suites.iter().filter(|suite| suites.contains(suite.name.as_str())) {
        let baseline = of_flag.as_ref().or(arguments.baseline.as_ref()).or(suite.gate.baseline.as_ref());
        let Some(baseline) = baseline.filter(|baseline| *baseline != NONE) else { continue };
        let baseline = match models::named(baseline) {
            None => baseline.clone(),
            Some(model) => match against::base(plan, &suite.name, model, &of_run.selection) {
                Ok(label) => format!("{MODEL}{label}"),
                // What a suite asks for itself is a slip where it cannot be; a flag means those that can.
                Err(problem) if arguments.against.is_none() => return Err(problem.into()),
                Err(problem) => {
                    told.push(problem);
                    continue;
                }
            },
        };
        let margin = arguments.margin.or(suite.gate.margin).or(of_settings.margin).unwrap_or(DEFAULT);
        let alpha = arguments.alpha.or(suite.gate.alpha).or(of_settings.alpha).unwrap_or(DEFAULT);
        asked.insert(suite.name.clone(), ComparisonAsked { baseline, margin, alpha, decides: arguments.decide });
    }
    // Where one suite can, the others are told of.
    if asked.is_empty() && !told.is_empty() {
        return Err(told.into());
    }
    told.iter_mut().for_each(|problem| problem.severity = Severity::Warning);
    Ok((asked, told))
}

/// Says of suites that name a baseline that this run does not compare them.
fn uncompared(why: &str, asked: &BTreeMap<String, ComparisonAsked>) -> Option<Problem> {
    let suites: Vec<String> = asked.iter().map(|(suite, asked)| format!("`{suite}` with `{}`", asked.baseline)).collect();
    (!suites.is_empty()).then(|| {
        let problem = Problem::warning(format!("nothing is compared with a baseline: {why}; suites ask for it ({})", suites.join(", ")));
        problem.hint("`promptkeel run` compares")
    })
}

/// What a flag asks to compare with.
fn of_flag(arguments: &ComparisonArguments) -> Option<&String> {
    arguments.against.as_ref().or(arguments.baseline.as_ref()).filter(|reference| *reference != NONE)
}

/// A comparison that is asked for and has nothing that it could judge: of the whole run a mistake, of a suite to be told.
fn not_gated(arguments: &ComparisonArguments, of_run: &RunArguments, plan: &Plan) -> Result<Vec<Problem>, Failure> {
    if of_run.selection.shard.is_some() || of_run.selection.failed {
        return Ok(Vec::new());
    }
    let gated: HashSet<&str> = plan.cells.iter().filter(|cell| cell.variant.gated).map(|cell| &*cell.variant.suite_name).collect();
    if let Some(reference) = of_flag(arguments).filter(|_| gated.is_empty() && !plan.cells.is_empty()) {
        let problem = Problem::error(format!("nothing of this run counts for the gate, so nothing is compared with `{reference}`"));
        let hint = "older prompt versions and models with `gate: false` only inform; `promptkeel compare` holds them against each other";
        return Err(problem.hint(hint).into());
    }
    let has_cells: HashSet<&str> = plan.cells.iter().map(|cell| &*cell.variant.suite_name).collect();
    let informing = has_cells.difference(&gated);
    let suites = plan.suites.iter().filter(|suite| informing.clone().any(|name| *name == suite.name));
    let told = suites.filter_map(|suite| {
        let of_suite = arguments.baseline.as_ref().or(suite.gate.baseline.as_ref()).filter(|reference| *reference != NONE);
        let reference = of_flag(arguments).or(of_suite)?;
        let problem =
            Problem::warning(format!("suite `{}` is not compared with `{reference}`: nothing of it counts for the gate", suite.name));
        Some(problem.hint("older prompt versions and models with `gate: false` only inform"))
    });
    Ok(told.collect())
}

/// Where a baseline is looked for.
struct Finding<'a> {
    project: &'a Project,
    plan: &'a Plan,
    store: &'a Store,
    /// Stored answers are read.
    replays: bool,
    folder: &'a Path,
    present: Present<'a>,
}

impl Finding<'_> {
    /// What the reference names: of remembered runs perhaps several, each for some of the suites.
    fn find(&self, reference: &str, suites: &HashSet<&str>) -> Result<Vec<Baseline>, Failure> {
        let Self { project, plan, store, replays, present, .. } = *self;
        if history::names_run(reference) {
            return Remembered { project, plan, store, replays, present, reference }.find(suites);
        }
        if reference == blessed::REFERENCE {
            return Ok(vec![blessed::baseline(project, store, suites, present)?]);
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
        if let Some(Shard { index, count }) = report.run.shard {
            let problem =
                Problem::error(format!("baseline `{reference}`: it is shard {index} of {count}, and has only its part of the cells"));
            return Err(problem.hint("`promptkeel merge` makes one report of all shards: name that one").into());
        }
        let of_suites = |suite: &KnownSuite| suites.contains(suite.name.as_str());
        let mut gated = Before::default();
        for cell in report.cells.iter().filter(|cell| cell.gated) {
            gated.add(&cell.address.suite, &cell.address.case, &cell.digests.variables);
        }
        let known = report.policies.iter().map(|policy| KnownSuite { name: policy.name.clone(), ..KnownSuite::default() });
        Ok(vec![Baseline {
            reference: reference.to_owned(),
            run: Some(report.run.id),
            part: report.run.filtered || report.exit == Exit::Interrupted,
            suites: known.filter(of_suites).collect(),
            gone: present.gone(&gated),
            renamed: present.renamed(&gated),
            not_held: matches!(report.exit, Exit::Fails | Exit::Undecided),
            revision: report.run.revision,
            started_at: Some(report.run.started_at),
            cells: report.cells.into_iter().map(without_request).collect(),
            ..Baseline::default()
        }])
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
fn in_common(reference: &str, baselines: &[Baseline], plan: &Plan) -> Result<(), Failure> {
    let cells = baselines.iter().flat_map(|baseline| &baseline.cells);
    let known: HashSet<(&str, &str)> = cells.map(|cell| (&*cell.address.suite, &*cell.address.case)).collect();
    if plan.cells.iter().any(|cell| known.contains(&(&*cell.variant.suite_name, &*cell.case_id))) {
        return Ok(());
    }
    let gone = baselines.iter().flat_map(|baseline| &baseline.gone).find(|suite| suite.how == How::Gone);
    let renamed = gone.map(|suite| format!(": suite `{}` is not in this project{}", suite.name, crate::gate::gone::like(suite)));
    let renamed = renamed.unwrap_or_default();
    let problem = Problem::error(format!("baseline `{reference}` has no case in common with what is run{renamed}"));
    Err(problem.hint("cases are paired by suite and id; name another baseline, or `--baseline none`").into())
}

pub(crate) fn told(error: StoreError) -> Failure {
    Problem::error(error.to_string()).hint(error.hint()).into()
}
