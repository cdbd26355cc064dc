//! Which message batches did this project ask for, where does each stand, and which answers does it hold?
//!
//! A row is written before the batch is created and completed right after, so that whoever comes later finds it: the same process, another
//! one, another machine with the same store. What a batch holds is forgotten when its results are stored; that it was stays for people.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::Serialize;

use crate::model::key::Key;
use crate::store::{Store, StoreError};

/// What [`row`] reads.
const COLUMNS: &str = "mark, endpoint, intended_at, requests, newest, newest_at, id, ended";

/// Batches that have ended and are still told of.
const KEPT: u32 = 100;

/// A batch that is about to be created.
#[derive(Debug, Clone)]
pub struct Intent {
    /// Begins the `custom_id` of each of its requests, and of no other request anywhere.
    pub mark: String,
    /// Who is asked, by the name in the settings.
    pub endpoint: String,
    /// When.
    pub at: DateTime<Utc>,
    /// The newest batch that the API knew before, and when it says that it was created: what is newer may be this one.
    pub newest: Option<(String, DateTime<Utc>)>,
    /// Whose answers it will hold, by their place in it.
    pub items: Vec<Item>,
}

/// One request of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Item {
    /// Under which key its answer is stored.
    pub key: Key,
    /// Which of the independent answers.
    pub sample: u32,
}

/// How a batch left the list of those that are waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum BatchEnd {
    /// Its results are stored.
    Collected,
    /// Nobody answered its creation, and it was not found.
    NeverCreated,
    /// The endpoint did not take it: nothing of it was paid.
    Refused,
    /// It was given up as never created, and found later: what it held may have been paid twice.
    CreatedLate,
    /// The API does not know it any more, or its results are gone.
    Gone,
    /// Somebody wanted it forgotten.
    Forgotten,
}

impl BatchEnd {
    const ALL: [(Self, &'static str); 6] = [
        (Self::Collected, "collected"),
        (Self::NeverCreated, "never_created"),
        (Self::Refused, "refused"),
        (Self::CreatedLate, "created_late"),
        (Self::Gone, "gone"),
        (Self::Forgotten, "forgotten"),
    ];

    fn as_str(self) -> &'static str {
        Self::ALL.into_iter().find(|(end, _)| *end == self).map_or("gone", |(_, name)| name)
    }
}

/// A batch as it is remembered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BatchRow {
    /// As [`Intent::mark`].
    pub mark: String,
    /// As [`Intent::endpoint`].
    pub endpoint: String,
    /// When it was about to be created, by this machine's clock.
    pub intended_at: DateTime<Utc>,
    /// How many requests it has.
    pub requests: u64,
    /// As [`Intent::newest`].
    #[serde(skip)]
    pub newest: Option<(String, DateTime<Utc>)>,
    /// `msgbatch_...`; `None` as long as nobody heard that it was created.
    pub id: Option<String>,
    /// `None` as long as it is waited for.
    pub end: Option<BatchEnd>,
}

impl BatchRow {
    /// What it is called where people read it.
    #[must_use]
    pub fn name(&self) -> String {
        self.id.as_ref().map_or_else(|| "a batch that may have been created".to_owned(), |id| format!("batch {id}"))
    }
}

/// A change of one row.
#[derive(Debug)]
pub(super) enum Change {
    Intend(Intent),
    Trim { mark: String, items: Vec<Item> },
    Created { mark: String, id: String },
    CreatedLate { mark: String, id: String },
    Billed { mark: String, places: Vec<usize> },
    Ended { mark: String, end: BatchEnd },
}

