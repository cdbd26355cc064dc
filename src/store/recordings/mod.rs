//! Which answers are committed with the project? Files of lines that are read beneath the store and written only on demand.
//!
//! - Opening reads each file once and keeps where every answer stands, not the answers: some hundred bytes a line.
//! - Every line carries a checksum. One that does not fit is an error that names file and line, never an answer.
//! - The same line twice is one answer: merges make such files. Two answers under one key in one file are an error. In two files (two
//!   suites that ask the same) the newer one counts, as in the store.

mod line;
pub mod write;

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, Utc};

use crate::model::key::Key;
use crate::model::reply::Reply;
use crate::store::StoreError;
use crate::store::recordings::line::Place;

/// A longer line is none of ours: no endpoint's body is longer.
const LONGEST_LINE: u64 = 96 << 20;

/// So many damaged lines are told of each file.
const MOST_TOLD: usize = 20;

/// Where a suite's answers are recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordingFile {
    /// The file.
    pub path: PathBuf,
    /// As it is told: relative to the project.
    pub name: String,
}

/// The recordings of some suites.
#[derive(Debug, Default)]
pub struct Recordings {
    files: Vec<Opened>,
    entries: HashMap<Key, Entry>,
}

#[derive(Debug)]
struct Opened {
    name: String,
    /// The one that was read: whoever writes puts another one in its place.
    file: Mutex<File>,
    bytes: u64,
}

/// Where an answer stands.
#[derive(Debug, Clone, Copy)]
struct Entry {
    file: u32,
    line: u32,
    offset: u64,
    length: u32,
    sample: u32,
    answered_at: DateTime<Utc>,
    simulated: bool,
}

/// What one file comes to.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct FileFacts {
    /// Relative to the project.
    pub file: String,
    /// Different answers.
    pub answers: u64,
    /// Of them from a simulator.
    pub simulated: u64,
    /// Its size.
    pub bytes: u64,
}

impl Recordings {
    /// Reads the files that there are. All that is wrong is told, not the first alone.
    ///
    /// # Errors
    /// A file that cannot be read, lines that are not as they were written, two answers under one key.
    pub fn open(places: impl IntoIterator<Item = RecordingFile>) -> Result<Self, Vec<StoreError>> {
        let mut recordings = Self::default();
        let mut errors = Vec::new();
        for RecordingFile { path, name } in places {
            match regular(&path) {
                Ok(Some(file)) => errors.extend(recordings.read(file, name)),
                Ok(None) => {}
                Err(error) => errors.push(StoreError::RecordingFile { file: name, reason: error.to_string() }),
            }
        }
        if errors.is_empty() { Ok(recordings) } else { Err(errors) }
    }

    /// The same of a file that stands elsewhere, such as in a commit: its name, and what is in it.
    ///
    /// # Errors
    /// As those of [`Recordings::open`].
    pub fn of_text(name: String, text: &[u8]) -> Result<Self, Vec<StoreError>> {
        let mut recordings = Self::default();
        // Answers are read when they are needed, and from a file: nobody holds all of them.
        let copied = || -> std::io::Result<File> {
            let mut file = tempfile::tempfile()?;
            file.write_all(text)?;
            file.seek(SeekFrom::Start(0))?;
            Ok(file)
        };
        let errors = match copied() {
            Ok(file) => recordings.read(file, name),
            Err(error) => vec![StoreError::RecordingFile { file: name, reason: error.to_string() }],
        };
        if errors.is_empty() { Ok(recordings) } else { Err(errors) }
    }

    /// Whether nothing is recorded.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// How many answers there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// The keys of all answers.
    pub fn keys(&self) -> impl Iterator<Item = &Key> {
        self.entries.keys()
    }

    /// When the answer of a key was paid, and whether a simulator gave it.
    #[must_use]
    pub fn known(&self, key: &Key) -> Option<(DateTime<Utc>, bool)> {
        self.entries.get(key).map(|entry| (entry.answered_at, entry.simulated))
    }

    /// The answer of a key.
    ///
    /// # Errors
    /// A line that somebody changed since the file was opened, or that this version cannot read.
    pub fn get(&self, key: &Key) -> Result<Option<Reply>, StoreError> {
        let Some(entry) = self.entries.get(key) else { return Ok(None) };
        let wrong = |reason: String| self.wrong(entry.file, entry.line, reason);
        let text = self.text(entry).map_err(|error| wrong(format!("cannot be read any more: {error}")))?;
        match line::reply(&text).map_err(wrong)? {
            (found, reply) if found == *key => Ok(Some(reply)),
            _ => Err(wrong("another answer than it was when this command began".to_owned())),
        }
    }

    /// The same with the number of its sample.
    pub(super) fn get_sample(&self, key: &Key) -> Result<Option<(u32, Reply)>, StoreError> {
        Ok(self.get(key)?.zip(self.entries.get(key)).map(|(reply, entry)| (entry.sample, reply)))
    }

