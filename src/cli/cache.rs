//! `promptkeel cache`: what is stored and recorded, is it whole, what of it is committed, and what may go?

use std::collections::HashSet;

use serde::Serialize;

use crate::cli::arguments::cache::{CacheCommand, ExportArguments, ImportArguments, PruneArguments, StatsArguments, WhichGo};
use crate::cli::arguments::{AnswerArguments, SelectionArguments};
use crate::cli::console::{Console, counted};
use crate::cli::project::{Failure, Project};
use crate::cli::recordings::{self, Recorded, Whose};
use crate::cli::{history, session};
use crate::model::gate::Exit;
use crate::model::key::Key;
use crate::model::problem::{Problem, Severity};
use crate::store::recordings::{FileFacts, RecordingFile, Recordings};
use crate::store::upkeep::{Facts, Prune, Pruned};
use crate::store::{Store, StoreError};

pub(crate) async fn run(project: &Project, command: &CacheCommand, console: &Console) -> Result<Exit, Failure> {
    match command {
        CacheCommand::Export(arguments) => export(project, arguments, console),
        CacheCommand::Stats(arguments) => stats(project, arguments, console),
        CacheCommand::Verify => verify(project, console),
        CacheCommand::Import(arguments) => import(project, arguments, console).await,
        CacheCommand::Prune(arguments) => prune(project, arguments, console),
    }
}

fn export(project: &Project, arguments: &ExportArguments, console: &Console) -> Result<Exit, Failure> {
    let selection = SelectionArguments { suites: arguments.suites.clone(), ..SelectionArguments::default() };
    let loaded = session::load(project, &selection, &AnswerArguments::default())?;
    if loaded.problems.iter().any(|problem| problem.severity == Severity::Error) {
        return Err(loaded.problems.into());
    }
    let store = Store::open(&project.store_folder()).map_err(told)?;
    let recorded = recordings::save(project, &loaded.suites, &store, &Whose::All)?;
    for Recorded { file, written } in recorded.iter().filter(|recorded| !recorded.written.stays) {
        let answers = counted(usize::try_from(written.answers).unwrap_or(usize::MAX), "answer");
        let missing = match written.missing.len() {
            0 => String::new(),
            count => format!("; {} missing: `promptkeel plan` prices them", counted(count, "answer")),
        };
        console
            .line(format_args!("{file}: {answers}, {} new, {} changed, {} gone{missing}", written.added, written.changed, written.gone))?;
    }
    console.problems(&recordings::mixed(&recorded));
    Ok(Exit::Holds)
}

/// What `--json` prints.
#[derive(Serialize)]
struct Stats {
    store: Facts,
    recordings: Vec<FileFacts>,
}

fn stats(project: &Project, arguments: &StatsArguments, console: &Console) -> Result<Exit, Failure> {
    let store = existing(project)?.map_or_else(|| Ok(Facts::default()), |store| store.facts()).map_err(told)?;
    let recordings = Recordings::open(files(project)?).map_err(all_told)?.facts();
    if arguments.json {
        console.json(&Stats { store, recordings })?;
        return Ok(Exit::Holds);
    }
    let Facts { answers, keys, simulated, bytes, runs, oldest, newest } = &store;
    let count = |count: u64, what: &str| counted(usize::try_from(count).unwrap_or(usize::MAX), what);
    let between = match oldest.zip(*newest) {
        Some((oldest, newest)) => format!(", paid from {} to {}", oldest.format("%Y-%m-%d"), newest.format("%Y-%m-%d")),
        None => String::new(),
    };
    console.line(format_args!(
        "store: {} to {}, {simulated} simulated{between}; {}; {} KB",
        count(*answers, "answer"),
        count(*keys, "request"),
        count(*runs, "run"),
        bytes / 1024
    ))?;
    for FileFacts { file, answers, simulated, bytes } in &recordings {
        console.line(format_args!("{file}: {}, {simulated} simulated, {} KB", count(*answers, "answer"), bytes / 1024))?;
    }
    Ok(Exit::Holds)
}

fn verify(project: &Project, console: &Console) -> Result<Exit, Failure> {
    let mut problems = Vec::new();
    let mut stored = 0;
    if let Some(store) = existing(project)? {
        let (count, damaged) = store.verify().map_err(told)?;
        stored = count;
        problems.extend(damaged.into_iter().map(|key| {
            Problem::error(format!("the stored answer {key} is damaged")).hint("it counts as missing, and is asked again when it is needed")
        }));
    }
    let mut recorded = 0;
    for file in files(project)? {
        match Recordings::open([file]) {
            Ok(recordings) => recorded += recordings.len(),
            Err(errors) => problems.extend(recordings::problems(&errors)),
        }
    }
    console.problems(&problems);
    console.line(format_args!(
        "{stored} stored and {recorded} recorded answers are as they were written; {}",
        counted(problems.len(), "problem")
    ))?;
    Ok(if problems.is_empty() { Exit::Holds } else { Exit::Invalid })
}

