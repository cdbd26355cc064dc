//! `promptkeel history`: which runs are remembered, which cells are flaky, and which runs are forgotten? And `show RUN`.

use std::collections::HashMap;
use std::fmt::Write;

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::cli::arguments::ShowArguments;
use crate::cli::arguments::history::{HistoryArguments, HistoryCommand, PruneArguments};
use crate::cli::console::{Console, counted};
use crate::cli::project::{Failure, Project};
use crate::cli::session;
use crate::model::gate::Exit;
use crate::model::money::Money;
use crate::model::problem::Problem;
use crate::model::verdict::Verdict;
use crate::runner::select::Pattern;
use crate::store::history::{KEPT_RUNS, RunHead, RunRecord};
use crate::store::recent::{Flaky, LOOKED_AT, SuiteCounts};
use crate::store::{Store, StoreError};

/// A run for programs.
#[derive(Serialize)]
struct Listed<'a> {
    #[serde(flatten)]
    head: &'a RunHead,
    exit_code: u8,
    unfinished: bool,
    suites: &'a [SuiteCounts],
}

/// A remembered run for programs.
#[derive(Serialize)]
struct Shown<'a> {
    #[serde(flatten)]
    run: Listed<'a>,
    cells: Vec<ShownCell<'a>>,
}

#[derive(Serialize)]
struct ShownCell<'a> {
    cell: String,
    verdict: Verdict,
    keys: Vec<String>,
    /// Whether its assertions held, where that is known; a snapshot may fail the verdict.
    assertions_passed: Option<bool>,
    fingerprint: Option<&'a str>,
}

/// Lists runs or flaky cells, or forgets runs.
pub(crate) fn run(project: &Project, arguments: &HistoryArguments, console: &Console) -> Result<Exit, Failure> {
    match &arguments.command {
        Some(HistoryCommand::Prune(prune)) => self::prune(project, prune, console),
        None if arguments.flaky => flaky(project, arguments, console),
        None => list(project, arguments, console),
    }
}

fn told(error: StoreError) -> Failure {
    Problem::error(error.to_string()).hint(error.hint()).into()
}

/// `None` in a project that never ran: none is created for it.
fn store(project: &Project) -> Result<Option<Store>, Failure> {
    let folder = project.store_folder();
    if folder.exists() { Store::open_to_read(&folder).map(Some).map_err(told) } else { Ok(None) }
}

fn list(project: &Project, arguments: &HistoryArguments, console: &Console) -> Result<Exit, Failure> {
    let (mut runs, suites) = match store(project)? {
        Some(store) => (store.runs().map_err(told)?, store.suites_of_runs().map_err(told)?),
        None => (Vec::new(), HashMap::new()),
    };
    let of = |run: &RunHead| suites.get(&run.id).map(Vec::as_slice).unwrap_or_default();
    if let Some(suite) = &arguments.suite {
        runs.retain(|run| of(run).iter().any(|counts| counts.suite == *suite));
    }
    let all = runs.len();
    runs.truncate(arguments.limit as usize);
    if arguments.json {
        let listed: Vec<Listed<'_>> = runs.iter().map(|run| listed(run, of(run))).collect();
        console.json(&listed)?;
        return Ok(Exit::Holds);
    }
    if runs.is_empty() {
        let which = arguments.suite.as_ref().map_or_else(String::new, |suite| format!(" of suite `{suite}`"));
        console.tell(format_args!("no run{which} is remembered"));
        return Ok(Exit::Holds);
    }
    let mut rows =
        vec![["run", "when (UTC)", "revision", "cells", "passed", "failed", "errors", "cost", "exit", "suites"].map(str::to_owned)];
    rows.extend(runs.iter().map(|run| row(run, of(run), arguments.suite.as_deref())));
    console.text(&columns(&rows))?;
    if all > runs.len() {
        console.tell(format_args!("{} of {} shown; `--limit {all}` shows all", runs.len(), counted(all, "run")));
    }
    Ok(Exit::Holds)
}

fn listed<'a>(head: &'a RunHead, suites: &'a [SuiteCounts]) -> Listed<'a> {
    Listed { head, exit_code: head.exit.code(), unfinished: is_unfinished(head, suites), suites }
}

fn is_unfinished(head: &RunHead, suites: &[SuiteCounts]) -> bool {
    suites.is_empty() && head.totals.planned > 0
}

fn row(run: &RunHead, suites: &[SuiteCounts], only: Option<&str>) -> [String; 10] {
    let unfinished = is_unfinished(run, suites);
    let sum = |of: fn(&SuiteCounts) -> u64| -> String {
        let counted = suites.iter().filter(|counts| only.is_none_or(|only| counts.suite == only));
        if unfinished { "–".to_owned() } else { counted.map(of).sum::<u64>().to_string() }
    };
    let cells = match only {
        Some(_) => sum(|counts| counts.passed + counts.failed + counts.errored + counts.skipped),
        None => run.totals.planned.to_string(),
    };
    [
        run.id.clone(),
        run.started_at.format("%Y-%m-%d %H:%M").to_string(),
        revision(run),
        cells,
        sum(|counts| counts.passed),
        sum(|counts| counts.failed),
        sum(|counts| counts.errored),
        cost(run),
        if unfinished { "unfinished".to_owned() } else { run.exit.code().to_string() },
        names(run, suites),
    ]
}

