//! How is a suite's file of recordings written? Whole, sorted, and in place of the old one only where something is different.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::Path;
use std::sync::Arc;

use crate::model::key::Key;
use crate::model::reply::Reply;
use crate::store::recordings::{RecordingFile, Recordings, line};
use crate::store::{Store, StoreError};

/// What git does with the files: branches that add answers to one suite merge by themselves, and a checkout changes no byte.
const ATTRIBUTES: &str = "*.jsonl text eol=lf merge=union\n";

/// An answer that a case of the suite needs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Needed {
    /// The address of its cell, for people: files are sorted by it.
    pub cell: Arc<str>,
    /// Which of the independent answers.
    pub sample: u32,
    /// Its key.
    pub key: Key,
    /// The stored answer is written; else only what is recorded already stays.
    pub from_store: bool,
}

/// What writing came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Written {
    /// Answers in the file now.
    pub answers: u64,
    /// Of them new.
    pub added: u64,
    /// Of them other than before.
    pub changed: u64,
    /// That no case needs any more.
    pub gone: u64,
    /// Answers in the file to other requests than their cells make now, which stay until theirs are recorded.
    pub earlier: u64,
    /// Recorded answers that stayed, because the stored one is simulated and they are not, or the other way round.
    pub mixed: u64,
    /// Answers that are needed and wanted from the store, and neither stored nor recorded.
    pub missing: Vec<Key>,
    /// The file was left as it is: all of it would have gone, and nothing was there to take its place.
    pub stays: bool,
}

/// Writes the answers that are needed, and of others only those whose cells have no answer to what they ask now. Nothing is written where nothing is different, and no file is left where nothing is
/// needed. `lock_folder` is the store's: whoever else writes waits.
///
/// # Errors
/// A recorded answer is needed that is damaged, or the disk refuses. Then the file is as it was.
pub fn write(file: &RecordingFile, needed: Vec<Needed>, store: &Store, lock_folder: &Path) -> Result<Written, StoreError> {
    let unwritable = |error: &io::Error| StoreError::UnwrittenRecording { file: file.name.clone(), reason: error.to_string() };
    let folder = file.path.parent().unwrap_or(Path::new("."));
    let lock = File::options().read(true).write(true).create(true).truncate(false).open(lock_folder.join("recordings.lock"));
    let lock = lock.map_err(|error| unwritable(&error))?;
    // Where the file system knows no locks, two writers at once lose what one of them added, and nothing worse.
    let _ = lock.lock();
    let asked = by_sample(&needed);
    let needed = in_order(needed);
    let recorded = match Recordings::open([file.clone()]) {
        Ok(recorded) => recorded,
        // What is wrong in a file that is written anew from the store alone matters no more.
        Err(mut errors) => match all_stored(&needed, store)? {
            true => Recordings::default(),
            false => return Err(errors.swap_remove(0)),
        },
    };
    let mut written = Written::default();
    let mut lines = Vec::with_capacity(needed.len());
    for needed in needed {
        match chosen(&needed, store, &recorded, &mut written)? {
            Some(_) => lines.push(needed),
            None if needed.from_store => written.missing.push(needed.key),
            None => {}
        }
    }
    if lines.is_empty() && !recorded.is_empty() && !written.missing.is_empty() {
        let all = recorded.len() as u64;
        return Ok(Written { answers: all, gone: all, stays: true, ..written });
    }
    let earlier = earlier(&recorded, &asked, &lines)?;
    written.earlier = earlier.len() as u64;
    written.answers = (lines.len() + earlier.len()) as u64;
    written.gone = (recorded.len() as u64 + written.added).saturating_sub(written.answers);
    if written.answers == 0 {
        return match fs::remove_file(&file.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(unwritable(&error)),
            _ => Ok(written),
        };
    }
    let whole = || -> io::Result<Result<tempfile::NamedTempFile, StoreError>> {
        fs::create_dir_all(folder)?;
        let mut out = BufWriter::new(tempfile::NamedTempFile::new_in(folder)?);
        let mut earlier = earlier.iter().peekable();
        let mut put = |text: &[u8]| out.write_all(text).and_then(|()| out.write_all(b"\n"));
        for needed in &lines {
            while let Some(before) = earlier.next_if(|before| (&*before.cell, before.sample) < (&*needed.cell, needed.sample)) {
                put(&before.text)?;
            }
            let reply = match chosen(needed, store, &recorded, &mut Written::default()) {
                Ok(Some(reply)) => reply,
                // Somebody pruned the store since it was looked at.
                Ok(None) => continue,
                Err(error) => return Ok(Err(error)),
            };
            put(line::write(&needed.cell, needed.sample, &needed.key, &reply).as_bytes())?;
        }
        for before in earlier {
            put(&before.text)?;
        }
        Ok(Ok(out.into_inner().map_err(io::IntoInnerError::into_error)?))
    };
    let new = whole().map_err(|error| unwritable(&error))??;
    if !is_same(new.path(), &file.path) {
        put(new, &file.path).map_err(|error| unwritable(&error))?;
        attributes(folder).map_err(|error| unwritable(&error))?;
    }
    Ok(written)
}

