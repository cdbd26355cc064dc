//! What did some snapshot files hold, byte for byte, and are they still as they were?
//!
//! A review shows files, carries out what a person decides, and takes it back on request. Meanwhile a run or another shell may write the
//! same files: what was not seen is never decided about, and what somebody else wrote is never overwritten by an undo.

use crate::snapshot::SnapshotError;
use crate::snapshot::disk;
use crate::snapshot::folder::Folder;

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

    /// Makes the files what they were `before`, provided that they are still what they were `after`; nothing is touched otherwise.
    ///
    /// # Errors
    /// A file that somebody else changed since, a disk that cannot be written.
    pub fn put_back(&self, before: &Kept, after: &Kept) -> Result<(), SnapshotError> {
        for (path, bytes) in &after.files {
            if disk::read_bytes(&self.root, path)? != *bytes {
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
}
