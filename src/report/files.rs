//! Where do reports go, so that a path that cannot be written is known before anything is paid, and a half-written file never appears?
//!
//! Every file is opened as a temporary one beside its target before the run, and renamed onto it when it is whole. `-` is standard
//! output; devices and pipes are written as they are.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, BufWriter, Write};
use std::path::{Component, Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use tempfile::NamedTempFile;

use crate::model::gate::Exit;
use crate::model::run::RunReport;
use crate::report::Format;

/// All the names of standard output.
const STDOUT: [&str; 4] = ["-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"];

/// How a file is called that has not got its name yet.
const PREFIX: &str = ".promptkeel-";
const SUFFIX: &str = ".tmp";

/// Why an output cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum OutputError {
    /// Two reports ask for the same place.
    #[error("`{path}` is asked for by both `{first}` and `{second}`")]
    Twice {
        /// The place as it was written the second time.
        path: String,
        /// The flag that came first.
        first: String,
        /// The other one.
        second: String,
    },
    /// The place cannot be written; found out before the run.
    #[error("`{flag}` cannot write `{path}`: {source}")]
    Open {
        /// The flag that names it.
        flag: String,
        /// The place.
        path: String,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// Writing it failed after the run.
    #[error("the report of `{flag}` could not be written to `{path}`: {source}")]
    Write {
        /// The flag that names it.
        flag: String,
        /// The place.
        path: String,
        /// What the system says.
        #[source]
        source: io::Error,
    },
}

impl OutputError {
    /// The next step.
    #[must_use]
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::Twice { .. } => "nothing was sent; give each report a file of its own",
            Self::Open { .. } => "nothing was sent; choose a path in a folder that you may write to, or `-` for standard output",
            Self::Write { .. } => {
                "look at the space of the disk and the permissions of the folder, and run again: what is stored is not asked twice"
            }
        }
    }

    /// Nobody reads there any more, as of `promptkeel report run.json --json - | head`.
    #[must_use]
    pub fn is_unread(&self) -> bool {
        matches!(self, Self::Write { source, .. } if source.kind() == io::ErrorKind::BrokenPipe)
    }

    /// What the run comes to because of it.
    #[must_use]
    pub const fn exit(&self) -> Exit {
        match self {
            Self::Twice { .. } => Exit::Invalid,
            Self::Open { .. } | Self::Write { .. } => Exit::NotWritten,
        }
    }
}

/// A report that somebody asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The flag as it was spelled, for messages: `--junit`.
    pub flag: String,
    /// The path; `-` is standard output.
    pub path: PathBuf,
    /// What is written there.
    pub content: Content,
}

/// What is written to an output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// A finished run, at the end, all at once.
    Report(Format),
    /// Events, while they happen ([`Outputs::take_events`]); not renamed at the end, so that it can be followed.
    Events,
}

/// All outputs of a run, open. Dropped without [`Outputs::commit`], they leave no trace and existing files untouched.
#[derive(Debug)]
pub struct Outputs {
    reports: Vec<Open>,
    events: Option<Live>,
    uses_stdout: bool,
}

#[derive(Debug)]
struct Open {
    wanted: Wanted,
    format: Format,
    sink: Sink,
}

#[derive(Debug)]
enum Sink {
    Stdout,
    /// A device, a pipe, a descriptor: no renaming there.
    Direct(File),
    Renamed {
        temporary: NamedTempFile,
        target: PathBuf,
    },
}

#[derive(Debug)]
enum Live {
    Stdout,
    File(File),
}

impl Outputs {
    /// Opens everything that is wanted. Missing folders are made.
    ///
    /// # Errors
    ///
    /// The same place twice, or a place that cannot be written.
    pub fn open(wanted: Vec<Wanted>) -> Result<Self, OutputError> {
        let mut outputs = Self { reports: Vec::new(), events: None, uses_stdout: false };
        let mut taken: Vec<(PathBuf, String)> = Vec::new();
        for wanted in wanted {
            let open_error = |source| OutputError::Open { flag: wanted.flag.clone(), path: shown(&wanted.path), source };
            let place = Place::of(&wanted.path).map_err(open_error)?;
            let identity = place.identity();
            if let Some((_, first)) = taken.iter().find(|(other, _)| *other == identity) {
                return Err(OutputError::Twice { path: shown(&wanted.path), first: first.clone(), second: wanted.flag });
            }
            taken.push((identity, wanted.flag.clone()));
            outputs.uses_stdout |= place == Place::Stdout;
            match wanted.content {
                Content::Events => outputs.events = Some(place.live().map_err(open_error)?),
                Content::Report(format) => {
                    let sink = place.sink().map_err(open_error)?;
                    outputs.reports.push(Open { wanted, format, sink });
                }
            }
        }
        Ok(outputs)
    }