/// The first digits of the commit; `+` where the work tree differed.
fn revision(run: &RunHead) -> String {
    let Some(revision) = &run.revision else { return "–".to_owned() };
    let dirty = if revision.ends_with("-dirty") { "+" } else { "" };
    format!("{}{dirty}", revision.chars().take(8).collect::<String>())
}

/// Money that was spent; what a simulator would have cost is never shown as that.
fn cost(run: &RunHead) -> String {
    let real = run.bill.spent_usd.display(4);
    match (run.simulated, run.bill.simulated_usd == Money::ZERO) {
        (true, _) => "simulated".to_owned(),
        (false, true) => real,
        (false, false) => format!("{real}, part simulated"),
    }
}

fn names(run: &RunHead, suites: &[SuiteCounts]) -> String {
    let mut told: Vec<String> = suites.iter().take(3).map(|counts| counts.suite.clone()).collect();
    if suites.len() > 3 {
        told.push(format!("{} more", suites.len() - 3));
    }
    let mut notes = Vec::new();
    if run.filtered {
        notes.push("filtered".to_owned());
    }
    if run.watch.is_some() {
        notes.push(format!("watch, {}", counted(run.earlier_rounds as usize + 1, "round")));
    }
    let notes = if notes.is_empty() { String::new() } else { format!(" ({})", notes.join(", ")) };
    format!("{}{notes}", told.join(", ")).trim_start().to_owned()
}

