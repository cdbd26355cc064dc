//! How is a decision about a snapshot carried out, and how is it taken back?
//!
//! `accept` and `review` decide here, so that what one of them refuses, neither does.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::cli::owners::Owners;
use crate::cli::project::Project;
use crate::cli::prompts::Texts;
use crate::cli::{orphans, session};
use crate::model::problem::Problem;
use crate::model::suite::{PromptVersion, Suite};
use crate::snapshot::SnapshotError;
use crate::snapshot::accept::Acceptance;
use crate::snapshot::folder::Folder;
use crate::snapshot::kept::Kept;
use crate::snapshot::path::{lock_beside, pending_path};
use crate::snapshot::undo::Step;
use crate::store::pending;

/// The snapshots of a project, the suites behind them, and what was decided.
pub(crate) struct Desk<'p> {
    project: &'p Project,
    folder: Folder,
    /// All of the project; `None` where one cannot be loaded.
    suites: Option<Vec<Arc<Suite>>>,
    owners: Owners,
    steps: Vec<Step>,
}

/// What came of accepting one output.
pub(crate) struct Accepted {
    /// That are accepted now.
    pub(crate) variants: usize,
    /// What is to be known about its prompt version.
    pub(crate) problem: Option<Problem>,
}

impl<'p> Desk<'p> {
    pub(crate) fn open(project: &'p Project) -> Self {
        Self::with(project, session::all_suites(project))
    }

    /// The same where all suites of the project are loaded already; `None` where one cannot be.
    pub(crate) fn with(project: &'p Project, suites: Option<Vec<Arc<Suite>>>) -> Self {
        let owners = Owners::of(suites.as_deref().unwrap_or_default());
        Self { project, folder: Folder::open(&project.root), suites, owners, steps: Vec::new() }
    }

    pub(crate) const fn folder(&self) -> &Folder {
        &self.folder
    }

    pub(crate) const fn owners(&self) -> &Owners {
        &self.owners
    }

    /// Snapshot files that belong to no cell; none where nobody knows.
    pub(crate) fn orphans(&self) -> Result<Vec<String>, Problem> {
        self.suites.as_ref().map_or_else(|| Ok(Vec::new()), |suites| orphans::of(self.project, suites))
    }

    /// The files that a decision about one output is about. One that cannot be read is like nothing: deciding says why it cannot be read.
    pub(crate) fn files(&self, path: &str) -> Kept {
        self.folder.keep(&[path.to_owned(), pending_path(path)]).unwrap_or_default()
    }

    /// Makes pending outputs accepted ones and locks the prompt versions that gave them.
    pub(crate) fn accept(&self, paths: &[&str], how: Acceptance) -> Vec<Result<Accepted, SnapshotError>> {
        let shown: Vec<(&str, Kept)> = paths.iter().map(|path| (*path, self.files(path))).collect();
        self.accept_shown(&shown.iter().map(|(path, shown)| (*path, shown)).collect::<Vec<_>>(), how)
    }

    /// The same for a person who was shown these files: none is accepted that is another one by now.
    pub(crate) fn accept_shown(&self, files: &[(&str, &Kept)], how: Acceptance) -> Vec<Result<Accepted, SnapshotError>> {
        let mut given = Vec::new();
        let results = files.iter().map(|(path, shown)| self.accept_one(path, shown, how, &mut given)).collect();
        Texts::of(self.project).keep(given);
        results
    }

