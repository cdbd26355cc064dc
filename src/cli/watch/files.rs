//! Did somebody change a file that matters? The one place that asks the system to watch files.
//!
//! An event only says that it is worth looking again: what changed is found out by reading, so an event too many does no harm. It is enough
//! that none is missed, which is why folders are watched, not files: editors put a new file in the place of the old one.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use notify::event::{AccessKind, AccessMode, ModifyKind};
use notify::{ErrorKind, Event, EventKind, PollWatcher, RecursiveMode};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::{Instant, timeout_at};

use crate::cli::arguments::run::WatchArgument;
use crate::cli::project::Failure;
use crate::model::problem::Problem;

/// So much silence ends an edit: an editor that saves makes several events, and who saves every few words saves several times a second.
/// Each round may ask, so what was meant as one edit is one round.
const QUIET: Duration = Duration::from_millis(300);
/// An edit that does not end is looked at all the same.
const LONGEST: Duration = Duration::from_secs(5);
/// How often files are looked at where the system tells nothing.
const PERIOD: Duration = Duration::from_secs(1);

/// What matters.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Wanted {
    /// Files, there or not.
    pub(super) files: BTreeSet<PathBuf>,
    /// Folders in which every file matters.
    pub(super) trees: BTreeSet<PathBuf>,
    /// Files that we write ourselves.
    pub(super) own: BTreeSet<PathBuf>,
}

impl Wanted {
    /// Whether a change of this path can change what a round comes to.
    fn is_about(&self, path: &Path) -> bool {
        if self.own.contains(path) {
            return false;
        }
        // The file itself, or a folder of such files or trees that came or went.
        let below = |paths: &BTreeSet<PathBuf>| paths.range(path.to_path_buf()..).next().is_some_and(|next| next.starts_with(path));
        if below(&self.files) || below(&self.trees) {
            return true;
        }
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        // Hidden files are no suites and no prompts, but what editors and our own atomic writes leave for a moment.
        let is_passing = name.starts_with('.') || name.ends_with('~') || name.ends_with(".snap.new");
        !is_passing && self.trees.iter().any(|tree| path.starts_with(tree))
    }

    /// The folders to watch, and whether with all that is in them.
    fn targets(&self) -> BTreeMap<PathBuf, RecursiveMode> {
        let mut targets = BTreeMap::new();
        for tree in &self.trees {
            match existing(tree) {
                Some(folder) if folder == *tree => drop(targets.insert(folder, RecursiveMode::Recursive)),
                Some(folder) => drop(targets.entry(folder).or_insert(RecursiveMode::NonRecursive)),
                None => {}
            }
        }
        let whole: Vec<PathBuf> =
            targets.iter().filter(|(_, mode)| **mode == RecursiveMode::Recursive).map(|(path, _)| path.clone()).collect();
        for folder in self.files.iter().filter_map(|file| existing(file.parent()?)) {
            if !whole.iter().any(|tree| folder.starts_with(tree)) {
                targets.entry(folder).or_insert(RecursiveMode::NonRecursive);
            }
        }
        targets
    }
}

/// The folder, or the nearest one above it that is there.
fn existing(folder: &Path) -> Option<PathBuf> {
    folder.ancestors().find(|folder| folder.is_dir()).map(Path::to_path_buf)
}

/// Watches.
pub(super) struct Files {
    how: WatchArgument,
    /// Dropped and made anew where other folders matter, or where folders came and went: a watch on a folder ends with it.
    watcher: Option<Box<dyn notify::Watcher + Send>>,
    watched: BTreeMap<PathBuf, RecursiveMode>,
    stale: bool,
    wanted: Wanted,
    sender: UnboundedSender<Event>,
    events: UnboundedReceiver<Event>,
}

impl Files {
    pub(super) fn new(how: WatchArgument) -> Self {
        let (sender, events) = unbounded_channel();
        Self { how, watcher: None, watched: BTreeMap::new(), stale: false, wanted: Wanted::default(), sender, events }
    }

