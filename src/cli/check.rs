//! `promptkeel check`: is everything that can be found wrong offline right?

use std::io::Write;

use crate::cli::arguments::{AnswerArguments, CheckArguments, SelectionArguments};
use crate::cli::console::{Console, counted};
use crate::cli::github::Github;
use crate::cli::project::{Failure, Project};
use crate::cli::{locks, recordings, session};
use crate::model::gate::Exit;
use crate::model::problem::Severity;
use crate::store::recordings::Recordings;

/// Validates everything; errors are exit 2, warnings and notes are exit 0.
pub(crate) fn run(project: &Project, arguments: &CheckArguments, console: &Console) -> Result<Exit, Failure> {
    let selection = SelectionArguments { suites: arguments.suites.clone(), ..SelectionArguments::default() };
    let (summary, mut problems) = match session::open(project, &selection, &AnswerArguments::default(), session::now()) {
        Ok(session) => {
            let suites = session.plan.suites.len();
            let cases: usize = session.plan.suites.iter().map(|suite| suite.cases.len()).sum();
            let mut problems = session.problems;
            problems.extend(locks::check(project, &session.plan.suites));
            let recordings = recordings::of(project, &session.plan.suites).unwrap_or_else(|failure| {
                problems.extend(failure.problems);
                Recordings::default()
            });
            problems.extend(crate::cli::advice::advice(&session.plan, &recordings));
            (Some((suites, cases, session.plan.cells.len())), problems)
        }
        Err(failure) if failure.exit == Exit::Invalid => (None, failure.problems),
        Err(failure) => return Err(failure),
    };
    problems.sort_by_key(|problem| std::cmp::Reverse(problem.severity));
    let invalid = problems.iter().any(|problem| problem.severity == Severity::Error);
    if arguments.json {
        console.json(&problems)?;
    } else {
        console.problems(&problems);
        if let (Some((suites, cases, cells)), false) = (summary, invalid) {
            let parts = [counted(suites, "suite"), counted(cases, "case"), counted(cells, "cell")];
            console.line(format_args!("ok: {}; nothing was sent", parts.join(", ")))?;
        }
    }
    if let Some(github) = Github::of(arguments.github.github, &project.root) {
        github.annotate(&problems, console);
    }
    console.out().flush().map_err(Console::broken)?;
    Ok(if invalid { Exit::Invalid } else { Exit::Holds })
}
