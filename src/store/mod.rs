//! Which answers and runs does this project remember? One SQLite file that several processes may share.
//!
//! - An answer is written once, under its key, and never changed; asking again adds a generation beside it. Reads take the newest.
//! - One writer thread commits whatever is queued, then acknowledges: an acknowledged answer survives `kill -9`. A power cut may lose the
//!   last moments (`synchronous=NORMAL`), never the file.
//! - Before a process asks it claims the key, so that two runs at once pay for each answer once.
//! - Every answer carries a checksum over key and reply: a damaged one counts as missing, never as an answer.
//! - Only answers are kept, never verdicts that a later run would trust; the history of runs is for people and for `--failed`.

pub mod answers;
pub mod batches;
pub mod batching;
pub mod cached;
mod claim;
pub mod history;
mod kept;
mod oldest;
mod open;
pub mod pending;
pub mod prompts;
pub mod recent;
pub mod recordings;
mod room;
pub mod trends;
pub mod upkeep;
mod writer;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::Connection;

use crate::model::key::Key;
use crate::model::problem::Problem;
use crate::model::reply::{Answer, Reply, Served};
use crate::store::answers::{Found, Known, NewAnswer};
use crate::store::claim::{Claimed, Claims};
use crate::store::history::{RunHead, RunRecord};
use crate::store::open::Access;
use crate::store::recent::{Flaky, SuiteCounts};
use crate::store::recordings::Recordings;
use crate::store::writer::Writer;

/// The project's database.
#[derive(Debug)]
pub struct Store {
    path: PathBuf,
    access: Access,
    readers: Mutex<Vec<Connection>>,
    /// `None` where nothing can be written.
    writer: Option<Writer>,
    claims: Claims,
    warnings: Mutex<Vec<Problem>>,
    /// What is committed, beneath what is stored.
    /// The first that has an answer counts.
    recordings: Vec<Recordings>,
}

/// Why the store cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The folder cannot be made or written.
    #[error("cannot use the folder `{}`: {reason}", path.display())]
    Folder {
        /// Which.
        path: PathBuf,
        /// The system's words.
        reason: String,
    },
    /// A later version of promptkeel wrote it.
    #[error("the store `{}` has format {found}, this promptkeel knows formats up to {known}", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: i64,
        /// Ours.
        known: i64,
    },
    /// A database, but not ours.
    #[error("`{}` is a database of another program", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// What is in the file is damaged. It is set aside when the store is opened next.
    #[error("the store `{}` is damaged: {reason}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The database's words.
        reason: String,
    },
    /// Somebody deleted or replaced the file while it was open.
    #[error("the store `{}` was deleted or replaced while it was in use", path.display())]
    Gone {
        /// The file.
        path: PathBuf,
    },
    /// A line of a recording is not as it was written, or contradicts another one.
    #[error("{file}:{line}: {reason}")]
    Recording {
        /// The file, relative to the project.
        file: String,
        /// Which line, from 1.
        line: u32,
        /// What is wrong with it.
        reason: String,
    },
    /// Two lines of a file of recordings hold different answers to one request.
    #[error("{file}:{line}: another answer than line {first} has under the same key")]
    RecordedTwice {
        /// The file, relative to the project.
        file: String,
        /// The second line, from 1.
        line: u32,
        /// The first.
        first: u32,
    },
    /// A file of recordings cannot be read.
    #[error("the recordings `{file}`: {reason}")]
    RecordingFile {
        /// The file, relative to the project.
        file: String,
        /// What is wrong.
        reason: String,
    },
    /// Answers would be paid for and lost.
    #[error(
        "no room in `{}`: the answers that are under way at once take {} MB there, which cannot be written: {reason}",
        folder.display(), megabytes(*bytes)
    )]
    NoRoom {
        /// The folder of the file.
        folder: PathBuf,
        /// What they take.
        bytes: u64,
        /// The system's words.
        reason: String,
    },
    /// What was on the wire is stored, and nothing more could be.
    #[error("the disk of `{}` is full: what was under way took the room that was kept for it", path.display())]
    Full {
        /// The file.
        path: PathBuf,
    },
    /// A file of recordings cannot be written; it is as it was.
    #[error("the recordings `{file}` cannot be written: {reason}")]
    UnwrittenRecording {
        /// The file, relative to the project.
        file: String,
        /// The system's words.
        reason: String,
    },
    /// Anything else: disk full, locked for too long, read-only.
    #[error("the store `{}` cannot be used: {reason}", path.display())]
    Database {
        /// The file.
        path: PathBuf,
        /// The database's words.
        reason: String,
    },
}

/// A figure that is not smaller.
fn megabytes(bytes: u64) -> String {
    let tenths = bytes.div_ceil(100_000);
    format!("{}.{}", tenths / 10, tenths % 10)
}

