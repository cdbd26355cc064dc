//! What did some snapshot files hold, byte for byte, and are they still as they were?
//!
//! A review shows files, carries out what a person decides, and takes it back on request. Meanwhile a run or another shell may write the
//! same files: what was not seen is never decided about, and what somebody else wrote is never overwritten by an undo.

use crate::snapshot::SnapshotError;
use crate::snapshot::disk;
use crate::snapshot::folder::Folder;
use crate::snapshot::format;
use crate::snapshot::output::Snapshot;

/// The bytes of some files; `None` where there is no such file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Kept {
    files: Vec<(String, Option<Vec<u8>>)>,
}

impl Kept {
    /// What stood in a file.
    #[must_use]
    pub fn bytes(&self, path: &str) -> Option<&[u8]> {
        self.files.iter().find(|(kept, _)| kept == path).and_then(|(_, bytes)| bytes.as_deref())
    }

    /// Whether there was such a file.
    #[must_use]
    pub fn has(&self, path: &str) -> bool {
        self.files.iter().any(|(kept, bytes)| kept == path && bytes.is_some())
    }

    /// Keeps those files alone that `others` has too.
    pub fn keep_only(&mut self, others: &Self) {
        self.files.retain(|(path, _)| others.knows(path));
    }

    /// Whether the file was looked at, there or not.
    fn knows(&self, path: &str) -> bool {
        self.files.iter().any(|(kept, _)| kept == path)
    }
}

impl Folder {
    /// Remembers files of the snapshot folder.
    ///
    /// # Errors
    /// A path outside of the folder, a file that cannot be read.
    pub fn keep(&self, paths: &[String]) -> Result<Kept, SnapshotError> {
        let kept = |path: &String| Ok((path.clone(), disk::read_bytes(&self.root, path)?));
        Ok(Kept { files: paths.iter().map(kept).collect::<Result<_, SnapshotError>>()? })
    }

    /// The snapshot in a kept file, from the very bytes that were kept; one that was not kept is read.
    ///
    /// # Errors
    /// A file that makes no sense.
    pub fn read_kept(&self, kept: &Kept, path: &str) -> Result<Option<Snapshot>, SnapshotError> {
        if !kept.knows(path) {
            return self.read(path);
        }
        let Some(bytes) = kept.bytes(path) else { return Ok(None) };
        let text = disk::text(bytes.to_vec()).map_err(|source| SnapshotError::Read { path: path.to_owned(), source })?;
        format::read(&text).map(Some).map_err(|source| SnapshotError::Format { path: path.to_owned(), source })
    }

    /// The first of the kept files that is not what it was.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn moved(&self, kept: &Kept) -> Result<Option<String>, SnapshotError> {
        for (path, bytes) in &kept.files {
            if disk::read_bytes(&self.root, path)? != *bytes {
                return Ok(Some(path.clone()));
            }
        }
        Ok(None)
    }

    /// Makes the files what they were `before`, provided that they are still what they were `after`; nothing is touched otherwise. A disk that
    /// fails may leave some of them put back already: the same call goes on from there.
    ///
    /// # Errors
    /// A file that somebody else changed since, a disk that cannot be written.
    pub fn put_back(&self, before: &Kept, after: &Kept) -> Result<(), SnapshotError> {
        // Another process may note a prompt version between the look and the write.
        disk::alone(&self.root, || {
            for (path, bytes) in &after.files {
                let now = disk::read_bytes(&self.root, path)?;
                let is_back = before.knows(path) && now.as_deref() == before.bytes(path);
                if now != *bytes && !is_back {
                    return Err(SnapshotError::Meanwhile { path: path.clone() });
                }
            }
            for (path, bytes) in &before.files {
                match bytes {
                    Some(bytes) => disk::put_bytes(&self.root, path, bytes)?,
                    None => disk::remove(&self.root, path)?,
                };
            }
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {

    use std::fs;

    use super::*;

    #[test]
    fn files_are_put_back_byte_for_byte_unless_somebody_changed_them() {
        let project = tempfile::tempdir().unwrap();
        let folder = Folder::open(project.path());
        let place = |name: &str| project.path().join("snapshots/s").join(name);
        let paths = ["snapshots/s/a.snap".to_owned(), "snapshots/s/a.snap.new".to_owned()];
        fs::create_dir_all(project.path().join("snapshots/s")).unwrap();
        fs::write(place("a.snap.new"), b"no \xff text\r\n").unwrap();
        let before = folder.keep(&paths).unwrap();
        assert!(before.has(&paths[1]) && !before.has(&paths[0]));
        fs::rename(place("a.snap.new"), place("a.snap")).unwrap();
        let after = folder.keep(&paths).unwrap();
        folder.put_back(&before, &after).unwrap();
        assert_eq!(fs::read(place("a.snap.new")).unwrap(), b"no \xff text\r\n");
        assert!(!place("a.snap").exists());
        fs::write(place("a.snap"), "by somebody else").unwrap();
        assert!(matches!(folder.put_back(&before, &after), Err(SnapshotError::Meanwhile { .. })));
        assert_eq!(fs::read(place("a.snap")).unwrap(), b"by somebody else");
        assert!(folder.keep(&["../outside".to_owned()]).is_err());
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
        let refused = folder.put_back(&before, &after).unwrap_err();
        assert!(!matches!(refused, SnapshotError::Meanwhile { .. }), "{refused}");
        fs::write(place("a/one.snap"), "old").unwrap();
        fs::remove_file(place("b")).unwrap();
        folder.put_back(&before, &after).unwrap();
        assert_eq!(fs::read(place("a/one.snap")).unwrap(), b"old");
        assert_eq!(fs::read(place("b/two.snap")).unwrap(), b"old");
    }
}
