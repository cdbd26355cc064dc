//! Is there room for the answers that are under way, also where the disk fills up meanwhile?
//!
//! Made before the first request of a run. Part of it lies in the database and takes the first answers; the rest is a file without a name, which
//! is let go of when the disk takes no more, so that what is on the wire by then is stored and not paid a second time.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rusqlite::{Connection, ErrorCode, TransactionBehavior};

use crate::store::StoreError;
use crate::store::open::explain;

/// What answers take on the disk: they are written to the log, and from there to the file.
const TIMES: usize = 2;

/// The room of one writer.
#[derive(Debug, Default)]
pub(super) struct Room {
    kept: Option<File>,
    /// It had to be let go of.
    is_used: Arc<AtomicBool>,
}

impl Room {
    pub(super) fn new(is_used: Arc<AtomicBool>) -> Self {
        Self { kept: None, is_used }
    }

    /// Makes room for so many bytes of answers.
    pub(super) fn make(&mut self, connection: &mut Connection, path: &Path, bytes: usize) -> Result<(), StoreError> {
        self.kept = None;
        let folder = path.parent().unwrap_or(path);
        let lacking = |reason: String| {
            let bytes = (TIMES * bytes + TIMES * bytes) as u64;
            StoreError::NoRoom { folder: folder.to_owned(), bytes, reason }
        };
        match in_the_database(connection, bytes) {
            Ok(()) => {}
            Err(error) if may_lack_room(&error) => return Err(lacking(error.to_string())),
            Err(error) => return Err(explain(path, &error)),
        }
        self.kept = Some(beside_it(folder, TIMES * bytes).map_err(|error| lacking(error.to_string()))?);
        self.is_used.store(false, Ordering::Release);
        Ok(())
    }

    /// Whether it is worth trying again what failed by this, because there is more room now.
    pub(super) fn make_way(&mut self, error: &rusqlite::Error) -> bool {
        let makes_way = may_lack_room(error) && self.kept.take().is_some();
        self.is_used.fetch_or(makes_way, Ordering::AcqRel);
        makes_way
    }
}

/// Where the log or its index cannot grow, that is an error of input and output.
fn may_lack_room(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DiskFull | ErrorCode::SystemIoFailure))
}

/// Writes so many bytes and lets go of them. They stay free in the file, and once it holds them the log begins anew in the length that it has,
/// so that as much can be written although the disk takes no more.
fn in_the_database(connection: &mut Connection, bytes: usize) -> rusqlite::Result<()> {
    let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
    // What a file system cannot make smaller. A process that ends between the two leaves the table to the next one.
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.execute_batch("DROP TABLE IF EXISTS reserve; CREATE TABLE reserve (bytes BLOB NOT NULL) STRICT;")?;
    transaction.execute("INSERT INTO reserve VALUES (randomblob(?1))", [bytes])?;
    transaction.commit()?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.execute_batch("DROP TABLE IF EXISTS reserve")?;
    transaction.commit()?;
    connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))
}

/// A file of so many bytes that nobody can make smaller, and that is gone with the process, however it ends.
fn beside_it(folder: &Path, bytes: usize) -> io::Result<File> {
    let mut file = tempfile::tempfile_in(folder)?;
    let mut noise = fastrand::Rng::with_seed(bytes as u64);
    let mut piece = [0; 8 << 10];
    let mut left = bytes;
    while left > 0 {
        noise.fill(&mut piece);
        let next = left.min(piece.len());
        file.write_all(&piece[..next])?;
        left -= next;
    }
    Ok(file)
}
