//! How is a decision taken back, so that what others accepted meanwhile stays accepted?
//!
//! Snapshots are put back byte for byte. The lock of prompt versions belongs to all outputs of its suite: of it only the lines go back that
//! the decision changed, and none on which an output relies that was accepted since.

use std::collections::BTreeSet;

use crate::snapshot::SnapshotError;
use crate::snapshot::disk;
use crate::snapshot::folder::Folder;
use crate::snapshot::format;
use crate::snapshot::kept::Kept;
use crate::snapshot::lock::PromptLock;
use crate::snapshot::path::{ACCEPTED, LOCK};

/// What a decision made of some files.
#[derive(Debug, Clone)]
pub struct Step {
    before: Kept,
    after: Kept,
    /// Accepted outputs of the versions whose lines the decision changed, as they stood right after it.
    standing: BTreeSet<Standing>,
}

/// A file and the digest of what is in it.
type Standing = (String, [u8; 32]);

/// A lock before the decision, after it, and now.
struct Merged<'a> {
    path: &'a str,
    before: PromptLock,
    after: PromptLock,
    now: PromptLock,
}

impl Folder {
    /// A step that just changed files from `before` to `after`.
    #[must_use]
    pub fn step(&self, before: Kept, after: Kept) -> Step {
        let mut standing = BTreeSet::new();
        for (path, bytes) in after.files().filter(|(path, _)| is_lock(path)) {
            let Some((was, is)) = lock(before.bytes(path)).zip(lock(bytes)) else { continue };
            // Where they cannot be listed, every output counts as one that was accepted later: a line too many stays.
            standing.extend(self.naming(path, &was.differing(&is)).unwrap_or_default().into_iter().map(|(_, file)| file));
        }
        Step { before, after, standing }
    }

    /// Makes the files what they were before the step, provided that they are still what they were after it; nothing is touched otherwise.
    /// Answers the prompt versions that stay noted, because outputs rely on them that somebody else accepted since. A disk that fails may
    /// leave some files put back already: the same call goes on from there.
    ///
    /// # Errors
    /// A file that somebody else changed since, a disk that cannot be written.
    pub fn take_back(&self, step: &Step) -> Result<Vec<String>, SnapshotError> {
        let Step { before, after, .. } = step;
        // Another process may note a prompt version between the look and the write.
        disk::alone(&self.root, || {
            let mut locks = Vec::new();
            for (path, then) in after.files() {
                let now = disk::read_bytes(&self.root, path)?;
                if before.knows(path) && now.as_deref() == before.bytes(path) {
                    continue;
                }
                let readable = || Some((lock(before.bytes(path))?, lock(then)?, lock(now.as_deref())?));
                match readable().filter(|_| is_lock(path)) {
                    Some((before, after, now)) => locks.push(Merged { path, before, after, now }),
                    None if now.as_deref() == then => {}
                    None => return Err(SnapshotError::Meanwhile { path: path.to_owned() }),
                }
            }
            for (path, bytes) in before.files().filter(|(path, _)| locks.iter().all(|lock| lock.path != *path)) {
                self.put_or_remove(path, bytes)?;
            }
            // Outputs first: none may stand without its line.
            let mut stay = Vec::new();
            for lock in locks {
                stay.extend(self.take_back_lines(&lock, step)?);
            }
            Ok(stay)
        })
    }

    fn take_back_lines(&self, lock: &Merged<'_>, step: &Step) -> Result<Vec<String>, SnapshotError> {
        let Merged { path, before, after, now } = lock;
        let changed = after.differing(before);
        let since = |(_, file): &(String, Standing)| !step.standing.contains(file) && !step.before.knows(&file.0);
        let relied: BTreeSet<String> = self.naming(path, &changed)?.into_iter().filter(since).map(|(name, _)| name).collect();
        let (mut back, mut stay) = (now.clone(), Vec::new());
        // A line that says something else by now was noted anew by somebody else.
        for name in changed.into_iter().filter(|name| now.accepted(name) == after.accepted(name)) {
            if relied.contains(&name) { stay.push(name) } else { back.restore(&name, before) }
        }
        if back == *before {
            self.put_or_remove(path, step.before.bytes(path))?;
        } else if back != *now {
            disk::put(&self.root, path, &back.to_string())?;
        }
        Ok(stay)
    }

