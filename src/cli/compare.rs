//! `promptkeel compare`: two runs, two models or two versions of a prompt side by side, with a verdict. Nothing is asked.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use clap::Args;

use crate::cli::console::Console;
use crate::cli::formats;
use crate::cli::project::Failure;
use crate::diff::{json_diff, text_diff};
use crate::gate::coverage;
use crate::gate::pairing::Across;
use crate::gate::side_by_side::{self, ArmCells, Incomparable};
use crate::model::comparison::{ComparisonPolicy, LocalPolicy};
use crate::model::gate::Exit;
use crate::model::problem::Problem;
use crate::model::run::{CellResult, RunReport};
use crate::model::side_by_side::{ArmComparison, FindingKind, SCHEMA, ShownPair, SideBySide};
use crate::model::verdict::Diff;
use crate::report::terminal;

/// So many cases, the worst, are kept with the difference of their outputs.
const WITH_DIFFERENCE: usize = 50;

#[derive(Debug, Args)]
#[command(
    after_help = "Nothing is asked. The base comes first, the candidate second; a verdict is one of: worse, not worse, undecided.\n\n\
Examples:
  promptkeel compare main.json branch.json                           two runs, as `run --json` wrote them
  promptkeel compare run.json --models claude-sonnet-4-6 claude-haiku-4-5
  promptkeel compare run.json --prompts ticket-triage@2 ticket-triage@3
  promptkeel compare run.json --against claude-sonnet-4-6            the cheapest model that is not worse
  promptkeel compare main.json branch.json --gate --markdown comparison.md\n\n\
Exit codes: 0 it was compared, whatever came of it; 2 nothing can be compared; 4 nothing is there to be compared. With `--gate` also\n\
1 worse, 3 a verdict is missing, 7 undecided."
)]
pub(crate) struct CompareArguments {
    /// Reports of `run --json` or `merge --json`: the base and the candidate, or one that has both
    #[arg(value_name = "RUN.json", required = true, num_args = 1..=2)]
    pub(crate) reports: Vec<PathBuf>,
    /// Two models, by name: the base and the candidate
    #[arg(long, value_names = ["BASE", "CANDIDATE"], num_args = 2)]
    pub(crate) models: Vec<String>,
    /// Two versions of a prompt, name@version: the base and the candidate
    #[arg(long, value_names = ["BASE", "CANDIDATE"], num_args = 2, conflicts_with = "models")]
    pub(crate) prompts: Vec<String>,
    /// Hold every other model against this one, and name the cheapest that is not worse
    #[arg(long, value_name = "MODEL", conflicts_with_all = ["models", "prompts", "gate"])]
    pub(crate) against: Option<String>,
    /// The loss of pass rate, averaged over all cases, that you would accept: 0.05 is five points
    #[arg(long, value_name = "SHARE", default_value_t = 0.05, value_parser = parse_share)]
    pub(crate) margin: f64,
    /// Confidence of the interval: at 0.9 each of its ends is wrong at most 5 times in 100
    #[arg(long, value_name = "SHARE", default_value_t = 0.9, value_parser = parse_confidence)]
    pub(crate) confidence: f64,
    /// Judge the average over all cases alone, and leave cases that look worse unconfirmed: one that broke may hide in it
    #[arg(long)]
    pub(crate) average_only: bool,
    /// Show every case that differs on the screen, with the difference of its outputs
    #[arg(long)]
    pub(crate) all: bool,
    /// End with 1 where the candidate is worse, with 3 where a verdict is missing, with 7 where it is undecided
    #[arg(long)]
    pub(crate) gate: bool,
    /// Write the comparison as JSON
    #[arg(long, value_name = "FILE", help_heading = "Reports (`-` is standard output)")]
    pub(crate) json: Option<PathBuf>,
    /// Write Markdown for a pull request
    #[arg(long, value_name = "FILE", help_heading = "Reports (`-` is standard output)")]
    pub(crate) markdown: Option<PathBuf>,
    /// Write one self-contained HTML page for a browser, with quality drawn against cost
    #[arg(long, value_name = "FILE", help_heading = "Reports (`-` is standard output)")]
    pub(crate) html: Option<PathBuf>,
}

pub(crate) fn parse_share(text: &str) -> Result<f64, String> {
    let share = text.parse::<f64>().ok().filter(|share| (0.0..=1.0).contains(share));
    share.ok_or_else(|| "write a share from 0 to 1: 0.05 is five points".to_owned())
}

fn parse_confidence(text: &str) -> Result<f64, String> {
    let share = text.parse::<f64>().ok().filter(|share| (0.5..=0.9999).contains(share));
    share.ok_or_else(|| "write a share from 0.5 to 0.9999: 0.9 is 90 %".to_owned())
}

