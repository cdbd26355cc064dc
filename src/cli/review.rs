//! `promptkeel review`: shows what waits, one after the other, and carries out what a person decides.

use std::collections::{BTreeMap, BTreeSet};
use std::io::IsTerminal;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::cli::arguments::review::ReviewArguments;
use crate::cli::arguments::{AnswerArguments, SelectionArguments};
use crate::cli::console::{Console, counted};
use crate::cli::desk::Desk;
use crate::cli::environment::Environment;
use crate::cli::project::{Failure, Project};
use crate::cli::prompts::{Texts, Way};
use crate::cli::screen::{Heard, Screen};
use crate::cli::{recordings, session, show};
use crate::model::gate::Exit;
use crate::model::problem::{Problem, Severity};
use crate::model::run::{CellResult, PromptChange};
use crate::model::suite::Suite;
use crate::review::item::{Item, Kind};
use crate::review::state::{Decision, Effect, Outcome, Review, Status, Tone};
use crate::review::view;
use crate::runner::plan::PlannedCell;
use crate::snapshot::SnapshotError;
use crate::snapshot::accept::Acceptance;
use crate::snapshot::kept::Kept;
use crate::snapshot::path::pending_path;
use crate::snapshot::pending::{Patterns, Pending};
use crate::source::Loaded;

/// Most names that are listed where there is no terminal.
const LISTED: usize = 20;

/// Reviews what waits and is orphaned.
pub(crate) async fn run(
    project: &Project,
    arguments: &ReviewArguments,
    console: &Console,
    interrupted: CancellationToken,
) -> Result<Exit, Failure> {
    let answers = AnswerArguments { endpoint: arguments.endpoint.clone(), ..AnswerArguments::default() };
    let loaded = session::load(project, &SelectionArguments::default(), &answers);
    let desk = Desk::with(project, whole(&loaded).or_else(|| answers.endpoint.as_ref().and_then(|_| session::all_suites(project))));
    let mut found = find(&desk, &arguments.globs)?;
    if found.pending.is_empty() && found.orphans.is_empty() {
        console.line(format_args!("nothing is left to review"))?;
        return Ok(Exit::Holds);
    }
    if !is_interactive() {
        list(&found, console)?;
        return Ok(Exit::Holds);
    }
    let known = known(project, loaded, &answers, &found.pending, &desk, console).await;
    let table = Table { desk, seen: std::mem::take(&mut found.seen) };
    let items = table.lay(&found, &known);
    let (review, exit) = sit(items, table, console, &interrupted).map_err(|error| {
        Failure::of(
            Exit::NotWritten,
            Problem::error(format!("the terminal cannot be used: {error}")).hint("`promptkeel pending` lists what waits"),
        )
    })?;
    console.line(format_args!("{}", review.summary()))?;
    let accepted = review.entries.iter().filter(|entry| matches!(entry.status, Status::Accepted));
    let accepted: Vec<&str> = accepted.map(|entry| entry.item.path.as_str()).collect();
    console.problems(&recordings::of_accepted(project, &accepted, console));
    Ok(exit)
}

/// All suites, if they are loaded without a mistake. With an endpoint that somebody named there may be some that are none otherwise.
fn whole(loaded: &Result<Loaded, Failure>) -> Option<Vec<Arc<Suite>>> {
    let loaded = loaded.as_ref().ok()?;
    let has_error = loaded.problems.iter().any(|problem| problem.severity == Severity::Error);
    (!has_error).then(|| loaded.suites.clone())
}

/// A person sits at both ends, and the terminal can move its cursor.
fn is_interactive() -> bool {
    let dumb = Environment::variable("TERM").is_some_and(|term| term == "dumb");
    std::io::stdin().is_terminal() && std::io::stdout().is_terminal() && !Environment::is_ci() && !dumb
}

/// What there is to review.
struct Found {
    pending: Vec<Pending>,
    orphans: Vec<String>,
    /// The files of those that wait, then the orphans: what is shown is what they held at this time, however long the rest takes.
    seen: Vec<Kept>,
}