impl Store {
    /// Batches that are waited for, the oldest first.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn pending_batches(&self) -> Result<Vec<BatchRow>, StoreError> {
        self.read(|connection| rows(connection, "WHERE ended IS NULL ORDER BY number"))
    }

    /// Batches that were given up since then because they were not found, the oldest first.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn batches_given_up(&self, since: DateTime<Utc>) -> Result<Vec<BatchRow>, StoreError> {
        let since = since.timestamp_millis();
        self.read(|connection| rows(connection, &format!("WHERE ended = 'never_created' AND intended_at > {since} ORDER BY number")))
    }

    /// Every batch that is remembered, the newest first.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn batches(&self) -> Result<Vec<BatchRow>, StoreError> {
        self.read(|connection| rows(connection, "ORDER BY number DESC"))
    }

    /// The requests of a batch that is waited for, by their place in it; empty where its results are stored.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn batch_items(&self, mark: &str) -> Result<Vec<Item>, StoreError> {
        self.read(|connection| items(connection, mark))
    }

    /// The batch that is waited for and holds the answer under this key.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn batch_holding(&self, key: &Key) -> Result<Option<BatchRow>, StoreError> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(&format!(
                "SELECT {COLUMNS} FROM batches WHERE ended IS NULL AND number IN (SELECT batch FROM batch_items WHERE key = ?1)"
            ))?;
            statement.query_row([key.as_bytes()], row).optional()
        })
    }

    /// Remembers a batch that is about to be created. Returns when it is committed, and on the disk.
    ///
    /// # Errors
    /// If it could not be stored: then nothing may be sent.
    pub async fn intend_batch(&self, intent: Intent) -> Result<(), StoreError> {
        self.writer()?.change_batch(Change::Intend(intent)).await
    }

    /// Leaves requests out of a batch that is not created yet. The others are remembered without a pause.
    ///
    /// # Errors
    /// If it could not be stored: then nothing may be sent.
    pub(super) async fn trim_batch(&self, mark: &str, items: Vec<Item>) -> Result<(), StoreError> {
        self.writer()?.change_batch(Change::Trim { mark: mark.to_owned(), items }).await
    }

    /// Remembers under which id a batch was created.
    ///
    /// # Errors
    /// If it could not be stored; the next process finds it by listing.
    pub async fn batch_created(&self, mark: &str, id: &str) -> Result<(), StoreError> {
        self.writer()?.change_batch(Change::Created { mark: mark.to_owned(), id: id.to_owned() }).await
    }

    /// A batch that was given up was created after all.
    ///
    /// # Errors
    /// If it could not be stored.
    pub(super) async fn batch_created_late(&self, mark: &str, id: &str) -> Result<(), StoreError> {
        self.writer()?.change_batch(Change::CreatedLate { mark: mark.to_owned(), id: id.to_owned() }).await
    }

    /// A run has these answers of a batch that is waited for still on its bill.
    ///
    /// # Errors
    /// If it could not be stored.
    pub(super) async fn bill_of_batch(&self, mark: &str, places: Vec<usize>) -> Result<(), StoreError> {
        self.writer()?.change_batch(Change::Billed { mark: mark.to_owned(), places }).await
    }

    /// What of a batch that is waited for is on the bill of an earlier run, by the place in it. Asked only of a store that can be written.
    pub(super) fn billed_of_batch(&self, mark: &str) -> Result<HashSet<usize>, StoreError> {
        self.read(|connection| {
            let mut statement = connection
                .prepare("SELECT place FROM batch_items WHERE billed AND batch = (SELECT number FROM batches WHERE mark = ?1)")?;
            let places = statement.query_map([mark], |row| row.get::<_, i64>(0))?;
            places.map(|place| Ok(usize::try_from(place?).unwrap_or(usize::MAX))).collect()
        })
    }

    /// A batch is waited for no more.
    ///
    /// # Errors
    /// If it could not be stored.
    pub async fn batch_ended(&self, mark: &str, end: BatchEnd) -> Result<(), StoreError> {
        self.writer()?.change_batch(Change::Ended { mark: mark.to_owned(), end }).await
    }
}

pub(super) fn change(connection: &Connection, change: &Change) -> rusqlite::Result<()> {
    match change {
        Change::Intend(intent) => {
            let (newest, newest_at) = intent.newest.as_ref().map_or((None, None), |(id, at)| (Some(id), Some(at.timestamp_micros())));
            connection.execute(
                "INSERT INTO batches (mark, endpoint, intended_at, requests, newest, newest_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                params![intent.mark, intent.endpoint, intent.at.timestamp_millis(), count(intent.items.len()), newest, newest_at],
            )?;
            insert(connection, connection.last_insert_rowid(), &intent.items)?;
        }
        Change::Trim { mark, items } => {
            let number: i64 = connection.query_row("SELECT number FROM batches WHERE mark = ?1", [mark], |row| row.get(0))?;
            connection.execute("UPDATE batches SET requests = ?2 WHERE number = ?1", params![number, count(items.len())])?;
            connection.execute("DELETE FROM batch_items WHERE batch = ?1", [number])?;
            insert(connection, number, items)?;
        }
        Change::Created { mark, id } => {
            connection.execute("UPDATE batches SET id = ?2 WHERE mark = ?1 AND ended IS NULL", params![mark, id])?;
        }
        Change::CreatedLate { mark, id } => {
            let ended = BatchEnd::CreatedLate.as_str();
            connection.execute("UPDATE batches SET id = ?2, ended = ?3 WHERE mark = ?1", params![mark, id, ended])?;
        }
        Change::Billed { mark, places } => {
            let mut update = connection.prepare_cached(
                "UPDATE batch_items SET billed = 1 WHERE batch = (SELECT number FROM batches WHERE mark = ?1) AND place = ?2",
            )?;
            for place in places {
                update.execute(params![mark, count(*place)])?;
            }
        }
        Change::Ended { mark, end } => {
            connection.execute("UPDATE batches SET ended = ?2 WHERE mark = ?1", params![mark, end.as_str()])?;
            connection.execute("DELETE FROM batch_items WHERE batch = (SELECT number FROM batches WHERE mark = ?1)", [mark])?;
            connection
                .execute("DELETE FROM batches WHERE ended IS NOT NULL AND number <= (SELECT max(number) FROM batches) - ?1", [KEPT])?;
        }
    }
    Ok(())
}

