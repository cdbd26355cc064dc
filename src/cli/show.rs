//! `promptkeel show`: one cell whole, judged afresh from what is stored, or as a report tells it. Nothing is asked.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::cli::arguments::{AnswerArguments, SelectionArguments, ShowArguments};
use crate::cli::console::{Console, counted};
use crate::cli::formats;
use crate::cli::project::{Failure, Project};
use crate::cli::prompts::Texts;
use crate::cli::recordings;
use crate::cli::session;
use crate::endpoint::budget::Budget;
use crate::endpoint::{self, Spending};
use crate::model::gate::Exit;
use crate::model::problem::Problem;
use crate::model::run::{Address, CellResult, PromptChange};
use crate::report::terminal;
use crate::runner::plan::Plan;
use crate::runner::prefixes::Conditions;
use crate::runner::run::{self, Options, Ran};
use crate::runner::select::Pattern;
use crate::store::Store;
use crate::store::cached::{CacheMode, Cached};

/// A cell for programs: its request points into `texts`.
#[derive(Serialize)]
struct Shown<'a> {
    texts: &'a [Arc<str>],
    prompt_changes: &'a [PromptChange],
    cells: &'a [CellResult],
}

/// Shows what a report says about cells.
pub(crate) fn from_report(current: &Path, path: &Path, arguments: &ShowArguments, console: &Console) -> Result<Exit, Failure> {
    let mut report = formats::read(current, path)?;
    let wanted = Wanted::new(&arguments.cells)?;
    report.cells.retain(|cell| wanted.matches(&cell.address));
    wanted.check(&report.cells.iter().map(|cell| &cell.address).collect::<Vec<_>>())?;
    show(&report.cells, &report.texts, &report.prompt_changes, arguments, console)
}

/// Shows cells of the project as it is: rendered, read from the store, judged, compared.
pub(crate) async fn from_project(project: &Project, arguments: &ShowArguments, console: &Console) -> Result<Exit, Failure> {
    let now = session::now();
    let answers = AnswerArguments { endpoint: arguments.endpoint.clone(), samples: arguments.samples, ..AnswerArguments::default() };
    let mut session = session::open(project, &SelectionArguments::default(), &answers, now)?;
    let wanted = Wanted::new(&arguments.cells)?;
    session.plan.cells.retain(|cell| wanted.matches(&cell.address()));
    wanted.check(&session.plan.cells.iter().map(|cell| cell.address()).collect::<Vec<_>>().iter().collect::<Vec<_>>())?;
    let suites = session.plan.suites.clone();
    let Ran { cells, texts } = stored(project, session.plan).await?;
    console.problems(&session.problems);
    show(&cells, &texts, &Texts::of(project).changes(&suites, &cells), arguments, console)
}

/// Judges cells by what is stored: a miss is an error of its cell.
pub(crate) async fn stored(project: &Project, plan: Plan) -> Result<Ran, Failure> {
    let store = Store::open_to_read(&project.store_folder()).map_err(|error| Problem::error(error.to_string()).hint(error.hint()))?;
    let store = store.over(recordings::of(project, &plan.suites)?);
    let spending = Spending { budget: Arc::new(Budget::default()), catalog: Arc::clone(&project.catalog) };
    let nobody = endpoint::build(Vec::new(), &spending, 0).map_err(|error| Problem::error(error.to_string()))?;
    let cached = Arc::new(Cached::new(Arc::new(store), CacheMode::Only, nobody));
    let plan = Arc::new(plan);
    let options = Options {
        catalog: Arc::clone(&project.catalog),
        case_timeout: Duration::MAX,
        run_timeout: None,
        waited: Duration::ZERO,
        lane_width: 64,
        max_fail: None,
        known: plan.keys().collect(),
        conditions: Conditions::default(),
        detailed: false,
        interrupted: CancellationToken::new(),
        stopping: CancellationToken::new(),
        timed_out: CancellationToken::new(),
    };
    Ok(run::run(plan, cached, session::folder(project), options, |_, _| {}, |_| {}).await)
}

fn show(
    cells: &[CellResult],
    texts: &[Arc<str>],
    prompt_changes: &[PromptChange],
    arguments: &ShowArguments,
    console: &Console,
) -> Result<Exit, Failure> {
    if arguments.json {
        console.json(&Shown { texts, prompt_changes, cells })?;
        return Ok(Exit::Holds);
    }
    let mut out = console.out();
    for cell in cells {
        terminal::cell(cell, texts, prompt_changes, &mut out, console.style()).map_err(Console::broken)?;
    }
    std::io::Write::flush(&mut out).map_err(Console::broken)?;
    if cells.len() > 1 {
        console.tell(format_args!("{} shown", counted(cells.len(), "cell")));
    }
    Ok(Exit::Holds)
}

/// Which cells are meant: globs over an address or over neighbouring parts of it (`double-charge`, `ticket-triage::double-*`).
struct Wanted(Vec<Pattern>);

impl Wanted {
    fn new(texts: &[String]) -> Result<Self, Failure> {
        Ok(Self(texts.iter().map(|text| Pattern::new("show", text)).collect::<Result<_, Problem>>()?))
    }

    fn matches(&self, address: &Address) -> bool {
        self.0.iter().any(|pattern| matches(pattern, address))
    }

    /// A pattern that matches nothing is never passed over in silence.
    fn check(&self, addresses: &[&Address]) -> Result<(), Failure> {
        let unmatched: Vec<Problem> = self
            .0
            .iter()
            .filter(|pattern| !addresses.iter().any(|address| matches(pattern, address)))
            .map(|pattern| {
                Problem::error(format!("no cell matches `{}`", pattern.text()))
                    .hint("give an address (`suite::case::prompt@version::model`) or a part of it; `promptkeel list` shows them")
            })
            .collect();
        if unmatched.is_empty() { Ok(()) } else { Err(Failure { exit: Exit::NothingSelected, problems: unmatched, is_unread: false }) }
    }
}

pub(crate) fn matches(pattern: &Pattern, address: &Address) -> bool {
    let version = format!("{}@{}", address.prompt, address.version);
    let parts = [&*address.suite, &*address.case, &version, &*address.model];
    (0..parts.len()).any(|from| (from..parts.len()).any(|to| pattern.matches(&parts[from..=to].join("::"))))
}
