//! What is accepted, pending and orphaned in a project's snapshot folder, and how does it change?

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::model::suite::PromptVersion;
use crate::model::verdict::SnapshotState;
use crate::snapshot::SnapshotError;
use crate::snapshot::compare::Comparison;
use crate::snapshot::disk;
use crate::snapshot::format;
use crate::snapshot::lock::{self, PromptLock};
use crate::snapshot::output::Snapshot;
use crate::snapshot::path::{ACCEPTED, FOLDER, LOCK, PENDING, lock_path, pending_path};
use crate::snapshot::policy::Action;

/// What `.gitattributes` says about snapshots: no line ends are converted, white space at line ends is nobody's mistake, reviewers see
/// every change (GitHub folds what it takes for generated), and two branches that accept different prompt versions merge.
pub const GIT_ATTRIBUTES: &str = "\
snapshots/** -text -whitespace diff linguist-generated=false
snapshots/**/prompts.toml merge=union
";

/// What `.gitignore` says about snapshots, and about what a killed process leaves of any file that it was writing.
pub const GIT_IGNORE: &str = "*.snap.new\n.promptkeel-*.tmp\n";

/// The snapshot folder of one project. Opening it touches no disk; a missing folder is an empty one.
#[derive(Debug, Clone)]
pub struct Folder {
    pub(super) root: PathBuf,
}

/// The cell whose snapshot is written.
#[derive(Debug, Clone, Copy)]
pub struct Owner<'a> {
    /// The suite's name.
    pub suite: &'a str,
    /// [`path`](crate::snapshot::path::path) of the case and model.
    pub path: &'a str,
    /// The version that answered; accepting its output locks its text.
    pub version: &'a PromptVersion,
}

impl Folder {
    /// The folder below a project's root.
    #[must_use]
    pub fn open(project_root: &Path) -> Self {
        Self { root: project_root.to_owned() }
    }

    /// The accepted snapshot at a project-relative path; `None` where there is none.
    ///
    /// # Errors
    /// A file that cannot be read: the cell is [`unreadable`].
    pub fn read(&self, path: &str) -> Result<Option<Snapshot>, SnapshotError> {
        let Some(text) = disk::read(&self.root, path)? else {
            return Ok(None);
        };
        format::read(&text).map(Some).map_err(|source| SnapshotError::Format { path: path.to_owned(), source })
    }

