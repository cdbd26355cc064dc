//! `promptkeel accept --from RUN.json`: the outputs of a run that was made elsewhere become snapshots, and nobody is asked again.
//!
//! What a report says is only taken for cells that the project still has in the same form; paths come from the project, never from the
//! report.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use crate::cli::arguments::review::DecideArguments;
use crate::cli::arguments::{AnswerArguments, SelectionArguments};
use crate::cli::console::{Console, counted};
use crate::cli::formats;
use crate::cli::project::{Failure, Project};
use crate::cli::{recordings, session};
use crate::model::gate::Exit;
use crate::model::problem::{Problem, Severity};
use crate::model::run::{CellResult, ReplyFacts, RunReport};
use crate::model::suite::SourceFile;
use crate::runner::fingerprint;
use crate::runner::plan::PlannedCell;
use crate::snapshot::folder::{Folder, Owner};
use crate::snapshot::format;
use crate::snapshot::output::{Output, Snapshot};
use crate::snapshot::pending::Patterns;
use crate::snapshot::policy::Action;

/// An output to be written.
struct Adopted<'a> {
    cell: &'a PlannedCell,
    result: &'a CellResult,
    path: &'a str,
    output: Snapshot,
}

/// Accepts every selected output of the report, or none if one of them cannot be taken.
pub(crate) fn run(
    project: &Project,
    current: &Path,
    path: &Path,
    which: &DecideArguments,
    add: bool,
    console: &Console,
) -> Result<Exit, Failure> {
    let report = formats::read(current, path)?;
    let mut patterns = Patterns::compile(&which.globs).map_err(|error| Problem::from(&error))?;
    let wanted: Vec<&CellResult> = report
        .cells
        .iter()
        .filter(|cell| cell.candidate.is_some())
        .filter(|cell| patterns.select(cell.snapshot_path.as_deref().unwrap_or_default(), &cell.address.to_string()))
        .collect();
    let unmatched = patterns.unmatched();
    if !unmatched.is_empty() {
        let problem = |pattern: &String| {
            Problem::error(format!("`{pattern}` matches no new or changed output of `{}`", path.display()))
                .hint("`promptkeel report RUN.json` shows what the run found")
        };
        return Err(Failure { exit: Exit::NothingSelected, problems: unmatched.iter().map(problem).collect(), is_unread: false });
    }
    let session = session::open(project, &SelectionArguments::default(), &AnswerArguments::default(), session::now())?;
    let planned: BTreeMap<String, &PlannedCell> = session.plan.cells.iter().map(|cell| (cell.address().to_string(), cell)).collect();
    let folder = session::folder(project);
    let mut adopted = Vec::new();
    let mut problems = Vec::new();
    for result in wanted {
        match adopt(result, &report, &planned, &folder, add) {
            Ok(output) => adopted.push(output),
            Err(problem) => problems.push(problem),
        }
    }
    if !problems.is_empty() {
        problems.push(Problem::note("nothing was accepted").hint("leave those cells out with a GLOB, or run again"));
        return Err(problems.into());
    }
    let mut unwritten = Vec::new();
    let mut accepted = Vec::new();
    let action = if add { Action::Extend } else { Action::Accept };
    for Adopted { cell, result, path, output } in &adopted {
        let owner = Owner { suite: &cell.variant.suite.name, path, version: &cell.variant.version };
        match folder.carry_out(action, owner, output, &cell.variant.comparison) {
            Ok(_) => {
                accepted.push((*cell, *result));
                console.line(format_args!("accepted {path}"))?;
            }
            Err(error) => unwritten.push(Problem::from(&error)),
        }
    }
    console.line(format_args!("{} accepted from run {}", counted(accepted.len(), "output"), report.run.id.escape_debug()))?;
    unwritten.extend(recordings::of_adopted(project, &accepted, console));
    console.problems(&unwritten);
    unwritten.retain(|problem| problem.severity == Severity::Error);
    Ok(if unwritten.is_empty() { Exit::Holds } else { Exit::NotWritten })
}