    /// Watches what matters now. Answers whether something is watched that was not before: it may have changed meanwhile.
    pub(super) fn cover(&mut self, wanted: Wanted) -> Result<bool, Failure> {
        let targets = wanted.targets();
        self.wanted = wanted;
        if !self.stale && targets == self.watched && self.watcher.is_some() {
            return Ok(false);
        }
        let mut watcher = self.watcher().map_err(|error| problem(&error, None))?;
        for (folder, mode) in &targets {
            match watcher.watch(folder, *mode) {
                Ok(()) => {}
                // It went since it was seen; its going is an event of its parent.
                Err(error) if is_missing(&error) => {}
                Err(error) => return Err(problem(&error, Some(folder)).into()),
            }
        }
        self.watcher = Some(watcher);
        self.watched = targets;
        self.stale = false;
        Ok(true)
    }

    #[expect(clippy::disallowed_methods, reason = "this is the address where files are watched")]
    fn watcher(&self) -> notify::Result<Box<dyn notify::Watcher + Send>> {
        let sender = self.sender.clone();
        let hear = move |event: notify::Result<Event>| {
            // What the system could not tell may be anything.
            let event = event.unwrap_or_else(|_| Event::new(EventKind::Other));
            if !is_reading(&event.kind) {
                // Nobody listens any more only when the watch has ended.
                let _ = sender.send(event);
            }
        };
        Ok(match self.how {
            WatchArgument::Events => Box::new(notify::recommended_watcher(hear)?),
            WatchArgument::Poll => Box::new(PollWatcher::new(hear, notify::Config::default().with_poll_interval(PERIOD))?),
        })
    }

    /// Waits for an edit, and for its end.
    pub(super) async fn changed(&mut self) {
        while !self.next().await {}
        self.quiet().await;
    }

    /// Waits until nothing has changed for a moment: a file that is being written is not read half.
    pub(super) async fn quiet(&mut self) {
        let last = Instant::now() + LONGEST;
        let mut quiet = Instant::now() + QUIET;
        while let Ok(is_about) = timeout_at(quiet.min(last), self.next()).await {
            if is_about {
                quiet = Instant::now() + QUIET;
            }
        }
    }

    /// Whether the next event matters.
    async fn next(&mut self) -> bool {
        // The sender is kept here, so there is always another event to wait for.
        let Some(event) = self.events.recv().await else { return std::future::pending().await };
        let moves = match event.kind {
            EventKind::Create(_) | EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(_)) => true,
            EventKind::Any | EventKind::Access(_) | EventKind::Modify(_) | EventKind::Other => false,
        };
        let touches = |path: &PathBuf| self.watched.range(path.clone()..).next().is_some_and(|(next, _)| next.starts_with(path));
        self.stale |= moves && event.paths.iter().any(touches);
        event.paths.is_empty() || event.need_rescan() || event.paths.iter().any(|path| self.wanted.is_about(path))
    }
}

/// Somebody only read: we do so ourselves all the time.
fn is_reading(kind: &EventKind) -> bool {
    matches!(kind, EventKind::Access(access) if *access != AccessKind::Close(AccessMode::Write))
}

fn is_missing(error: &notify::Error) -> bool {
    match &error.kind {
        ErrorKind::PathNotFound => true,
        ErrorKind::Io(error) => error.kind() == std::io::ErrorKind::NotFound,
        ErrorKind::Generic(_) | ErrorKind::WatchNotFound | ErrorKind::InvalidConfig(_) | ErrorKind::MaxFilesWatch => false,
    }
}