    /// Notes the text that gave the output, then accepts it. `given` are the versions whose present text did.
    fn accept_one<'s>(
        &'s self,
        path: &str,
        shown: &Kept,
        how: Acceptance,
        given: &mut Vec<&'s Arc<PromptVersion>>,
    ) -> Result<Accepted, SnapshotError> {
        let waiting = pending_path(path);
        let prompt = self.folder.read_kept(shown, &waiting).ok().flatten().map(|pending| pending.prompt).unwrap_or_default();
        let listed = self.owners.version(path, &prompt);
        let present = listed.map(|version| &*version.file.digest);
        let noted = shown.bytes(&waiting).and_then(|output| pending::find(&self.project.store_folder(), &waiting, output));
        let is_another = noted.as_deref().zip(present).is_some_and(|(noted, present)| noted != present);
        let (lock, comparison) = (lock_beside(path), self.owners.comparison_or_exact(path));
        let accept = || self.folder.accept_shown(path, how, comparison, shown);
        let lines = self.folder.lock_at(&lock)?;
        let accepted = match (noted.as_deref().or(present), lines.accepted(&prompt)) {
            // What cannot be read names no version; accepting it says why.
            _ if prompt.is_empty() => accept()?,
            (None, None) => {
                let (path, version) = (path.to_owned(), prompt.clone());
                let is_listed_nowhere = self.suites.is_some();
                return Err(if is_listed_nowhere {
                    SnapshotError::Unlisted { path, version }
                } else {
                    SnapshotError::Unloaded { path, version }
                });
            }
            // Which text gave it is not known; that of its line goes on being looked after.
            (None, Some(_)) => accept()?,
            (Some(text), Some(line)) if is_another && text != line => {
                return Err(SnapshotError::OtherText { path: path.to_owned(), version: prompt.clone() });
            }
            (Some(text), _) => self.folder.locked(&lock, &prompt, text, accept)?.0,
        };
        let problem = match listed {
            Some(version) if is_another => Some(changed_since(version)),
            Some(version) => {
                given.push(version);
                None
            }
            None => Some(self.unlisted(path, &prompt)),
        };
        Ok(Accepted { variants: accepted.outputs.len(), problem })
    }

    /// Why the version of an accepted output is not looked after.
    fn unlisted(&self, path: &str, prompt: &str) -> Problem {
        if self.suites.is_none() {
            let problem = Problem::warning(format!(
                "the suites cannot be loaded, so nobody knows whether {prompt} is still the text that gave `{path}`"
            ));
            return problem.hint("`promptkeel check` says what is wrong with them, and afterwards whether the text is another one");
        }
        if self.owners.comparison(path).is_none() {
            let problem = Problem::warning(format!("`{path}` belongs to no case of any suite"));
            return problem.hint("`promptkeel review` removes it, if no case is to own it again");
        }
        Problem::warning(format!("`{path}` was answered by {prompt}, which no suite lists any more"))
            .hint("run again to see whether the listed version still gives this output")
    }

    /// Remembers every file that a decision about these snapshots may change.
    pub(crate) fn keep(&self, paths: &[&str]) -> Result<Kept, SnapshotError> {
        let mut files: Vec<String> = paths.iter().flat_map(|path| [(*path).to_owned(), pending_path(path)]).collect();
        let locks: BTreeSet<String> = paths.iter().map(|path| lock_beside(path)).collect();
        // An orphan may be a lock itself.
        files.extend(locks.into_iter().filter(|lock| !paths.contains(&lock.as_str())));
        self.folder.keep(&files)
    }

    /// Remembers a step that changed the files from `before` to what they are now.
    pub(crate) fn did(&mut self, mut before: Kept, paths: &[&str]) {
        // Where they cannot be read they are not what they were, which is what an undo will say.
        let after = self.keep(paths).unwrap_or_else(|_| before.clone());
        // What was not decided after all is no part of the step.
        before.keep_only(&after);
        self.steps.push(self.folder.step(before, after));
    }

    /// Takes the last step back, and answers which prompt versions stay noted, because somebody else's outputs rely on them. A step after
    /// which somebody else wrote is forgotten; one that the disk refuses can be tried again.
    pub(crate) fn undo(&mut self) -> Result<Vec<String>, SnapshotError> {
        let Some(step) = self.steps.last() else { return Ok(Vec::new()) };
        let undone = self.folder.take_back(step);
        if matches!(undone, Ok(_) | Err(SnapshotError::Meanwhile { .. })) {
            self.steps.pop();
        }
        undone
    }

    /// Whether a file still belongs to no cell of any suite, as the suites stand now.
    pub(crate) fn is_orphan(&self, path: &str) -> bool {
        orphans::find(self.project, None).is_ok_and(|orphans| orphans.iter().any(|orphan| orphan == path))
    }
}

fn changed_since(version: &PromptVersion) -> Problem {
    let PromptVersion { prompt, version: number, file, .. } = version;
    let problem = Problem::warning(format!("the text of `{prompt}@{number}` (`{}`) changed after it gave what is accepted now", file.path));
    problem.hint(format!(
        "the present text does not count as accepted: run again to see what it gives, or put the earlier one back and write the present one as version {}",
        number.saturating_add(1)
    ))
}
