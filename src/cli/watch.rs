//! `promptkeel run --watch`: after each edit, run what it touches, and show the whole.

mod files;
mod keys;
mod look;

use std::collections::HashSet;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::cli::arguments::CacheArgument;
use crate::cli::arguments::run::{RunArguments, Unreferenced, WatchArgument};
use crate::cli::baseline;
use crate::cli::console::Console;
use crate::cli::project::{Failure, Project};
use crate::cli::run::{self, Round, Told};
use crate::cli::session;
use crate::cli::watch::files::Files;
use crate::cli::watch::keys::{Key, Keys};
use crate::cli::watch::look::{Look, Ready, Seen};
use crate::model::gate::Exit;
use crate::model::money::Money;
use crate::model::problem::Problem;
use crate::report::style::Style;
use crate::report::terminal::rounds::{self as screen, Change, Costs, Head};
use crate::runner::rounds::{Also, Held, Picture};

/// What is known between two rounds.
struct Watch<'a> {
    arguments: &'a RunArguments,
    console: &'a Console,
    interrupted: CancellationToken,
    seen: Seen,
    picture: Option<Picture>,
    /// The last look or round came to nothing.
    broken: bool,
    exit: Exit,
    costs: Costs,
    /// What the caps of `--max-cost` counted: unknown bills at their worst case.
    taken: Money,
    /// The first round's run.
    first: Option<String>,
    has_keys: bool,
    /// The last round was told in a few lines.
    alone: bool,
}