fn find(desk: &Desk<'_>, globs: &[String]) -> Result<Found, Failure> {
    let failure = |error: SnapshotError| Failure::of(Exit::NotWritten, Problem::from(&error));
    let orphans = desk.orphans().map_err(|problem| Failure::of(Exit::NotWritten, problem))?;
    let mut patterns = Patterns::compile(globs).map_err(failure)?;
    let orphaned: BTreeSet<&str> = orphans.iter().map(String::as_str).collect();
    let (mut pending, mut seen) = (Vec::new(), Vec::new());
    // One that no cell owns is reviewed as the orphan that it is.
    for path in desk.folder().pending().map_err(failure)?.iter().filter(|path| !orphaned.contains(&*pending_path(path))) {
        let files = desk.files(path);
        let waiting = desk.folder().pending_in(&files, path, desk.owners().comparison(path));
        if patterns.select(path, &waiting.address()) {
            pending.push(waiting);
            seen.push(files);
        }
    }
    let orphans: Vec<String> =
        orphans.into_iter().filter(|path| patterns.select(path.strip_suffix(".new").unwrap_or(path), path)).collect();
    seen.extend(orphans.iter().map(|path| desk.files(path)));
    let unmatched = patterns.unmatched();
    if !unmatched.is_empty() {
        let told = |pattern: &String| {
            Problem::error(format!("`{pattern}` matches nothing that waits for a decision")).hint("`promptkeel pending` lists what does")
        };
        return Err(Failure { exit: Exit::NothingSelected, problems: unmatched.iter().map(told).collect(), is_unread: false });
    }
    Ok(Found { pending, orphans, seen })
}

/// Without a terminal: what waits, and how it is decided without one.
fn list(found: &Found, console: &Console) -> Result<(), Failure> {
    let waiting = found.pending.iter().map(|pending| pending.path.clone());
    let orphaned = found.orphans.iter().map(|path| format!("{path} (orphaned)"));
    let names: Vec<String> = waiting.chain(orphaned).collect();
    for name in names.iter().take(LISTED) {
        console.line(format_args!("{name}"))?;
    }
    if names.len() > LISTED {
        console.line(format_args!("… and {} more", names.len() - LISTED))?;
    }
    console.line(format_args!("{} to review, which needs a terminal; without one:", counted(names.len(), "file")))?;
    if !found.pending.is_empty() {
        console.line(format_args!("  promptkeel pending        shows the differences"))?;
        console.line(format_args!("  promptkeel accept GLOB    accepts, `--all` for all"))?;
        console.line(format_args!("  promptkeel reject GLOB    rejects"))?;
    }
    if !found.orphans.is_empty() {
        console.line(format_args!("  promptkeel run --unreferenced delete    removes orphans"))?;
    }
    Ok(())
}

/// What the suites and the store know of what waits.
struct Known {
    /// By the accepted file's path, or why there are none.
    cells: Result<BTreeMap<String, CellResult>, String>,
    /// Between the versions of the accepted outputs and of those that wait.
    changes: Vec<Arc<PromptChange>>,
}

/// The cells that own what waits, judged from the store. Nothing is asked; whatever is missing is told with each output.
async fn known(
    project: &Project,
    loaded: Result<Loaded, Failure>,
    answers: &AnswerArguments,
    pending: &[Pending],
    desk: &Desk<'_>,
    console: &Console,
) -> Known {
    let mut changes = Vec::new();
    let wanted: BTreeSet<&str> = pending.iter().map(|pending| pending.path.as_str()).collect();
    let planned = |loaded| session::of(project, loaded, &SelectionArguments::default(), answers, session::now());
    let judged = match loaded.and_then(planned) {
        Ok(mut session) => {
            session.plan.cells.retain(|cell| cell.snapshot_path.as_deref().is_some_and(|path| wanted.contains(path)));
            let ways = ways(&session.plan.cells, pending, desk);
            changes = Texts::of(project).between(&session.plan.suites, ways).into_iter().map(Arc::new).collect();
            show::stored(project, session.plan).await
        }
        Err(failure) => Err(failure),
    };
    let cells = match judged {
        Ok(ran) => {
            let by_path = |cell: CellResult| Some((cell.snapshot_path.as_deref()?.to_owned(), cell));
            Ok(ran.cells.into_iter().filter_map(by_path).collect())
        }
        Err(failure) => {
            let why = failure.problems.iter().find(|problem| problem.severity == Severity::Error).map(|problem| problem.message.clone());
            console.problems(&failure.problems);
            Err(why.unwrap_or_else(|| "the suites cannot be read".to_owned()))
        }
    };
    Known { cells, changes }
}

/// From which prompt version to which one the outputs go that wait.
fn ways(cells: &[PlannedCell], pending: &[Pending], desk: &Desk<'_>) -> BTreeSet<Way> {
    let suites: BTreeMap<&str, String> =
        cells.iter().filter_map(|cell| Some((cell.snapshot_path.as_deref()?, cell.address().suite.to_string()))).collect();
    let way = |pending: &Pending| {
        let from = desk.folder().read(&pending.path).ok().flatten()?.prompt;
        let to = pending.content.as_ref().ok()?.prompt.clone();
        Some(Way { from, to, suite: suites.get(pending.path.as_str())?.clone() })
    };
    pending.iter().filter_map(way).collect()
}