    fn put_or_remove(&self, path: &str, bytes: Option<&[u8]>) -> Result<(), SnapshotError> {
        match bytes {
            Some(bytes) => disk::put_bytes(&self.root, path, bytes).map(drop),
            None => disk::remove(&self.root, path).map(drop),
        }
    }

    /// The accepted outputs beside a lock that were given by one of these versions. A file that makes no sense was given by none.
    fn naming(&self, lock: &str, versions: &BTreeSet<String>) -> Result<Vec<(String, Standing)>, SnapshotError> {
        let folder = lock.strip_suffix(LOCK).unwrap_or(lock).trim_end_matches('/');
        let mut naming = Vec::new();
        if versions.is_empty() {
            return Ok(naming);
        }
        for path in disk::list_in(&self.root, folder)?.into_iter().filter(|path| path.ends_with(ACCEPTED)) {
            let bytes = disk::read_bytes(&self.root, &path).ok().flatten().unwrap_or_default();
            let digest = *blake3::hash(&bytes).as_bytes();
            let snapshot = disk::text(bytes).ok().and_then(|text| format::read(&text).ok());
            if let Some(snapshot) = snapshot.filter(|snapshot| versions.contains(&snapshot.prompt)) {
                naming.push((snapshot.prompt, (path, digest)));
            }
        }
        Ok(naming)
    }
}

fn is_lock(path: &str) -> bool {
    path.rsplit('/').next() == Some(LOCK)
}

