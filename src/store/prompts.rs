//! Which texts did prompt versions have that were run here? Kept beside the answers, so that a text that changed after an output of it
//! was accepted can be shown as it was, also where it was never committed.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::model::key::digest;

/// Where they stand in the store's folder, each under its digest.
const FOLDER: &str = "prompts";

/// Longer texts are not kept.
const LARGEST: u64 = 4 << 20;

/// So many are kept; beyond it the oldest go.
const MOST: usize = 1_000;

/// Keeps a text, where it is not kept yet. `text` is what its digest was made of.
///
/// # Errors
/// A folder that cannot be written: then the text is not remembered, and nothing else is lost.
pub fn keep(store: &Path, text: &str) -> io::Result<()> {
    let name = digest(text.as_bytes());
    let folder = store.join(FOLDER);
    let place = folder.join(&*name);
    if text.len() as u64 > LARGEST || place.exists() {
        return Ok(());
    }
    fs::create_dir_all(&folder)?;
    let mut file = tempfile::NamedTempFile::new_in(&folder)?;
    file.write_all(text.as_bytes())?;
    file.persist(place).map_err(|error| error.error)?;
    tidy(&folder)
}

/// The text with this digest; `None` where it is not kept, or is not what it was.
#[must_use]
pub fn find(store: &Path, wanted: &str) -> Option<String> {
    // The digest may come from a file that somebody wrote: it is a name and no way.
    let is_name = wanted.len() == 64 && wanted.bytes().all(|byte| byte.is_ascii_hexdigit());
    let place = store.join(FOLDER).join(is_name.then_some(wanted)?);
    let facts = fs::metadata(&place).ok()?;
    if !facts.is_file() || facts.len() > LARGEST {
        return None;
    }
    let text = fs::read_to_string(place).ok()?;
    (*digest(text.as_bytes()) == *wanted).then_some(text)
}

/// Deletes the oldest where there are too many.
fn tidy(folder: &Path) -> io::Result<()> {
    let mut files: Vec<(SystemTime, PathBuf)> = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if let Ok(time) = entry.metadata().and_then(|facts| facts.modified()) {
            files.push((time, entry.path()));
        }
    }
    files.sort();
    for (_, path) in files.iter().take(files.len().saturating_sub(MOST)) {
        // Another process may have been faster.
        let _ = fs::remove_file(path);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_found_by_its_digest_and_only_as_it_was() {
        let store = tempfile::tempdir().unwrap();
        let name = digest(b"Route {{ ticket }}.\n");
        assert_eq!(find(store.path(), &name), None);
        keep(store.path(), "Route {{ ticket }}.\n").unwrap();
        keep(store.path(), "Route {{ ticket }}.\n").unwrap();
        assert_eq!(find(store.path(), &name).as_deref(), Some("Route {{ ticket }}.\n"));
        fs::write(store.path().join(FOLDER).join(&*name), "something else").unwrap();
        assert_eq!(find(store.path(), &name), None);
    }

    #[test]
    fn a_digest_is_a_name_and_never_a_way() {
        let store = tempfile::tempdir().unwrap();
        for wanted in ["", "../../etc/passwd", "/etc/passwd", &"é".repeat(32), &"a".repeat(63)] {
            assert_eq!(find(store.path(), wanted), None, "{wanted}");
        }
    }

    #[test]
    fn no_more_than_so_many_are_kept() {
        let store = tempfile::tempdir().unwrap();
        for number in 0..MOST + 5 {
            keep(store.path(), &number.to_string()).unwrap();
        }
        assert_eq!(fs::read_dir(store.path().join(FOLDER)).unwrap().count(), MOST);
        assert!(find(store.path(), &digest((MOST + 4).to_string().as_bytes())).is_some(), "the newest stays");
    }
}
