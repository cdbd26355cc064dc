//! How is an answer written and found?

use std::collections::HashMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use rusqlite::{Connection, OptionalExtension, params};

use crate::model::key::Key;
use crate::model::reply::Reply;
use crate::model::request::Request;

/// An answer to store.
#[derive(Debug, Clone, Copy)]
pub struct NewAnswer<'a> {
    /// Under which key.
    pub key: Key,
    /// Who answered, by the name in the settings; for people.
    pub endpoint: &'a str,
    /// Which of the independent answers.
    pub sample: u32,
    /// What was asked; kept so that answers can be exported and looked at.
    pub request: &'a Request,
    /// What came back.
    pub reply: &'a Reply,
}

/// What is known of a stored answer without reading it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// How often the key was answered; reads take the newest. 0: it is recorded, not stored.
    pub generation: u32,
    /// When the newest answer was paid.
    pub created_at: DateTime<Utc>,
    /// A simulator gave it.
    pub simulated: bool,
}

/// An answer as it goes into the file.
#[derive(Debug)]
pub(super) struct Row {
    key: Key,
    created_at: i64,
    endpoint: String,
    model: String,
    sample: u32,
    simulated: bool,
    checksum: [u8; 16],
    reply: String,
    request: String,
}

/// What a look at a key found.
pub(super) enum Found {
    Reply(Arc<Reply>),
    Damaged,
    Nothing,
}

impl Row {
    pub(super) fn of(answer: &NewAnswer<'_>) -> Self {
        let reply = serde_json::to_string(answer.reply).expect("strings, numbers and JSON values always serialise");
        Self {
            key: answer.key,
            created_at: answer.reply.answered_at.timestamp_millis(),
            endpoint: answer.endpoint.to_owned(),
            model: answer.request.model.clone(),
            sample: answer.sample,
            simulated: answer.reply.simulated,
            checksum: checksum(&answer.key, reply.as_bytes()),
            reply,
            request: serde_json::to_string(answer.request).expect("strings, numbers and JSON values always serialise"),
        }
    }
}

impl Row {
    /// An answer that another machine paid for: nobody here knows what was asked, nor by which name the endpoint goes there.
    pub(super) fn imported(key: Key, sample: u32, reply: &Reply) -> Self {
        let text = serde_json::to_string(reply).expect("strings, numbers and JSON values always serialise");
        Self {
            key,
            created_at: reply.answered_at.timestamp_millis(),
            endpoint: String::new(),
            model: reply.model.clone(),
            sample,
            simulated: reply.simulated,
            checksum: checksum(&key, text.as_bytes()),
            reply: text,
            request: "null".to_owned(),
        }
    }
}

/// SQLite keeps no checksums of its own, and one flipped bit in a reply would be a wrong verdict. The key is in it, so that no row can
/// stand in for another.
fn checksum(key: &Key, reply: &[u8]) -> [u8; 16] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(key.as_bytes());
    hasher.update(reply);
    let mut checksum = [0; 16];
    checksum.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    checksum
}

pub(super) fn insert(connection: &Connection, row: &Row) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(
        "INSERT INTO answers (key, generation, created_at, endpoint, model, sample, simulated, checksum, reply, request)
         SELECT ?1, coalesce(max(generation), 0) + 1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9 FROM answers WHERE key = ?1",
    )?;
    statement.execute(params![
        row.key.as_bytes(),
        row.created_at,
        row.endpoint,
        row.model,
        row.sample,
        row.simulated,
        row.checksum,
        row.reply,
        row.request
    ])?;
    Ok(())
}

/// How many answers were stored, as far as anybody counted: it only grows.
pub(super) fn stored(connection: &Connection) -> rusqlite::Result<u64> {
    connection.query_row("SELECT coalesce(max(id), 0) FROM answers", [], |row| row.get::<_, i64>(0)).map(i64::unsigned_abs)
}

pub(super) fn newest(connection: &Connection, key: &Key) -> rusqlite::Result<Found> {
    let mut statement = connection.prepare_cached("SELECT checksum, reply FROM answers WHERE key = ?1 ORDER BY generation DESC LIMIT 1")?;
    let mut rows = statement.query([key.as_bytes()])?;
    let Some(row) = rows.next()? else { return Ok(Found::Nothing) };
    // Read as bytes: a damaged text need not be UTF-8, and that is damage, not an error of ours.
    let (Ok(kept), Ok(reply)) = (row.get_ref(0)?.as_blob(), row.get_ref(1)?.as_bytes()) else { return Ok(Found::Damaged) };
    if kept != checksum(key, reply) {
        return Ok(Found::Damaged);
    }
    Ok(serde_json::from_slice::<Reply>(reply).map_or(Found::Damaged, |reply| Found::Reply(Arc::new(reply))))
}

pub(super) fn known(connection: &Connection, keys: &[Key]) -> rusqlite::Result<HashMap<Key, Known>> {
    let snapshot = connection.unchecked_transaction()?;
    let mut known = HashMap::with_capacity(keys.len());
    {
        let mut statement = snapshot
            .prepare_cached("SELECT generation, created_at, simulated FROM answers WHERE key = ?1 ORDER BY generation DESC LIMIT 1")?;
        for key in keys {
            let found = statement
                .query_row([key.as_bytes()], |row| {
                    let created_at = DateTime::from_timestamp_millis(row.get(1)?).unwrap_or_default();
                    Ok(Known { generation: row.get(0)?, created_at, simulated: row.get(2)? })
                })
                .optional()?;
            if let Some(found) = found {
                known.insert(*key, found);
            }
        }
    }
    snapshot.finish()?;
    Ok(known)
}

pub(super) fn forget(connection: &Connection, ids: &[i64]) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached("DELETE FROM answers WHERE id = ?1")?;
    for id in ids {
        statement.execute([id])?;
    }
    Ok(())
}

/// How many answers are as they were written, and the keys of those that are not.
pub(super) fn verify(connection: &Connection) -> rusqlite::Result<(u64, Vec<Key>)> {
    let mut statement = connection.prepare("SELECT key, checksum, reply FROM answers ORDER BY id")?;
    let mut rows = statement.query([])?;
    let (mut whole, mut damaged) = (0, Vec::new());
    while let Some(row) = rows.next()? {
        let bytes = row.get_ref(0)?.as_blob().ok().and_then(|key| <[u8; 32]>::try_from(key).ok());
        let key = Key::from_bytes(bytes.unwrap_or_default());
        match (bytes, row.get_ref(1)?.as_blob(), row.get_ref(2)?.as_bytes()) {
            (Some(_), Ok(kept), Ok(reply)) if kept == checksum(&key, reply) => whole += 1,
            _ => damaged.push(key),
        }
    }
    Ok((whole, damaged))
}
