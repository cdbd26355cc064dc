//! How much is stored, is all of it as it was written, and what of it may go?

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use rusqlite::Connection;
use serde::Serialize;

use crate::model::key::Key;
use crate::store::answers::{self, Row};
use crate::store::recordings::Recordings;
use crate::store::{Store, StoreError};

/// What the store comes to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Facts {
    /// Answers, those that were asked again included.
    pub answers: u64,
    /// Requests that are answered.
    pub keys: u64,
    /// Answers of a simulator.
    pub simulated: u64,
    /// The file's size without its log.
    pub bytes: u64,
    /// Remembered runs.
    pub runs: u64,
    /// When the oldest answer was paid.
    pub oldest: Option<DateTime<Utc>>,
    /// When the newest answer was paid.
    pub newest: Option<DateTime<Utc>>,
}

/// Which answers may go. One goes that any of these names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Prune {
    /// Those that were paid before.
    pub before: Option<DateTime<Utc>>,
    /// The oldest, until so many bytes of answers are left.
    pub most_bytes: Option<u64>,
    /// Those of other keys, unless a remembered run was judged with them.
    pub referenced: Option<HashSet<Key>>,
    /// They stay, whatever else is said.
    pub kept: HashSet<Key>,
}

/// What goes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Their rows.
    pub ids: Vec<i64>,
    /// Bytes of replies and requests.
    pub bytes: u64,
    /// Answers that are left.
    pub left: u64,
    /// Bytes that are left.
    pub left_bytes: u64,
    /// Answers that would have gone, and stay because they are kept.
    pub kept: u64,
}

impl Store {
    /// Which answers a pruning takes; nothing is deleted.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn to_prune(&self, prune: &Prune) -> Result<Pruned, StoreError> {
        self.read(|connection| to_prune(connection, prune))
    }

    /// Deletes answers. Blocks until it is committed.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn forget_answers(&self, ids: Vec<i64>) -> Result<(), StoreError> {
        self.writer()?.forget_answers(ids)
    }

    /// Stores the recorded answers that are not stored yet. Returns how many those are. What was asked stays unknown: a recording has no
    /// requests.
    ///
    /// # Errors
    /// A recorded answer that cannot be read, or the file cannot be written.
    pub async fn import(&self, recorded: &Recordings) -> Result<u64, StoreError> {
        let keys: Vec<Key> = recorded.keys().copied().collect();
        let known = self.read(|connection| answers::known(connection, &keys))?;
        let mut imported = 0;
        for key in keys.iter().filter(|key| !known.contains_key(key)) {
            if let Some((sample, reply)) = recorded.get_sample(key)? {
                self.writer()?.put(Row::imported(*key, sample, &reply)).await?;
                imported += 1;
            }
        }
        Ok(imported)
    }

    /// What the store comes to.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn facts(&self) -> Result<Facts, StoreError> {
        self.read(facts)
    }

    /// How many answers are as they were written, and the keys of those that are not.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn verify(&self) -> Result<(u64, Vec<Key>), StoreError> {
        self.read(answers::verify)
    }
}

fn facts(connection: &Connection) -> rusqlite::Result<Facts> {
    let number = |name: &str| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0)).map(i64::unsigned_abs);
    let runs: i64 = connection.query_row("SELECT count(*) FROM runs", [], |row| row.get(0))?;
    let bytes = number("page_count")?.saturating_mul(number("page_size")?);
    connection.query_row(
        "SELECT count(*), count(DISTINCT key), coalesce(sum(simulated), 0), min(created_at), max(created_at) FROM answers",
        [],
        |row| {
            let count = |column| row.get::<_, i64>(column).map(i64::unsigned_abs);
            let time = |column| Ok::<_, rusqlite::Error>(row.get::<_, Option<i64>>(column)?.and_then(DateTime::from_timestamp_millis));
            Ok(Facts {
                answers: count(0)?,
                keys: count(1)?,
                simulated: count(2)?,
                bytes,
                runs: runs.unsigned_abs(),
                oldest: time(3)?,
                newest: time(4)?,
            })
        },
    )
}

/// The newest row of all stays: its number says how many answers were ever stored.
fn to_prune(connection: &Connection, prune: &Prune) -> rusqlite::Result<Pruned> {
    let used = match prune.referenced {
        Some(_) => of_runs(connection)?,
        None => HashSet::new(),
    };
    let newest: i64 = connection.query_row("SELECT coalesce(max(id), 0) FROM answers", [], |row| row.get(0))?;
    let mut statement = connection.prepare(
        "SELECT id, key, created_at, octet_length(reply) + octet_length(request) FROM answers ORDER BY created_at DESC, id DESC",
    )?;
    let mut rows = statement.query([])?;
    let (mut pruned, mut is_beyond) = (Pruned::default(), false);
    while let Some(row) = rows.next()? {
        let id: i64 = row.get(0)?;
        let key = row.get_ref(1)?.as_blob().ok().and_then(|key| <[u8; 32]>::try_from(key).ok()).map(Key::from_bytes);
        let paid = DateTime::from_timestamp_millis(row.get(2)?).unwrap_or_default();
        let bytes = row.get::<_, i64>(3)?.unsigned_abs();
        let is_old = prune.before.is_some_and(|before| paid < before);
        // The newest stay, without a gap.
        is_beyond |= prune.most_bytes.is_some_and(|most| pruned.left_bytes.saturating_add(bytes) > most);
        let is_unused =
            prune.referenced.as_ref().is_some_and(|used_now| key.is_none_or(|key| !used_now.contains(&key) && !used.contains(&key)));
        let goes = is_old || is_beyond || is_unused;
        let stays = id == newest || key.is_some_and(|key| prune.kept.contains(&key));
        if goes && !stays {
            pruned.ids.push(id);
            pruned.bytes += bytes;
        } else {
            pruned.kept += u64::from(goes && id != newest);
            pruned.left += 1;
            pruned.left_bytes += bytes;
        }
    }
    Ok(pruned)
}

/// The keys that remembered runs were judged with: a later run may be compared with them.
fn of_runs(connection: &Connection) -> rusqlite::Result<HashSet<Key>> {
    let mut statement = connection.prepare("SELECT keys FROM run_cells")?;
    let mut rows = statement.query([])?;
    let mut keys = HashSet::new();
    while let Some(row) = rows.next()? {
        if let Ok(blob) = row.get_ref(0)?.as_blob() {
            keys.extend(blob.chunks_exact(32).filter_map(|key| <[u8; 32]>::try_from(key).ok()).map(Key::from_bytes));
        }
    }
    Ok(keys)
}
