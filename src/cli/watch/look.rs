//! What is in the files now, and what of it is other than at the last look?

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::cli::arguments::run::RunArguments;
use crate::cli::project::{Failure, Project};
use crate::cli::session::{self, Session};
use crate::cli::watch::files::Wanted;
use crate::cli::{recordings, settings};
use crate::model::key;
use crate::model::run::Address;
use crate::runner::plan::{Plan, PlannedCell};
use crate::runner::rounds::{self, Mark};
use crate::snapshot::folder::Folder;
use crate::snapshot::{format, path};
use crate::source::tree::read_regular;

/// A file's digest; `None` where it is not there or cannot be read.
type Files = BTreeMap<String, Option<Arc<str>>>;

/// What the files held.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen {
    /// Everything that suites are made of, and simulators' scripts.
    suites: Files,
    /// Settings, and the file of further environment variables: they can change anything.
    settings: Files,
    /// Accepted snapshots, and the locks of prompt versions.
    snapshots: Files,
    /// Committed answers: any cell may be answered from them.
    recordings: Files,
}

/// A look at everything that a round is made of.
pub(super) struct Look {
    pub(super) seen: Seen,
    /// The settings as they are; as they were, where they are broken now.
    pub(super) project: Arc<Project>,
    /// What can be run, or what is wrong.
    pub(super) ready: Result<Ready, Failure>,
}

/// What can be run.
pub(super) struct Ready {
    pub(super) now: DateTime<Utc>,
    pub(super) session: Session,
    pub(super) marks: HashMap<Address, Mark>,
}

impl Look {
    pub(super) fn at(before: &Arc<Project>, arguments: &RunArguments, last: &Seen) -> Self {
        let mut seen = Seen::default();
        let project = match before.again() {
            Ok(project) => Arc::new(project),
            Err(failure) => {
                let seen = Seen { settings: of_settings(before), ..last.clone() };
                return Self { seen, project: Arc::clone(before), ready: Err(failure) };
            }
        };
        seen.settings = of_settings(&project);
        let ready = ready(&project, arguments, &mut seen, last);
        seen.look_again(&project.root, last, ready.is_err());
        Self { seen, project, ready }
    }

    /// What to watch, in order not to miss the next edit.
    pub(super) fn wanted(&self, arguments: &RunArguments) -> Wanted {
        let root = &self.project.root;
        let mut wanted = Wanted::default();
        for file in self.seen.suites.keys().chain(self.seen.settings.keys()) {
            let path = root.join(file);
            wanted.files.extend(path.canonicalize().ok());
            wanted.files.insert(path);
        }
        let named = arguments.selection.suites.iter().map(|suite| self.project.current.join(suite));
        let configured = self.project.settings.suites.iter().map(|suite| root.join(suite));
        for suite in configured.chain(named).chain([root.join("suites")]) {
            // A suite that is named and not there yet: its folder is awaited as a file would be.
            if suite.is_file() {
                wanted.files.insert(suite)
            } else {
                wanted.trees.insert(suite)
            };
        }
        wanted.trees.extend(["snapshots", recordings::FOLDER].map(|folder| root.join(folder)));
        let formats = &arguments.formats;
        let own = [&formats.json, &formats.junit, &formats.markdown, &formats.html].into_iter().flatten();
        wanted.own = own.map(|path| self.project.current.join(path)).collect();
        wanted
    }
}

fn ready(project: &Project, arguments: &RunArguments, seen: &mut Seen, last: &Seen) -> Result<Ready, Failure> {
    let (now, answers) = (session::now(), &arguments.answers);
    let loaded = session::load(project, &arguments.selection, answers)?;
    seen.suites.extend(loaded.looked_at.clone());
    for settings in project.settings.endpoints.values() {
        seen.suites.extend(settings.script.iter().map(|script| (script.clone(), digest(&project.root.join(script)))));
    }
    // Where the suites are wrong nobody knows which snapshots there are.
    seen.snapshots.clone_from(&last.snapshots);
    seen.recordings.clone_from(&last.recordings);
    let session = session::of(project, loaded, &arguments.selection, answers, now)?;
    seen.look_at_snapshots(project, &session.plan);
    seen.look_at_recordings(project, &session.plan);
    let folder = session::folder(project);
    let marks = session.plan.cells.iter().map(|cell| (cell.address(), mark(cell, &folder))).collect();
    Ok(Ready { now, session, marks })
}

