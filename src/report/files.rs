//! Where do reports go, so that a path that cannot be written is known before anything is paid, and a half-written file never appears?
//!
//! Every file is opened as a temporary one beside its target before the run, and renamed onto it when it is whole. `-` is standard
//! output; devices and pipes are written as they are.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Component, Path, PathBuf};

use tempfile::NamedTempFile;

use crate::model::gate::Exit;
use crate::model::run::RunReport;
use crate::report::Format;

/// All the names of standard output.
const STDOUT: [&str; 4] = ["-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"];

/// Why an output cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum OutputError {
    /// Two reports ask for the same place.
    #[error("`{path}` is asked for by both `{first}` and `{second}`; hint: give each report a file of its own")]
    Twice {
        /// The place as it was written the second time.
        path: String,
        /// The flag that came first.
        first: String,
        /// The other one.
        second: String,
    },
    /// The place cannot be written; found out before the run.
    #[error("`{flag}` cannot write `{path}`: {source}; hint: choose a path in a folder that you may write to, or `-` for standard output")]
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
    /// All that went wrong. A reader of standard output that left is not an error.
    pub fn commit(self, report: &RunReport) -> Result<(), Vec<OutputError>> {
        let mut errors = Vec::new();
        for Open { wanted, format, sink } in self.reports {
            if let Err(source) = sink.write(format, report) {
                errors.push(OutputError::Write { flag: wanted.flag, path: shown(&wanted.path), source });
            }
        }
        if errors.is_empty() { Ok(()) } else { Err(errors) }
    }
}

impl Sink {
    fn write(self, format: Format, report: &RunReport) -> io::Result<()> {
        match self {
            Self::Stdout => unless_gone(written(format, report, io::stdout().lock())),
            Self::Direct(file) => unless_gone(written(format, report, file)),
            Self::Renamed { mut temporary, target } => {
                written(format, report, temporary.as_file_mut())?;
                temporary.persist(target).map_err(|error| error.error)?;
                Ok(())
            }
        }
    }
}

fn written(format: Format, report: &RunReport, out: impl Write) -> io::Result<()> {
    let mut out = BufWriter::with_capacity(1 << 16, out);
    crate::report::write(format, report, &mut out)?;
    out.flush()
}

/// `promptkeel run --json - | head` has what it wanted.
fn unless_gone(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
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
    builder.prefix(".promptkeel-").suffix(".tmp");
    #[cfg(unix)]
    let fresh = <fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o644);
    #[cfg(unix)]
    builder.permissions(fresh);
    let temporary = builder.tempfile_in(folder)?;
    if let Some(permissions) = existing {
        temporary.as_file().set_permissions(permissions)?;
    }
    Ok(temporary)
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}