/// The output of a cell, if the cell is still what the run asked.
fn adopt<'a>(
    result: &'a CellResult,
    report: &RunReport,
    planned: &BTreeMap<String, &'a PlannedCell>,
    folder: &Folder,
    add: bool,
) -> Result<Adopted<'a>, Problem> {
    let address = result.address.to_string();
    let refused = |why: String| Problem::error(format!("the output of {} cannot be accepted: {why}", address.escape_debug()));
    let cell = planned.get(&address).copied().ok_or_else(|| refused("no suite has this cell any more".to_owned()))?;
    let Some(path) = cell.snapshot_path.as_deref() else {
        return Err(refused("it keeps no snapshot any more (a newer version of the prompt, or `snapshot: {compare: off}`)".to_owned()));
    };
    let changed = changed(result, report, cell);
    if !changed.is_empty() {
        return Err(refused(format!("{} changed since run {}", changed.join(", "), report.run.id.escape_debug()))
            .hint("run again: what is the same is answered from the store"));
    }
    let text = result.candidate.as_deref().unwrap_or_default();
    let output = format::read(text).map_err(|error| refused(format!("the report holds no snapshot for it: {error}")))?;
    let named = format!("{}@{}", cell.variant.prompt_name, cell.variant.version.version);
    if output.prompt != named || output.model != *cell.variant.model_id {
        return Err(refused(format!(
            "the report holds an output of {} from {}",
            output.prompt.escape_debug(),
            output.model.escape_debug()
        )));
    }
    if let Some(why) = contradicted(&output, result) {
        return Err(refused(format!("the replies of the same report do not give it: {why}"))
            .hint("the report was changed after `promptkeel run --json FILE` wrote it; take the original, or run again"));
    }
    // By a comparison of then the output may leave replies out that are further variants by now, or be laid out as nothing is by now.
    let output = cell.variant.comparison.distinct(&given(result, cell, &output));
    folder.spare_real(path, &output).map_err(|error| refused(error.to_string()).hint(error.hint()))?;
    if add {
        match folder.read(path) {
            Err(error) => return Err(refused(format!("it cannot stand beside what is accepted: {error}")).hint(error.hint())),
            Ok(Some(there)) if there.simulated != output.simulated => {
                return Err(refused(format!("a real output does not stand beside a simulated one (`{path}`)"))
                    .hint("accept it without `--add`: it replaces what the simulator said"));
            }
            Ok(_) => {}
        }
    }
    Ok(Adopted { cell, result, path, output })
}

/// What of an output is not what its replies say, by the report's names. A report is passed from machine to machine, and may be edited on
/// its way.
fn contradicted(output: &Snapshot, result: &CellResult) -> Option<String> {
    let replies = || result.samples.iter().filter_map(|sample| sample.reply.as_ref());
    let is_simulated = replies().any(|reply| reply.simulated);
    if is_simulated != output.simulated {
        let who = if is_simulated { "a simulator" } else { "a real endpoint" };
        return Some(format!("`simulated` is {}, and {who} answered", output.simulated));
    }
    output.outputs.iter().zip(1..).find_map(|(output, number)| {
        let unlike = |reply: &ReplyFacts| output.unlike_reply(reply.stop_reason.as_str(), &reply.text, &reply.other_blocks);
        let Some(unlike) = replies().map(unlike).min_by_key(Vec::len) else { return Some("there is no reply".to_owned()) };
        let named: Vec<String> = unlike.iter().map(|field| format!("`{field}`")).collect();
        (!unlike.is_empty()).then(|| format!("{} of output {number} is another", named.join(", ")))
    })
}

/// The replies of the report as a snapshot, as the suite lays them out by now. A report keeps texts apart from other blocks: those of one
/// reply stand as they do in `output`, where that says the same.
fn given(result: &CellResult, cell: &PlannedCell, output: &Snapshot) -> Snapshot {
    let suite = &cell.variant.suite;
    let replies = result.samples.iter().filter_map(|sample| sample.reply.as_ref());
    let laid = replies
        .map(|reply| Output::new(reply.stop_reason.as_str(), &[&reply.text], &reply.other_blocks, suite.snapshot.compare, suite.parse));
    let outputs = laid.map(|laid| output.outputs.iter().find(|there| there.says_what(&laid)).cloned().unwrap_or(laid));
    Snapshot { outputs: outputs.collect(), ..output.clone() }
}

/// What is not as it was, by name.
fn changed(result: &CellResult, report: &RunReport, cell: &PlannedCell) -> Vec<String> {
    let now = fingerprint::digests(cell, None);
    let then = &result.digests;
    let mut changed = Vec::new();
    if now.prompt != then.prompt {
        changed.push(format!("the prompt `{}`", cell.variant.version.file.path));
    }
    let is_known = |fixture: &&SourceFile| !then.fixtures.contains(fixture);
    changed.extend(now.fixtures.iter().filter(is_known).map(|fixture| format!("the fixture `{}`", fixture.path)));
    if now.variables != then.variables && now.fixtures == then.fixtures {
        changed.push(format!("the variables of case `{}` ({})", cell.case.id, cell.case.site));
    } else if now.variables != then.variables && changed.is_empty() {
        changed.push(format!("the fixtures of case `{}` ({})", cell.case.id, cell.case.site));
    }
    let parameters = result.request.as_ref().and_then(|request| report.texts.get(request.parameters as usize));
    if parameters.map(Arc::as_ref) != Some(&*cell.variant.parameters) {
        changed.push("the request parameters".to_owned());
    }
    changed
}
