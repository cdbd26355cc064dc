//! Which texts did prompt versions have that were run here? Kept beside the answers, so that a text that changed after an output of it
//! was accepted can be shown as it was, also where it was never committed.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;
use std::time::SystemTime;

use crate::model::key::digest;
use crate::store::oldest;

/// Where they stand in the store's folder, each under its digest.
const FOLDER: &str = "prompts";

/// Longer texts are not kept.
const LARGEST: u64 = 4 << 20;

/// So many are kept; beyond it the oldest go that no output was accepted with.
const MOST: usize = 1_000;

/// Keeps texts, each once; one that is kept already counts as new, and one that was damaged is written again. `text` is what its digest was
/// made of. Where there are too many then, the oldest go, but for those whose digests `needed` names: it is asked only then, and `None`
/// (nobody knows) lets none go.
///
/// # Errors
/// A folder that cannot be written: then the texts are not remembered, and nothing else is lost.
pub fn keep<T: AsRef<str>>(
    store: &Path,
    texts: impl IntoIterator<Item = T>,
    now: SystemTime,
    needed: impl FnOnce() -> Option<BTreeSet<String>>,
) -> io::Result<()> {
    let folder = store.join(FOLDER);
    let mut is_more = false;
    for text in texts {
        let text = text.as_ref();
        let name = digest(text.as_bytes());
        if text.len() as u64 > LARGEST {
            continue;
        }
        let place = folder.join(&*name);
        if find(store, &name).is_some() {
            // It goes last, as if it had been written now.
            let _ = File::options().write(true).open(&place).and_then(|file| file.set_modified(now));
            continue;
        }
        fs::create_dir_all(&folder)?;
        let mut file = tempfile::NamedTempFile::new_in(&folder)?;
        file.write_all(text.as_bytes())?;
        file.as_file().set_modified(now)?;
        file.persist(place).map_err(|error| error.error)?;
        is_more = true;
    }
    if is_more { tidy(&folder, needed) } else { Ok(()) }
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
fn tidy(folder: &Path, needed: impl FnOnce() -> Option<BTreeSet<String>>) -> io::Result<()> {
    let files = oldest::first(folder)?;
    let too_many = files.len().saturating_sub(MOST);
    let Some(needed) = (if too_many > 0 { needed() } else { None }) else { return Ok(()) };
    let is_needed = |path: &Path| path.file_name().and_then(OsStr::to_str).is_some_and(|name| needed.contains(name));
    for path in files.iter().filter(|path| !is_needed(path)).take(too_many) {
        // Another process may have been faster.
        let _ = fs::remove_file(path);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// So many seconds after the beginning of time.
    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn keep_all(store: &Path, texts: &[&str], seconds: u64) {
        keep(store, texts, at(seconds), || Some(BTreeSet::new())).unwrap();
    }

    #[test]
    fn a_text_is_found_by_its_digest_and_only_as_it_was() {
        let store = tempfile::tempdir().unwrap();
        let text = "Route {{ ticket }}.\n";
        let name = digest(text.as_bytes());
        assert_eq!(find(store.path(), &name), None);
        keep_all(store.path(), &[text, text], 1);
        assert_eq!(find(store.path(), &name).as_deref(), Some(text));
        fs::write(store.path().join(FOLDER).join(&*name), "something else").unwrap();
        assert_eq!(find(store.path(), &name), None);
        keep_all(store.path(), &[text], 2);
        assert_eq!(find(store.path(), &name).as_deref(), Some(text), "a damaged file is written again");
    }

    #[test]
    fn a_digest_is_a_name_and_never_a_way() {
        let store = tempfile::tempdir().unwrap();
        for wanted in ["", "../../etc/passwd", "/etc/passwd", &"é".repeat(32), &"a".repeat(63)] {
            assert_eq!(find(store.path(), wanted), None, "{wanted}");
        }
    }

    #[test]
    fn no_more_than_so_many_are_kept_and_those_that_are_used_or_needed_stay() {
        let store = tempfile::tempdir().unwrap();
        let texts: Vec<String> = (0..MOST).map(|number| number.to_string()).collect();
        let is_kept = |text: &str| find(store.path(), &digest(text.as_bytes())).is_some();
        for (text, seconds) in texts.iter().zip(1..) {
            keep_all(store.path(), &[text], seconds);
        }
        // The first is used again, an output was accepted with the second.
        keep_all(store.path(), &["0"], 5_000);
        let needed = || Some(BTreeSet::from([digest(b"1").to_string()]));
        keep(store.path(), ["new", "newer"], at(6_000), needed).unwrap();
        assert_eq!(["0", "1", "2", "3", "4", "new", "newer"].map(is_kept), [true, true, false, false, true, true, true]);
        assert_eq!(fs::read_dir(store.path().join(FOLDER)).unwrap().count(), MOST);
        keep(store.path(), ["newest"], at(7_000), || None).unwrap();
        assert!(is_kept("4"), "where nobody knows what is needed, none goes");
    }
}
