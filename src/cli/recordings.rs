//! Which answers are committed with the project, and what is recorded of a run or a decision?

use std::collections::HashSet;
use std::sync::Arc;

use crate::cli::arguments::run::RunArguments;
use crate::cli::arguments::{AnswerArguments, SelectionArguments};
use crate::cli::baseline::planned::{Asking, PREVIOUS};
use crate::cli::console::{Console, counted};
use crate::cli::plan::There;
use crate::cli::project::{Failure, Project};
use crate::cli::session;
use crate::model::bill::Unanswered;
use crate::model::gate::Exit;
use crate::model::key::Key;
use crate::model::problem::Problem;
use crate::model::run::{Address, CellResult};
use crate::model::suite::Suite;
use crate::report::figures::dollars;
use crate::runner::plan::{Everything, Plan, PlannedCell};
use crate::runner::price::PlanPrice;
use crate::snapshot::owned;
use crate::snapshot::path::part;
use crate::source::tree::{ReadError, Reader, Tree};
use crate::store::recordings::write::{self, Needed, Written};
use crate::store::recordings::{RecordingFile, Recordings};
use crate::store::{Store, StoreError};

/// The folder, project-relative.
pub(crate) const FOLDER: &str = "recordings";

/// Where a suite's answers are recorded.
pub(crate) fn file(project: &Project, suite: &str) -> RecordingFile {
    let name = name(suite);
    RecordingFile { path: project.root.join(&name), name }
}

/// The same, project-relative.
fn name(suite: &str) -> String {
    format!("{FOLDER}/{}.jsonl", part(suite))
}

/// What is recorded for these suites. A line that is wrong ends a command before it asks anything.
pub(crate) fn of(project: &Project, suites: &[Arc<Suite>]) -> Result<Recordings, Failure> {
    Recordings::open(suites.iter().map(|suite| file(project, &suite.name))).map_err(|errors| Failure::from(problems(&errors)))
}

/// All that is wrong. What helps against several is said once, behind the last of them.
pub(crate) fn problems(errors: &[StoreError]) -> Vec<Problem> {
    let mut problems: Vec<Problem> = errors.iter().map(problem).collect();
    for place in 1..problems.len() {
        if problems[place - 1].hint == problems[place].hint {
            problems[place - 1].hint = None;
        }
    }
    problems
}

/// What a commit has recorded for these suites. No edit mends what is committed: a file of which something is wrong is left out, and told.
pub(crate) fn of_revision(reference: &str, tree: &Tree, suites: &[Arc<Suite>]) -> (Vec<Recordings>, Vec<Problem>) {
    let unused = |reason: String| {
        Problem::warning(format!("baseline `{reference}`: {reason}; what this file recorded then is not used"))
            .hint("what the store does not hold either is asked, and is missing under `--cache only`")
    };
    let reader = match Reader::open(tree, false) {
        Ok(reader) => reader,
        Err(error) => return (Vec::new(), vec![unused(error.to_string())]),
    };
    let (mut recorded, mut told) = (Vec::new(), Vec::new());
    for name in suites.iter().map(|suite| name(&suite.name)) {
        match reader.read(&name) {
            Ok(file) => match Recordings::of_text(name, &file.bytes) {
                Ok(recordings) => recorded.push(recordings),
                Err(errors) => told.extend(errors.first().map(|error| unused(error.to_string()))),
            },
            Err(ReadError::Missing(_)) => {}
            Err(error) => told.push(unused(error.to_string())),
        }
    }
    (recorded, told)
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
    /// These answers, where the suites need them.
    Answers(HashSet<Key>),
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
        Whose::Answers(keys) => keys.clone(),
        Whose::Snapshots(paths) => {
            let own = |cell: &&PlannedCell| cell.snapshot_path.as_deref().is_some_and(|path| paths.contains(path));
            plan.cells.iter().filter(own).flat_map(|cell| cell.keys.iter().copied()).collect()
        }
    };
    let also: &[&PlannedCell] = match whose {
        Whose::All | Whose::Answers(_) | Whose::Snapshots(_) => &[],
        Whose::Cells(cells) => cells,
    };
    let mut recorded = Vec::new();
    for suite in suites {
        let cells = plan.cells.iter().chain(also.iter().copied()).filter(|cell| *cell.variant.suite_name == *suite.name);
        let needed = cells.flat_map(|cell| needed(cell, &wanted)).collect();
        let file = file(project, &suite.name);
        let written = write::write(&file, needed, store, &project.store_folder()).map_err(|error| match &error {
            StoreError::UnwrittenRecording { .. } => Failure::of(Exit::NotWritten, problem(&error)),
            _ => problem(&error).into(),
        })?;
        recorded.push(Recorded { file: file.name, written });
    }
    Ok(recorded)
}