    /// Something is written to standard output, so that nothing else may be.
    #[must_use]
    pub const fn uses_stdout(&self) -> bool {
        self.uses_stdout
    }

    /// The place for events, once; `None` where nobody asked for them.
    pub fn take_events(&mut self) -> Option<Box<dyn Write + Send>> {
        self.events.take().map(|live| -> Box<dyn Write + Send> {
            match live {
                Live::Stdout => Box::new(io::stdout()),
                Live::File(file) => Box::new(file),
            }
        })
    }

    /// Writes every report, each whole or not at all, and goes on where one fails.
    ///
    /// # Errors
    ///
    /// All that went wrong; a reader that left is among it ([`OutputError::is_unread`]).
    pub fn commit(self, report: &RunReport) -> Result<(), Vec<OutputError>> {
        self.commit_with(|format, out| crate::report::write(format, report, out))
    }

    /// The same of anything that can be written in the formats that were asked for.
    ///
    /// # Errors
    ///
    /// As [`Self::commit`].
    pub fn commit_with(self, write: impl Fn(Format, &mut dyn Write) -> io::Result<()>) -> Result<(), Vec<OutputError>> {
        let mut errors = Vec::new();
        for Open { wanted, format, sink } in self.reports {
            if let Err(source) = sink.write(|out| write(format, out)) {
                errors.push(OutputError::Write { flag: wanted.flag, path: shown(&wanted.path), source });
            }
        }
        if errors.is_empty() { Ok(()) } else { Err(errors) }
    }
}

impl Sink {
    fn write(self, write: impl Fn(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
        match self {
            Self::Stdout => written(write, io::stdout().lock()),
            Self::Direct(file) => written(write, file),
            Self::Renamed { mut temporary, target } => {
                written(write, temporary.as_file_mut())?;
                temporary.persist(target).map_err(|error| error.error)?;
                Ok(())
            }
        }
    }
}

fn written(write: impl Fn(&mut dyn Write) -> io::Result<()>, out: impl Write) -> io::Result<()> {
    let mut out = BufWriter::with_capacity(1 << 16, out);
    write(&mut out)?;
    out.flush()
}

/// Where a path leads.
#[derive(Debug, PartialEq, Eq)]
enum Place {
    Stdout,
    Direct(PathBuf),
    File(PathBuf),
}

impl Place {
    fn of(path: &Path) -> io::Result<Self> {
        // A redirected `/dev/stdout` is a plain file by its looks; renaming onto it would leave the shell's file empty.
        if STDOUT.iter().any(|name| path == Path::new(name)) {
            return Ok(Self::Stdout);
        }
        if path.as_os_str().is_empty() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "the path is empty"));
        }
        if path.starts_with("/dev") || path.starts_with("/proc") {
            return Ok(Self::Direct(path.to_owned()));
        }
        match fs::metadata(path) {
            Ok(facts) if facts.is_dir() => Err(io::Error::new(io::ErrorKind::IsADirectory, "it is a folder")),
            // Through a link, so that the link stays one.
            Ok(facts) if facts.is_file() => Ok(Self::File(fs::canonicalize(path)?)),
            Ok(_) => Ok(Self::Direct(path.to_owned())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let Some(name) = path.file_name() else {
                    return Err(io::Error::new(io::ErrorKind::InvalidInput, "it names no file"));
                };
                if path.to_string_lossy().ends_with(['/', std::path::MAIN_SEPARATOR]) {
                    return Err(io::Error::new(io::ErrorKind::InvalidInput, "it names a folder, not a file"));
                }
                let folder = match path.parent() {
                    Some(folder) if folder.components().any(|part| part != Component::CurDir) => folder,
                    _ => Path::new("."),
                };
                fs::create_dir_all(folder)?;
                Ok(Self::File(fs::canonicalize(folder)?.join(name)))
            }
            Err(error) => Err(error),
        }
    }

    fn identity(&self) -> PathBuf {
        match self {
            Self::Stdout => PathBuf::from("-"),
            Self::Direct(path) | Self::File(path) => path.clone(),
        }
    }

    fn sink(self) -> io::Result<Sink> {
        match self {
            Self::Stdout => Ok(Sink::Stdout),
            Self::Direct(path) => OpenOptions::new().write(true).open(path).map(Sink::Direct),
            Self::File(target) => Ok(Sink::Renamed { temporary: beside(&target)?, target }),
        }
    }

    fn live(self) -> io::Result<Live> {
        match self {
            Self::Stdout => Ok(Live::Stdout),
            Self::Direct(path) => OpenOptions::new().write(true).open(path).map(Live::File),
            Self::File(path) => File::create(path).map(Live::File),
        }
    }
}