/// Rows under each other; numbers stand at the right.
fn columns<const N: usize>(rows: &[[String; N]]) -> String {
    let widths: Vec<usize> = (0..N).map(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0)).collect();
    let mut text = String::new();
    for row in rows {
        let fields = row.iter().zip(&widths).enumerate().map(|(column, (field, width))| match column {
            3..=8 => format!("{field:>width$}"),
            _ => format!("{field:<width$}"),
        });
        text.push_str(fields.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
    text
}

fn flaky(project: &Project, arguments: &HistoryArguments, console: &Console) -> Result<Exit, Failure> {
    let mut flaky: Vec<Flaky> = store(project)?.map_or_else(|| Ok(Vec::new()), |store| store.flaky()).map_err(told)?;
    if let Some(suite) = &arguments.suite {
        flaky.retain(|cell| *cell.address.suite == **suite);
    }
    if arguments.json {
        console.json(&flaky)?;
        return Ok(Exit::Holds);
    }
    let text: String = flaky.iter().fold(String::new(), |mut text, cell| {
        let (passed, failed) = (cell.passed, cell.failed);
        let _ = writeln!(text, "{}  passed {passed}, failed {failed} of {} different answers", cell.address, passed + failed);
        text
    });
    console.text(&text)?;
    let looked = format!("in the last {LOOKED_AT} runs");
    match flaky.len() {
        0 => console.tell(format_args!(
            "no cell passed and failed unchanged {looked}; replayed answers are no evidence, `--cache refresh` asks again"
        )),
        many => console.tell(format_args!("{} passed and failed {looked}, unchanged", counted(many, "cell"))),
    }
    Ok(Exit::Holds)
}

fn prune(project: &Project, arguments: &PruneArguments, console: &Console) -> Result<Exit, Failure> {
    let store = if project.store_folder().exists() { Some(Store::open(&project.store_folder()).map_err(told)?) } else { None };
    let Some(store) = store else {
        console.tell(format_args!("no run is remembered"));
        return Ok(Exit::Holds);
    };
    let (runs, suites) = (store.runs().map_err(told)?, store.suites_of_runs().map_err(told)?);
    let oldest: Option<DateTime<Utc>> = match arguments.older_than {
        Some(age) => Some(too_old(age)?),
        None => None,
    };
    let kept = arguments.keep.map_or(usize::MAX, |keep| keep as usize);
    let goes = |(place, run): &(usize, &RunHead)| *place >= kept || oldest.is_some_and(|oldest| run.started_at < oldest);
    let gone: Vec<&RunHead> = runs.iter().enumerate().filter(goes).map(|(_, run)| run).collect();
    let cells = |counts: &SuiteCounts| counts.passed + counts.failed + counts.errored + counts.skipped;
    let cells: u64 = gone.iter().filter_map(|run| suites.get(&run.id)).flatten().map(cells).sum();
    let count = gone.len();
    let bytes = store.forget_runs(gone.into_iter().map(|run| run.id.clone()).collect()).map_err(told)?;
    store.settle();
    let cells = counted(usize::try_from(cells).unwrap_or(usize::MAX), "cell");
    console.line(format_args!(
        "{} with {cells} forgotten, {} left; {} KB of the store are free for what comes next; answers stay",
        counted(count, "run"),
        runs.len() - count,
        bytes / 1024,
    ))?;
    Ok(Exit::Holds)
}

pub(crate) fn too_old(age: std::time::Duration) -> Result<DateTime<Utc>, Failure> {
    let oldest = chrono::Duration::from_std(age).ok().and_then(|age| session::now().checked_sub_signed(age));
    oldest.ok_or_else(|| Problem::error("`--older-than` reaches before all time").hint("write 30d").into())
}

/// Whether this names a run and no cell: `last`, `last-green`, or a run's id.
pub(crate) fn names_run(text: &str) -> bool {
    let is_id = |text: &str| {
        let parts: Vec<&str> = text.split('-').collect();
        let is = |part: &str, length: usize| part.len() == length && part.bytes().all(|byte| byte.is_ascii_hexdigit());
        matches!(parts[..], [day, time, rest] if is(day, 8) && is(time, 6) && is(rest, 4))
    };
    text == "last" || text == "last-green" || is_id(text)
}

/// Shows a remembered run; further arguments choose its cells.
pub(crate) fn show(project: &Project, arguments: &ShowArguments, console: &Console) -> Result<Exit, Failure> {
    let (wanted, cells) = arguments.cells.split_first().expect("clap asks for at least one");
    if arguments.from.is_some() || arguments.endpoint.is_some() || arguments.samples.is_some() {
        let problem = Problem::error(format!("`{wanted}` names a remembered run, which is shown as it was"));
        return Err(problem.hint("leave `--from`, `--endpoint` and `--samples` out, or name a cell").into());
    }
    let missing = |what: &str| {
        let problem = Problem::error(format!("{what} is remembered"));
        Failure {
            exit: Exit::NothingSelected,
            problems: vec![problem.hint(format!("`promptkeel history` lists the last {KEPT_RUNS} runs"))],
            is_unread: false,
        }
    };
    let Some(store) = store(project)? else { return Err(missing("no run")) };
    let record = match wanted.as_str() {
        "last" => store.last_run().map_err(told)?.ok_or_else(|| missing("no run"))?,
        "last-green" => {
            let runs = store.runs().map_err(told)?;
            let green = runs.iter().find(|run| run.exit == Exit::Holds).ok_or_else(|| missing("no run whose gate held"))?;
            store.run(&green.id).map_err(told)?.ok_or_else(|| missing("no run whose gate held"))?
        }
        id => store.run(id).map_err(told)?.ok_or_else(|| missing(&format!("no run `{id}`")))?,
    };
    let patterns: Vec<Pattern> = cells.iter().map(|text| Pattern::new("show", text)).collect::<Result<_, Problem>>()?;
    let mut record = record;
    if !patterns.is_empty() {
        record.cells.retain(|cell| patterns.iter().any(|pattern| super::show::matches(pattern, &cell.address)));
        if record.cells.is_empty() {
            return Err(missing("no such cell of this run"));
        }
    }
    let suites = store.suites_of_runs().map_err(told)?.remove(&record.head.id).unwrap_or_default();
    if arguments.json {
        let cells = record.cells.iter().map(|cell| ShownCell {
            cell: cell.address.to_string(),
            verdict: cell.verdict,
            keys: cell.keys.iter().map(ToString::to_string).collect(),
            assertions_passed: cell.evidence.as_ref().map(|evidence| evidence.passed),
            fingerprint: cell.evidence.as_ref().map(|evidence| evidence.fingerprint.as_str()),
        });
        console.json(&Shown { run: listed(&record.head, &suites), cells: cells.collect() })?;
        return Ok(Exit::Holds);
    }
    console.text(&text(&record, &suites))?;
    Ok(Exit::Holds)
}

fn text(record: &RunRecord, suites: &[SuiteCounts]) -> String {
    let (head, totals) = (&record.head, &record.head.totals);
    let mut lines = vec![
        format!("run        {}", head.id),
        format!("when       {}, {} ms", head.started_at.format("%Y-%m-%d %H:%M:%S UTC"), head.duration_ms),
        format!("revision   {}", head.revision.as_deref().unwrap_or("none")),
        format!("suites     {}", names(head, suites)),
        format!(
            "cells      {}: {} passed, {} failed, {} errored, {} skipped",
            totals.planned, totals.passed, totals.failed, totals.errored, totals.skipped
        ),
        format!("requests   {} asked, {} already answered", totals.requests_asked, totals.requests_cached),
        format!("cost       {}", cost(head)),
        if is_unfinished(head, suites) {
            "exit       none: it did not finish".to_owned()
        } else {
            format!("exit       {}", head.exit.code())
        },
        String::new(),
    ];
    lines.extend(record.cells.iter().map(|cell| format!("{:<5}  {}", cell.verdict.as_str(), cell.address)));
    lines.push(String::new());
    lines.join("\n")
}
