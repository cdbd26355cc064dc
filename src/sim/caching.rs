//! The prompt cache: what of a request was written before, and what does this request write?
//!
//! After docs/wire-reference.md 6.3: a mark writes exactly one entry; a request reads the longest entry that an earlier one wrote, at most twenty
//! positions before one of its marks; an entry is there once the response of its writer has begun, and lives from the start of the last request that
//! used it.

pub(super) mod prefix;

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};

use super::models::Model;
use prefix::{Key, Lifetime, Prefix};

/// Positions that a mark is looked back from, itself included.
const LOOKBACK: usize = 20;
/// Entries that are kept before those that expired are cleared away: a bound on memory, far above any test.
const MOST_ENTRIES: usize = 1_000_000;

/// All entries, of all models and workspaces: both are part of a key.
#[derive(Debug, Default)]
pub(super) struct PromptCache {
    entries: Mutex<HashMap<Key, Entry>>,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    /// Milliseconds since 1970.
    until: i64,
    lifetime: Lifetime,
}

/// How the prompt of one request splits, and what it will have written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Split {
    pub(super) read: u64,
    pub(super) written_5m: u64,
    pub(super) written_1h: u64,
    /// What becomes usable when the response begins.
    writes: Vec<(Key, Lifetime)>,
    started: i64,
}

impl Split {
    /// Tokens up to the last mark that counts.
    pub(super) fn cached(&self) -> u64 {
        self.read + self.written_5m + self.written_1h
    }
}

impl PromptCache {
    /// What a request that starts `now` reads and writes. `hits` is off where the cache is missed by chance, as happens inside a batch.
    pub(super) fn look_up(&self, prefix: &Prefix, model: &Model, now: DateTime<Utc>, hits: bool) -> Split {
        let started = now.timestamp_millis();
        // Section 6.3: a prefix that is too short is silently not cached.
        let marks = || prefix.marks.iter().filter(|(at, _)| prefix.positions[*at].tokens >= model.cache_minimum);
        let mut highest: Option<usize> = None;
        let mut entries = self.entries();
        for (at, _) in marks().filter(|_| hits) {
            let found = (at.saturating_sub(LOOKBACK - 1)..=*at).rev().find_map(|position| {
                let entry = entries.get_mut(&prefix.positions[position].key).filter(|entry| started < entry.until)?;
                // Every hit makes it live on, from the start of the request.
                entry.until = entry.until.max(started + entry.lifetime.milliseconds());
                Some(position)
            });
            highest = highest.max(found);
        }
        let writes = marks()
            .filter(|(at, _)| !hits || entries.get(&prefix.positions[*at].key).is_none_or(|entry| started >= entry.until))
            .map(|(at, lifetime)| (prefix.positions[*at].key, *lifetime))
            .collect();
        drop(entries);
        let tokens = |position: Option<usize>| position.map_or(0, |position| prefix.positions[position].tokens);
        // Section 6.3, "Billing": A is the highest hit, B the highest mark of an hour behind it, C the last mark.
        let read = tokens(highest);
        let behind = |wanted: Option<Lifetime>| {
            marks().filter(|(at, lifetime)| Some(*at) > highest && wanted.is_none_or(|wanted| wanted == *lifetime)).map(|(at, _)| *at).max()
        };
        let hour = tokens(behind(Some(Lifetime::Hour)).or(highest));
        let last = tokens(behind(None).or(highest));
        Split { read, written_1h: hour - read, written_5m: last.saturating_sub(hour), writes, started }
    }

    /// The response begins: what its request wrote can be used from now on.
    pub(super) fn write(&self, split: &Split) {
        if split.writes.is_empty() {
            return;
        }
        let mut entries = self.entries();
        if entries.len() >= MOST_ENTRIES {
            entries.retain(|_, entry| split.started < entry.until);
            if entries.len() >= MOST_ENTRIES {
                entries.clear();
            }
        }
        for (key, lifetime) in &split.writes {
            let until = split.started + lifetime.milliseconds();
            let entry = entries.entry(*key).or_insert(Entry { until, lifetime: *lifetime });
            if until >= entry.until {
                *entry = Entry { until, lifetime: *lifetime };
            }
        }
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<Key, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