/// A temporary file in the target's folder, with the target's mode.
fn beside(target: &Path) -> io::Result<NamedTempFile> {
    let folder = target.parent().unwrap_or(Path::new("."));
    // A file that may not be written must not be replaced either, although the folder would allow it.
    let existing = match OpenOptions::new().write(true).open(target) {
        Ok(file) => Some(file.metadata()?.permissions()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    let mut builder = tempfile::Builder::new();
    builder.prefix(PREFIX).suffix(SUFFIX);
    #[cfg(unix)]
    let fresh = <fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o644);
    #[cfg(unix)]
    builder.permissions(fresh);
    sweep_once(folder);
    let temporary = ours(&builder, folder)?;
    if let Some(permissions) = existing {
        temporary.as_file().set_permissions(permissions)?;
    }
    Ok(temporary)
}

/// A fresh file, locked while somebody writes it: so the next run knows which of them a killed one has left.
fn ours(builder: &tempfile::Builder<'_, '_>, folder: &Path) -> io::Result<NamedTempFile> {
    loop {
        let temporary = builder.tempfile_in(folder)?;
        // Between its making and its locking somebody may have taken it for a left-over. Where nothing can be locked nobody sweeps.
        let is_taken = matches!(temporary.as_file().try_lock(), Err(TryLockError::WouldBlock));
        if !is_taken && temporary.path().exists() {
            OPEN.lock().unwrap_or_else(PoisonError::into_inner).insert(temporary.path().to_owned());
            return Ok(temporary);
        }
    }
}

/// The temporary files that this process has made for reports; those that have their names by now are not there any more.
static OPEN: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

/// Deletes the reports that are not whole yet, from a thread that is about to end the process: nothing is dropped any more then. It waits for
/// nobody: what stays, the next run clears away.
pub fn abandon() {
    let Ok(open) = OPEN.try_lock() else { return };
    open.iter().for_each(|path| abandoned(path));
}

fn abandoned(path: &Path) {
    let _ = fs::remove_file(path);
}

/// Deletes what killed runs have left in the root of a project, also where no report is asked for. In every other folder the next report that
/// is written there clears it away: looking for it elsewhere would list folders that nobody writes reports to, and that may hold anything.
pub fn clear_away(root: &Path) {
    sweep_once(root);
}

/// The folders that this process has swept. A run that is killed from now on is cleared up after by the next process: each round of a watch
/// would find nothing, and list all files of the folder for it.
static SWEPT: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

fn sweep_once(folder: &Path) {
    let is_first = SWEPT.lock().unwrap_or_else(PoisonError::into_inner).insert(folder.to_owned());
    if is_first {
        sweep(folder);
    }
}

/// Deletes the temporary files that nobody writes any more.
fn sweep(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let is_named_like_ours = name.to_str().is_some_and(|name| name.starts_with(PREFIX) && name.ends_with(SUFFIX));
        if is_named_like_ours
            && entry.file_type().is_ok_and(|kind| kind.is_file())
            && let Ok(file) = OpenOptions::new().write(true).open(entry.path())
            && file.try_lock().is_ok()
        {
            // One that stays is ignored by git and by us.
            let _ = fs::remove_file(entry.path());
        }
    }
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{json, sample};

    fn wanted(flag: &str, path: impl Into<PathBuf>, content: Content) -> Wanted {
        Wanted { flag: flag.to_owned(), path: path.into(), content }
    }

    const JSON: Content = Content::Report(Format::Json);

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_process_that_leaves_at_once_takes_its_unfinished_reports_along_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let whole = folder.path().join("whole.json");
        Outputs::open(vec![wanted("--json", &whole, JSON)]).unwrap().commit(&sample::report()).unwrap();
        let outputs = Outputs::open(vec![wanted("--json", folder.path().join("run.json"), JSON)]).unwrap();
        let of_other = folder.path().join(".promptkeel-other1.tmp");
        fs::write(&of_other, "{").unwrap();
        assert_eq!(names(folder.path()).len(), 3);
        // Of this folder only: other tests of this process have their own.
        for path in OPEN.lock().unwrap().iter().filter(|path| path.starts_with(fs::canonicalize(folder.path()).unwrap())) {
            abandoned(path);
        }
        assert_eq!(names(folder.path()), [".promptkeel-other1.tmp", "whole.json"]);
        drop(outputs);
    }

    #[test]
    fn a_report_appears_whole_in_a_folder_that_is_made_for_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("target/reports/run.json");
        let outputs = Outputs::open(vec![wanted("--json", &path, JSON)]).unwrap();
        assert!(!path.exists(), "nothing appears before it is whole");
        outputs.commit(&sample::report()).unwrap();
        assert_eq!(json::read(File::open(&path).unwrap()).unwrap(), sample::report());
        assert_eq!(names(path.parent().unwrap()), ["run.json"]);
    }

    #[test]
    fn a_run_that_does_not_end_leaves_the_old_report_and_no_other_trace() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.json");
        fs::write(&path, "old").unwrap();
        drop(Outputs::open(vec![wanted("--json", &path, JSON)]).unwrap());
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
        assert_eq!(names(folder.path()), ["run.json"]);
    }

    #[test]
    fn what_a_killed_run_left_is_cleared_away_and_what_another_one_writes_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let left = folder.path().join(".promptkeel-abc123.tmp");
        fs::write(&left, "{\"half").unwrap();
        fs::write(folder.path().join(".promptkeel-notes"), "").unwrap();
        let other = Outputs::open(vec![wanted("--json", folder.path().join("other.json"), JSON)]).unwrap();
        assert!(!left.exists());
        Outputs::open(vec![wanted("--json", folder.path().join("run.json"), JSON)]).unwrap().commit(&sample::simulated()).unwrap();
        other.commit(&sample::simulated()).unwrap();
        assert_eq!(names(folder.path()), [".promptkeel-notes", "other.json", "run.json"]);
    }

    #[test]
    fn a_run_that_writes_no_report_clears_away_too_what_a_killed_one_left() {
        let folder = tempfile::tempdir().unwrap();
        let reports = folder.path().join("reports");
        fs::create_dir(&reports).unwrap();
        for left in [folder.path().join(".promptkeel-abc123.tmp"), reports.join(".promptkeel-abc124.tmp")] {
            fs::write(left, "{\"half").unwrap();
        }
        clear_away(folder.path());
        assert_eq!(names(folder.path()), ["reports"]);
        assert_eq!(names(&reports), [".promptkeel-abc124.tmp"], "no folder is listed that nobody asked for");
        Outputs::open(vec![wanted("--json", reports.join("run.json"), JSON)]).unwrap().commit(&sample::simulated()).unwrap();
        assert_eq!(names(&reports), ["run.json"]);
    }

    #[test]
    fn a_folder_is_looked_through_once_in_a_process_however_many_rounds_it_has() {
        let folder = tempfile::tempdir().unwrap();
        let round = || {
            clear_away(folder.path());
            Outputs::open(vec![wanted("--json", folder.path().join("run.json"), JSON)]).unwrap().commit(&sample::simulated()).unwrap();
        };
        round();
        // What a process left that was killed after our first round: the next process finds it.
        fs::write(folder.path().join(".promptkeel-abc126.tmp"), "{\"half").unwrap();
        round();
        assert_eq!(names(folder.path()), [".promptkeel-abc126.tmp", "run.json"]);
    }

    #[cfg(unix)]
    #[test]
    fn a_new_file_can_be_read_by_others_and_an_old_one_keeps_its_mode() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let (new, old) = (folder.path().join("new.json"), folder.path().join("old.json"));
        fs::write(&old, "old").unwrap();
        fs::set_permissions(&old, fs::Permissions::from_mode(0o640)).unwrap();
        let outputs =
            Outputs::open(vec![wanted("--json", &new, JSON), wanted("--junit", &old, Content::Report(Format::Junit { strict: false }))]);
        outputs.unwrap().commit(&sample::simulated()).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&new) & 0o644, mode(&new), "at most 0644, less only by the umask");
        assert_eq!(mode(&new) & 0o400, 0o400);
        assert_eq!(mode(&old), 0o640);
    }

    #[cfg(unix)]
    #[test]
    fn a_link_stays_a_link() {
        let folder = tempfile::tempdir().unwrap();
        let (real, link) = (folder.path().join("real.json"), folder.path().join("link.json"));
        fs::write(&real, "old").unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        Outputs::open(vec![wanted("--json", &link, JSON)]).unwrap().commit(&sample::simulated()).unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert!(fs::read_to_string(&real).unwrap().starts_with('{'));
    }

    #[test]
    fn the_same_place_twice_is_refused_however_it_is_spelled() {
        let folder = tempfile::tempdir().unwrap();
        let spelled = [folder.path().join("run.json"), folder.path().join("./a/../run.json")];
        fs::create_dir(folder.path().join("a")).unwrap();
        let [first, second] = spelled.map(|path| wanted("--json", path, JSON));
        let error = Outputs::open(vec![first, Wanted { flag: "--junit".to_owned(), ..second }]).unwrap_err();
        assert_eq!(error.exit(), Exit::Invalid);
        assert!(error.to_string().contains("by both `--json` and `--junit`"), "{error}");
        let error = Outputs::open(vec![wanted("--json", "-", JSON), wanted("--events", "/dev/stdout", Content::Events)]).unwrap_err();
        assert_eq!(error.exit(), Exit::Invalid);
        assert_eq!(names(folder.path()), ["a"], "nothing was left");
    }

    #[test]
    fn a_place_that_cannot_be_written_is_told_before_the_run() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        for path in [folder.path().to_path_buf(), file.join("below-a-file.json"), folder.path().join("new/"), PathBuf::new()] {
            let error = Outputs::open(vec![wanted("--markdown", &path, Content::Report(Format::Markdown))]).unwrap_err();
            assert_eq!(error.exit(), Exit::NotWritten, "{error}");
            assert!(error.to_string().starts_with("`--markdown` cannot write `"), "{error}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_device_is_written_and_not_replaced() {
        let outputs = Outputs::open(vec![wanted("--json", "/dev/null", JSON)]).unwrap();
        assert!(!outputs.uses_stdout());
        outputs.commit(&sample::simulated()).unwrap();
        assert!(!fs::metadata("/dev/null").unwrap().is_file());
    }

    #[test]
    fn events_can_be_followed_while_they_are_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.jsonl");
        let mut outputs = Outputs::open(vec![wanted("--events", &path, Content::Events)]).unwrap();
        let mut out = outputs.take_events().unwrap();
        crate::report::events::write(&crate::model::event::RunEvent::Interrupted { in_flight: 1 }, &mut out).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "{\"event\":\"interrupted\",\"in_flight\":1}\n");
        assert!(outputs.take_events().is_none());
    }

    #[test]
    fn one_report_that_fails_does_not_take_the_others_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let (lost, kept) = (folder.path().join("a/lost.json"), folder.path().join("kept.json"));
        let outputs = Outputs::open(vec![wanted("--json", &lost, JSON), wanted("--junit", &kept, JSON)]).unwrap();
        fs::remove_dir_all(folder.path().join("a")).unwrap();
        let errors = outputs.commit(&sample::simulated()).unwrap_err();
        assert_eq!(errors.len(), 1);
        assert_eq!(errors[0].exit(), Exit::NotWritten);
        assert!(kept.exists());
    }
}
