//! `--json`, `--junit`, `--markdown`, `--html`, `--csv`, `--events`: which reports go where? And `report` and `merge`, which write them later.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::cli::arguments::reports::{FormatArguments, GithubArgument, MergeArguments, MergeUnreferenced, ReportArguments};
use crate::cli::baseline::blessed;
use crate::cli::compare;
use crate::cli::console::Console;
use crate::cli::github::Github;
use crate::cli::project::{self, Failure};
use crate::model::calibration::Calibration;
use crate::model::gate::Exit;
use crate::model::problem::Problem;
use crate::model::run::RunReport;
use crate::model::side_by_side::SideBySide;
use crate::model::suite::Suite;
use crate::report::files::{Content, OutputError, Outputs, Wanted};
use crate::report::json::{self, ReadError};
use crate::report::{Format, terminal};
use crate::runner::{evidence, merge, right_size};
use crate::source::tree::read_regular;

/// Largest run report that is read: 100,000 cells with their outputs are well below.
const LARGEST_REPORT: u64 = 1 << 30;

/// Opens every output before anything is sent.
pub(crate) fn open(formats: &FormatArguments, events: Option<&Path>, current: &Path, kept: &Kept) -> Result<Outputs, Failure> {
    let junit = Format::Junit { strict: formats.junit_strict };
    let wanted = [
        ("--json", formats.json.as_deref(), Content::Report(Format::Json)),
        ("--junit", formats.junit.as_deref(), Content::Report(junit)),
        ("--markdown", formats.markdown.as_deref(), Content::Report(Format::Markdown)),
        ("--html", formats.html.as_deref(), Content::Report(Format::Html)),
        ("--csv", formats.csv.as_deref(), Content::Report(Format::Csv)),
        ("--events", events, Content::Events),
    ];
    let wanted = wanted.into_iter().filter_map(|(flag, path, content)| {
        let path = path?;
        let path = if path == Path::new("-") { path.to_path_buf() } else { current.join(path) };
        Some(Wanted { flag: flag.to_owned(), path, content })
    });
    let wanted: Vec<Wanted> = wanted.collect();
    let taken: Vec<Problem> = wanted.iter().filter_map(|wanted| kept.problem(wanted)).collect();
    if !taken.is_empty() {
        return Err(taken.into());
    }
    Outputs::open(wanted).map_err(|error| output_failure(&error))
}

/// Files of a project that no report may be written over.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    /// What the suites were read from, canonical.
    files: HashSet<PathBuf>,
    /// The store and the snapshots, canonical.
    folders: Vec<PathBuf>,
}

impl Kept {
    /// Everything that a run reads, its store and its snapshots.
    pub(crate) fn of(root: &Path, store: &Path, suites: &[Arc<Suite>]) -> Self {
        let files = suites.iter().flat_map(|suite| &suite.files).map(|file| root.join(&*file.path));
        let settings = [root.join("promptkeel.toml"), root.join(blessed::FILE)];
        let canonical = |path: PathBuf| path.canonicalize().ok();
        Self {
            files: files.chain(settings).filter_map(canonical).collect(),
            folders: [store.to_path_buf(), root.join("snapshots"), root.join("recordings")].into_iter().filter_map(canonical).collect(),
        }
    }

    fn problem(&self, wanted: &Wanted) -> Option<Problem> {
        let name = wanted.path.file_name()?;
        let folder = wanted.path.parent().unwrap_or(Path::new("."));
        let path = wanted.path.canonicalize().or_else(|_| folder.canonicalize().map(|folder| folder.join(name))).ok()?;
        let kept = self.files.contains(&path) || self.folders.iter().any(|folder| path.starts_with(folder));
        kept.then(|| {
            Problem::error(format!("`{} {}` would write over what the project is made of", wanted.flag, wanted.path.display()))
                .hint("name a file of its own for the report, such as reports/run.json")
        })
    }
}

/// `promptkeel report`: renders a run again; the exit code is the run's own.
pub(crate) fn report(current: &Path, arguments: &ReportArguments, console: &Console) -> Result<Exit, Failure> {
    let report = read(current, &arguments.run)?;
    write(&report, &arguments.formats, arguments.github, current, console)
}

