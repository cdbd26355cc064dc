//! Message batches: which are there, and where does each stand?

pub(super) mod intake;
pub(super) mod life;

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};

use super::api_error::ApiError;
use life::Batch;

/// Requests of all batches that have not ended (docs/wire-reference.md 2.3, the smallest queue), and their bytes.
const LONGEST_QUEUE: usize = 200_000;
const LARGEST_QUEUE: usize = 1 << 30;
/// Items of a page when the request does not say, and the most.
const PAGE: usize = 20;
const LARGEST_PAGE: usize = 1000;

/// One batch, used by one call at a time.
pub(super) type Shared = Arc<Mutex<Batch>>;

/// All batches by their number, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Shelf {
    batches: Mutex<BTreeMap<u64, Shared>>,
}

pub(super) fn lock(batch: &Shared) -> MutexGuard<'_, Batch> {
    batch.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shelf {
    fn all(&self) -> MutexGuard<'_, BTreeMap<u64, Shared>> {
        self.batches.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All of them, the newest first.
    pub(super) fn newest_first(&self) -> Vec<Shared> {
        self.all().values().rev().cloned().collect()
    }

    /// Takes a new batch, unless too much waits already.
    pub(super) fn add(&self, batch: Batch) -> Result<Shared, ApiError> {
        let mut all = self.all();
        let (requests, bytes) = all.values().map(|batch| lock(batch).queued()).fold(batch.queued(), |a, b| (a.0 + b.0, a.1 + b.1));
        if requests > LONGEST_QUEUE || bytes > LARGEST_QUEUE {
            return Err(ApiError::new(
                429,
                "This batch would exceed the number of requests that may be queued in batches. Please try again later.",
            ));
        }
        let number = batch.number;
        let shared = Arc::new(Mutex::new(batch));
        all.insert(number, Arc::clone(&shared));
        Ok(shared)
    }

    pub(super) fn find(&self, id: &str) -> Result<Shared, ApiError> {
        let number = id.strip_prefix(life::ID).and_then(|digits| digits.parse::<u64>().ok());
        let found = number.and_then(|number| self.all().get(&number).cloned()).filter(|batch| lock(batch).id == id);
        found.ok_or_else(|| ApiError::new(404, format!("Batch {id} not found")))
    }

    /// Forgets a batch that has ended.
    pub(super) fn remove(&self, batch: &Shared) -> Result<Value, ApiError> {
        let (id, number, ended) = {
            let batch = lock(batch);
            (batch.id.clone(), batch.number, batch.ended.is_some())
        };
        if !ended {
            return Err(ApiError::new(400, format!("Batch {id} cannot be deleted while it is being processed; cancel it first")));
        }
        // Never both locks in this order: a creation takes them in the other.
        self.all().remove(&number);
        Ok(json!({"id": id, "type": "message_batch_deleted"}))
    }
}

/// What a list was asked for (docs/wire-reference.md 5 and 6.2).
#[derive(Debug)]
pub(super) struct Paging<'q> {
    limit: usize,
    after: Option<&'q str>,
    before: Option<&'q str>,
}

impl<'q> Paging<'q> {
    /// Reads a query; `more` takes the parameters that only one list has.
    pub(super) fn read(query: &'q str, mut more: impl FnMut(&'q str, &'q str) -> bool) -> Result<Self, ApiError> {
        let mut paging = Self { limit: PAGE, after: None, before: None };
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            match name {
                "limit" => {
                    let limit = value.parse().ok().filter(|limit| (1..=LARGEST_PAGE).contains(limit));
                    paging.limit = limit.ok_or_else(|| ApiError::at("limit", "Input should be from 1 to 1000"))?;
                }
                "after_id" => paging.after = Some(value),
                "before_id" => paging.before = Some(value),
                _ if more(name, value) => {}
                _ => return Err(ApiError::at(name, "Extra inputs are not permitted")),
            }
        }
        Ok(paging)
    }

    /// The page among these ids, and whether more follow in its direction.
    pub(super) fn page(&self, ids: &[&str]) -> Result<(Range<usize>, bool), ApiError> {
        let place = |parameter, id| {
            ids.iter().position(|known| *known == id).ok_or_else(|| ApiError::at(parameter, format!("{id} is not in this list")))
        };
        match (self.after, self.before) {
            (Some(id), _) => {
                let start = place("after_id", id)? + 1;
                let end = ids.len().min(start + self.limit);
                Ok((start..end, end < ids.len()))
            }
            (None, Some(id)) => {
                let end = place("before_id", id)?;
                let start = end.saturating_sub(self.limit);
                Ok((start..end, start > 0))
            }
            (None, None) => Ok((0..ids.len().min(self.limit), self.limit < ids.len())),
        }
    }
}
