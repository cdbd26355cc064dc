//! How is a decision about a snapshot carried out, and how is it taken back?
//!
//! `accept`, `reject` and `review` all decide here, so that what one of them refuses, none of them does.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use crate::cli::project::Project;
use crate::cli::session;
use crate::model::problem::Problem;
use crate::model::suite::{PromptVersion, Suite};
use crate::snapshot::SnapshotError;
use crate::snapshot::folder::Folder;
use crate::snapshot::kept::Kept;
use crate::snapshot::path::{lock_path, path, pending_path};

/// Whose a snapshot is: its path and `prompt@version`.
type Owner = (String, String);

/// The snapshots of a project, the versions behind them, and what was decided.
pub(crate) struct Desk {
    folder: Folder,
    versions: HashMap<Owner, (String, Arc<PromptVersion>)>,
    /// What the files were before and after each step.
    steps: Vec<(Kept, Kept)>,
}

/// What came of accepting one output: a warning where its prompt version could not be noted.
pub(crate) type Accepted = Result<Option<Problem>, SnapshotError>;

impl Desk {
    pub(crate) fn open(project: &Project) -> Self {
        Self::with(Folder::open(&project.root), &session::all_suites(project).unwrap_or_default())
    }

    pub(crate) fn with(folder: Folder, suites: &[Arc<Suite>]) -> Self {
        Self { folder, versions: versions(suites), steps: Vec::new() }
    }

    pub(crate) const fn folder(&self) -> &Folder {
        &self.folder
    }

    /// Makes pending outputs the accepted ones and locks the prompt versions that gave them.
    pub(crate) fn accept(&self, paths: &[&str]) -> Vec<Accepted> {
        let mut noted: BTreeMap<&str, Vec<(usize, &PromptVersion)>> = BTreeMap::new();
        let mut results = Vec::new();
        for (index, path) in paths.iter().enumerate() {
            results.push(self.folder.accept(path).map(|snapshot| {
                let owner = ((*path).to_owned(), snapshot.prompt);
                if let Some((suite, version)) = self.versions.get(&owner) {
                    noted.entry(suite).or_default().push((index, version));
                    return None;
                }
                let unknown = format!("`{path}` was answered by {}, which no suite lists any more", owner.1);
                Some(Problem::warning(unknown).hint("run again to see whether the listed version still gives this output"))
            }));
        }
        for (suite, versions) in noted {
            let texts: Vec<&PromptVersion> = versions.iter().map(|(_, version)| *version).collect();
            if let Err(error) = self.folder.lock(suite, &texts)
                && let Some((first, _)) = versions.first()
            {
                results[*first] = Ok(Some(Problem::error(error.to_string()).hint(error.hint())));
            }
        }
        results
    }

    /// Remembers every file that a decision about these snapshots may change.
    pub(crate) fn keep(&self, paths: &[&str]) -> Result<Kept, SnapshotError> {
        let mut files: Vec<String> = paths.iter().flat_map(|path| [(*path).to_owned(), pending_path(path)]).collect();
        let decided: HashSet<&str> = paths.iter().copied().collect();
        let suites = self.versions.iter().filter(|((owned, _), _)| decided.contains(owned.as_str()));
        let mut locks: Vec<String> = suites.map(|(_, (suite, _))| lock_path(suite)).collect();
        locks.sort_unstable();
        locks.dedup();
        files.extend(locks);
        self.folder.keep(&files)
    }

    /// Remembers a step that changed the files from `before` to what they are now.
    pub(crate) fn did(&mut self, before: Kept, paths: &[&str]) {
        // Where they cannot be read they are not what they were, which is what an undo will say.
        let after = self.keep(paths).unwrap_or_else(|_| before.clone());
        self.steps.push((before, after));
    }

    /// Takes the last step back. One that cannot be taken back is forgotten.
    pub(crate) fn undo(&mut self) -> Result<(), SnapshotError> {
        match self.steps.pop() {
            Some((before, after)) => self.folder.put_back(&before, &after),
            None => Ok(()),
        }
    }
}

/// The suite and version behind each snapshot path and `prompt@version`.
fn versions(suites: &[Arc<Suite>]) -> HashMap<Owner, (String, Arc<PromptVersion>)> {
    let mut versions = HashMap::new();
    for suite in suites {
        let several = suite.prompts.len() > 1;
        for prompt in &suite.prompts {
            for version in &prompt.versions {
                for (case, model) in suite.cases.iter().flat_map(|case| suite.models.iter().map(move |model| (case, model))) {
                    let path = path(&suite.name, &case.id, several.then_some(prompt.name.as_str()), model.name());
                    let name = format!("{}@{}", version.prompt, version.version);
                    versions.insert((path, name), (suite.name.clone(), Arc::clone(version)));
                }
            }
        }
    }
    versions
}