    /// The cell and the sample that an answer was recorded for, and its line.
    fn line(&self, key: &Key) -> Result<Option<(String, u32, Vec<u8>)>, StoreError> {
        let Some(entry) = self.entries.get(key) else { return Ok(None) };
        let wrong = |reason: String| self.wrong(entry.file, entry.line, reason);
        let text = self.text(entry).map_err(|error| wrong(format!("cannot be read any more: {error}")))?;
        let cell = line::cell(&text).map_err(wrong)?;
        Ok(Some((cell, entry.sample, text)))
    }

    /// What each file comes to.
    #[must_use]
    pub fn facts(&self) -> Vec<FileFacts> {
        let fact = |file: &Opened| FileFacts { file: file.name.clone(), bytes: file.bytes, ..FileFacts::default() };
        let mut facts: Vec<FileFacts> = self.files.iter().map(fact).collect();
        for entry in self.entries.values() {
            let fact = &mut facts[entry.file as usize];
            fact.answers += 1;
            fact.simulated += u64::from(entry.simulated);
        }
        facts
    }

    fn read(&mut self, file: File, name: String) -> Vec<StoreError> {
        let number = u32::try_from(self.files.len()).unwrap_or(u32::MAX);
        let mut reader = BufReader::with_capacity(1 << 16, &file);
        let (mut offset, mut count) = (0_u64, 0_u32);
        let mut found: HashMap<Key, Entry> = HashMap::new();
        let mut errors: Vec<(u32, StoreError)> = Vec::new();
        let wrong = |line, reason| (line, StoreError::Recording { file: name.clone(), line, reason });
        let mut conflicts: Vec<(Entry, Entry)> = Vec::new();
        let mut buffer = Vec::new();
        let unreadable = loop {
            buffer.clear();
            let read = match (&mut reader).take(LONGEST_LINE + 1).read_until(b'\n', &mut buffer) {
                Ok(read) => read as u64,
                Err(error) => break Some(error.to_string()),
            };
            if read == 0 {
                break None;
            }
            count = count.saturating_add(1);
            if read > LONGEST_LINE {
                errors.push(wrong(count, format!("longer than {} MB", LONGEST_LINE >> 20)));
                break None;
            }
            let text = trimmed(&buffer);
            let start = offset;
            offset += read;
            if text.is_empty() {
                continue;
            }
            match line::place(text) {
                Ok(Place { key, sample, answered_at, simulated }) => {
                    let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
                    let entry = Entry { file: number, line: count, offset: start, length, sample, answered_at, simulated };
                    match found.get(&key) {
                        Some(first) => conflicts.push((*first, entry)),
                        None => {
                            found.insert(key, entry);
                        }
                    }
                }
                Err(reason) => errors.push(wrong(count, reason)),
            }
            if errors.len() > MOST_TOLD {
                break None;
            }
        };
        drop(reader);
        self.files.push(Opened { name: name.clone(), file: Mutex::new(file), bytes: offset });
        if let Some(reason) = unreadable {
            return vec![StoreError::RecordingFile { file: name, reason }];
        }
        errors.extend(conflicts.iter().filter_map(|(first, second)| {
            let same = self.text(first).is_ok_and(|text| self.text(second).is_ok_and(|other| is_same(&text, &other)));
            let (line, first) = (second.line, first.line);
            (!same).then(|| (line, StoreError::RecordedTwice { file: name.clone(), line, first }))
        }));
        errors.sort_by_key(|(line, _)| *line);
        let hidden = errors.len() > MOST_TOLD;
        errors.truncate(MOST_TOLD);
        for (key, entry) in found {
            let known = self.entries.entry(key).or_insert(entry);
            if known.answered_at < entry.answered_at {
                *known = entry;
            }
        }
        let mut errors: Vec<StoreError> = errors.into_iter().map(|(_, error)| error).collect();
        if hidden {
            errors.push(StoreError::RecordingFile { file: name, reason: format!("more than {MOST_TOLD} lines are wrong") });
        }
        errors
    }

    fn text(&self, entry: &Entry) -> std::io::Result<Vec<u8>> {
        let mut text = vec![0; entry.length as usize];
        let mut file = self.files[entry.file as usize].file.lock().unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::Start(entry.offset))?;
        file.read_exact(&mut text)?;
        Ok(text)
    }

    fn wrong(&self, file: u32, line: u32, reason: String) -> StoreError {
        StoreError::Recording { file: self.files[file as usize].name.clone(), line, reason }
    }
}

/// The same answer, whatever the cell is called that it was written for.
fn is_same(first: &[u8], second: &[u8]) -> bool {
    first == second || matches!((line::reply(first), line::reply(second)), (Ok(first), Ok(second)) if first == second)
}

/// Without the end of the line, as any version control may have written it.
fn trimmed(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// The file, if there is one: whoever opens a pipe waits for ever.
fn regular(path: &Path) -> std::io::Result<Option<File>> {
    match std::fs::metadata(path) {
        Ok(facts) if facts.is_file() => File::open(path).map(Some),
        Ok(_) => Err(std::io::Error::new(ErrorKind::InvalidInput, "it is no regular file")),
        Err(error) if error.kind() == ErrorKind::NotFound && !path.is_symlink() => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests;