impl StoreError {
    /// The next step.
    #[must_use]
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::Folder { .. } => "make the project folder writable; `.promptkeel/` is created in it",
            Self::Newer { .. } => "use that version of promptkeel, or move the file away: its answers would be asked for and paid again",
            Self::Foreign { .. } => "move the file away",
            Self::Damaged { .. } => "run again: the damaged file is set aside and a new one begun",
            Self::Gone { .. } => "run again: a new store is begun; what this run has answered is in its report alone",
            Self::Recording { .. } => {
                "put the line back as it was committed, or delete it: `promptkeel run --record` asks again and records the answer"
            }
            Self::RecordedTwice { .. } => "as two branches recorded them: delete the line whose answer you do not want",
            Self::RecordingFile { .. } => "it is a text file of one answer a line, written by `promptkeel run --record`",
            Self::NoRoom { .. } => "nothing was asked: free as much disk space, or ask for fewer at once with `--max-concurrency`",
            Self::Full { .. } => "free disk space and run again: only what is missing is asked",
            Self::UnwrittenRecording { .. } => {
                "what was recorded is as it was, and the answers are stored: make room, or the folder writable, then `promptkeel cache export`"
            }
            Self::Database { .. } => "check free disk space and permissions, and whether another process holds it",
        }
    }
}

