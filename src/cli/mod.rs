//! Which command was asked for, and which exit code does it come to?

mod adopt;
mod advice;
mod answers;
mod arguments;
mod baseline;
mod batch;
mod batching;
mod cache;
mod calibrate;
mod caps;
mod check;
mod compare;
mod confirm;
mod console;
mod decide;
mod decisions;
mod desk;
mod detail;
mod earlier;
mod environment;
mod exact;
mod formats;
mod github;
mod history;
mod init;
mod list;
mod locks;
mod orphans;
mod owners;
mod plan;
mod project;
mod prompts;
mod recordings;
mod review;
mod run;
mod schema;
mod screen;
mod session;
mod settings;
mod show;
mod signals;
mod sim;
mod watch;

use std::ffi::OsString;
use std::future::Future;

use clap::Parser;
use tokio_util::sync::CancellationToken;

use crate::cli::arguments::batch::BatchCommand;
use crate::cli::arguments::cache::CacheCommand;
use crate::cli::arguments::{Cli, Command};
use crate::cli::console::Console;
use crate::cli::project::{Failure, Project};
use crate::cli::signals::Attention;
use crate::model::gate::Exit;
use crate::model::problem::Problem;

/// Runs the command line of this process and returns its exit code. `end_now` ends the process at once: the second Ctrl-C.
pub fn main(arguments: impl IntoIterator<Item = OsString>, end_now: fn(u8) -> !) -> u8 {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            let code = if error.use_stderr() { Exit::Invalid.code() } else { Exit::Holds.code() };
            // Nothing is left to tell anybody if the terminal is gone.
            let _ = error.print();
            return code;
        }
    };
    let unread = unread(&cli.command);
    let console = Console::new(cli.color, cli.verbose, unread == Unread::GoesOn);
    match dispatch(&cli, &console, end_now) {
        Ok(exit) => exit.code(),
        Err(failure) if failure.is_unread && unread == Unread::Ends => Exit::Holds.code(),
        Err(failure) => {
            console.problems(&failure.problems);
            github::failed(&cli.command, cli.directory.as_deref(), &failure, &console);
            failure.exit.code()
        }
    }
}

/// What becomes of a command when nobody reads its standard output any more, as of `promptkeel pending | head`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unread {
    /// It does nothing but print: whoever read it has what was wanted.
    Ends,
    /// It says the same by its exit code, its files, or what it changed: it goes on without a word.
    GoesOn,
    /// Somebody was to look at it.
    Fails,
}

const fn unread(command: &Command) -> Unread {
    match command {
        Command::Plan(_) | Command::List(_) | Command::History(_) | Command::Show(_) | Command::Pending(_) => Unread::Ends,
        Command::Schema(_) | Command::Settings | Command::Completions { .. } | Command::Cache(CacheCommand::Stats(_)) => Unread::Ends,
        Command::Batch(BatchCommand::Status(_)) => Unread::Ends,
        Command::Run(arguments) if arguments.watch.is_some() => Unread::Fails,
        Command::Review(_) | Command::Sim(_) => Unread::Fails,
        Command::Run(_) | Command::Check(_) | Command::Compare(_) | Command::Merge(_) | Command::Calibrate(_) => Unread::GoesOn,
        Command::Report(_) | Command::Init(_) | Command::Baseline(_) | Command::Cache(_) | Command::Batch(_) => Unread::GoesOn,
        Command::Accept(_) | Command::Reject(_) => Unread::GoesOn,
    }
}

