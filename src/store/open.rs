//! How does the file come to be open: created, switched to WAL, checked, set aside where it is damaged?

use std::fs;
use std::io::ErrorKind as Io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};

use crate::model::problem::Problem;
use crate::store::StoreError;

/// The format that this version writes, in SQLite's `user_version`.
const FORMAT: i64 = 6;

/// From format 1 to 2: what a verdict was reached with, to tell a flaky cell from a changed one. Runs of before have none.
const TO_2: &str = "
ALTER TABLE run_cells ADD COLUMN judged TEXT;
ALTER TABLE run_cells ADD COLUMN fingerprint TEXT;
ALTER TABLE run_cells ADD COLUMN answers BLOB;
";

/// From format 2 to 3: what a later run is compared with.
const TO_3: &str = "ALTER TABLE run_cells ADD COLUMN kept TEXT;";

/// From format 3 to 4: batches that are waited for, and whose answers they hold.
const TO_4: &str = "
CREATE TABLE batches (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    mark TEXT NOT NULL UNIQUE,
    endpoint TEXT NOT NULL,
    intended_at INTEGER NOT NULL,
    requests INTEGER NOT NULL,
    newest TEXT,
    newest_at INTEGER,
    id TEXT,
    ended TEXT
) STRICT;
CREATE TABLE batch_items (
    batch INTEGER NOT NULL,
    place INTEGER NOT NULL,
    key BLOB NOT NULL,
    sample INTEGER NOT NULL,
    PRIMARY KEY (batch, place)
) STRICT, WITHOUT ROWID;
";

/// From format 4 to 5: which batch holds an answer is looked up before each request.
const TO_5: &str = "CREATE INDEX batch_items_by_key ON batch_items (key);";

/// From format 5 to 6: what the bill of a run holds of a batch that is waited for still.
const TO_6: &str = "ALTER TABLE batch_items ADD COLUMN billed INTEGER NOT NULL DEFAULT 0;";

/// Marks the file as ours, in SQLite's `application_id`: `pkel` in ASCII.
const APPLICATION: i64 = 0x706b_656c;

/// How long one process waits for another one's commit.
const BUSY: Duration = Duration::from_secs(30);

/// Pages in the log before it is moved into the file (16 MB): whoever waits for an acknowledgement waits for the disk then.
const CHECKPOINT: u32 = 4000;

/// Rowid tables: with answers of some KiB, twice as fast and smaller than `WITHOUT ROWID`. The reply stands before the request, which may
/// be long and is read only when answers are exported.
const SCHEMA: &str = "
CREATE TABLE answers (
    id INTEGER PRIMARY KEY,
    key BLOB NOT NULL,
    generation INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    endpoint TEXT NOT NULL,
    model TEXT NOT NULL,
    sample INTEGER NOT NULL,
    simulated INTEGER NOT NULL,
    checksum BLOB NOT NULL,
    reply TEXT NOT NULL,
    request TEXT NOT NULL,
    UNIQUE (key, generation)
) STRICT;
CREATE TABLE runs (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    head TEXT NOT NULL
) STRICT;
CREATE TABLE run_cells (
    run INTEGER NOT NULL,
    position INTEGER NOT NULL,
    suite TEXT NOT NULL,
    case_id TEXT NOT NULL,
    prompt TEXT NOT NULL,
    version INTEGER NOT NULL,
    model TEXT NOT NULL,
    verdict TEXT NOT NULL,
    keys BLOB NOT NULL,
    judged TEXT,
    fingerprint TEXT,
    answers BLOB,
    kept TEXT,
    PRIMARY KEY (run, position)
) STRICT, WITHOUT ROWID;
";

/// An open store.
pub(super) struct Opened {
    pub(super) connection: Connection,
    pub(super) path: PathBuf,
    pub(super) warnings: Vec<Problem>,
}

/// Opens the store for writing.
pub(super) fn open(folder: &Path) -> Result<Opened, StoreError> {
    let unusable = |error: &std::io::Error| StoreError::Folder { path: folder.to_owned(), reason: error.to_string() };
    fs::create_dir_all(folder).map_err(|error| unusable(&error))?;
    // The folder ignores itself, so that nobody has to remember it in the project's own .gitignore.
    match fs::OpenOptions::new().write(true).create_new(true).open(folder.join(".gitignore")) {
        Ok(mut file) => std::io::Write::write_all(&mut file, b"*\n").map_err(|error| unusable(&error))?,
        Err(error) if error.kind() == Io::AlreadyExists => {}
        Err(error) => return Err(unusable(&error)),
    }
    let path = folder.join("store.db");
    // Two processes must not set the same damaged file aside, the second one the fresh file of the first. Where the file system knows no
    // locks there is only this rare race left. It stays empty, and what a link of that name leads to is not emptied.
    let lock = fs::File::options().read(true).write(true).create(true).truncate(false).open(folder.join("store.lock"));
    let lock = lock.map_err(|error| unusable(&error))?;
    locked(&lock, &path)?;
    let mut warnings = Vec::new();
    if mark_of_damage(&path).exists() {
        // The mark goes by name: a run that still had the old file open may have made it beside a new one.
        if is_whole(&path) {
            let _ = fs::remove_file(mark_of_damage(&path));
        } else {
            warnings.push(set_aside(&path, "it was found damaged before")?);
        }
    }
    if fs::metadata(&path).is_ok_and(|facts| facts.is_file() && facts.len() == 0) {
        let problem = Problem::warning(format!("the store `{}` was empty; a new one is begun", path.display()));
        warnings.push(problem.hint("if it held answers, they are asked for again"));
    }
    let connection = match connect(&path) {
        Ok(connection) => connection,
        Err(StoreError::Damaged { reason, .. }) => {
            warnings.push(set_aside(&path, &reason)?);
            connect(&path)?
        }
        Err(error) => return Err(error),
    };
    Ok(Opened { connection, path, warnings })
}

