//! Which files of a folder were written first?

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// All of them, the oldest first; one that goes meanwhile is left out.
pub(super) fn first(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files: Vec<(SystemTime, PathBuf)> = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if let Ok(time) = entry.metadata().and_then(|facts| facts.modified()) {
            files.push((time, entry.path()));
        }
    }
    files.sort();
    Ok(files.into_iter().map(|(_, path)| path).collect())
}
