//! What did people accept as a cell's output, and how does the new one stand to it?
//!
//! The way of one cell: its replies become a [`Snapshot`](output::Snapshot), [`Folder::read`](folder::Folder::read) gives the
//! accepted one, [`Comparison::state`](compare::Comparison::state) says how they stand,
//! [`UpdatePolicy::action`](policy::UpdatePolicy::action) says what is written, and
//! [`Folder::carry_out`](folder::Folder::carry_out) writes it.

use std::io;

use crate::model::problem::Problem;

pub mod accept;
pub mod compare;
pub mod folder;
pub mod format;
pub mod kept;
pub mod lock;
pub mod output;
pub mod owned;
pub mod path;
pub mod pending;
pub mod policy;
pub mod undo;

mod disk;
mod escape;
mod ignore;
mod tokens;

/// What keeps snapshots from being compared, read or written.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// A path under `snapshot.ignore`.
    #[error("`{path}` under `snapshot.ignore` is no JSONPath: {message}")]
    Ignore {
        /// As it was written.
        path: String,
        /// What is wrong with it.
        message: String,
    },
    /// A file that is there and cannot be read.
    #[error("`{path}` cannot be read: {source}")]
    Read {
        /// Project-relative.
        path: String,
        /// The system's words.
        source: io::Error,
    },
    /// A file that can be read and makes no sense.
    #[error("`{path}` is no snapshot: {source}")]
    Format {
        /// Project-relative.
        path: String,
        /// The line and what was expected.
        source: format::FormatError,
    },
    /// A file that cannot be written, renamed or deleted.
    #[error("`{path}` cannot be written: {source}")]
    Write {
        /// Project-relative.
        path: String,
        /// The system's words.
        source: io::Error,
    },
    /// A path that is no snapshot's, or that a symbolic link leads out of the folder.
    #[error("`{path}` {reason}")]
    Outside {
        /// As it was given.
        path: String,
        /// Why it is refused.
        reason: &'static str,
    },
    /// Nothing to accept or reject.
    #[error("`{path}` is not there any more: it was accepted or rejected meanwhile")]
    NotPending {
        /// The pending file, project-relative.
        path: String,
    },
    /// What is to be taken back is not there any more.
    #[error("`{path}` was changed meanwhile by somebody else")]
    Meanwhile {
        /// Project-relative.
        path: String,
    },
    /// A simulated output must not replace a real one.
    #[error("`{path}` was not answered by a simulator, and a simulated output never replaces a real one")]
    SimulatedOverReal {
        /// The accepted file, project-relative.
        path: String,
    },
    /// The same where nobody knows whether there is one.
    #[error("`{path}` cannot be read, and a real output may stand in it: a simulated one never replaces a real one")]
    MaybeReal {
        /// The accepted file, project-relative.
        path: String,
    },
    /// It would stand without the line of its prompt version.
    #[error("`{path}` is not accepted: nobody knows which text of `{version}` gave it, because the suites cannot be loaded")]
    Unloaded {
        /// The accepted file, project-relative.
        path: String,
        /// `ticket-triage@3`.
        version: String,
    },
    /// It would too, and no suite says what its prompt version is.
    #[error("`{path}` is not accepted: nobody knows which text of `{version}` gave it, because no suite lists that version")]
    Unlisted {
        /// The accepted file, project-relative.
        path: String,
        /// `ticket-triage@3`.
        version: String,
    },
    /// The line of its prompt version would say that another text gave it.
    #[error(
        "`{path}` is not accepted: another text of `{version}` gave it than the present one, and than the one that `prompts.toml` notes"
    )]
    OtherText {
        /// The accepted file, project-relative.
        path: String,
        /// `ticket-triage@3`.
        version: String,
    },
    /// Variants of one file are all simulated or all real.
    #[error("`{path}` was answered by a simulator, and a real output does not stand beside a simulated one")]
    OtherKind {
        /// The accepted file, project-relative.
        path: String,
    },
    /// A variant that is to be replaced and is not there.
    #[error("there is no variant {number} in `{path}`: it holds {variants} accepted variants")]
    NoVariant {
        /// The accepted file, project-relative.
        path: String,
        /// As it was asked for, from 1.
        number: usize,
        /// How many there are.
        variants: usize,
    },
    /// A lock of prompt versions that makes no sense.
    #[error("`{path}` is no lock of prompt versions: {message}")]
    Lock {
        /// Project-relative.
        path: String,
        /// What is wrong with it, with line and column.
        message: String,
    },
    /// A pattern that selects pending snapshots.
    #[error("`{pattern}` is no pattern: {message}")]
    Pattern {
        /// As it was given.
        pattern: String,
        /// What is wrong with it.
        message: String,
    },
}

impl From<&SnapshotError> for Problem {
    fn from(error: &SnapshotError) -> Self {
        Self::error(error.to_string()).hint(error.hint())
    }
}

impl SnapshotError {
    /// The next step.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::Ignore { .. } => "JSONPaths follow RFC 9535: `$.summary`, `$.items[*].id`, `$..timestamp`".to_owned(),
            Self::Read { source, .. } | Self::Write { source, .. } => io_hint(source),
            Self::Format { path, .. } => {
                format!("restore it (`git checkout -- {path}`), or delete it, run again and accept the output")
            }
            Self::Outside { .. } => "snapshots stay in the project's `snapshots` folder: replace the link by a folder".to_owned(),
            Self::NotPending { .. } => "`promptkeel pending` lists what is left".to_owned(),
            Self::Meanwhile { .. } => "`git diff snapshots` shows what it became".to_owned(),
            Self::SimulatedOverReal { path } => format!("to replace it all the same, delete `{path}` first"),
            Self::MaybeReal { path } => {
                format!("restore it (`git checkout -- {path}`, or one side of a merge), or delete it and accept again")
            }
            Self::Unloaded { .. } => {
                "`promptkeel check` says what is wrong with them; then accept again, or run: it notes the text".to_owned()
            }
            Self::Unlisted { .. } => "run again: what the listed version gives is laid in its place".to_owned(),
            Self::OtherText { .. } => {
                "run again: what the present text gives is laid in its place; the other text can be written as the next version".to_owned()
            }
            Self::OtherKind { .. } => "accept it without `--add`: it replaces what the simulator said".to_owned(),
            Self::NoVariant { .. } => "variants count from 1, in the order of the file".to_owned(),
            Self::Lock { path, .. } => {
                format!(
                    "restore it (`git checkout -- {path}`); after a merge keep one line per version, or delete it and run with `--update`"
                )
            }
            Self::Pattern { .. } => "patterns use `*`, `?`, `[...]` and `{a,b}`: `ticket-triage/*`".to_owned(),
        }
    }
}

fn io_hint(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "free some space and run again: answers that were paid are stored",
        io::ErrorKind::ReadOnlyFilesystem => {
            "the file system is read-only: run where `snapshots` can be written, or in CI mode, which writes nothing"
        }
        io::ErrorKind::PermissionDenied => "check who owns the `snapshots` folder and its permissions",
        io::ErrorKind::IsADirectory | io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => {
            "a folder stands where a file belongs, or a file where a folder belongs: move it away"
        }
        io::ErrorKind::InvalidData => "snapshots are UTF-8 text of bounded size: restore the file from version control or delete it",
        _ => "check the `snapshots` folder and run again",
    }
    .to_owned()
}