/// Runs until somebody ends it. The exit code is that of the last round; 130 where that one was interrupted.
pub(crate) async fn run(
    project: Project,
    arguments: &RunArguments,
    how: WatchArgument,
    console: &Console,
    interrupted: CancellationToken,
) -> Result<Exit, Failure> {
    refuse(arguments)?;
    let mut files = Files::new(how);
    let mut keys = Keys::open();
    let mut watch = Watch {
        arguments,
        console,
        interrupted: interrupted.clone(),
        seen: Seen::default(),
        picture: None,
        broken: false,
        exit: Exit::Invalid,
        costs: Costs::default(),
        taken: Money::ZERO,
        first: None,
        has_keys: keys.is_some(),
        alone: false,
    };
    let mut project = Arc::new(project);
    let mut also = Also::Nothing;
    loop {
        let look = Look::at(&project, arguments, &watch.seen);
        project = Arc::clone(&look.project);
        let newly_watched = files.cover(look.wanted(arguments))?;
        watch.take(look, std::mem::replace(&mut also, Also::Nothing)).await?;
        let listening = keys.as_ref().and_then(Keys::listen);
        let edit = async {
            // What is watched only now may have changed between reading it and watching it, so it is looked at once more.
            if newly_watched { files.quiet().await } else { files.changed().await }
        };
        let key = async {
            match &mut keys {
                Some(keys) if listening.is_some() => keys.pressed().await,
                Some(_) | None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = interrupted.cancelled() => {}
            () = edit => {}
            key = key => match key {
                Key::Run(these) => also = these,
                Key::Quit => return Ok(watch.exit),
            },
        }
        drop(listening);
        if interrupted.is_cancelled() {
            return Ok(watch.exit);
        }
    }
}

/// Gives the terminal back, if it is taken, from a thread that is about to end the process: nothing is dropped any more then.
pub(crate) fn give_back() {
    keys::give_back();
}

/// Flags that mean one run, or ask again what is known.
fn refuse(arguments: &RunArguments) -> Result<(), Failure> {
    let formats = &arguments.formats;
    let to_stdout = [&formats.json, &formats.junit, &formats.markdown, &formats.html, &formats.csv]
        .into_iter()
        .flatten()
        .any(|path| path.as_os_str() == "-");
    let refused = [
        (arguments.selection.shard.is_some(), "`--shard`", "a part of a run is for machines that run the other parts"),
        (arguments.selection.failed, "`--failed`", "leave it out: a watch runs what an edit touches, and tells what passes now"),
        (
            arguments.comparison.baseline.as_ref().is_some_and(|reference| reference != baseline::NONE)
                || arguments.comparison.against.is_some()
                || arguments.comparison.decide,
            "a comparison with a baseline",
            "a watch compares nothing: run once without `--watch` when the edits are done",
        ),
        (arguments.events.is_some(), "`--events`", "events tell of one run; `--json FILE` is written after every round"),
        (
            matches!(arguments.answers.cache, CacheArgument::Refresh | CacheArgument::Off),
            "`--cache refresh` and `--cache off`",
            "a watch asks nothing twice: refresh once without `--watch`, then watch",
        ),
        (
            arguments.unreferenced == Unreferenced::Delete,
            "`--unreferenced delete`",
            "a suite that is being moved would lose its snapshots: delete orphans with a run of its own",
        ),
        (
            to_stdout,
            "a report to standard output",
            "a watch shows its rounds on standard output; name a file, it is written after every round",
        ),
    ];
    let problems: Vec<Problem> = refused
        .into_iter()
        .filter(|(is_given, ..)| *is_given)
        .map(|(_, flag, hint)| Problem::error(format!("{flag} cannot go together with `--watch`")).hint(hint))
        .collect();
    if problems.is_empty() { Ok(()) } else { Err(problems.into()) }
}

impl Watch<'_> {
    /// Runs a round if what is seen asks for one.
    async fn take(&mut self, look: Look, also: Also) -> Result<(), Failure> {
        let is_first = self.picture.is_none() && !self.broken;
        let differs = look.seen.differs(&self.seen);
        // Which cells a recording answers is found by answering them: that costs nothing.
        let all_differ = look.seen.settings_differ(&self.seen) || look.seen.recordings_differ(&self.seen);
        let is_touched = match (&look.ready, &self.picture) {
            (Ok(ready), Some(picture)) => picture.differs(&ready.session.plan, &ready.marks),
            (Err(_), _) | (Ok(_), None) => false,
        };
        let is_due = is_first || is_touched || all_differ || also != Also::Nothing || (differs && (self.broken || look.ready.is_err()));
        let Look { seen, project, ready } = look;
        let changes = if is_first { Vec::new() } else { seen.changes(&self.seen) };
        self.seen = seen;
        if !is_due {
            if !changes.is_empty() {
                self.draw(|out, style| screen::nothing(session::now(), &changes, out, style))?;
            }
            return Ok(());
        }
        let also = if all_differ && !is_first { Also::Everything } else { also };
        let ended = match ready {
            Ok(ready) => self.round(&project, ready, &changes, also).await,
            Err(failure) => {
                self.console.clear()?;
                self.head(&changes, None)?;
                Err(failure)
            }
        };
        self.broken = ended.is_err();
        match ended {
            Ok(()) => {}
            // No edit can mend that.
            Err(failure) if failure.exit == Exit::NotWritten => return Err(failure),
            Err(failure) => {
                self.console.problems(&failure.problems);
                self.exit = failure.exit;
            }
        }
        let (files, alone) = (self.seen.count(), self.alone);
        let (costs, cap) = (self.costs, self.arguments.max_cost.map(|cap| (self.taken, cap)));
        self.draw(|out, style| screen::foot(files, self.has_keys, alone, costs, cap, out, style))
    }

    async fn round(&mut self, project: &Project, ready: Ready, changes: &[Change], also: Also) -> Result<(), Failure> {
        let Ready { now, mut session, mut marks } = ready;
        let all = session.plan.cells.len();
        let held = self.picture.as_ref().map_or_else(Held::default, |picture| picture.split(&mut session.plan, &marks, also));
        let cells = Some((session.plan.cells.len(), all));
        self.console.clear()?;
        self.head(changes, cells)?;
        let round = Round { now, session, held, spent: self.taken, watch: self.first.clone() };
        let ended = run::round(project, self.arguments, self.console, self.interrupted.clone(), round).await?;
        self.taken = ended.spent;
        self.first.get_or_insert_with(|| ended.report.run.id.clone());
        self.costs.add(&ended.report);
        // What we accepted ourselves is no edit.
        let accepted: HashSet<_> = ended.accepted.iter().collect();
        let folder = session::folder(project);
        for cell in ended.plan.cells.iter().filter(|cell| accepted.contains(&cell.address())) {
            marks.insert(cell.address(), look::mark(cell, &folder));
        }
        if self.arguments.update || self.arguments.add {
            self.seen.look_at_snapshots(project, &ended.plan);
        }
        // Nor is what we recorded.
        self.seen.look_at_recordings(project, &ended.plan);
        // The summary says again, and better, what was told on the way.
        if self.console.clear()? {
            self.head(changes, cells)?;
        }
        // Where the lines follow each other, the whole has been told once: from then on only what an edit changed.
        self.alone = !Console::is_screen() && self.picture.is_some();
        let (exit, report) = run::finish(ended, if self.alone { Told::Brief } else { Told::Whole }, self.console)?;
        self.exit = exit;
        let (before, alone) = (self.picture.as_ref().map(Picture::report), self.alone);
        self.draw(|out, style| {
            before.map_or(Ok(()), |before| screen::news(before, &report, alone, alone && self.arguments.quiet, out, style))
        })?;
        self.picture = Some(Picture::of(marks, report));
        Ok(())
    }

    fn head(&self, changes: &[Change], cells: Option<(usize, usize)>) -> Result<(), Failure> {
        let head = Head { now: session::now(), changes, cells };
        self.draw(|out, style| screen::head(&head, out, style))
    }

    fn draw(&self, draw: impl FnOnce(&mut dyn std::io::Write, Style) -> std::io::Result<()>) -> Result<(), Failure> {
        let mut out = self.console.out();
        draw(&mut out, self.console.style()).and_then(|()| std::io::Write::flush(&mut out)).map_err(Console::broken)
    }
}