/// What lies on the table: each item's files as they were shown.
struct Table<'p> {
    desk: Desk<'p>,
    seen: Vec<Kept>,
}

impl Table<'_> {
    fn lay(&self, found: &Found, known: &Known) -> Vec<Item> {
        let mut items = Vec::new();
        for (pending, seen) in found.pending.iter().zip(&self.seen) {
            let cell = match &known.cells {
                Ok(cells) => cells.get(&pending.path).ok_or_else(|| "no suite has its cell".to_owned()),
                Err(why) => Err(why.clone()),
            };
            let mut item = self.waiting(pending, seen, cell);
            item.prompt = item.prompt_change(&known.changes);
            items.push(item);
        }
        items.extend(found.orphans.iter().zip(&self.seen[found.pending.len()..]).map(|(path, seen)| orphan(path, seen)));
        items
    }

    fn waiting(&self, pending: &Pending, seen: &Kept, cell: Result<&CellResult, String>) -> Item {
        let accepted = self.desk.folder().read_kept(seen, &pending.path).ok().flatten();
        let raw = |path: &str| seen.bytes(path).map(|bytes| String::from_utf8_lossy(bytes).into_owned());
        Item::waiting(pending, accepted.as_ref(), cell).with_raw(raw(&pending.path), raw(&pending_path(&pending.path)))
    }

    /// Carries a decision out for those items whose files are still what was shown.
    fn decide(&mut self, decision: Decision, indices: &[usize], review: &Review) -> Vec<(usize, Outcome)> {
        let mut outcomes = Vec::new();
        let mut open = Vec::new();
        for &index in indices {
            match self.moved(index, review) {
                Some(outcome) => outcomes.push((index, outcome)),
                None => open.push(index),
            }
        }
        let paths: Vec<&str> = open.iter().map(|index| review.entries[*index].item.path.as_str()).collect();
        let before = match self.desk.keep(&paths) {
            Ok(before) => before,
            Err(error) => {
                outcomes.extend(open.iter().map(|index| (*index, Outcome::Refused(told(&error)))));
                return outcomes;
            }
        };
        let (orphans, pending): (Vec<usize>, Vec<usize>) =
            open.iter().partition(|index| review.entries[**index].item.kind == Kind::Orphaned);
        for index in orphans {
            let path = &review.entries[index].item.path;
            let outcome = match decision {
                Decision::Reject => Outcome::Done(None),
                _ if !self.desk.is_orphan(path) => Outcome::Refused(format!("`{path}` may belong to a case by now, so it stays")),
                _ => self.moved(index, review).unwrap_or_else(|| outcome(self.desk.folder().remove_orphan(path).map(|_| None))),
            };
            outcomes.push((index, outcome));
        }
        let path = |index: &usize| review.entries[*index].item.path.as_str();
        match decision {
            Decision::Accept | Decision::Add | Decision::ReplaceVariant(_) => {
                let how = match decision {
                    Decision::Add => Acceptance::Add,
                    Decision::ReplaceVariant(number) => Acceptance::ReplaceVariant(number),
                    Decision::Accept | Decision::Reject => Acceptance::Replace,
                };
                let shown: Vec<(&str, &Kept)> = pending.iter().map(|index| (path(index), &self.seen[*index])).collect();
                let accepted = self.desk.accept_shown(&shown, how);
                for (&index, result) in pending.iter().zip(accepted) {
                    let outcome = match result {
                        // It was written anew while those before it were accepted.
                        Err(SnapshotError::Meanwhile { .. }) => self.moved(index, review).unwrap_or(Outcome::Gone),
                        result => outcome(result.map(|accepted| accepted.problem)),
                    };
                    outcomes.push((index, outcome));
                }
            }
            Decision::Reject => {
                for &index in &pending {
                    let rejected = |table: &Self| outcome(table.desk.folder().reject(path(&index)).map(|()| None));
                    let outcome = self.moved(index, review).unwrap_or_else(|| rejected(self));
                    outcomes.push((index, outcome));
                }
            }
        }
        let done = outcomes.iter().filter(|(_, outcome)| matches!(outcome, Outcome::Done(_)));
        let done: Vec<&str> = done.map(|(index, _)| path(index)).collect();
        if !done.is_empty() {
            self.desk.did(before, &done);
        }
        outcomes
    }

    /// What became of an item whose files are not those that were shown; `None` where they are.
    fn moved(&mut self, index: usize, review: &Review) -> Option<Outcome> {
        let item = &review.entries[index].item;
        let now = self.desk.files(&item.path);
        if now == self.seen[index] {
            return None;
        }
        let outcome = if item.kind == Kind::Orphaned {
            if now.has(&item.path) { Outcome::Anew(Box::new(orphan(&item.path, &now))) } else { Outcome::Gone }
        } else if now.has(&pending_path(&item.path)) {
            let why = "it was written anew while it was reviewed".to_owned();
            let pending = self.desk.folder().pending_in(&now, &item.path, self.desk.owners().comparison(&item.path));
            Outcome::Anew(Box::new(self.waiting(&pending, &now, Err(why))))
        } else {
            Outcome::Gone
        };
        self.seen[index] = now;
        Some(outcome)
    }
}