/// What each sample of each cell asks now.
type Asked = HashMap<(Arc<str>, u32), Vec<Key>>;

fn by_sample(needed: &[Needed]) -> Asked {
    let mut asked = Asked::with_capacity(needed.len());
    for needed in needed {
        asked.entry((Arc::clone(&needed.cell), needed.sample)).or_default().push(needed.key);
    }
    asked
}

/// A recorded answer to another request than its cell makes now.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Earlier {
    cell: Arc<str>,
    sample: u32,
    text: Vec<u8>,
}

/// Those that no answer takes the place of: who left their cells out, or could not ask them, knows nothing of them. In order.
fn earlier(recorded: &Recordings, asked: &Asked, lines: &[Needed]) -> Result<Vec<Earlier>, StoreError> {
    let answered: HashSet<&Key> = lines.iter().map(|needed| &needed.key).collect();
    let mut earlier = Vec::new();
    for key in recorded.keys().filter(|key| !answered.contains(key)) {
        let Some((cell, sample, text)) = recorded.line(key)? else { continue };
        let place = (Arc::from(cell), sample);
        if asked.get(&place).is_some_and(|now| !now.iter().any(|key| answered.contains(key))) {
            earlier.push(Earlier { cell: place.0, sample, text });
        }
    }
    earlier.sort();
    Ok(earlier)
}

/// Sorted, one for each key.
fn in_order(mut needed: Vec<Needed>) -> Vec<Needed> {
    needed.sort();
    let mut places: HashMap<Key, usize> = HashMap::with_capacity(needed.len());
    let mut once: Vec<Needed> = Vec::with_capacity(needed.len());
    for needed in needed {
        match places.get(&needed.key) {
            Some(&place) => once[place].from_store |= needed.from_store,
            None => {
                places.insert(needed.key, once.len());
                once.push(needed);
            }
        }
    }
    once
}

fn all_stored(needed: &[Needed], store: &Store) -> Result<bool, StoreError> {
    for needed in needed {
        if !needed.from_store || store.get(&needed.key)?.is_none() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The answer that is written, and what it is to the file.
fn chosen(needed: &Needed, store: &Store, recorded: &Recordings, written: &mut Written) -> Result<Option<Arc<Reply>>, StoreError> {
    let stored = if needed.from_store { store.get(&needed.key)? } else { None };
    let old = recorded.get(&needed.key)?.map(Arc::new);
    Ok(match (stored, old) {
        (Some(stored), Some(old)) if stored.simulated != old.simulated => {
            written.mixed += 1;
            Some(old)
        }
        (Some(stored), Some(old)) => {
            let text = |reply| line::write("", needed.sample, &needed.key, reply);
            written.changed += u64::from(text(&stored) != text(&old));
            Some(stored)
        }
        (Some(stored), None) => {
            written.added += 1;
            Some(stored)
        }
        (None, old) => old,
    })
}

fn is_same(new: &Path, old: &Path) -> bool {
    let same = || -> io::Result<bool> {
        if fs::metadata(new)?.len() != fs::metadata(old)?.len() {
            return Ok(false);
        }
        let (new, old) = (BufReader::new(File::open(new)?), BufReader::new(File::open(old)?));
        for (new, old) in new.bytes().zip(old.bytes()) {
            if new? != old? {
                return Ok(false);
            }
        }
        Ok(true)
    };
    same().unwrap_or(false)
}

/// A temporary file is its owner's alone; what is committed is everybody's to read.
fn put(new: tempfile::NamedTempFile, path: &Path) -> io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = fs::metadata(path).map_or(0o644, |facts| facts.permissions().mode() & 0o777);
        new.as_file().set_permissions(fs::Permissions::from_mode(mode))?;
    }
    new.as_file().sync_all()?;
    new.persist(path).map_err(|error| error.error)?;
    Ok(())
}

fn attributes(folder: &Path) -> io::Result<()> {
    match File::options().write(true).create_new(true).open(folder.join(".gitattributes")) {
        Ok(mut file) => file.write_all(ATTRIBUTES.as_bytes()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}