impl Store {
    /// Opens the store in this folder (`.promptkeel`), which is created where it is missing. A damaged file is set aside, with a warning.
    ///
    /// # Errors
    /// If the folder or file cannot be used, or a later version wrote it.
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        let opened = open::open(folder)?;
        Ok(Self {
            writer: Some(Writer::start(opened.connection, &opened.path)?),
            path: opened.path,
            access: Access::Writable,
            readers: Mutex::default(),
            claims: Claims::of(folder),
            warnings: Mutex::new(opened.warnings),
            recordings: Vec::new(),
        })
    }

    /// Opens the store for those who only read: where it cannot be written it is read as it is, with a warning, and where there is none
    /// and none can be made it is empty.
    ///
    /// # Errors
    /// If it is damaged and cannot be set aside, or a later version or another program wrote it.
    pub fn open_to_read(folder: &Path) -> Result<Self, StoreError> {
        let unwritable = match Self::open(folder) {
            Err(error @ (StoreError::Folder { .. } | StoreError::Database { .. })) => error,
            opened => return opened,
        };
        // Where it cannot even be read, the first error says why.
        let access = match open::look(folder) {
            Err(StoreError::Database { .. }) => return Err(unwritable),
            looked => looked?,
        };
        let problem = Problem::warning(format!("{unwritable}; it is only read"));
        Ok(Self {
            path: folder.join("store.db"),
            access,
            readers: Mutex::default(),
            writer: None,
            claims: Claims::of(folder),
            warnings: Mutex::new(vec![problem.hint("this run is not remembered for `--failed`")]),
            recordings: Vec::new(),
        })
    }

    /// The same, with these recordings beneath it, and beneath those that it has.
    #[must_use]
    pub fn over(mut self, recordings: Recordings) -> Self {
        self.recordings.push(recordings);
        self
    }

    /// Whether answers and runs can be stored.
    #[must_use]
    pub const fn is_writable(&self) -> bool {
        self.writer.is_some()
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What was found wrong and worked around: a file set aside, damaged answers.
    #[must_use]
    pub fn warnings(&self) -> Vec<Problem> {
        self.warnings.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The answer of a key: the newest that is stored, else the recorded one.
    ///
    /// # Errors
    /// If the file cannot be read, or the recorded answer is not what it was.
    pub fn find(&self, key: &Key) -> Result<Option<Answer>, StoreError> {
        if let Some(reply) = self.get(key)? {
            return Ok(Some(Answer { reply, served: Served::Stored }));
        }
        for recordings in &self.recordings {
            if let Some(reply) = recordings.get(key)? {
                return Ok(Some(Answer { reply: Arc::new(reply), served: Served::Recorded }));
            }
        }
        Ok(None)
    }

    /// The newest stored answer of a key. Takes some ten microseconds where the file is in the system's cache.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn get(&self, key: &Key) -> Result<Option<Arc<Reply>>, StoreError> {
        let found = self.read(|connection| answers::newest(connection, key))?;
        Ok(self.whole(key, found))
    }

    /// Which of these keys are answered, stored or recorded, without reading the answers. A missing key is missing from the map.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn known(&self, keys: &[Key]) -> Result<HashMap<Key, Known>, StoreError> {
        let mut known = self.read(|connection| answers::known(connection, keys))?;
        for recordings in self.recordings.iter().filter(|recordings| !recordings.is_empty()) {
            for key in keys {
                if let Some((created_at, simulated)) = recordings.known(key) {
                    known.entry(*key).or_insert(Known { generation: 0, created_at, simulated });
                }
            }
        }
        Ok(known)
    }

    /// How many answers were stored since it was created.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn stored(&self) -> Result<u64, StoreError> {
        self.read(answers::stored)
    }

    /// Claims the right to ask for a key, so that two processes do not pay for one answer.
    fn claim(&self, key: &Key) -> Claimed {
        self.claims.claim(key)
    }

    /// Stores an answer as the newest generation of its key; returns when it is committed.
    ///
    /// # Errors
    /// If it could not be stored.
    pub async fn put(&self, answer: NewAnswer<'_>) -> Result<(), StoreError> {
        self.writer()?.put(answers::Row::of(&answer)).await
    }

    /// Remembers a run, and forgets the oldest beyond [`history::KEPT_RUNS`]. Blocks until it is committed.
    ///
    /// # Errors
    /// If it could not be stored.
    pub fn save_run(&self, run: &RunRecord) -> Result<(), StoreError> {
        self.writer()?.save_run(run.clone())
    }

    /// Makes room for so many bytes of answers, before any is paid for: so many can be stored although the disk fills up meanwhile, which
    /// [`Self::filled_up`] tells. Blocks until it is there.
    ///
    /// # Errors
    /// If they could not be stored.
    pub fn reserve(&self, bytes: usize) -> Result<(), StoreError> {
        self.writer()?.reserve(bytes)
    }

    /// That the disk took no more, and an answer took the room that was kept.
    #[must_use]
    pub fn filled_up(&self) -> Option<StoreError> {
        let is_full = self.writer.as_ref().is_some_and(Writer::is_full);
        is_full.then(|| StoreError::Full { path: self.path.clone() })
    }

    /// Moves what is in the log into the file, so that the file alone holds everything, on the disk. Blocks until it is done.
    pub fn settle(&self) {
        if let Some(writer) = &self.writer {
            writer.settle();
        }
    }

    /// The run that was saved last, with its cells.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn last_run(&self) -> Result<Option<RunRecord>, StoreError> {
        self.read(history::last_run)
    }

    /// The run with this id, with its cells.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn run(&self, id: &str) -> Result<Option<RunRecord>, StoreError> {
        self.read(|connection| history::run(connection, id))
    }

    /// All remembered runs without their cells, the newest first.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn runs(&self) -> Result<Vec<RunHead>, StoreError> {
        self.read(history::runs)
    }

    /// The suites of every remembered run, by its id.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn suites_of_runs(&self) -> Result<HashMap<String, Vec<SuiteCounts>>, StoreError> {
        self.read(recent::suites)
    }

    /// Cells that passed and failed in the newest runs, though nothing of them changed.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn flaky(&self) -> Result<Vec<Flaky>, StoreError> {
        self.read(recent::flaky)
    }

    /// Forgets runs; their answers stay. Returns how many bytes of the file that leaves to be used again. Blocks until it is committed.
    ///
    /// # Errors
    /// If it could not be stored.
    pub fn forget_runs(&self, ids: Vec<String>) -> Result<u64, StoreError> {
        let before = self.read(recent::unused_bytes)?;
        self.writer()?.forget_runs(ids)?;
        Ok(self.read(recent::unused_bytes)?.saturating_sub(before))
    }

    fn writer(&self) -> Result<&Writer, StoreError> {
        self.writer
            .as_ref()
            .ok_or_else(|| StoreError::Database { path: self.path.clone(), reason: "it is open for reading only".to_owned() })
    }

    fn whole(&self, key: &Key, found: Found) -> Option<Arc<Reply>> {
        match found {
            Found::Reply(reply) => Some(reply),
            Found::Nothing => None,
            Found::Damaged => {
                let problem = Problem {
                    hint: Some("if this comes back, check the disk; the answer is asked for again".to_owned()),
                    ..Problem::warning(format!("the stored answer {key} is damaged and counts as missing"))
                };
                let mut warnings = self.warnings.lock().unwrap_or_else(PoisonError::into_inner);
                if !warnings.contains(&problem) {
                    warnings.push(problem);
                }
                None
            }
        }
    }

    /// Readers are kept: opening a connection costs more than twenty reads. SQLite lets them read while the writer commits.
    fn read<T>(&self, read: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, StoreError> {
        let idle = self.readers.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let connection = match idle {
            Some(connection) => connection,
            None => open::reader(&self.path, self.access).map_err(|error| open::explain(&self.path, &error))?,
        };
        let result = read(&connection).map_err(|error| open::explain(&self.path, &error));
        self.readers.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
        result
    }
}

#[cfg(test)]
mod tests;