/// Compares what the reports have.
pub(crate) fn run(current: &Path, arguments: &CompareArguments, console: &Console) -> Result<Exit, Failure> {
    let outputs =
        formats::open_of_comparison(arguments.json.as_deref(), arguments.markdown.as_deref(), arguments.html.as_deref(), current)?;
    let reports = arguments.reports.iter().map(|path| formats::read(current, path)).collect::<Result<Vec<_>, _>>()?;
    let names: Vec<String> = arguments.reports.iter().map(|path| path.display().to_string()).collect();
    let (Some(baseline), Some(candidate)) = (reports.first(), reports.last()) else {
        return Err(Problem::error("no run report is given").hint("`promptkeel compare BASE.json CANDIDATE.json`").into());
    };
    let policy = policy(arguments);
    let (cheapest, mut comparisons) = match &arguments.against {
        Some(model) if reports.len() == 1 => {
            let (baseline, candidates) = against(baseline, model)?;
            let (cheapest, comparisons) = side_by_side::against(&baseline, &candidates, policy).map_err(|error| failure(&error))?;
            (Some(cheapest), comparisons)
        }
        Some(_) => {
            return Err(Problem::error("`--against` compares the models of one run report, and two are given")
                .hint("give one report, or `--models BASE CANDIDATE` with two")
                .into());
        }
        None => {
            let part = baseline.run.filtered || baseline.run.shard.is_some() || baseline.exit == Exit::Interrupted;
            let (across, baseline, candidate) = arms(arguments, baseline, candidate, &names)?;
            let comparison = side_by_side::compare(across, &baseline, &candidate, policy).map_err(|error| failure(&error))?;
            (None, vec![coverage::held(across, part, &[baseline, candidate], comparison)])
        }
    };
    comparisons.iter_mut().for_each(tell_apart);
    let exit = match comparisons.as_slice() {
        [comparison] if arguments.gate => side_by_side::exit(comparison),
        _ => Exit::Holds,
    };
    let tool = format!("promptkeel {}", env!("CARGO_PKG_VERSION"));
    let compared = SideBySide { schema: SCHEMA.to_owned(), tool, cheapest, comparisons };
    let to_stdout = !outputs.uses_stdout();
    formats::commit(outputs, &compared)?;
    if to_stdout {
        let mut out = console.out();
        terminal::side_by_side(&compared, arguments.all, &mut out, console.style())
            .and_then(|()| std::io::Write::flush(&mut out))
            .map_err(Console::broken)?;
    }
    Ok(exit)
}

fn policy(arguments: &CompareArguments) -> ComparisonPolicy {
    let local = (!arguments.average_only).then(LocalPolicy::default);
    ComparisonPolicy { alpha: (1.0 - arguments.confidence) / 2.0, margin: arguments.margin, local, look: None, family: 1 }
}

/// Which cells stand on which side.
fn arms<'a>(
    arguments: &CompareArguments,
    baseline: &'a RunReport,
    candidate: &'a RunReport,
    names: &[String],
) -> Result<(Across, ArmCells<'a>, ArmCells<'a>), Failure> {
    let is_one = arguments.reports.len() == 1;
    if let [one, other] = arguments.models.as_slice() {
        return Ok((Across::Models, of_model(baseline, one)?, of_model(candidate, other)?));
    }
    if let [one, other] = arguments.prompts.as_slice() {
        return Ok((Across::Versions, of_version(baseline, one)?, of_version(candidate, other)?));
    }
    if !is_one {
        let whole = |report: &'a RunReport, name: Option<&String>| ArmCells {
            name: name.cloned().unwrap_or_default(),
            run: report.run.id.clone(),
            cells: report.cells.iter().collect(),
        };
        return Ok((Across::Runs, whole(baseline, names.first()), whole(candidate, names.last())));
    }
    let (models, versions) = (models(baseline), versions(baseline));
    match (models.as_slice(), versions.as_slice()) {
        ([one, other], [_]) => Ok((Across::Models, of_model(baseline, one)?, of_model(baseline, other)?)),
        ([_], [one, other]) => Ok((Across::Versions, of_version(baseline, one)?, of_version(baseline, other)?)),
        _ => {
            let problem = Problem::error(format!(
                "one run report is given, and it does not say what to compare: it has {} and {}",
                listed("model", &models),
                listed("prompt version", &versions)
            ));
            Err(problem
                .hint("add `--models BASE CANDIDATE`, `--prompts NAME@2 NAME@3` or `--against MODEL`, or give a second report")
                .into())
        }
    }
}

/// The model that the others are held against, and the others.
fn against<'a>(report: &'a RunReport, model: &str) -> Result<(ArmCells<'a>, Vec<ArmCells<'a>>), Failure> {
    let baseline = of_model(report, model)?;
    let others = models(report).into_iter().filter(|other| *other != baseline.name);
    let others = others.map(|other| of_model(report, &other)).collect::<Result<Vec<_>, _>>()?;
    if others.is_empty() {
        let problem = Problem::error(format!("the run has no other model than `{}`", baseline.name));
        return Err(Failure::of(Exit::NothingSelected, problem.hint("list several models in the suite, and run it")));
    }
    Ok((baseline, others))
}