fn orphan(path: &str, seen: &Kept) -> Item {
    Item::orphaned(path, seen.bytes(path).map(String::from_utf8_lossy).as_deref())
}

fn outcome(result: Result<Option<Problem>, SnapshotError>) -> Outcome {
    match result {
        Ok(problem) => Outcome::Done(problem.map(|problem| problem.message)),
        Err(SnapshotError::NotPending { .. }) => Outcome::Gone,
        Err(error) => Outcome::Refused(told(&error)),
    }
}

fn told(error: &SnapshotError) -> String {
    format!("{error}; {}", error.hint())
}

/// Draws, listens, carries out, until the person leaves.
fn sit(items: Vec<Item>, mut table: Table<'_>, console: &Console, interrupted: &CancellationToken) -> std::io::Result<(Review, Exit)> {
    let colour = console.style().colour;
    let screen = Screen::open(colour)?;
    let mut review = Review::new(items, Screen::size(), colour);
    let mut unseen = true;
    loop {
        if std::mem::take(&mut unseen) {
            // A key decides about what stood on the screen when it was pressed, never about what comes next.
            if !matches!(screen.forget(), Ok(Heard::Silence)) {
                return Ok((review, Exit::Interrupted));
            }
            review.resize(Screen::size());
        }
        let frame = view::frame(&review);
        let is_whole = frame.rows.len() <= Screen::size().height;
        screen.draw(&frame.rows)?;
        let heard = loop {
            match screen.listen() {
                _ if interrupted.is_cancelled() => return Ok((review, Exit::Interrupted)),
                Ok(Heard::Silence) => {}
                other => break other,
            }
        };
        let effect = match heard {
            Ok(Heard::Key(key)) => review.press(key, &frame.body, frame.room),
            Ok(Heard::Interrupt) => return Ok((review, Exit::Interrupted)),
            Ok(Heard::Suspend) => {
                screen.suspend()?;
                review.resize(Screen::size());
                Effect::None
            }
            Ok(Heard::Resized) => {
                review.resize(Screen::size());
                Effect::None
            }
            Ok(Heard::Silence) => Effect::None,
            // The terminal is gone; whatever was decided is done.
            Err(_) => return Ok((review, Exit::Interrupted)),
        };
        if effect == Effect::Quit {
            return Ok((review, Exit::Holds));
        }
        if matches!(effect, Effect::Decide(..)) && !is_whole {
            review.tell(Tone::Odd, "nothing was decided: make the terminal higher, the output has no room on it".to_owned());
            continue;
        }
        unseen = matches!(effect, Effect::Decide(..));
        carry_out(&effect, &mut review, &mut table);
    }
}

/// Does what a key asked for, and tells what came of it.
fn carry_out(effect: &Effect, review: &mut Review, table: &mut Table<'_>) {
    match effect {
        Effect::None | Effect::Quit => {}
        Effect::Decide(decision, indices) => {
            let outcomes = table.decide(*decision, indices, review);
            review.carried_out(*decision, outcomes);
        }
        Effect::Undo => {
            match table.desk.undo() {
                Ok(stay) => review.undone(Ok(&stay)),
                Err(error @ SnapshotError::Meanwhile { .. }) => review.undone(Err(told(&error))),
                // The step stands, whole or in part, and `u` goes on with it.
                Err(error) => review.tell(Tone::Odd, format!("it is not taken back yet: {}; `u` tries again", told(&error))),
            }
        }
    }
}

#[cfg(test)]
#[path = "review_tests.rs"]
mod tests;
