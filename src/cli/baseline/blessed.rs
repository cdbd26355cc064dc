//! `promptkeel baseline`: which run was blessed, in a file that is committed, so that CI compares with it where the store is missing?

use std::collections::{BTreeMap, HashSet};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use crate::cli::arguments::baseline::{BaselineArguments, BaselineCommand};
use crate::cli::baseline::gone::{Before, Present};
use crate::cli::console::{Console, counted};
use crate::cli::project::{Failure, Project};
use crate::cli::{formats, history};
use crate::model::baseline::{BLESSED, Baseline, Blessed, KeptCell};
use crate::model::catalog::Catalog;
use crate::model::gate::Exit;
use crate::model::problem::Problem;
use crate::model::run::RunInfo;
use crate::model::verdict::Verdict;
use crate::source::tree::read_regular;
use crate::store::Store;
use crate::store::history::{RunHead, RunRecord};

/// How it is asked for.
pub(crate) const REFERENCE: &str = "blessed";

/// The file, in the project's root.
pub(crate) const FILE: &str = "promptkeel.baseline.json";

/// 10,000 cells of ten samples are a tenth of it.
const LARGEST: u64 = 256 << 20;

/// Sets, shows or clears what is blessed.
pub(crate) fn run(project: &Project, arguments: &BaselineArguments, console: &Console) -> Result<Exit, Failure> {
    match &arguments.command {
        BaselineCommand::Set { reference } => set(project, reference, console),
        BaselineCommand::Show { json } => show(project, *json, console),
        BaselineCommand::Clear => clear(project, console),
    }
}

/// What is blessed, for a run to be compared with; the replies that the store has are known again.
pub(crate) fn baseline(project: &Project, store: &Store, suites: &HashSet<&str>, present: Present<'_>) -> Result<Baseline, Failure> {
    let catalog: &Catalog = &project.catalog;
    let Some(blessed) = read(project)? else {
        let problem = Problem::error(format!("baseline `{REFERENCE}`: there is no {FILE}"));
        return Err(problem.hint("`promptkeel baseline set` writes it; `--baseline none` compares with nothing").into());
    };
    let mut gated = Before::default();
    for cell in blessed.cells.iter().filter(|cell| cell.gated) {
        gated.add(&cell.address.suite, &cell.address.case, &cell.variables);
    }
    let cells = blessed.cells.iter().filter(|cell| suites.contains(&*cell.address.suite));
    Ok(Baseline {
        reference: REFERENCE.to_owned(),
        run: Some(blessed.run.clone()),
        revision: blessed.revision.clone(),
        started_at: Some(blessed.started_at),
        part: blessed.part,
        gone: present.gone(&gated),
        renamed: present.renamed(&gated),
        cells: cells.map(|cell| super::known_again(store, catalog, cell)).collect::<Result<_, _>>()?,
        ..Baseline::default()
    })
}

fn set(project: &Project, reference: &str, console: &Console) -> Result<Exit, Failure> {
    let (mut blessed, exit) = if history::names_run(reference) {
        let record = remembered(project, reference)?;
        let RunHead { id, started_at, revision, filtered, exit, .. } = record.head.clone();
        let tool = format!("promptkeel {}", env!("CARGO_PKG_VERSION"));
        let cells = record.cells.into_iter().filter_map(|cell| cell.kept).collect();
        let part = filtered || exit == Exit::Interrupted;
        (Blessed { schema: BLESSED.to_owned(), tool, run: id, started_at, revision, part, digest: String::new(), cells }, exit)
    } else {
        let report = formats::read(&project.current, Path::new(reference))?;
        let RunInfo { id, started_at, revision, tool, filtered, shard, .. } = report.run;
        let cells = report.cells.iter().filter_map(KeptCell::of).collect();
        let part = filtered || shard.is_some() || report.exit == Exit::Interrupted;
        (Blessed { schema: BLESSED.to_owned(), tool, run: id, started_at, revision, part, digest: String::new(), cells }, report.exit)
    };
    if blessed.cells.is_empty() {
        let problem = Problem::error(format!("of run {} too little is remembered to bless it", blessed.run));
        return Err(problem.hint("an earlier version of promptkeel made it; run again").into());
    }
    blessed.digest = digest(&blessed);
    if exit != Exit::Holds {
        let problem = Problem::warning(format!("the gate of run {} did not hold (exit {})", blessed.run, exit.code()));
        console.problems(&[problem.hint("later runs are held against it all the same; `promptkeel history` lists those that held")]);
    }
    if blessed.part {
        let problem =
            Problem::warning(format!("run {} has only some of the cells, and nothing is compared with what it lacks", blessed.run));
        console.problems(&[problem.hint("bless a run of everything")]);
    }
    write(&path(project), &blessed)?;
    console.line(format_args!("{} is blessed: {}; commit {FILE}", blessed.run, summary(&blessed)))?;
    Ok(Exit::Holds)
}

