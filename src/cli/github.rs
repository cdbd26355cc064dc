//! What is GitHub Actions told beside the exit code: annotations on the lines of suites, and the page of the job?

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::cli::arguments::Command;
use crate::cli::arguments::reports::GithubArgument;
use crate::cli::console::Console;
use crate::cli::environment::Environment;
use crate::cli::project::{self, Failure};
use crate::model::problem::Problem;
use crate::model::run::RunReport;
use crate::report::{Format, github};

/// A step's part of the page; GitHub drops the whole part where it is larger.
const LARGEST_SUMMARY: u64 = 1 << 20;

/// Whom to tell; `None` where GitHub runs nothing or nobody wants it.
pub(crate) struct Github {
    /// The project's folder, relative to the repository.
    folder: Option<String>,
    summary: Option<PathBuf>,
}

impl Github {
    /// For the project at `root`, which is canonical.
    pub(crate) fn of(when: GithubArgument, root: &Path) -> Option<Self> {
        let wanted = match when {
            GithubArgument::Auto => Environment::is_github(),
            GithubArgument::Always => true,
            GithubArgument::Never => false,
        };
        wanted.then(|| Self { folder: folder(root), summary: Environment::github_summary() })
    }

    /// Tells what a run came to.
    pub(crate) fn tell(&self, report: &RunReport, console: &Console) {
        let mut lines = Vec::new();
        self.say(github::annotations(report, self.folder.as_deref(), &mut lines), &lines, console);
        self.add(console, |page| crate::report::write(Format::Markdown, report, page));
    }

    /// Tells why a command ended early.
    pub(crate) fn fail(&self, failure: &Failure, console: &Console) {
        self.annotate(&failure.problems, console);
        self.add(console, |page| github::page(failure.exit, &failure.problems, page));
    }

    /// Annotations alone.
    pub(crate) fn annotate(&self, problems: &[Problem], console: &Console) {
        let mut lines = Vec::new();
        self.say(github::problems(problems, self.folder.as_deref(), &mut lines), &lines, console);
    }

    /// Nothing that goes wrong here changes a verdict: nobody asked for it, and all of it stands in the log as well.
    fn say(&self, written: io::Result<()>, lines: &[u8], console: &Console) {
        if written.is_ok() {
            console.command(lines);
        }
    }

    fn add(&self, console: &Console, write: impl FnOnce(&mut Vec<u8>) -> io::Result<()>) {
        let Some(path) = &self.summary else { return };
        let mut page = Vec::new();
        if let Err(error) = write(&mut page).and_then(|()| append(path, &page)) {
            let problem = Problem::warning(format!("the job summary could not be written to `{}`: {error}", path.display()));
            console.problems(&[problem.hint("the verdict stands; `--markdown FILE` writes the same page to a file of its own")]);
        }
    }
}

/// What the command says about GitHub, where it may.
pub(crate) fn wanted(command: &Command) -> Option<GithubArgument> {
    match command {
        Command::Run(arguments) => Some(arguments.github.github),
        Command::Check(arguments) => Some(arguments.github.github),
        Command::Merge(arguments) => Some(arguments.github.github),
        Command::Report(arguments) => Some(arguments.github),
        _ => None,
    }
}

/// Tells why a command ended early, where GitHub runs it.
pub(crate) fn failed(command: &Command, directory: Option<&Path>, failure: &Failure, console: &Console) {
    let Some(when) = wanted(command) else { return };
    let Ok(current) = project::current(directory) else { return };
    if let Some(github) = Github::of(when, &project::root(&current)) {
        github.fail(failure, console);
    }
}

/// The project's folder in its repository: annotations name files as the repository does. A checkout need not be the whole workspace, so
/// the nearest `.git` comes first; in a container there may be no git and no `.git`.
fn folder(root: &Path) -> Option<String> {
    let repository = root.ancestors().find(|folder| folder.join(".git").exists()).map(Path::to_path_buf);
    let top = repository.or_else(|| Environment::github_workspace().and_then(|folder| folder.canonicalize().ok()))?;
    let inside = root.strip_prefix(top).ok()?;
    let parts: Option<Vec<&str>> = inside.iter().map(std::ffi::OsStr::to_str).collect();
    parts.map(|parts| parts.join("/"))
}

fn append(path: &Path, page: &[u8]) -> io::Result<()> {
    let before = match fs::metadata(path) {
        // A pipe that nobody reads would never open.
        Ok(facts) if !facts.is_file() => return Err(io::Error::other("it is no file")),
        Ok(facts) => facts.len(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
        Err(error) => return Err(error),
    };
    if before + page.len() as u64 + 1 > LARGEST_SUMMARY {
        return Err(io::Error::other("it would be larger than the 1 MiB of a step, and GitHub would show none of it"));
    }
    let mut file = OpenOptions::new().append(true).create(true).open(path)?;
    // What stands there need not end its last line.
    if before > 0 {
        file.write_all(b"\n")?;
    }
    file.write_all(page)
}