/// What a replay lacks, and what it would cost.
pub(crate) fn missing(plan: &Plan, there: There<'_>, price: &PlanPrice) -> Option<Unanswered> {
    let There { known, under_way } = there;
    let lacks = |cell: &&PlannedCell| cell.keys.iter().any(|key| !known.contains(key) && !under_way.contains(key));
    let cells = plan.cells.iter().filter(lacks).count() as u64;
    (cells > 0).then(|| Unanswered {
        cells,
        requests: price.to_ask(),
        about_usd: price.estimate.usd,
        at_most_usd: price.upper_bound_usd - price.under_way_bound_usd,
        unpriced: price.unpriced,
    })
}

/// The same before the run, for whoever waits for it.
pub(crate) fn told_missing(missing: Option<&Unanswered>, price: &PlanPrice) -> Vec<Problem> {
    let held = (price.under_way > 0).then(|| {
        let samples = counted(usize::try_from(price.under_way).unwrap_or(usize::MAX), "sample");
        Problem::warning(format!("{samples} without an answer in batches under way, paid already"))
            .hint("a run that may ask waits for them")
    });
    missing.map(told_lacking).into_iter().chain(held).collect()
}

fn told_lacking(missing: &Unanswered) -> Problem {
    let Unanswered { cells, requests, about_usd, at_most_usd, unpriced } = missing;
    let unpriced = if *unpriced > 0 { format!(", {unpriced} of them at an unknown price") } else { String::new() };
    let [cells, requests] =
        [(*cells, "cell"), (*requests, "request")].map(|(count, what)| counted(usize::try_from(count).unwrap_or(usize::MAX), what));
    let (about, at_most) = (dollars(*about_usd), dollars(*at_most_usd));
    Problem::warning(format!("{cells} without an answer, about {about} to ask ({requests}, at most {at_most}{unpriced})"))
        .hint("run with a key to record them: `promptkeel run --record` asks only what is missing")
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
    // What a suite is always compared with is needed to judge it; what a flag compares it with this once is not.
    let by_flag = arguments.comparison.baseline.is_some() || arguments.comparison.against.is_some();
    let own =
        plan.cells.iter().filter(|cell| cell.baseline.is_none() || (!by_flag && plan.suites.iter().any(|suite| is_compared(suite, cell))));
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

/// Whether this is a cell of a suite that asks itself to be compared with the versions before.
fn is_compared(suite: &Suite, cell: &PlannedCell) -> bool {
    suite.name == *cell.variant.suite_name && suite.gate.baseline.as_deref() == Some(PREVIOUS)
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

/// Records the answers of a run that was made elsewhere and whose outputs were accepted, where this store has them, as it does after
/// `cache import`. Another answer to the same request is none of them. Returns what is to be told.
pub(crate) fn of_adopted(project: &Project, adopted: &[(&PlannedCell, &CellResult)], console: &Console) -> Vec<Problem> {
    if adopted.is_empty() || !are_kept(project) {
        return Vec::new();
    }
    let unrecorded = |failure: &Failure| {
        vec![Problem::error(unrecorded(failure)).hint("what was accepted stays so; `promptkeel cache export` records it afterwards")]
    };
    match record_adopted(project, adopted) {
        Ok((recorded, missing)) => {
            tell(&recorded, console);
            let mut told = mixed(&recorded);
            if missing > 0 {
                let outputs = counted(missing, "accepted output");
                told.push(
                    Problem::warning(format!("the answers of {outputs} are not recorded: this store does not have them, and a report does not hold them whole"))
                        .hint(
                            "`promptkeel cache import FILE` stores what the run recorded with `--record`, and `promptkeel cache export` records \
                             it here; or `promptkeel run --record` asks again",
                        ),
                );
            }
            told
        }
        Err(failure) => unrecorded(&failure),
    }
}

/// What was recorded, and of how many outputs something was not.
fn record_adopted(project: &Project, adopted: &[(&PlannedCell, &CellResult)]) -> Result<(Vec<Recorded>, usize), Failure> {
    let mut suites: Vec<Arc<Suite>> = adopted.iter().map(|(cell, _)| Arc::clone(&cell.variant.suite)).collect();
    suites.sort_by(|one, other| one.name.cmp(&other.name));
    suites.dedup_by(|one, other| one.name == other.name);
    let known = of(project, &suites)?;
    let folder = project.store_folder();
    let store = if folder.exists() { Some(Store::open(&folder).map_err(|error| problem(&error))?) } else { None };
    let (mut stored, mut missing) = (HashSet::new(), 0);
    for (cell, result) in adopted {
        let mut lacks = false;
        for (key, sample) in cell.keys.iter().zip(&result.samples) {
            let Some(reply) = &sample.reply else { continue };
            let is_recorded = known.known(key).is_some_and(|(at, _)| at == reply.answered_at);
            let found = store.as_ref().map_or(Ok(None), |store| store.get(key)).map_err(|error| problem(&error))?;
            if found.is_some_and(|found| found.answered_at == reply.answered_at) {
                stored.insert(*key);
            } else {
                lacks |= !is_recorded;
            }
        }
        missing += usize::from(lacks);
    }
    let recorded = match &store {
        Some(store) if !stored.is_empty() => save(project, &suites, store, &Whose::Answers(stored))?,
        Some(_) | None => Vec::new(),
    };
    Ok((recorded, missing))
}

/// In one line.
fn unrecorded(failure: &Failure) -> String {
    let told: Vec<&str> = failure.problems.iter().map(|problem| problem.message.as_str()).collect();
    format!("the answers are not recorded: {}", told.join("; "))
}

/// Every cell of these suites, as they are now and by their own settings, and those that they are always compared with.
pub(crate) fn whole(project: &Project, suites: &[Arc<Suite>]) -> Result<Plan, Failure> {
    let names: HashSet<&str> = suites.iter().map(|suite| suite.name.as_str()).collect();
    let mut loaded = project.load(&Tree::Disk(project.root.clone()), &[], None)?;
    loaded.suites.retain(|suite| names.contains(suite.name.as_str()));
    let (answers, now) = (AnswerArguments::default(), session::now());
    let mut plan = session::built(project, &loaded.suites, &answers, now, &mut Everything)?;
    let compared: HashSet<&str> =
        loaded.suites.iter().filter(|suite| suite.gate.baseline.as_deref() == Some(PREVIOUS)).map(|suite| suite.name.as_str()).collect();
    if !compared.is_empty() {
        let selection = SelectionArguments::default();
        let before = Asking { project, plan: &plan, selection: &selection, answers: &answers, now }.previous_version(&compared)?;
        plan.cells.extend(before.cells);
    }
    Ok(plan)
}

fn needed<'a>(cell: &'a PlannedCell, wanted: &'a HashSet<Key>) -> impl Iterator<Item = Needed> + 'a {
    let address: Arc<str> = Arc::from(cell.address().to_string());
    let one = move |(sample, key): (u32, &Key)| Needed { cell: Arc::clone(&address), sample, key: *key, from_store: wanted.contains(key) };
    (0..).zip(&cell.keys).map(one)
}

/// Tells what was recorded.
pub(crate) fn tell(recorded: &[Recorded], console: &Console) {
    for Recorded { file, written } in recorded {
        let Written { answers, added, changed, gone, earlier, mixed: _, missing: _, stays } = written;
        if *added + *changed + *gone > 0 && !*stays {
            let count = counted(usize::try_from(*answers).unwrap_or(usize::MAX), "answer");
            let stay = if *earlier > 0 { format!("; {earlier} to earlier requests stay until theirs are recorded") } else { String::new() };
            console.tell(format_args!("recorded {count} in {file}: {added} new, {changed} changed, {gone} gone{stay}"));
        }
    }
}

/// What was not written: simulated is never mistaken for real, and no file goes because nothing is known of what would stand in it.
pub(crate) fn mixed(recorded: &[Recorded]) -> Vec<Problem> {
    let stay = recorded.iter().filter(|recorded| recorded.written.stays).map(|Recorded { file, written }| {
        let (old, new) = (written.gone, written.missing.len());
        Problem::warning(format!(
            "{file} stays as it is: its {old} recorded answers are to other requests than the {new} that the suite makes now, and none of these is stored"
        ))
        .hint("a request is another one at another address too (`ANTHROPIC_BASE_URL`); `promptkeel run --record` asks and replaces them, or delete the file")
    });
    let told = recorded.iter().filter(|recorded| recorded.written.mixed > 0).map(|Recorded { file, written }| {
        let count = counted(usize::try_from(written.mixed).unwrap_or(usize::MAX), "answer");
        let problem = Problem::warning(format!(
            "{count} in {file} left as recorded: the one is simulated and what is stored to the same request is not, or the other way round"
        ));
        problem.hint("delete the lines to record the stored answers")
    });
    stay.chain(told).collect()
}
