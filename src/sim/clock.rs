//! What time is it for the simulator?

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::time::Duration;

use chrono::{DateTime, Utc};

/// The machine's own time, or one that a test moves: entries of the prompt cache expire by it, batches end by it, and prices have its date.
#[derive(Debug, Clone, Default)]
pub struct Clock {
    /// Milliseconds since 1970, where a test decides.
    moved: Option<Arc<AtomicI64>>,
}

impl Clock {
    /// A clock that stands until it is moved; its clones move with it.
    #[must_use]
    pub fn standing_at(time: DateTime<Utc>) -> Self {
        Self { moved: Some(Arc::new(AtomicI64::new(time.timestamp_millis()))) }
    }

    /// Moves a standing clock on; the machine's own time cannot be moved.
    pub fn advance(&self, by: Duration) {
        if let Some(moved) = &self.moved {
            moved.fetch_add(i64::try_from(by.as_millis()).unwrap_or(i64::MAX), Relaxed);
        }
    }

    #[expect(clippy::disallowed_methods, reason = "this is where the simulator's time comes from; tests bring their own clock")]
    pub(super) fn now(&self) -> DateTime<Utc> {
        match &self.moved {
            Some(moved) => DateTime::from_timestamp_millis(moved.load(Relaxed)).unwrap_or(DateTime::<Utc>::MAX_UTC),
            None => Utc::now(),
        }
    }
}
