//! Which answers are committed with the project, and what is recorded of a run or a decision?

use std::collections::HashSet;
use std::sync::Arc;

use crate::cli::arguments::AnswerArguments;
use crate::cli::arguments::run::RunArguments;
use crate::cli::console::{Console, counted};
use crate::cli::project::{Failure, Project};
use crate::cli::session;
use crate::model::key::Key;
use crate::model::problem::Problem;
use crate::model::run::Address;
use crate::model::suite::Suite;
use crate::runner::plan::{Everything, Plan, PlannedCell};
use crate::runner::price::PlanPrice;
use crate::snapshot::owned;
use crate::snapshot::path::part;
use crate::source::tree::Tree;
use crate::store::recordings::write::{self, Needed, Written};
use crate::store::recordings::{RecordingFile, Recordings};
use crate::store::{Store, StoreError};

/// The folder, project-relative.
pub(crate) const FOLDER: &str = "recordings";

/// Where a suite's answers are recorded.
pub(crate) fn file(project: &Project, suite: &str) -> RecordingFile {
    let name = format!("{FOLDER}/{}.jsonl", part(suite));
    RecordingFile { path: project.root.join(&name), name }
}

/// What is recorded for these suites. A line that is wrong ends a command before it asks anything.
pub(crate) fn of(project: &Project, suites: &[Arc<Suite>]) -> Result<Recordings, Failure> {
    Recordings::open(suites.iter().map(|suite| file(project, &suite.name)))
        .map_err(|errors| Failure::from(errors.iter().map(problem).collect::<Vec<_>>()))
}

pub(crate) fn problem(error: &StoreError) -> Problem {
    Problem::error(error.to_string()).hint(error.hint())
}

/// Whether there is a folder of recordings, so that decisions are recorded too.
pub(crate) fn are_kept(project: &Project) -> bool {
    project.root.join(FOLDER).is_dir()
}