fn dispatch(cli: &Cli, console: &Console, end_now: fn(u8) -> !) -> Result<Exit, Failure> {
    let directory = cli.directory.as_deref();
    let project = || {
        let project = Project::open(directory)?;
        if console.verbosity() > 0 {
            detail::tell(&project, console);
        }
        Ok::<_, Failure>(project)
    };
    let current = || project::current(directory);
    match &cli.command {
        Command::Run(arguments) => {
            let project = project()?;
            match arguments.watch {
                Some(how) => block_on(end_now, |interrupted| watch::run(project, arguments, how, console, interrupted)),
                None => block_on_loaded(
                    end_now,
                    || run::load(&project, arguments),
                    |all, interrupted| run::run(&project, arguments, console, interrupted, all),
                ),
            }
        }
        Command::Plan(arguments) => {
            let project = &project()?;
            let load = || plan::load(project, arguments);
            block_on_loaded(end_now, load, |loaded, interrupted| async move {
                plan::run(project, arguments, console, &interrupted, loaded).await
            })
        }
        Command::Check(arguments) => check::run(&project()?, arguments, console),
        Command::List(arguments) => list::run(&project()?, arguments, console),
        Command::History(arguments) => history::run(&project()?, arguments, console),
        Command::Cache(command) => {
            let project = project()?;
            block_on_at_once(end_now, cache::run(&project, command, console))
        }
        Command::Batch(command) => {
            let project = project()?;
            block_on_at_once(end_now, batch::run(&project, command, console))
        }
        Command::Show(arguments) if arguments.cells.first().is_some_and(|first| history::names_run(first)) => {
            history::show(&project()?, arguments, console)
        }
        Command::Show(arguments) => match &arguments.from {
            Some(path) => show::from_report(&current()?, path, arguments, console),
            None => {
                let project = project()?;
                block_on_at_once(end_now, show::from_project(&project, arguments, console))
            }
        },
        Command::Baseline(arguments) => baseline::blessed::run(&project()?, arguments, console),
        Command::Init(arguments) => init::run(&current()?, arguments, console),
        Command::Review(arguments) => {
            let project = project()?;
            block_on(end_now, |interrupted| async move { review::run(&project, arguments, console, interrupted).await })
        }
        Command::Pending(arguments) => decide::pending(&project()?, arguments, console),
        Command::Accept(arguments) => match &arguments.from {
            Some(path) => adopt::run(&project()?, &current()?, path, &arguments.which, arguments.add, console),
            None => decide::accept(&project()?, &arguments.which, arguments.add, console),
        },
        Command::Reject(arguments) => decide::reject(&project()?, arguments, console),
        Command::Report(arguments) => formats::report(&current()?, arguments, console),
        Command::Merge(arguments) => formats::merge(&current()?, arguments, console),
        Command::Compare(arguments) => compare::run(&current()?, arguments, console),
        Command::Calibrate(arguments) => {
            let project = project()?;
            let load = || calibrate::load(&project, arguments);
            block_on_loaded(end_now, load, |all, interrupted| calibrate::run(&project, arguments, console, interrupted, all))
        }
        Command::Sim(arguments) => {
            let current = current()?;
            block_on(end_now, |interrupted| async move { sim::run(&current, arguments, console, interrupted).await })
        }
        Command::Schema(arguments) => schema::run(arguments, console),
        Command::Settings => schema::defaults(console),
        Command::Completions { shell } => schema::completions(*shell, console),
    }
}

/// Runs a command that waits for the network. The first Ctrl-C or SIGTERM cancels the token; the second one leaves at once.
fn block_on<F: Future<Output = Result<Exit, Failure>>>(
    end_now: fn(u8) -> !,
    command: impl FnOnce(CancellationToken) -> F,
) -> Result<Exit, Failure> {
    block_on_loaded(end_now, || Ok(()), |(), interrupted| command(interrupted))
}

/// The same, where the command begins with what `load` gives: until then nothing is under way, and the first signal leaves at once.
fn block_on_loaded<T, F: Future<Output = Result<Exit, Failure>>>(
    end_now: fn(u8) -> !,
    load: impl FnOnce() -> Result<T, Failure>,
    command: impl FnOnce(T, CancellationToken) -> F,
) -> Result<Exit, Failure> {
    attended(end_now, |runtime, attention| {
        let loaded = load()?;
        attention.under_way();
        runtime.block_on(command(loaded, attention.interrupted.clone()))
    })
}

/// The same, where nothing is under way that a signal could ask to end well: the first one leaves.
fn block_on_at_once(end_now: fn(u8) -> !, command: impl Future<Output = Result<Exit, Failure>>) -> Result<Exit, Failure> {
    attended(end_now, |runtime, _| runtime.block_on(command))
}

fn attended(
    end_now: fn(u8) -> !,
    command: impl FnOnce(&tokio::runtime::Runtime, &Attention) -> Result<Exit, Failure>,
) -> Result<Exit, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Problem::error(format!("cannot start the threads of a run: {error}")))?;
    let attention = Attention::default();
    let leave = move || {
        screen::give_back();
        watch::give_back();
        crate::report::files::abandon();
        end_now(Exit::Interrupted.code())
    };
    attention.pay(leave).map_err(|error| Problem::error(format!("cannot listen to signals: {error}")))?;
    let result = command(&runtime, &attention);
    runtime.shutdown_background();
    result
}