    /// The pending snapshot beside an accepted path; `None` where there is none.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn read_pending(&self, accepted: &str) -> Result<Option<Snapshot>, SnapshotError> {
        self.read(&pending_path(accepted))
    }

    /// Does what [`UpdatePolicy::action`](crate::snapshot::policy::UpdatePolicy::action) says; whether a file changed.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn carry_out(&self, action: Action, owner: Owner<'_>, new: &Snapshot, comparison: &Comparison) -> Result<bool, SnapshotError> {
        let pending = pending_path(owner.path);
        let accepted = match action {
            Action::Leave => return Ok(false),
            Action::RemovePending => return self.remove_pending(&pending, new.simulated),
            Action::WritePending => return self.write_pending(&pending, &comparison.distinct(new)),
            Action::Confirm => {
                let noted = self.confirm(owner)?;
                return Ok(self.remove_pending(&pending, new.simulated)? || noted);
            }
            Action::Accept => comparison.distinct(new),
            Action::Extend => match self.read(owner.path)? {
                Some(accepted) => comparison.extended(&accepted, new),
                None => comparison.distinct(new),
            },
        };
        let Owner { suite, path, version } = owner;
        let (changed, locked) = self.locked(&lock_path(suite), &lock::name(version), &version.file.digest, || {
            disk::put(&self.root, path, &format::write(&accepted))
        })?;
        let removed = self.remove_pending(&pending, new.simulated)?;
        Ok(changed || removed || locked)
    }

    /// Notes the version's present text as the one that gives what is accepted; whether that is news.
    ///
    /// # Errors
    /// A lock that cannot be read or written.
    pub fn confirm(&self, owner: Owner<'_>) -> Result<bool, SnapshotError> {
        let Owner { suite, version, .. } = owner;
        self.change_lock(&lock_path(suite), |lock| lock.note(lock::name(version), &version.file.digest))
    }

    fn write_pending(&self, pending: &str, new: &Snapshot) -> Result<bool, SnapshotError> {
        if self.holds_other_kind(pending, new.simulated) && new.simulated {
            // A real output waits for review: asking a simulator meanwhile does not take it away.
            return Ok(false);
        }
        disk::put(&self.root, pending, &format::write(new))
    }

    fn remove_pending(&self, pending: &str, simulated: bool) -> Result<bool, SnapshotError> {
        // The way of nearly every cell of nearly every run.
        if !disk::exists(&self.root, pending) {
            return Ok(false);
        }
        if self.holds_other_kind(pending, simulated) { Ok(false) } else { disk::remove(&self.root, pending) }
    }

    fn holds_other_kind(&self, path: &str, simulated: bool) -> bool {
        matches!(self.read(path), Ok(Some(there)) if there.simulated != simulated)
    }

    /// Deletes a pending snapshot.
    ///
    /// # Errors
    /// A pending file that is gone, a disk that cannot be written.
    pub fn reject(&self, accepted: &str) -> Result<(), SnapshotError> {
        disk::locate(&self.root, accepted)?;
        let path = pending_path(accepted);
        if disk::remove(&self.root, &path)? { Ok(()) } else { Err(SnapshotError::NotPending { path }) }
    }

    /// The accepted paths that have a pending snapshot beside them, sorted.
    ///
    /// # Errors
    /// A folder that cannot be read.
    pub fn pending(&self) -> Result<Vec<String>, SnapshotError> {
        let files = disk::list(&self.root)?;
        Ok(files.iter().filter_map(|file| file.strip_suffix(PENDING)).map(|stem| format!("{stem}{ACCEPTED}")).collect())
    }

    /// Snapshot files that no cell owns, sorted: accepted ones, pending ones, and locks of suites without any snapshot.
    ///
    /// `owned` has the paths of all cells of all suites on disk, never only of the selected ones. On the way it clears away what killed
    /// processes left half written.
    ///
    /// # Errors
    /// A folder that cannot be read.
    pub fn orphans(&self, owned: &BTreeSet<String>) -> Result<Vec<String>, SnapshotError> {
        let mut files = disk::list_and_tidy(&self.root)?;
        files.retain(|file| match (file.strip_suffix(PENDING), file.strip_suffix(LOCK)) {
            (Some(stem), _) => !owned.contains(&format!("{stem}{ACCEPTED}")),
            (None, Some(folder)) => {
                // Only directly below the suite's folder it is a lock; deeper it is nobody's.
                let next = owned.range(folder.to_owned()..).next();
                folder.matches('/').count() == 2 && !next.is_some_and(|path| path.starts_with(folder))
            }
            (None, None) => file.ends_with(ACCEPTED) && !owned.contains(file),
        });
        Ok(files)
    }

    /// Deletes an orphan that [`orphans`](Self::orphans) named.
    ///
    /// # Errors
    /// A path outside of the folder, a disk that cannot be written.
    pub fn remove_orphan(&self, path: &str) -> Result<bool, SnapshotError> {
        disk::remove(&self.root, path)
    }

    /// A suite's lock of accepted prompt versions; empty where there is none.
    ///
    /// # Errors
    /// A lock that cannot be read.
    pub fn prompt_lock(&self, suite: &str) -> Result<PromptLock, SnapshotError> {
        self.lock_at(&lock_path(suite))
    }

    /// The same by the file's path.
    ///
    /// # Errors
    /// A lock that cannot be read.
    pub fn lock_at(&self, path: &str) -> Result<PromptLock, SnapshotError> {
        let text = disk::read(&self.root, path)?.unwrap_or_default();
        PromptLock::parse(&text).map_err(|message| SnapshotError::Lock { path: path.to_owned(), message })
    }

    /// The hashes of all prompt texts that an output of any suite was accepted with.
    ///
    /// # Errors
    /// A lock that cannot be read.
    pub fn accepted_texts(&self) -> Result<BTreeSet<String>, SnapshotError> {
        let mut hashes = BTreeSet::new();
        for path in disk::list(&self.root)?.iter().filter(|path| path.rsplit('/').next() == Some(LOCK)) {
            hashes.extend(self.lock_at(path)?.hashes().map(str::to_owned));
        }
        Ok(hashes)
    }

    /// Accepts an output whose prompt version is noted first, in the lock at this path, with the hash of the text that gave it: no accepted
    /// output ever stands without its line. What could not be accepted leaves no line. Answers too whether the lock changed.
    ///
    /// # Errors
    /// A lock that cannot be read or written: then nothing is accepted. And what `accept` answers.
    pub fn locked<T>(
        &self,
        lock: &str,
        version: &str,
        hash: &str,
        accept: impl FnOnce() -> Result<T, SnapshotError>,
    ) -> Result<(T, bool), SnapshotError> {
        let path = [lock.to_owned()];
        let note = || self.change_lock(lock, |lock| lock.note(version.to_owned(), hash));
        let before = self.keep(&path)?;
        let noted = if note()? { Some(self.step(before, self.keep(&path)?)) } else { None };
        match accept() {
            Ok(accepted) => {
                // Another process may have noted it too, and taken it back because it could not accept its own output.
                let again = note()?;
                Ok((accepted, again || noted.is_some()))
            }
            Err(error) => {
                // A line too many asks for a look that nobody needed; why nothing was accepted is what matters.
                let _ = noted.map(|noted| self.take_back(&noted));
                Err(error)
            }
        }
    }

    fn change_lock(&self, path: &str, change: impl FnOnce(&mut PromptLock) -> bool) -> Result<bool, SnapshotError> {
        // There must be something that another process can lock too. Where it cannot be made, writing says why.
        let _ = fs::create_dir_all(self.root.join(FOLDER));
        disk::alone(&self.root, || {
            let mut lock = self.lock_at(path)?;
            if change(&mut lock) { disk::put(&self.root, path, &lock.to_string()) } else { Ok(false) }
        })
    }
}

/// The state of a cell whose snapshot cannot be read.
#[must_use]
pub fn unreadable(error: &SnapshotError) -> SnapshotState {
    SnapshotState::Unreadable { message: format!("{error}; hint: {}", error.hint()) }
}

#[cfg(test)]
#[path = "folder_tests.rs"]
mod tests;