/// The cells of a model, by its label or, where only one label stands for it, by its id.
fn of_model<'a>(report: &'a RunReport, model: &str) -> Result<ArmCells<'a>, Failure> {
    let labelled = |cell: &&CellResult| &*cell.address.model == model;
    let mut cells: Vec<&CellResult> = report.cells.iter().filter(labelled).collect();
    if cells.is_empty() {
        cells = report.cells.iter().filter(|cell| &*cell.model_id == model).collect();
    }
    let names: BTreeSet<&str> = cells.iter().map(|cell| &*cell.address.model).collect();
    let mut names = names.into_iter();
    match (names.next(), names.next()) {
        (Some(name), None) => Ok(ArmCells { name: name.to_owned(), run: report.run.id.clone(), cells }),
        (Some(one), Some(other)) => {
            Err(Problem::error(format!("`{model}` is asked under several names: {one}, {other}")).hint("give one of the names").into())
        }
        (None, _) => Err(nothing(report, &format!("no model `{model}`"), &listed("model", &models(report)))),
    }
}

/// The cells of a version, `ticket-triage@3`.
fn of_version<'a>(report: &'a RunReport, version: &str) -> Result<ArmCells<'a>, Failure> {
    let cells: Vec<&CellResult> = report.cells.iter().filter(|cell| version_of(cell) == version).collect();
    if cells.is_empty() {
        return Err(nothing(report, &format!("no prompt version `{version}`"), &listed("prompt version", &versions(report))));
    }
    Ok(ArmCells { name: version.to_owned(), run: report.run.id.clone(), cells })
}

fn nothing(report: &RunReport, what: &str, has: &str) -> Failure {
    let problem = Problem::error(format!("the run {} has {what}", report.run.id));
    Failure::of(Exit::NothingSelected, problem.hint(format!("it has {has}")))
}

fn models(report: &RunReport) -> Vec<String> {
    distinct(report.cells.iter().map(|cell| cell.address.model.to_string()))
}

/// In the order of their numbers where they are of one prompt.
fn versions(report: &RunReport) -> Vec<String> {
    let mut cells: Vec<&CellResult> = report.cells.iter().collect();
    cells.sort_by(|one, other| (&one.address.prompt, one.address.version).cmp(&(&other.address.prompt, other.address.version)));
    distinct(cells.into_iter().map(version_of))
}

fn version_of(cell: &CellResult) -> String {
    format!("{}@{}", cell.address.prompt, cell.address.version)
}

fn distinct(names: impl Iterator<Item = String>) -> Vec<String> {
    let mut known = BTreeSet::new();
    names.filter(|name| known.insert(name.clone())).collect()
}

/// `2 models (a, b)`, and no more than somebody reads.
fn listed(noun: &str, names: &[String]) -> String {
    let shown = names.iter().take(10).map(String::as_str).collect::<Vec<_>>().join(", ");
    let more = if names.len() > 10 { ", …" } else { "" };
    format!("{} ({shown}{more})", crate::cli::console::counted(names.len(), noun))
}

fn failure(error: &Incomparable) -> Failure {
    let problem = Problem::error(error.to_string());
    match error {
        Incomparable::NothingInCommon => {
            let hint = "cases are paired by suite and id; compare runs of the same suites";
            Failure::of(Exit::NothingSelected, problem.hint(hint))
        }
        Incomparable::AllLeftOut { first, .. } => problem
            .hint(match first {
                FindingKind::SameAnswers => {
                    "replayed answers are no evidence of their own: `promptkeel run --cache refresh` asks anew, and keeps the old answers"
                }
                FindingKind::Simulated => "run both against the same endpoint",
                FindingKind::Model => "`--models BASE CANDIDATE` compares two models",
                _ => "run both arms from the same suites and fixtures: let only what is judged differ",
            })
            .into(),
    }
}

/// The same for the comparisons of a run.
pub(crate) fn tell_all_apart(report: &mut RunReport) {
    report.comparisons.iter_mut().filter_map(|comparison| comparison.compared.as_mut()).for_each(tell_apart);
}

/// Makes the differences of the outputs, of the worst cases: JSON by path where both are, else words.
fn tell_apart(comparison: &mut ArmComparison) {
    let worst = comparison.differing.iter_mut().take(WITH_DIFFERENCE).filter_map(|case| case.shown.as_mut());
    for shown in worst {
        shown.diff = Some(difference(shown));
    }
}

fn difference(shown: &ShownPair) -> Diff {
    let json = |text: &str| serde_json::from_str::<serde_json::Value>(text).ok().filter(|value| value.is_object() || value.is_array());
    match (json(&shown.baseline_output), json(&shown.candidate_output)) {
        (Some(old), Some(new)) => Diff::Json(json_diff(&old, &new)),
        _ => Diff::Text(text_diff(&shown.baseline_output, &shown.candidate_output)),
    }
}