/// What a cell is made of now.
pub(super) fn mark(cell: &PlannedCell, folder: &Folder) -> Mark {
    let accepted = cell.snapshot_path.as_deref().and_then(|path| folder.read(path).ok().flatten());
    rounds::mark(cell, accepted.map(|snapshot| format::write(&snapshot)).as_deref())
}

fn of_settings(project: &Project) -> Files {
    let file = |name: &str| (name.to_owned(), digest(&project.root.join(name)));
    [settings::FILE].into_iter().chain(project.settings.env_file.as_deref()).map(file).collect()
}

fn digest(path: &Path) -> Option<Arc<str>> {
    read_regular(path, settings::LARGEST).ok().map(|bytes| key::digest(&bytes))
}

impl Seen {
    /// Which of the files that no suite names any more are not there. Where a suite is wrong nobody knows what it names: its files are as
    /// they were.
    fn look_again(&mut self, root: &Path, last: &Self, is_wrong: bool) {
        for (file, digest) in &last.suites {
            let is_there = root.join(file).is_file();
            if !self.suites.contains_key(file) && (is_wrong || !is_there) {
                self.suites.insert(file.clone(), digest.clone().filter(|_| is_there));
            }
        }
    }

    /// Snapshots as they are now: ours are written by nobody else.
    pub(super) fn look_at_snapshots(&mut self, project: &Project, plan: &Plan) {
        let snapshots = plan.cells.iter().filter_map(|cell| cell.snapshot_path.as_deref().map(str::to_owned));
        let locks = plan.suites.iter().map(|suite| path::lock_path(&suite.name));
        for file in snapshots.chain(locks) {
            let now = digest(&project.root.join(&file));
            self.snapshots.insert(file, now);
        }
    }

    /// The same of recordings. They can be large, and only whoever wants an answer reads them: their size and time tell enough.
    pub(super) fn look_at_recordings(&mut self, project: &Project, plan: &Plan) {
        for file in plan.suites.iter().map(|suite| recordings::file(project, &suite.name)) {
            let facts = std::fs::metadata(&file.path).ok().filter(std::fs::Metadata::is_file);
            let mark = facts.map(|facts| Arc::from(format!("{} {:?}", facts.len(), facts.modified().ok())));
            self.recordings.insert(file.name, mark);
        }
    }

    /// Files that matter and are there.
    pub(super) fn count(&self) -> usize {
        self.suites.values().chain(self.settings.values()).flatten().count()
    }

    /// Anything is other than before.
    pub(super) fn differs(&self, before: &Self) -> bool {
        self.suites != before.suites || self.settings_differ(before) || self.snapshots != before.snapshots || self.recordings_differ(before)
    }

    /// Other answers than before may be there without asking.
    pub(super) fn recordings_differ(&self, before: &Self) -> bool {
        // A file that is not there has no answers, whether a suite looks for it or not.
        let is_there = |(_, mark): &(&String, &Option<Arc<str>>)| mark.is_some();
        self.recordings.iter().filter(is_there).ne(before.recordings.iter().filter(is_there))
    }

    /// Something changed that can change everything.
    pub(super) fn settings_differ(&self, before: &Self) -> bool {
        self.settings != before.settings
    }

    /// The files that are other than before, and how.
    pub(super) fn changes(&self, before: &Self) -> Vec<(String, &'static str)> {
        let mut changes = Vec::new();
        let kinds = [
            (&self.settings, &before.settings),
            (&self.suites, &before.suites),
            (&self.snapshots, &before.snapshots),
            (&self.recordings, &before.recordings),
        ];
        for (now, before) in kinds {
            let there = |files: &Files, name: &String| files.get(name).is_some_and(Option::is_some);
            // What is not named any more may well be there.
            let is_gone = |name: &&String| there(before, name) && now.get(*name).is_some_and(Option::is_none);
            let gone = before.keys().filter(is_gone).map(|name| (name.clone(), "is gone"));
            let other = now.iter().filter(|(name, digest)| digest.is_some() && before.get(*name) != Some(digest));
            let other = other.map(|(name, _)| (name.clone(), if there(before, name) { "changed" } else { "is new" }));
            changes.extend(other.chain(gone));
        }
        changes
    }
}