/// The newest remembered run, the newest whose gate held, or the one of this id.
fn remembered(project: &Project, reference: &str) -> Result<RunRecord, Failure> {
    let missing = || {
        let problem = Problem::error(format!("`{reference}` names no run that is remembered"));
        Failure::from(problem.hint("`promptkeel history` lists what is; a report file can be blessed too"))
    };
    if !project.store_folder().exists() {
        return Err(missing());
    }
    let store = Store::open_to_read(&project.store_folder()).map_err(super::told)?;
    let runs = store.runs().map_err(super::told)?;
    let finished = |run: &&RunHead| run.totals.passed + run.totals.failed + run.totals.errored > 0;
    let id = match reference {
        "last" => runs.iter().find(finished).map(|run| run.id.clone()),
        "last-green" => runs.iter().filter(finished).find(|run| run.exit == Exit::Holds).map(|run| run.id.clone()),
        id => Some(id.to_owned()),
    };
    store.run(&id.ok_or_else(missing)?).map_err(super::told)?.ok_or_else(missing)
}

fn show(project: &Project, json: bool, console: &Console) -> Result<Exit, Failure> {
    let Some(blessed) = read(project)? else {
        let problem = Problem::error("nothing is blessed").hint("`promptkeel baseline set` blesses the last run whose gate held");
        return Err(Failure::of(Exit::NothingSelected, problem));
    };
    if json {
        console.json(&blessed)?;
        return Ok(Exit::Holds);
    }
    let mut suites: BTreeMap<&str, Vec<&KeptCell>> = BTreeMap::new();
    for cell in &blessed.cells {
        suites.entry(&cell.address.suite).or_default().push(cell);
    }
    let mut lines = vec![
        format!("run       {}", blessed.run),
        format!("when      {}", blessed.started_at.format("%Y-%m-%d %H:%M:%S UTC")),
        format!("revision  {}", blessed.revision.as_deref().unwrap_or("none")),
    ];
    for (suite, cells) in suites {
        let (passed, judged) = counts(cells.iter().copied());
        lines.push(format!("suite     {suite}: {}, {passed} of {judged} samples passed", counted(cells.len(), "cell")));
    }
    lines.push(String::new());
    console.text(&lines.join("\n"))?;
    Ok(Exit::Holds)
}

fn clear(project: &Project, console: &Console) -> Result<Exit, Failure> {
    match std::fs::remove_file(path(project)) {
        Ok(()) => console.line(format_args!("nothing is blessed any more: {FILE} is deleted"))?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => console.line(format_args!("nothing was blessed"))?,
        Err(error) => {
            let problem = Problem::error(format!("cannot delete {FILE}: {error}"));
            return Err(Failure::of(Exit::NotWritten, problem.hint("look at the permissions of the project's folder")));
        }
    }
    Ok(Exit::Holds)
}

fn path(project: &Project) -> PathBuf {
    project.root.join(FILE)
}