fn problem(error: &notify::Error, folder: Option<&Path>) -> Problem {
    let what = folder.map_or_else(|| "files".to_owned(), |folder| format!("the folder `{}`", folder.display()));
    let problem = Problem::error(format!("cannot watch {what}: {error}"));
    match error.kind {
        ErrorKind::MaxFilesWatch => problem.hint("the system's limit is reached: raise fs.inotify.max_user_watches, or use `--watch=poll`"),
        ErrorKind::Generic(_) | ErrorKind::Io(_) | ErrorKind::PathNotFound | ErrorKind::WatchNotFound | ErrorKind::InvalidConfig(_) => {
            problem.hint("`--watch=poll` looks at the files every second instead")
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::{sleep, timeout};

    use super::*;

    /// Watches nothing but what is sent: the clock is paused, and jumps to whatever is waited for next.
    fn heard() -> (UnboundedSender<Event>, Files) {
        let mut files = Files::new(WatchArgument::Events);
        files.wanted.files = paths(&["/p/suites/a.yaml"]);
        (files.sender.clone(), files)
    }

    fn save(to: &UnboundedSender<Event>) {
        to.send(Event::new(EventKind::Any).add_path("/p/suites/a.yaml".into())).unwrap();
    }

    /// How many edits there are until nothing happens for a minute.
    async fn edits(files: &mut Files) -> usize {
        let mut edits = 0;
        while timeout(Duration::from_secs(60), files.changed()).await.is_ok() {
            edits += 1;
        }
        edits
    }

    #[tokio::test(start_paused = true)]
    async fn eight_saves_in_a_second_are_one_edit() {
        let (to, mut files) = heard();
        let saves = async {
            for _ in 0..8 {
                save(&to);
                sleep(Duration::from_millis(140)).await;
            }
        };
        assert_eq!(tokio::join!(saves, edits(&mut files)).1, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn saves_that_are_apart_are_edits_of_their_own() {
        let (to, mut files) = heard();
        let saves = async {
            for _ in 0..3 {
                save(&to);
                sleep(Duration::from_secs(1)).await;
            }
        };
        assert_eq!(tokio::join!(saves, edits(&mut files)).1, 3);
    }

    #[tokio::test(start_paused = true)]
    async fn saves_in_the_middle_of_a_round_are_one_edit_behind_it() {
        let (to, mut files) = heard();
        (0..5).for_each(|_| save(&to));
        assert_eq!(edits(&mut files).await, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn an_edit_that_does_not_end_is_looked_at_all_the_same() {
        let (to, mut files) = heard();
        let saves = async {
            for _ in 0..100 {
                save(&to);
                sleep(Duration::from_millis(100)).await;
            }
        };
        assert_eq!(tokio::join!(saves, edits(&mut files)).1, 2, "ten seconds of it");
    }

    fn paths(paths: &[&str]) -> BTreeSet<PathBuf> {
        paths.iter().map(PathBuf::from).collect()
    }

    #[test]
    fn what_we_write_ourselves_and_what_editors_leave_for_a_moment_is_no_edit() {
        let wanted = Wanted {
            files: paths(&["/p/promptkeel.toml", "/p/.env", "/p/fixtures/tickets.csv"]),
            trees: paths(&["/p/suites", "/p/snapshots"]),
            own: paths(&["/p/suites/report.html"]),
        };
        let about = ["/p/.env", "/p/fixtures/tickets.csv", "/p/fixtures", "/p/suites/new.yaml", "/p/suites", "/p/snapshots/a/b.snap"];
        for path in about {
            assert!(wanted.is_about(Path::new(path)), "{path}");
        }
        let idle = [
            "/p/fixtures/other.csv",
            "/p/report.json",
            "/p/suites/report.html",
            "/p/suites/.tickets.yaml.swp",
            "/p/suites/tickets.yaml~",
            "/p/snapshots/a/b.snap.new",
            "/p/.promptkeel/store.db-wal",
            "/p/fixtures/tickets.csv.bak",
        ];
        for path in idle {
            assert!(!wanted.is_about(Path::new(path)), "{path}");
        }
    }

    #[test]
    fn a_folder_that_is_not_there_yet_is_awaited_in_the_one_above() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        std::fs::create_dir_all(root.join("suites/prompts")).unwrap();
        let files = [root.join("suites/prompts/a/1.md"), root.join("fixtures/deep/a.csv"), root.join("promptkeel.toml")];
        let trees = [root.join("suites"), root.join("snapshots")];
        let wanted = Wanted { files: files.into(), trees: trees.into(), own: BTreeSet::new() };
        let expected = [(root.to_path_buf(), RecursiveMode::NonRecursive), (root.join("suites"), RecursiveMode::Recursive)];
        assert_eq!(wanted.targets(), BTreeMap::from(expected));
    }
}
