//! `promptkeel pending`, `accept`, `reject`: what waits for a decision, and what is decided?

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;

use crate::cli::arguments::{DecideArguments, PendingArguments};
use crate::cli::console::{Console, counted};
use crate::cli::owners::Owners;
use crate::cli::project::{Failure, Project};
use crate::cli::prompts::Texts;
use crate::model::gate::Exit;
use crate::model::problem::Problem;
use crate::model::suite::PromptVersion;
use crate::model::verdict::SnapshotState;
use crate::report::terminal;
use crate::snapshot::SnapshotError;
use crate::snapshot::accept::{Acceptance, Variants};
use crate::snapshot::folder::Folder;
use crate::snapshot::pending::Selection;

/// One pending output, for programs.
#[derive(Serialize)]
struct Waiting<'a> {
    path: &'a str,
    address: String,
    /// The version that gave it.
    prompt: &'a str,
    accepted_variants: usize,
    /// After `accept`.
    variants_after_accept: usize,
    /// After `accept --add`.
    variants_after_add: usize,
    #[serde(flatten)]
    state: &'a SnapshotState,
}

/// Lists what waits; exit 0 whether something does or not.
pub(crate) fn pending(project: &Project, arguments: &PendingArguments, console: &Console) -> Result<Exit, Failure> {
    let owners = Owners::of(project);
    let selection = Folder::open(&project.root).select_pending_by(&[], |path| owners.comparison(path)).map_err(failure)?;
    if arguments.json {
        let waiting: Vec<Waiting<'_>> = selection
            .pending
            .iter()
            .map(|pending| Waiting {
                path: &pending.path,
                address: pending.address(),
                prompt: pending.prompt_version(),
                accepted_variants: pending.variants.accepted,
                variants_after_accept: pending.variants.replaced,
                variants_after_add: pending.variants.added,
                state: &pending.state,
            })
            .collect();
        console.json(&waiting)?;
        return Ok(Exit::Holds);
    }
    let mut out = console.out();
    for pending in &selection.pending {
        let (address, text) = (pending.address(), pending.new_text());
        let waiting = terminal::Waiting {
            address: &address,
            path: &pending.path,
            prompt: pending.prompt_version(),
            state: &pending.state,
            new_text: &text,
            variants: variants(pending.variants),
        };
        terminal::pending(&waiting, &mut out, console.style()).map_err(Console::broken)?;
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

/// How many variants stand and would stand; nothing where there is one and would be one.
fn variants(variants: Variants) -> Option<String> {
    let Variants { accepted, replaced, added } = variants;
    let stand = match accepted {
        0 => return (replaced > 1).then(|| format!("accepting it makes {replaced} variants")),
        1 => "1 variant is accepted".to_owned(),
        many => format!("{many} variants are accepted"),
    };
    let would = match (replaced, added) {
        (1, 1) if accepted == 1 => return None,
        (replaced, added) if replaced == added => format!("after `accept` there would be {replaced}"),
        (replaced, added) => format!("after `accept` there would be {replaced}, after `accept --add` {added}"),
    };
    (accepted > 1 || replaced > 1).then(|| format!("{stand}; {would}"))
}

/// Accepts pending outputs and locks the prompt versions that gave them.
pub(crate) fn accept(project: &Project, arguments: &DecideArguments, add: bool, console: &Console) -> Result<Exit, Failure> {
    let folder = Folder::open(&project.root);
    let selection = selected(&folder, arguments)?;
    let owners = Owners::of(project);
    let how = if add { Acceptance::Add } else { Acceptance::Replace };
    let mut accepted: BTreeMap<String, Vec<Arc<PromptVersion>>> = BTreeMap::new();
    let mut problems = Vec::new();
    for pending in &selection.pending {
        match folder.accept_as(&pending.path, how, owners.comparison_or_exact(&pending.path)) {
            Ok(snapshot) => {
                let count = if add { format!(": {}", counted(snapshot.outputs.len(), "variant")) } else { String::new() };
                console.line(format_args!("accepted {}{count}", pending.path))?;
                let prompt = pending.prompt_version();
                match owners.version(&pending.path, prompt) {
                    Some((suite, version)) => accepted.entry(suite.to_owned()).or_default().push(Arc::clone(version)),
                    None => problems.push(
                        Problem::warning(format!("`{}` was answered by {prompt}, which no suite lists any more", pending.path))
                            .hint("run again to see whether the listed version still gives this output"),
                    ),
                }
            }
            Err(error) => problems.push(problem(&error)),
        }
    }
    Texts::of(project).keep(accepted.values().flatten());
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

fn problem(error: &SnapshotError) -> Problem {
    Problem::error(error.to_string()).hint(error.hint())
}

fn failure(error: SnapshotError) -> Failure {
    Failure::of(Exit::NotWritten, problem(&error))
}