/// `promptkeel merge`: the shards of one run, judged as a whole.
pub(crate) fn merge(current: &Path, arguments: &MergeArguments, console: &Console) -> Result<Exit, Failure> {
    let reports = arguments.runs.iter().map(|path| read(current, path)).collect::<Result<Vec<_>, _>>()?;
    let parts: Vec<Option<u32>> = reports.iter().map(|report| report.run.shard.map(|shard| shard.index)).collect();
    let file = |part: u32| parts.iter().zip(&arguments.runs).find(|(index, _)| **index == Some(part)).map(|(_, path)| path.display());
    let refused = |error: merge::MergeError| {
        let problem = Problem::error(error.to_string());
        match error.parts().map(|pair| pair.map(file)) {
            Some([Some(one), Some(other)]) => {
                problem.hint(format!("one of `{one}` and `{other}` was made before an edit: run that shard again, on the same files"))
            }
            _ => problem.hint("give every `--json` report of one `--shard I/N` run, each once"),
        }
    };
    let mut report = merge::merge(reports, arguments.unreferenced == MergeUnreferenced::Reject).map_err(refused)?;
    // The settings' prices stand in no report, so that hints which need prices are left to the parts.
    let known = right_size::Known { catalog: None, uncached: &HashSet::new(), texts: &report.texts };
    report.right_size = right_size::hints(&report.cells, known);
    compare::tell_all_apart(&mut report);
    write(&report, &arguments.formats, arguments.github.github, current, console)
}

/// Reads a run report.
pub(crate) fn read(current: &Path, path: &Path) -> Result<RunReport, Failure> {
    let cannot = |error: &ReadError| {
        Failure::from(Problem::error(format!("cannot read the run report `{}`: {error}", path.display())).hint(error.hint()))
    };
    let bytes = read_regular(&current.join(path), LARGEST_REPORT).map_err(|error| {
        let problem = Problem::error(format!("cannot open the run report `{}`: {error}", path.display()));
        Failure::from(problem.hint("pass a file that `promptkeel run --json FILE` wrote"))
    })?;
    let report = json::read(&*bytes).map_err(|error| cannot(&error))?;
    // Nothing is believed that the cells do not bear out: a report is passed from machine to machine.
    let mut report = evidence::borne_out(report).map_err(|error| {
        let problem = Problem::error(format!("the run report `{}` cannot be believed: {error}", path.display()));
        Failure::from(problem.hint("it was changed or cut after `promptkeel run --json FILE` wrote it; take the original, or run again"))
    })?;
    compare::tell_all_apart(&mut report);
    Ok(report)
}

fn write(
    report: &RunReport,
    formats: &FormatArguments,
    github: GithubArgument,
    current: &Path,
    console: &Console,
) -> Result<Exit, Failure> {
    let outputs = open(formats, None, current, &Kept::default())?;
    let to_stdout = !outputs.uses_stdout();
    written(outputs.commit(report))?;
    if to_stdout {
        let mut out = console.out();
        terminal::summary(report, &mut out, console.style()).and_then(|()| std::io::Write::flush(&mut out)).map_err(Console::broken)?;
    }
    if let Some(github) = Github::of(github, &project::root(current)) {
        github.tell(report, console);
    }
    Ok(report.exit)
}

/// Opens the outputs of a comparison.
pub(crate) fn open_of_comparison(
    json: Option<&Path>,
    markdown: Option<&Path>,
    html: Option<&Path>,
    current: &Path,
) -> Result<Outputs, Failure> {
    let [json, markdown, html] = [json, markdown, html].map(|path| path.map(Path::to_path_buf));
    let formats = FormatArguments { json, markdown, html, ..FormatArguments::default() };
    open(&formats, None, current, &Kept::default())
}

/// Opens the outputs of a calibration.
pub(crate) fn open_of_calibration(json: Option<&Path>, markdown: Option<&Path>, current: &Path, kept: &Kept) -> Result<Outputs, Failure> {
    let formats =
        FormatArguments { json: json.map(Path::to_path_buf), markdown: markdown.map(Path::to_path_buf), ..FormatArguments::default() };
    open(&formats, None, current, kept)
}

/// Writes a calibration to its outputs.
pub(crate) fn commit_calibration(outputs: Outputs, calibration: &Calibration) -> Result<(), Failure> {
    written(outputs.commit_with(|format, out| crate::report::write_calibration(format, calibration, out)))
}

/// Writes a comparison to its outputs.
pub(crate) fn commit(outputs: Outputs, compared: &SideBySide) -> Result<(), Failure> {
    written(outputs.commit_with(|format, out| crate::report::write_side_by_side(format, compared, out)))
}

/// What nobody reads on is no failure here: the same command gives it again, where the report of a run is lost.
fn written(done: Result<(), Vec<OutputError>>) -> Result<(), Failure> {
    let mut errors = done.err().unwrap_or_default();
    errors.retain(|error| !error.is_unread());
    if errors.is_empty() {
        return Ok(());
    }
    let problems = errors.iter().map(|error| Problem::error(error.to_string()).hint(error.hint())).collect();
    Err(Failure { exit: Exit::NotWritten, problems, is_unread: false })
}

fn output_failure(error: &OutputError) -> Failure {
    Failure::of(error.exit(), Problem::error(error.to_string()).hint(error.hint()))
}
