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

    /// The files that were looked at, in the order in which they were.
    pub(super) fn files(&self) -> impl Iterator<Item = (&str, Option<&[u8]>)> {
        self.files.iter().map(|(path, bytes)| (path.as_str(), bytes.as_deref()))
    }

    /// Keeps those files alone that `others` has too.
    pub fn keep_only(&mut self, others: &Self) {
        self.files.retain(|(path, _)| others.knows(path));
    }

    /// Whether the file was looked at, there or not.
    pub(super) fn knows(&self, path: &str) -> bool {
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
}

#[cfg(test)]
mod tests {

    use std::fs;

    use super::*;

    #[test]
    fn files_are_kept_byte_for_byte_and_looked_at_again() {
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
        assert_eq!(after.bytes(&paths[0]), Some(b"no \xff text\r\n".as_slice()));
        assert_eq!((folder.moved(&before).unwrap().as_ref(), folder.moved(&after).unwrap()), (Some(&paths[0]), None));
        assert!(folder.keep(&["../outside".to_owned()]).is_err());
    }
}
