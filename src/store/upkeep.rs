//! How much is stored, and is all of it as it was written?

use chrono::{DateTime, Utc};
use rusqlite::Connection;
use serde::Serialize;

use crate::model::key::Key;
use crate::store::answers;
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

impl Store {
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
