//! How is a decision about a snapshot carried out, and how is it taken back?
//!
//! `accept` and `review` decide here, so that what one of them refuses, neither does.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::cli::orphans;
use crate::cli::owners::Owners;
use crate::cli::project::Project;
use crate::cli::prompts::Texts;
use crate::model::problem::Problem;
use crate::model::suite::PromptVersion;
use crate::snapshot::SnapshotError;
use crate::snapshot::accept::Acceptance;
use crate::snapshot::folder::Folder;
use crate::snapshot::kept::Kept;
use crate::snapshot::path::{lock_path, pending_path};

/// The snapshots of a project, the suites behind them, and what was decided.
pub(crate) struct Desk<'p> {
    project: &'p Project,
    folder: Folder,
    owners: Owners,
    /// What the files were before and after each step.
    steps: Vec<(Kept, Kept)>,
}

/// What came of accepting one output.
pub(crate) struct Accepted {
    /// That are accepted now.
    pub(crate) variants: usize,
    /// Its prompt version could not be noted.
    pub(crate) problem: Option<Problem>,
}

impl<'p> Desk<'p> {
    pub(crate) fn open(project: &'p Project) -> Self {
        Self { project, folder: Folder::open(&project.root), owners: Owners::of(project), steps: Vec::new() }
    }

    pub(crate) const fn folder(&self) -> &Folder {
        &self.folder
    }

    pub(crate) const fn owners(&self) -> &Owners {
        &self.owners
    }

    /// Makes pending outputs accepted ones and locks the prompt versions that gave them.
    pub(crate) fn accept(&self, paths: &[&str], how: Acceptance) -> Vec<Result<Accepted, SnapshotError>> {
        let shown: Vec<(&str, Kept)> = paths.iter().map(|path| (*path, Kept::default())).collect();
        self.accept_shown(&shown.iter().map(|(path, shown)| (*path, shown)).collect::<Vec<_>>(), how)
    }

    /// The same for a person who was shown these files: none is accepted that is another one by now.
    pub(crate) fn accept_shown(&self, files: &[(&str, &Kept)], how: Acceptance) -> Vec<Result<Accepted, SnapshotError>> {
        let mut noted: BTreeMap<&str, Vec<(usize, &Arc<PromptVersion>)>> = BTreeMap::new();
        let mut results = Vec::new();
        for (index, (path, shown)) in files.iter().enumerate() {
            let waiting = self.folder.read_kept(shown, &pending_path(path));
            let prompt = waiting.ok().flatten().map(|pending| pending.prompt).unwrap_or_default();
            let comparison = self.owners.comparison_or_exact(path);
            let accepted = self.folder.accept_shown(path, how, comparison, shown);
            results.push(accepted.map(|snapshot| {
                let owner = self.owners.version(path, &prompt);
                if let Some((suite, version)) = owner {
                    noted.entry(suite).or_default().push((index, version));
                }
                let unknown = || {
                    Problem::warning(format!("`{path}` was answered by {prompt}, which no suite lists any more"))
                        .hint("run again to see whether the listed version still gives this output")
                };
                Accepted { variants: snapshot.outputs.len(), problem: owner.is_none().then(unknown) }
            }));
        }
        Texts::of(self.project).keep(noted.values().flatten().map(|(_, version)| *version));
        for (suite, versions) in noted {
            let texts: Vec<&PromptVersion> = versions.iter().map(|(_, version)| &***version).collect();
            if let Err(error) = self.folder.lock(suite, &texts)
                && let Some(Ok(first)) = versions.first().map(|(first, _)| &mut results[*first])
            {
                first.problem = Some(Problem::error(error.to_string()).hint(error.hint()));
            }
        }
        results
    }

    /// Remembers every file that a decision about these snapshots may change.
    pub(crate) fn keep(&self, paths: &[&str]) -> Result<Kept, SnapshotError> {
        let mut files: Vec<String> = paths.iter().flat_map(|path| [(*path).to_owned(), pending_path(path)]).collect();
        let mut locks: Vec<String> = paths.iter().filter_map(|path| self.owners.suite(path)).map(lock_path).collect();
        locks.sort_unstable();
        locks.dedup();
        files.extend(locks);
        self.folder.keep(&files)
    }

    /// Remembers a step that changed the files from `before` to what they are now.
    pub(crate) fn did(&mut self, mut before: Kept, paths: &[&str]) {
        // Where they cannot be read they are not what they were, which is what an undo will say.
        let after = self.keep(paths).unwrap_or_else(|_| before.clone());
        // What was not decided after all is no part of the step.
        before.keep_only(&after);
        self.steps.push((before, after));
    }

    /// Takes the last step back. One after which somebody else wrote is forgotten; one that the disk refuses can be tried again.
    pub(crate) fn undo(&mut self) -> Result<(), SnapshotError> {
        let Some((before, after)) = self.steps.last() else { return Ok(()) };
        let undone = self.folder.put_back(before, after);
        if matches!(undone, Ok(()) | Err(SnapshotError::Meanwhile { .. })) {
            self.steps.pop();
        }
        undone
    }

    /// Whether a file still belongs to no cell of any suite, as the suites stand now.
    pub(crate) fn is_orphan(&self, path: &str) -> bool {
        orphans::find(self.project, None).is_ok_and(|orphans| orphans.iter().any(|orphan| orphan == path))
    }
}