fn insert(connection: &Connection, batch: i64, items: &[Item]) -> rusqlite::Result<()> {
    let mut insert = connection.prepare_cached("INSERT INTO batch_items (batch, place, key, sample) VALUES (?1, ?2, ?3, ?4)")?;
    for (place, item) in items.iter().enumerate() {
        insert.execute(params![batch, count(place), item.key.as_bytes(), item.sample])?;
    }
    Ok(())
}

fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn rows(connection: &Connection, which: &str) -> rusqlite::Result<Vec<BatchRow>> {
    // A store of an older format that nobody may write has none.
    if !connection.table_exists(None, "batches")? {
        return Ok(Vec::new());
    }
    let mut statement = connection.prepare(&format!("SELECT {COLUMNS} FROM batches {which}"))?;
    let rows = statement.query_map([], row)?;
    rows.collect()
}

fn row(row: &Row<'_>) -> rusqlite::Result<BatchRow> {
    let newest: Option<String> = row.get(4)?;
    let newest_at: Option<i64> = row.get(5)?;
    let ended: Option<String> = row.get(7)?;
    // A word that a later version wrote ends it too.
    let end = |name: String| BatchEnd::ALL.into_iter().find(|(_, known)| *known == name).map_or(BatchEnd::Gone, |(end, _)| end);
    Ok(BatchRow {
        mark: row.get(0)?,
        endpoint: row.get(1)?,
        intended_at: DateTime::from_timestamp_millis(row.get(2)?).unwrap_or_default(),
        requests: row.get::<_, i64>(3)?.unsigned_abs(),
        newest: newest.zip(newest_at.and_then(DateTime::from_timestamp_micros)),
        id: row.get(6)?,
        end: ended.map(end),
    })
}

fn items(connection: &Connection, mark: &str) -> rusqlite::Result<Vec<Item>> {
    let mut statement = connection
        .prepare("SELECT key, sample FROM batch_items WHERE batch = (SELECT number FROM batches WHERE mark = ?1) ORDER BY place")?;
    let rows = statement.query_map([mark], |row| Ok(Item { key: Key::from_bytes(row.get(0)?), sample: row.get(1)? }))?;
    rows.collect()
}

#[cfg(test)]
mod tests {

    use super::*;

    fn item(number: u8) -> Item {
        Item { key: Key::from_bytes([number; 32]), sample: u32::from(number) }
    }

    fn intent(mark: &str, items: Vec<Item>) -> Intent {
        let at = DateTime::from_timestamp_millis(1_795_000_000_123).unwrap();
        let newest = Some(("msgbatch_before".to_owned(), DateTime::from_timestamp_micros(1_795_000_000_123_456).unwrap()));
        Intent { mark: mark.to_owned(), endpoint: "anthropic".to_owned(), at, newest, items }
    }

    #[tokio::test]
    async fn a_batch_is_waited_for_by_whoever_opens_the_store_until_its_results_are_stored() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let items: Vec<Item> = (0..5).rev().map(item).collect();
        store.intend_batch(intent("first", items.clone())).await.unwrap();
        store.intend_batch(intent("second", vec![item(9)])).await.unwrap();
        store.batch_created("second", "msgbatch_2").await.unwrap();
        drop(store);

        let store = Store::open(folder.path()).unwrap();
        let pending = store.pending_batches().unwrap();
        let [first, second] = &pending[..] else { panic!("{pending:?}") };
        assert_eq!((&*first.mark, first.id.as_deref(), first.requests), ("first", None, 5));
        assert_eq!((&first.newest, first.intended_at), (&intent("", Vec::new()).newest, intent("", Vec::new()).at));
        assert_eq!((&*second.mark, second.id.as_deref()), ("second", Some("msgbatch_2")));
        assert_eq!(store.batch_items("first").unwrap(), items, "by their place");

        store.batch_ended("first", BatchEnd::Collected).await.unwrap();
        assert_eq!(store.batch_items("first").unwrap(), []);
        assert_eq!(store.batch_items("second").unwrap(), [item(9)]);
        let ends: Vec<_> = store.batches().unwrap().into_iter().map(|row| (row.mark, row.end)).collect();
        assert_eq!(ends, [("second".to_owned(), None), ("first".to_owned(), Some(BatchEnd::Collected))]);
        assert_eq!(store.pending_batches().unwrap().len(), 1);
    }

    #[tokio::test]
    async fn what_has_ended_long_ago_is_forgotten_and_what_is_waited_for_never() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        store.intend_batch(intent("waits", vec![item(1)])).await.unwrap();
        for number in 0..KEPT + 5 {
            let mark = format!("mark-{number}");
            store.intend_batch(intent(&mark, vec![item(2)])).await.unwrap();
            store.batch_ended(&mark, BatchEnd::Gone).await.unwrap();
        }
        let all = store.batches().unwrap();
        assert_eq!(all.len() as u32, KEPT + 1);
        assert_eq!(all.last().map(|row| &*row.mark), Some("waits"));
    }
}
