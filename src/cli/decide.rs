//! `promptkeel pending`, `accept`, `reject`: what waits for a decision, and what is decided?

use serde::Serialize;

use crate::cli::arguments::review::{DecideArguments, PendingArguments};
use crate::cli::console::{Console, counted};
use crate::cli::desk::{Accepted, Desk};
use crate::cli::project::{Failure, Project};
use crate::cli::recordings;
use crate::model::gate::Exit;
use crate::model::problem::Problem;
use crate::model::verdict::SnapshotState;
use crate::report::terminal;
use crate::snapshot::SnapshotError;
use crate::snapshot::accept::{Acceptance, Variants};
use crate::snapshot::folder::Folder;
use crate::snapshot::path::PENDING;
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
    /// The new outputs as a person reads them, where there is nothing that they could be compared with.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    outputs: Vec<String>,
    #[serde(flatten)]
    state: &'a SnapshotState,
}

/// What waits for a decision: an output, or an accepted file that no cell owns.
#[derive(Serialize)]
#[serde(untagged)]
enum Listed<'a> {
    Pending(Waiting<'a>),
    Orphaned { path: &'a str, state: &'static str },
}

/// Lists what waits; exit 0 whether something does or not.
pub(crate) fn pending(project: &Project, arguments: &PendingArguments, console: &Console) -> Result<Exit, Failure> {
    let desk = Desk::open(project);
    let selection = desk.folder().select_pending_by(&[], |path| desk.owners().comparison(path)).map_err(failure)?;
    let mut orphans = desk.orphans().map_err(|problem| Failure::of(Exit::NotWritten, problem))?;
    // A pending file stands in the list whoever owns it.
    orphans.retain(|path| !path.ends_with(PENDING));
    if arguments.json {
        let pending = selection.pending.iter().map(|pending| {
            Listed::Pending(Waiting {
                path: &pending.path,
                address: pending.address(),
                prompt: pending.prompt_version(),
                accepted_variants: pending.variants.accepted,
                variants_after_accept: pending.variants.replaced,
                variants_after_add: pending.variants.added,
                outputs: pending.new_texts(),
                state: &pending.state,
            })
        });
        let orphaned = orphans.iter().map(|path| Listed::Orphaned { path, state: "orphaned" });
        console.json(&pending.chain(orphaned).collect::<Vec<_>>())?;
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
    for path in &orphans {
        console.line(format_args!("orphaned, no case of any suite owns it: {path}"))?;
    }
    match selection.pending.len() {
        0 => console.line(format_args!("nothing is pending"))?,
        count => {
            let files = if count == 1 { "1 output is".to_owned() } else { format!("{count} outputs are") };
            console.line(format_args!(
                "{files} pending: `promptkeel review` goes through them, `promptkeel accept GLOB` or `reject GLOB` decides without (`--all`: all)"
            ))?;
        }
    }
    if !orphans.is_empty() {
        let files = counted(orphans.len(), "snapshot");
        console.line(format_args!("{files} orphaned: `promptkeel review` or `promptkeel run --unreferenced delete` removes them"))?;
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
    let desk = Desk::open(project);
    let selection = selected(desk.folder(), arguments)?;
    let paths: Vec<&str> = selection.pending.iter().map(|pending| pending.path.as_str()).collect();
    let how = if add { Acceptance::Add } else { Acceptance::Replace };
    let (mut done, mut accepted, mut problems) = (0, Vec::new(), Vec::new());
    for (path, result) in paths.iter().zip(desk.accept(&paths, how)) {
        match result {
            Ok(Accepted { variants, problem }) => {
                let count = if add { format!(": {}", counted(variants, "variant")) } else { String::new() };
                console.line(format_args!("accepted {path}{count}"))?;
                done += 1;
                accepted.push(*path);
                // Many outputs of one prompt have one thing to be said of it.
                problems.extend(problem.filter(|problem| !problems.contains(problem)));
            }
            Err(error) => problems.push(Problem::from(&error)),
        }
    }
    problems.extend(recordings::of_accepted(project, &accepted, console));
    ended(done, "accepted", &problems, console)
}

/// Deletes pending outputs.
pub(crate) fn reject(project: &Project, arguments: &DecideArguments, console: &Console) -> Result<Exit, Failure> {
    let folder = Folder::open(&project.root);
    let selection = selected(&folder, arguments)?;
    let (mut done, mut problems) = (0, Vec::new());
    for pending in &selection.pending {
        match folder.reject(&pending.path) {
            Ok(()) => {
                console.line(format_args!("rejected {}", pending.path))?;
                done += 1;
            }
            Err(error) => problems.push(Problem::from(&error)),
        }
    }
    ended(done, "rejected", &problems, console)
}

fn selected(folder: &Folder, arguments: &DecideArguments) -> Result<Selection, Failure> {
    let selection = folder.select_pending(&arguments.globs).map_err(failure)?;
    if !selection.unmatched.is_empty() {
        let unmatched = selection.unmatched.iter().map(|pattern| {
            Problem::error(format!("`{pattern}` matches nothing that is pending")).hint("`promptkeel pending` lists what is")
        });
        return Err(Failure { exit: Exit::NothingSelected, problems: unmatched.collect(), is_unread: false });
    }
    Ok(selection)
}

fn ended(count: usize, done: &str, problems: &[Problem], console: &Console) -> Result<Exit, Failure> {
    console.line(format_args!("{count} {done}"))?;
    console.problems(problems);
    let is_error = |problem: &Problem| problem.severity == crate::model::problem::Severity::Error;
    Ok(if problems.iter().any(is_error) { Exit::NotWritten } else { Exit::Holds })
}

fn failure(error: SnapshotError) -> Failure {
    Failure::of(Exit::NotWritten, Problem::from(&error))
}