/// How a reader comes to what is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    /// The file can be written, which SQLite wants for its log even of those who only read.
    Writable,
    /// File or folder cannot be written.
    ReadOnly,
    /// Nor can they be locked: nobody has the file open, since its log is gone.
    Still,
    /// There is no file.
    Nothing,
}

/// How the store in this folder can be read where it cannot be written; nothing on the disk changes.
pub(super) fn look(folder: &Path) -> Result<Access, StoreError> {
    let path = folder.join("store.db");
    if !path.exists() {
        return Ok(Access::Nothing);
    }
    let log_is_gone = !beside(&path, "-wal").exists();
    let check = |access| {
        let connection = reader(&path, access)?;
        Ok((pragma(&connection, "user_version")?, pragma(&connection, "application_id")?))
    };
    let (access, checked) = match check(Access::ReadOnly) {
        Err(_) if log_is_gone => (Access::Still, check(Access::Still)),
        checked => (Access::ReadOnly, checked),
    };
    match checked.map_err(|error: rusqlite::Error| StoreError::Database { path: path.clone(), reason: error.to_string() })? {
        (0, 0) => Ok(Access::Nothing),
        (found, APPLICATION) if found > FORMAT => Err(StoreError::Newer { path, found, known: FORMAT }),
        (_, APPLICATION) => Ok(access),
        _ => Err(StoreError::Foreign { path }),
    }
}

/// A connection that only reads.
pub(super) fn reader(path: &Path, access: Access) -> rusqlite::Result<Connection> {
    let common = OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = match access {
        Access::Writable => Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE | common)?,
        Access::ReadOnly => Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY | common)?,
        Access::Still => {
            let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI | common;
            Connection::open_with_flags(format!("file:{}?immutable=1", in_uri(path)), flags)?
        }
        Access::Nothing => {
            let empty = Connection::open_in_memory()?;
            empty.execute_batch(SCHEMA)?;
            empty.execute_batch(TO_4)?;
            empty.execute_batch(TO_5)?;
            empty
        }
    };
    connection.busy_timeout(BUSY)?;
    stable_plans(&connection)?;
    connection.pragma_update(None, "query_only", true)?;
    Ok(connection)
}

/// The path as SQLite reads it in a URI.
fn in_uri(path: &Path) -> String {
    path.to_string_lossy().replace('%', "%25").replace('?', "%3f").replace('#', "%23")
}

/// Without this guarantee SQLite plans a prepared statement anew for each key that is bound to it, which takes longer than the look-up.
fn stable_plans(connection: &Connection) -> rusqlite::Result<()> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).map(|_| ())
}

/// Our words for the database's. A damaged file is marked, so that the next [`open`] sets it aside: doing it now would take it away under
/// the hands of other readers.
pub(super) fn explain(path: &Path, error: &rusqlite::Error) -> StoreError {
    let reason = error.to_string();
    let path = path.to_owned();
    match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
            // Where even this cannot be written, the next run finds the damage itself.
            if let Ok(mut mark) = fs::File::create_new(mark_of_damage(&path)) {
                let _ = std::io::Write::write_all(&mut mark, reason.as_bytes());
            }
            StoreError::Damaged { path, reason }
        }
        Some(ErrorCode::CannotOpen) if !path.exists() => StoreError::Gone { path },
        _ => StoreError::Database { path, reason },
    }
}

/// Which file this is, whatever its name; `None` where that cannot be said.
pub(super) fn identity(path: &Path) -> Option<(u64, u64)> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        fs::metadata(path).ok().map(|facts| (facts.dev(), facts.ino()))
    }
    // An open file keeps its name there.
    #[cfg(not(unix))]
    {
        let _ = path;
        None
    }
}

