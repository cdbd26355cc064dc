//! Which text of its prompt gave an output that waits for review? Noted beside the answers when the output is laid aside, because the
//! prompt may be another one when somebody accepts it.
//!
//! A note holds for the very bytes that it was written for: an output that came otherwise (another machine, an editor) has none.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::key::digest;
use crate::store::oldest;

/// Where they stand in the store's folder, each under the digest of the pending file's path.
const FOLDER: &str = "pending";

/// A longer file is no note.
const LARGEST: u64 = 64 << 10;

/// So many are kept; beyond it the oldest go.
const MOST: usize = 50_000;

/// A note that is not older is not written anew.
const FRESH: Duration = Duration::from_hours(24);

#[derive(Serialize, Deserialize)]
struct Note {
    /// The pending file, for people.
    path: String,
    /// The digest of what is in it.
    output: String,
    /// The digest of the prompt version's file.
    text: String,
}

/// Notes that the prompt text with the digest `text` gave the `output` that waits at `path`.
///
/// # Errors
/// A folder that cannot be written: then nobody knows later, and nothing else is lost.
pub fn note(store: &Path, path: &str, output: &[u8], text: &str) -> io::Result<()> {
    let folder = store.join(FOLDER);
    if is_fresh(&place(store, path)) && find(store, path, output).as_deref() == Some(text) {
        return Ok(());
    }
    let note = Note { path: path.to_owned(), output: digest(output).to_string(), text: text.to_owned() };
    fs::create_dir_all(&folder)?;
    let mut file = tempfile::NamedTempFile::new_in(&folder)?;
    file.write_all(&serde_json::to_vec(&note)?)?;
    file.persist(place(store, path)).map_err(|error| error.error)?;
    Ok(())
}

/// Whether a file is so new that it would not be among the oldest.
fn is_fresh(place: &Path) -> bool {
    let age = fs::metadata(place).and_then(|facts| facts.modified()).ok().and_then(|written| written.elapsed().ok());
    age.is_some_and(|age| age < FRESH)
}

/// The digest of the prompt text that gave this output; `None` where nobody noted it.
#[must_use]
pub fn find(store: &Path, path: &str, output: &[u8]) -> Option<String> {
    let place = place(store, path);
    let facts = fs::metadata(&place).ok()?;
    if !facts.is_file() || facts.len() > LARGEST {
        return None;
    }
    let note: Note = serde_json::from_reader(File::open(place).ok()?).ok()?;
    let is_digest = note.text.len() == 64 && note.text.bytes().all(|byte| byte.is_ascii_hexdigit());
    (is_digest && note.path == path && note.output == *digest(output)).then_some(note.text)
}

fn place(store: &Path, path: &str) -> PathBuf {
    store.join(FOLDER).join(&*digest(path.as_bytes()))
}

/// Deletes the oldest where there are too many: of outputs that were decided about long ago.
///
/// # Errors
/// A folder that cannot be read.
pub fn tidy(store: &Path) -> io::Result<()> {
    tidy_to(store, MOST)
}

fn tidy_to(store: &Path, most: usize) -> io::Result<()> {
    let folder = store.join(FOLDER);
    // Names cost little, times a look at each file.
    if fs::read_dir(&folder)?.count() <= most {
        return Ok(());
    }
    let files = oldest::first(&folder)?;
    for path in files.iter().take(files.len().saturating_sub(most)) {
        // Another process may have been faster.
        let _ = fs::remove_file(path);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATH: &str = "snapshots/s/c/m.snap.new";

    #[test]
    fn a_note_holds_for_the_output_and_the_path_that_it_was_written_for() {
        let store = tempfile::tempdir().unwrap();
        let (first, second) = (digest(b"first text"), digest(b"second text"));
        assert_eq!(find(store.path(), PATH, b"Paris"), None);
        note(store.path(), PATH, b"Paris", &first).unwrap();
        assert_eq!(find(store.path(), PATH, b"Paris").as_deref(), Some(&*first));
        assert_eq!(find(store.path(), PATH, b"Lyon"), None, "somebody else laid it there");
        assert_eq!(find(store.path(), "snapshots/s/other/m.snap.new", b"Paris"), None);
        note(store.path(), PATH, b"Paris", &second).unwrap();
        assert_eq!(find(store.path(), PATH, b"Paris").as_deref(), Some(&*second), "the later run gave it too");
    }

    #[test]
    fn the_oldest_notes_go_where_there_are_too_many() {
        let store = tempfile::tempdir().unwrap();
        let text = digest(b"text");
        for (path, seconds) in ["first", "second", "third"].iter().zip([2, 1, 3]) {
            note(store.path(), path, b"Paris", &text).unwrap();
            let time = std::time::UNIX_EPOCH + Duration::from_secs(seconds);
            File::options().write(true).open(place(store.path(), path)).unwrap().set_modified(time).unwrap();
        }
        let left = |most| {
            tidy_to(store.path(), most).unwrap();
            ["first", "second", "third"].map(|path| find(store.path(), path, b"Paris").is_some())
        };
        assert_eq!(left(3), [true; 3]);
        assert_eq!(left(2), [true, false, true]);
    }

    #[test]
    fn what_is_no_note_says_nothing() {
        let store = tempfile::tempdir().unwrap();
        note(store.path(), PATH, b"Paris", &digest(b"text")).unwrap();
        let file = place(store.path(), PATH);
        let output = digest(b"Paris");
        for text in ["", "{}", "[", &format!(r#"{{"path":"{PATH}","output":"{output}","text":"../../etc/passwd"}}"#)] {
            fs::write(&file, text).unwrap();
            assert_eq!(find(store.path(), PATH, b"Paris"), None, "{text}");
        }
        fs::remove_file(&file).unwrap();
        fs::create_dir(&file).unwrap();
        assert_eq!(find(store.path(), PATH, b"Paris"), None);
        assert!(note(store.path(), PATH, b"Paris", "text").is_err(), "a folder stands in the way");
    }
}