/// `2 suites, 42 cells, 120 of 126 samples passed`.
fn summary(blessed: &Blessed) -> String {
    let suites: HashSet<&str> = blessed.cells.iter().map(|cell| &*cell.address.suite).collect();
    let (passed, judged) = counts(blessed.cells.iter());
    let (suites, cells) = (counted(suites.len(), "suite"), counted(blessed.cells.len(), "cell"));
    format!("{suites}, {cells}, {passed} of {judged} samples passed")
}

fn counts<'a>(cells: impl Iterator<Item = &'a KeptCell>) -> (usize, usize) {
    let verdicts: Vec<Verdict> = cells.flat_map(|cell| &cell.samples).map(|sample| sample.verdict).collect();
    let count = |wanted| verdicts.iter().filter(|verdict| **verdict == wanted).count();
    (count(Verdict::Pass), count(Verdict::Pass) + count(Verdict::Fail))
}

fn read(project: &Project) -> Result<Option<Blessed>, Failure> {
    let wrong = |reason: String| {
        let problem = Problem::error(format!("cannot read {FILE}: {reason}"));
        Failure::from(problem.hint("`promptkeel baseline set` writes it; take it from version control, or set it again"))
    };
    let bytes = match read_regular(&path(project), LARGEST) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(wrong(error.to_string())),
    };
    let blessed: Blessed = serde_json::from_slice(bytes.as_ref()).map_err(|error| wrong(error.to_string()))?;
    if blessed.schema != BLESSED {
        return Err(wrong(format!(
            "its schema is `{}`, and this version reads `{BLESSED}`",
            crate::report::visible::brief(&blessed.schema, 60)
        )));
    }
    if blessed.digest != digest(&blessed) {
        return Err(wrong("its digest is not that of what it says: it was edited, or put together of two".to_owned()));
    }
    Ok(Some(blessed))
}

/// Of everything that a comparison reads.
fn digest(blessed: &Blessed) -> String {
    let mut hash = blake3::Hasher::new();
    for part in [one(&blessed.run), one(&blessed.started_at), one(&blessed.revision), one(&blessed.part)] {
        hash.update(part.as_bytes()).update(b"\n");
    }
    for cell in &blessed.cells {
        hash.update(one(cell).as_bytes()).update(b"\n");
    }
    hash.finalize().to_hex().to_string()
}

fn one(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("strings, numbers and dates always serialise")
}

/// A line a cell, so that a difference of two of these files can be read; whole or not at all.
fn write(path: &Path, blessed: &Blessed) -> Result<(), Failure> {
    let failed = |error: std::io::Error| {
        let problem = Problem::error(format!("cannot write {FILE}: {error}"));
        Failure::of(Exit::NotWritten, problem.hint("look at the permissions of the project's folder and at the free space"))
    };
    let mut text = String::from("{\n");
    for (name, value) in [
        ("schema", one(&blessed.schema)),
        ("tool", one(&blessed.tool)),
        ("run", one(&blessed.run)),
        ("started_at", one(&blessed.started_at)),
        ("revision", one(&blessed.revision)),
        ("part", one(&blessed.part)),
        ("digest", one(&blessed.digest)),
    ] {
        text.push_str(&format!("\"{name}\": {value},\n"));
    }
    let cells: Vec<String> = blessed.cells.iter().map(one).collect();
    text.push_str(&format!("\"cells\": [\n{}\n]\n}}\n", cells.join(",\n")));
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut builder = tempfile::Builder::new();
    builder.prefix(".promptkeel-").suffix(".tmp");
    #[cfg(unix)]
    builder.permissions(<std::fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o644));
    let mut file = builder.tempfile_in(folder).map_err(failed)?;
    file.write_all(text.as_bytes()).and_then(|()| file.as_file().sync_all()).map_err(failed)?;
    file.persist(path).map_err(|error| failed(error.error))?;
    Ok(())
}
