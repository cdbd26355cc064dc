//! The books of batches: how many were there, what was asked about them, and what came of their requests?

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use serde_json::{Value, json};

use super::super::batches::life::Outcome;
use super::super::script::BatchCall;

/// Counters; all are only ever raised.
#[derive(Debug, Default)]
pub(in super::super) struct BatchBooks {
    created: AtomicU64,
    requests: AtomicU64,
    ended: AtomicU64,
    calls: [AtomicU64; BatchCall::NAMES.len()],
    outcomes: [AtomicU64; Outcome::NAMES.len()],
}

impl BatchBooks {
    /// Somebody called, whatever was answered.
    pub(in super::super) fn called(&self, call: BatchCall) {
        self.calls[call.index()].fetch_add(1, Relaxed);
    }

    pub(in super::super) fn created(&self, requests: usize) {
        self.created.fetch_add(1, Relaxed);
        self.requests.fetch_add(requests as u64, Relaxed);
    }

    pub(in super::super) fn ended(&self, counts: [u64; 4]) {
        self.ended.fetch_add(1, Relaxed);
        for (counter, count) in self.outcomes.iter().zip(counts) {
            counter.fetch_add(count, Relaxed);
        }
    }

    pub(super) fn stats(&self) -> Value {
        let calls: BTreeMap<&str, u64> =
            BatchCall::NAMES.iter().zip(&self.calls).map(|((name, _), count)| (*name, count.load(Relaxed))).collect();
        let results: BTreeMap<&str, u64> =
            Outcome::NAMES.iter().zip(&self.outcomes).map(|(name, count)| (*name, count.load(Relaxed))).collect();
        json!({
            "created": self.created.load(Relaxed),
            "requests": self.requests.load(Relaxed),
            "ended": self.ended.load(Relaxed),
            "calls": calls,
            "results": results,
        })
    }
}