/// What a lock's file says; one that is not there says nothing.
fn lock(bytes: Option<&[u8]>) -> Option<PromptLock> {
    let text = std::str::from_utf8(bytes.unwrap_or_default()).ok()?;
    PromptLock::parse(text).ok()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::snapshot::path::lock_path;

    const PATHS: [&str; 3] = ["snapshots/s/a/m.snap", "snapshots/s/a/m.snap.new", "snapshots/s/prompts.toml"];

    struct Project {
        root: tempfile::TempDir,
        folder: Folder,
    }

    fn project() -> Project {
        let root = tempfile::tempdir().unwrap();
        Project { folder: Folder::open(root.path()), root }
    }

    impl Project {
        fn put(&self, path: &str, text: &str) {
            let place = self.root.path().join(path);
            fs::create_dir_all(place.parent().unwrap()).unwrap();
            fs::write(place, text).unwrap();
        }

        fn read(&self, path: &str) -> Option<String> {
            fs::read_to_string(self.root.path().join(path)).ok()
        }

        fn keep(&self) -> Kept {
            self.folder.keep(&PATHS.map(str::to_owned)).unwrap()
        }

        /// As a decision does it: the line first, then the output.
        fn accept(&self, path: &str, version: &str, hash: &str) {
            let text = format!("---\nprompt: {version}\nmodel: m\nstop_reason: end_turn\n---\n{hash}\n");
            let accept = || {
                self.put(path, &text);
                Ok(())
            };
            self.folder.locked(&lock_path("s"), version, hash, accept).unwrap();
        }

        fn lines(&self) -> String {
            self.read("snapshots/s/prompts.toml").unwrap_or_default().lines().skip(2).collect::<Vec<_>>().join("\n")
        }
    }

    #[test]
    fn files_are_put_back_byte_for_byte_unless_somebody_changed_them() {
        let project = project();
        project.put(PATHS[1], "waits\r\n");
        let before = project.keep();
        project.accept(PATHS[0], "p@1", "aa");
        fs::remove_file(project.root.path().join(PATHS[1])).unwrap();
        let step = project.folder.step(before, project.keep());
        assert_eq!(project.folder.take_back(&step).unwrap(), Vec::<String>::new());
        assert_eq!(PATHS.map(|path| project.read(path)), [None, Some("waits\r\n".to_owned()), None]);
        project.put(PATHS[0], "by somebody else");
        assert!(matches!(project.folder.take_back(&step), Err(SnapshotError::Meanwhile { .. })));
        assert_eq!(project.read(PATHS[0]).as_deref(), Some("by somebody else"));
    }

    #[test]
    fn a_line_stays_on_which_an_output_relies_that_was_accepted_since() {
        let project = project();
        // Accepted at a time when nobody noted versions: it relied on no line then, and does not now.
        project.put("snapshots/s/old/m.snap", "---\nprompt: p@1\nmodel: m\nstop_reason: end_turn\n---\nold\n");
        let before = project.keep();
        project.accept(PATHS[0], "p@1", "aa");
        let step = project.folder.step(before, project.keep());
        project.accept("snapshots/s/b/m.snap", "p@2", "bb");
        assert_eq!(project.folder.take_back(&step).unwrap(), Vec::<String>::new());
        assert_eq!(project.lines(), "\"p@2\" = { hash = \"bb\" }", "what somebody else noted stays");
        let before = project.keep();
        project.accept(PATHS[0], "p@1", "aa");
        let step = project.folder.step(before, project.keep());
        project.accept("snapshots/s/c/m.snap", "p@1", "aa");
        assert_eq!(project.folder.take_back(&step).unwrap(), ["p@1"]);
        assert_eq!(project.read(PATHS[0]), None);
        assert_eq!(project.lines(), "\"p@1\" = { hash = \"aa\" }\n\"p@2\" = { hash = \"bb\" }");
    }

    #[test]
    fn a_text_that_was_noted_anew_by_somebody_else_stays() {
        let project = project();
        project.accept("snapshots/s/b/m.snap", "p@1", "aa");
        let before = project.keep();
        project.accept(PATHS[0], "p@1", "bb");
        let step = project.folder.step(before.clone(), project.keep());
        project.folder.take_back(&step).unwrap();
        assert_eq!(project.lines(), "\"p@1\" = { hash = \"aa\" }", "what others relied on before is what it was");
        project.accept(PATHS[0], "p@1", "bb");
        let step = project.folder.step(before, project.keep());
        // Confirmed by a run whose outputs were the accepted ones: no file but the lock changed.
        project.folder.locked(&lock_path("s"), "p@1", "cc", || Ok(())).unwrap();
        assert_eq!(project.folder.take_back(&step).unwrap(), Vec::<String>::new());
        assert_eq!(project.lines(), "\"p@1\" = { hash = \"cc\" }");
    }

    #[test]
    fn what_could_not_be_accepted_leaves_no_line() {
        let project = project();
        project.accept("snapshots/s/b/m.snap", "p@1", "aa");
        let lines = project.read(PATHS[2]);
        let failed = || Err::<(), _>(SnapshotError::NotPending { path: "p".to_owned() });
        assert!(project.folder.locked(&lock_path("s"), "p@2", "bb", failed).is_err());
        assert_eq!(project.read(PATHS[2]), lines);
        assert!(project.folder.locked(&lock_path("t"), "p@2", "bb", failed).is_err());
        assert!(!project.root.path().join("snapshots/t").exists());
    }

    #[test]
    fn what_could_not_be_put_back_whole_is_put_back_by_the_next_call() {
        let project = tempfile::tempdir().unwrap();
        let folder = Folder::open(project.path());
        let place = |name: &str| project.path().join("snapshots").join(name);
        let paths = ["snapshots/a/one.snap".to_owned(), "snapshots/b/two.snap".to_owned()];
        for name in ["a", "b"] {
            fs::create_dir_all(place(name)).unwrap();
        }
        for name in ["a/one.snap", "b/two.snap"] {
            fs::write(place(name), "old").unwrap();
        }
        let before = folder.keep(&paths).unwrap();
        fs::write(place("a/one.snap"), "new").unwrap();
        fs::remove_dir_all(place("b")).unwrap();
        let after = folder.keep(&paths).unwrap();
        // A file where the folder belongs.
        fs::write(place("b"), "in the way").unwrap();
        let step = folder.step(before, after);
        let refused = folder.take_back(&step).unwrap_err();
        assert!(!matches!(refused, SnapshotError::Meanwhile { .. }), "{refused}");
        fs::write(place("a/one.snap"), "old").unwrap();
        fs::remove_file(place("b")).unwrap();
        folder.take_back(&step).unwrap();
        assert_eq!(fs::read(place("a/one.snap")).unwrap(), b"old");
        assert_eq!(fs::read(place("b/two.snap")).unwrap(), b"old");
    }
}
