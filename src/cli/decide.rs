//! `promptkeel pending`, `accept`, `reject`: what waits for a decision, and what is decided?

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde::Serialize;

use crate::cli::arguments::{DecideArguments, PendingArguments};
use crate::cli::console::Console;
use crate::cli::project::{Failure, Project};
use crate::cli::session;
use crate::model::gate::Exit;
use crate::model::problem::Problem;
use crate::model::suite::PromptVersion;
use crate::model::verdict::SnapshotState;
use crate::report::terminal;
use crate::snapshot::SnapshotError;
use crate::snapshot::folder::Folder;
use crate::snapshot::pending::Selection;

/// One pending output, for programs.
#[derive(Serialize)]
struct Waiting<'a> {
    path: &'a str,
    address: String,
    #[serde(flatten)]
    state: &'a SnapshotState,
}

/// Lists what waits; exit 0 whether something does or not.
pub(crate) fn pending(project: &Project, arguments: &PendingArguments, console: &Console) -> Result<Exit, Failure> {
    let selection = Folder::open(&project.root).select_pending(&[]).map_err(failure)?;
    if arguments.json {
        let waiting: Vec<Waiting<'_>> = selection
            .pending
            .iter()
            .map(|pending| Waiting { path: &pending.path, address: pending.address(), state: &pending.state })
            .collect();
        console.json(&waiting)?;
        return Ok(Exit::Holds);
    }
    let mut out = console.out();
    for pending in &selection.pending {
        let (address, text) = (pending.address(), pending.new_text());
        terminal::pending(&address, &pending.path, &pending.state, &text, &mut out, console.style()).map_err(Console::broken)?;
    }
    std::io::Write::flush(&mut out).map_err(Console::broken)?;
    drop(out);
    match selection.pending.len() {
        0 => console.line(format_args!("nothing is pending"))?,
        count => {
            let files = if count == 1 { "1 output is".to_owned() } else { format!("{count} outputs are") };
            console.line(format_args!("{files} pending: `promptkeel accept GLOB` or `reject GLOB`, or `--all`"))?;
        }
    }
    Ok(Exit::Holds)
}

/// Accepts pending outputs and locks the prompt versions that gave them.
pub(crate) fn accept(project: &Project, arguments: &DecideArguments, console: &Console) -> Result<Exit, Failure> {
    let folder = Folder::open(&project.root);
    let selection = selected(&folder, arguments)?;
    let versions = versions(project);
    let mut accepted: BTreeMap<String, Vec<Arc<PromptVersion>>> = BTreeMap::new();
    let mut problems = Vec::new();
    for pending in &selection.pending {
        match folder.accept(&pending.path) {
            Ok(snapshot) => {
                console.line(format_args!("accepted {}", pending.path))?;
                match versions.get(&(pending.path.clone(), snapshot.prompt.clone())) {
                    Some((suite, version)) => accepted.entry(suite.clone()).or_default().push(Arc::clone(version)),
                    None => problems.push(
                        Problem::warning(format!("`{}` was answered by {}, which no suite lists any more", pending.path, snapshot.prompt))
                            .hint("run again to see whether the listed version still gives this output"),
                    ),
                }
            }
            Err(error) => problems.push(problem(&error)),
        }
    }
    for (suite, versions) in &accepted {
        let versions: Vec<&PromptVersion> = versions.iter().map(|version| &**version).collect();
        if let Err(error) = folder.lock(suite, &versions) {
            problems.push(problem(&error));
        }
    }
    ended(&selection, "accepted", problems, console)
}

/// Deletes pending outputs.
pub(crate) fn reject(project: &Project, arguments: &DecideArguments, console: &Console) -> Result<Exit, Failure> {
    let folder = Folder::open(&project.root);
    let selection = selected(&folder, arguments)?;
    let mut problems = Vec::new();
    for pending in &selection.pending {
        match folder.reject(&pending.path) {
            Ok(()) => console.line(format_args!("rejected {}", pending.path))?,
            Err(error) => problems.push(problem(&error)),
        }
    }
    ended(&selection, "rejected", problems, console)
}

fn selected(folder: &Folder, arguments: &DecideArguments) -> Result<Selection, Failure> {
    let selection = folder.select_pending(&arguments.globs).map_err(failure)?;
    if !selection.unmatched.is_empty() {
        let unmatched = selection.unmatched.iter().map(|pattern| {
            Problem::error(format!("`{pattern}` matches nothing that is pending")).hint("`promptkeel pending` lists what is")
        });
        return Err(Failure { exit: Exit::NothingSelected, problems: unmatched.collect() });
    }
    Ok(selection)
}

fn ended(selection: &Selection, done: &str, problems: Vec<Problem>, console: &Console) -> Result<Exit, Failure> {
    let failed = problems.iter().filter(|problem| problem.severity == crate::model::problem::Severity::Error).count();
    console.line(format_args!("{} {done}", selection.pending.len().saturating_sub(failed)))?;
    console.problems(&problems);
    Ok(if failed > 0 { Exit::NotWritten } else { Exit::Holds })
}

/// The suite and version behind each snapshot path and `prompt@version`, from all suites on disk.
fn versions(project: &Project) -> HashMap<(String, String), (String, Arc<PromptVersion>)> {
    let mut versions = HashMap::new();
    for suite in session::all_suites(project).unwrap_or_default() {
        let several = suite.prompts.len() > 1;
        for prompt in &suite.prompts {
            for version in &prompt.versions {
                for (case, model) in suite.cases.iter().flat_map(|case| suite.models.iter().map(move |model| (case, model))) {
                    let path = crate::snapshot::path::path(&suite.name, &case.id, several.then_some(prompt.name.as_str()), model.name());
                    let name = format!("{}@{}", version.prompt, version.version);
                    versions.insert((path, name), (suite.name.clone(), Arc::clone(version)));
                }
            }
        }
    }
    versions
}

fn problem(error: &SnapshotError) -> Problem {
    Problem::error(error.to_string()).hint(error.hint())
}

fn failure(error: SnapshotError) -> Failure {
    Failure::of(Exit::NotWritten, problem(&error))
}