fn connect(path: &Path) -> Result<Connection, StoreError> {
    let connect = || -> rusqlite::Result<(Connection, i64, i64)> {
        let connection = Connection::open(path)?;
        connection.busy_timeout(BUSY)?;
        stable_plans(&connection)?;
        wal(&connection)?;
        connection.pragma_update(None, "synchronous", "NORMAL")?;
        connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT)?;
        connection.set_prepared_statement_cache_capacity(32);
        let format = pragma(&connection, "user_version")?;
        let application = pragma(&connection, "application_id")?;
        Ok((connection, format, application))
    };
    let (mut connection, format, application) = connect().map_err(|error| explain(path, &error))?;
    let explained = |error: rusqlite::Error| explain(path, &error);
    if format == 0 && application == 0 {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(explained)?;
        // Another process may have made the tables since.
        if pragma(&transaction, "user_version").map_err(explained)? == 0 {
            if tables(&transaction).map_err(explained)? > 0 {
                return Err(StoreError::Foreign { path: path.to_owned() });
            }
            transaction.execute_batch(SCHEMA).map_err(explained)?;
            transaction.execute_batch(TO_4).map_err(explained)?;
            transaction.execute_batch(TO_5).map_err(explained)?;
            transaction.execute_batch(TO_6).map_err(explained)?;
            transaction.pragma_update(None, "application_id", APPLICATION).map_err(explained)?;
            transaction.pragma_update(None, "user_version", FORMAT).map_err(explained)?;
        }
        transaction.commit().map_err(explained)?;
        return Ok(connection);
    }
    if application != APPLICATION {
        return Err(StoreError::Foreign { path: path.to_owned() });
    }
    if format > FORMAT {
        return Err(StoreError::Newer { path: path.to_owned(), found: format, known: FORMAT });
    }
    if tables(&connection).map_err(explained)? < 3 {
        return Err(StoreError::Damaged { path: path.to_owned(), reason: "tables are missing".to_owned() });
    }
    if format < FORMAT {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(explained)?;
        // Another process may have done it since.
        let format = pragma(&transaction, "user_version").map_err(explained)?;
        if format < FORMAT {
            for (step, change) in [(2, TO_2), (3, TO_3), (4, TO_4), (5, TO_5), (6, TO_6)] {
                if format < step {
                    transaction.execute_batch(change).map_err(explained)?;
                }
            }
            transaction.pragma_update(None, "user_version", FORMAT).map_err(explained)?;
        }
        transaction.commit().map_err(explained)?;
    }
    Ok(connection)
}

/// The switch to WAL needs the file alone and does not wait for it, whatever the busy timeout says; it is needed once in a file's life.
fn wal(connection: &Connection) -> rusqlite::Result<()> {
    let mode: String = connection.pragma_query_value(None, "journal_mode", |row| row.get(0))?;
    if mode == "wal" {
        return Ok(());
    }
    let mut patience = 500;
    loop {
        // A file system without shared memory keeps its old mode; slower, and right.
        match connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get::<_, String>(0)) {
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) && patience > 0 => {
                patience -= 1;
                std::thread::park_timeout(Duration::from_millis(10));
            }
            other => return other.map(|_| ()),
        }
    }
}

fn pragma(connection: &Connection, name: &str) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, name, |row| row.get(0))
}

fn tables(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'", [], |row| row.get(0))
}

/// Waits its turn, as long as for a commit: whoever has it may be suspended. Where the file system knows no locks nobody waits.
fn locked(lock: &fs::File, path: &Path) -> Result<(), StoreError> {
    let begun = Instant::now();
    loop {
        match lock.try_lock() {
            Ok(()) | Err(fs::TryLockError::Error(_)) => return Ok(()),
            Err(fs::TryLockError::WouldBlock) if begun.elapsed() >= BUSY => {
                return Err(StoreError::Database {
                    path: path.to_owned(),
                    reason: format!("another process has been opening it for {} s, or is suspended", BUSY.as_secs()),
                });
            }
            Err(fs::TryLockError::WouldBlock) => std::thread::park_timeout(Duration::from_millis(20)),
        }
    }
}

/// Every page is what it should be.
fn is_whole(path: &Path) -> bool {
    let check = || Connection::open(path)?.query_row("PRAGMA integrity_check(1)", [], |row| row.get::<_, String>(0));
    check().is_ok_and(|said| said == "ok")
}

fn mark_of_damage(path: &Path) -> PathBuf {
    beside(path, ".damaged")
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Moves the file with its companions away; somebody may want to look at it.
fn set_aside(path: &Path, reason: &str) -> Result<Problem, StoreError> {
    let folder_error = |error: &std::io::Error| StoreError::Folder { path: path.to_owned(), reason: error.to_string() };
    let aside = (1..).map(|number| beside(path, &format!(".corrupt-{number}"))).find(|aside| !aside.exists()).expect("numbers do not end");
    for companion in ["", "-wal", "-shm"] {
        match fs::rename(beside(path, companion), beside(&aside, companion)) {
            Ok(()) => {}
            Err(error) if error.kind() == Io::NotFound => {}
            Err(error) => return Err(folder_error(&error)),
        }
    }
    match fs::remove_file(mark_of_damage(path)) {
        Ok(()) => {}
        Err(error) if error.kind() == Io::NotFound => {}
        Err(error) => return Err(folder_error(&error)),
    }
    Ok(Problem {
        hint: Some("its answers are asked for again; if this comes back, check the disk".to_owned()),
        ..Problem::warning(format!("the store was damaged ({reason}) and is set aside as `{}`; a new one is begun", aside.display()))
    })
}