async fn import(project: &Project, arguments: &ImportArguments, console: &Console) -> Result<Exit, Failure> {
    let path = project.current.join(&arguments.file);
    if !path.exists() {
        let problem = Problem::error(format!("there is no file `{}`", arguments.file.display()));
        return Err(problem.hint("name a file that `run --record` or `cache export` wrote").into());
    }
    let file = RecordingFile { path, name: arguments.file.display().to_string() };
    let recorded = Recordings::open([file]).map_err(all_told)?;
    if recorded.is_empty() {
        console.line(format_args!("{} holds no answer: nothing was stored", arguments.file.display()))?;
        return Ok(Exit::Holds);
    }
    let store = Store::open(&project.store_folder()).map_err(told)?;
    let imported = store.import(&recorded).await.map_err(told)?;
    store.settle();
    let others = match recorded.len() as u64 - imported {
        0 => "",
        1 => "; the other was stored already",
        _ => "; the others were stored already",
    };
    console.line(format_args!("{imported} of {} stored{others}", counted(recorded.len(), "answer")))?;
    Ok(Exit::Holds)
}

fn prune(project: &Project, arguments: &PruneArguments, console: &Console) -> Result<Exit, Failure> {
    let WhichGo { older_than, max_size, unreferenced } = arguments.which;
    let before = older_than.map(history::too_old).transpose()?;
    // A suite that cannot be loaded may need any of them.
    let referenced = if unreferenced { Some(needed(project)?) } else { None };
    let kept = Recordings::open(files(project)?).map_err(all_told)?.keys().copied().collect();
    let folder = project.store_folder();
    if !folder.exists() {
        console.line(format_args!("nothing is stored"))?;
        return Ok(Exit::Holds);
    }
    let store = if arguments.dry_run { Store::open_to_read(&folder) } else { Store::open(&folder) }.map_err(told)?;
    let Pruned { ids, bytes, left, left_bytes, kept } =
        store.to_prune(&Prune { before, most_bytes: max_size, referenced, kept }).map_err(told)?;
    let count = counted(ids.len(), "answer");
    if !arguments.dry_run && !ids.is_empty() {
        store.forget_answers(ids).map_err(told)?;
        store.settle();
    }
    let would = if arguments.dry_run { "would be " } else { "" };
    let recorded = match kept {
        0 => String::new(),
        1 => "; 1 stays because it is recorded".to_owned(),
        kept => format!("; {kept} stay because they are recorded"),
    };
    console.line(format_args!(
        "{count} ({} KB) {would}deleted, {left} ({} KB) left{recorded}; the file keeps its size, and the room is used again",
        bytes / 1024,
        left_bytes / 1024
    ))?;
    Ok(Exit::Holds)
}

/// The keys of every case of every suite, with the endpoints of the suites.
fn needed(project: &Project) -> Result<HashSet<Key>, Failure> {
    let loaded = session::load(project, &SelectionArguments::default(), &AnswerArguments::default())?;
    if loaded.problems.iter().any(|problem| problem.severity == Severity::Error) {
        return Err(loaded.problems.into());
    }
    Ok(recordings::whole(project, &loaded.suites)?.keys().collect())
}

fn existing(project: &Project) -> Result<Option<Store>, Failure> {
    let folder = project.store_folder();
    if folder.exists() { Store::open_to_read(&folder).map(Some).map_err(told) } else { Ok(None) }
}

/// Every file of recordings, whatever suite it is of.
fn files(project: &Project) -> Result<Vec<RecordingFile>, Failure> {
    let folder = project.root.join(recordings::FOLDER);
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let unreadable = |error: std::io::Error| Problem::error(format!("cannot read the folder `{}`: {error}", recordings::FOLDER));
    let mut files = Vec::new();
    for entry in std::fs::read_dir(&folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.extension().is_some_and(|extension| extension == "jsonl") {
            let name = format!("{}/{}", recordings::FOLDER, path.file_name().unwrap_or_default().to_string_lossy());
            files.push(RecordingFile { path, name });
        }
    }
    files.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(files)
}

fn told(error: StoreError) -> Failure {
    recordings::problem(&error).into()
}

fn all_told(errors: Vec<StoreError>) -> Failure {
    Failure::from(recordings::problems(&errors))
}