/// Whose stored answers are recorded.
pub(crate) enum Whose<'a> {
    /// Of everything that the suites need.
    All,
    /// Of these cells, which may be others than the suites have by themselves (`--samples`).
    Cells(Vec<&'a PlannedCell>),
    /// Of the cells that own these snapshots.
    Snapshots(HashSet<&'a str>),
}

/// What was recorded of one suite.
pub(crate) struct Recorded {
    pub(crate) file: String,
    pub(crate) written: Written,
}

/// Writes the files of these suites: what their cases need, and no other answer.
pub(crate) fn save(project: &Project, suites: &[Arc<Suite>], store: &Store, whose: &Whose<'_>) -> Result<Vec<Recorded>, Failure> {
    // Flags may have left cells out, and given others more or fewer samples: what stays recorded is what the suites themselves need.
    let plan = whole(project, suites)?;
    let wanted: HashSet<Key> = match whose {
        Whose::All => plan.keys().collect(),
        Whose::Cells(cells) => cells.iter().flat_map(|cell| cell.keys.iter().copied()).collect(),
        Whose::Snapshots(paths) => {
            let own = |cell: &&PlannedCell| cell.snapshot_path.as_deref().is_some_and(|path| paths.contains(path));
            plan.cells.iter().filter(own).flat_map(|cell| cell.keys.iter().copied()).collect()
        }
    };
    let also: &[&PlannedCell] = match whose {
        Whose::All | Whose::Snapshots(_) => &[],
        Whose::Cells(cells) => cells,
    };
    let mut recorded = Vec::new();
    for suite in suites {
        let cells = plan.cells.iter().chain(also.iter().copied()).filter(|cell| *cell.variant.suite_name == *suite.name);
        let needed = cells.flat_map(|cell| needed(cell, &wanted)).collect();
        let file = file(project, &suite.name);
        let written = write::write(&file, needed, store, &project.store_folder()).map_err(|error| problem(&error))?;
        recorded.push(Recorded { file: file.name, written });
    }
    Ok(recorded)
}

/// What a replay lacks, and what it would cost.
pub(crate) fn missing(plan: &Plan, known: &HashSet<Key>, price: &PlanPrice) -> Option<Problem> {
    let lacks = |cell: &&PlannedCell| cell.keys.iter().any(|key| !known.contains(key));
    let cells = plan.cells.iter().filter(lacks).count();
    let have = if cells == 1 { "has" } else { "have" };
    (cells > 0).then(|| {
        let (cells, answers) = (counted(cells, "cell"), price.to_ask());
        let (about, cost) = (price.estimate.usd.display(4), price.upper_bound_usd.display(4));
        let unpriced = if price.unpriced > 0 { format!(", {} of them at an unknown price", price.unpriced) } else { String::new() };
        Problem::warning(format!("{cells} {have} no answer: requests to ask: {answers}, about {about}, at most {cost}{unpriced}"))
            .hint("run without `--cache only`, with a key, to ask; with `--record` to commit the answers too")
    })
}

/// Records what a run with `--record` answered, or, where a folder says that answers are recorded, what it accepted. Returns what could not
/// be written.
pub(crate) fn of_run(
    project: &Project,
    arguments: &RunArguments,
    plan: &Plan,
    accepted: &[Address],
    store: &Store,
    problems: &mut Vec<Problem>,
    console: &Console,
) -> Option<String> {
    let record = arguments.record;
    // Another endpoint's answers are no answers of the suite.
    if !record && (accepted.is_empty() || arguments.answers.endpoint.is_some() || !are_kept(project)) {
        return None;
    }
    let accepted: HashSet<String> = accepted.iter().map(ToString::to_string).collect();
    let is_accepted = |cell: &PlannedCell| accepted.contains(&cell.address().to_string());
    let own = plan.cells.iter().filter(|cell| cell.baseline.is_none());
    let cells: Vec<&PlannedCell> = own.filter(|cell| record || is_accepted(cell)).collect();
    let suites: Vec<Arc<Suite>> =
        plan.suites.iter().filter(|suite| record || cells.iter().any(|cell| *cell.variant.suite_name == *suite.name)).cloned().collect();
    match save(project, &suites, store, &Whose::Cells(cells)) {
        Ok(recorded) => {
            tell(&recorded, console);
            let told = mixed(&recorded);
            console.problems(&told);
            problems.extend(told);
            None
        }
        Err(failure) => Some(unrecorded(&failure)),
    }
}

/// Records the answers behind accepted snapshots, where a folder says that answers are recorded: those that the next run would read.
/// Returns what is to be told.
pub(crate) fn of_accepted(project: &Project, paths: &[&str], console: &Console) -> Vec<Problem> {
    let paths: HashSet<&str> = paths.iter().copied().collect();
    if paths.is_empty() || !are_kept(project) || !project.store_folder().exists() {
        return Vec::new();
    }
    let owns = |suite: &&Arc<Suite>| owned::of_suite(suite).any(|(path, _)| paths.contains(path.as_str()));
    // Where one cannot be loaded nobody knows whose the outputs are, and that is told already.
    let suites: Vec<Arc<Suite>> = session::all_suites(project).unwrap_or_default().into_iter().filter(|suite| owns(&suite)).collect();
    let recorded = Store::open(&project.store_folder())
        .map_err(|error| problem(&error).into())
        .and_then(|store| save(project, &suites, &store, &Whose::Snapshots(paths)));
    match recorded {
        Ok(recorded) => {
            tell(&recorded, console);
            mixed(&recorded)
        }
        Err(failure) => {
            vec![Problem::error(unrecorded(&failure)).hint("what was accepted stays so; `promptkeel cache export` records it afterwards")]
        }
    }
}

/// In one line.
fn unrecorded(failure: &Failure) -> String {
    let told: Vec<&str> = failure.problems.iter().map(|problem| problem.message.as_str()).collect();
    format!("the answers are not recorded: {}", told.join("; "))
}

/// Every cell of these suites, as they are now and by their own settings.
pub(crate) fn whole(project: &Project, suites: &[Arc<Suite>]) -> Result<Plan, Failure> {
    let names: HashSet<&str> = suites.iter().map(|suite| suite.name.as_str()).collect();
    let mut loaded = project.load(&Tree::Disk(project.root.clone()), &[], None)?;
    loaded.suites.retain(|suite| names.contains(suite.name.as_str()));
    session::built(project, &loaded.suites, &AnswerArguments::default(), session::now(), &mut Everything)
}

fn needed<'a>(cell: &'a PlannedCell, wanted: &'a HashSet<Key>) -> impl Iterator<Item = Needed> + 'a {
    let address: Arc<str> = Arc::from(cell.address().to_string());
    let one = move |(sample, key): (u32, &Key)| Needed { cell: Arc::clone(&address), sample, key: *key, from_store: wanted.contains(key) };
    (0..).zip(&cell.keys).map(one)
}

/// Tells what was recorded.
pub(crate) fn tell(recorded: &[Recorded], console: &Console) {
    for Recorded { file, written } in recorded {
        let Written { answers, added, changed, gone, mixed: _, missing: _ } = written;
        if *added + *changed + *gone > 0 {
            let count = counted(usize::try_from(*answers).unwrap_or(usize::MAX), "answer");
            console.tell(format_args!("recorded {count} in {file}: {added} new, {changed} changed, {gone} gone"));
        }
    }
}

/// What was not recorded, because simulated is never mistaken for real.
pub(crate) fn mixed(recorded: &[Recorded]) -> Vec<Problem> {
    let told = recorded.iter().filter(|recorded| recorded.written.mixed > 0).map(|Recorded { file, written }| {
        let count = counted(usize::try_from(written.mixed).unwrap_or(usize::MAX), "answer");
        let problem = Problem::warning(format!(
            "{count} in {file} stay as they are: what is stored under their keys is simulated and they are not, or the other way round"
        ));
        problem.hint("delete the lines to record the stored answers")
    });
    told.collect()
}
