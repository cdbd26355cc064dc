//! What is one attempt at a call, and how can it fail?
//!
//! An attempt is not a call: it has no retries, its failure carries what the server said about trying again, and it may be refused before
//! anything is sent. So it has a trait of its own, which the HTTP client, the limiter and (later) the budget implement.

use std::time::Duration;

use crate::endpoint::Call;
use crate::endpoint::patience::{GaveUp, Patience};
use crate::endpoint::rate_limits::RateLimits;
use crate::model::reply::{Answer, Attempt};
use crate::model::verdict::CellError;

/// Something that makes one attempt: one request on the wire, at most.
pub trait Wire: Send + Sync + 'static {
    /// The outcome of this attempt. What sends begins the patience right before it does. A fresh reply holds exactly this attempt in its `attempts`.
    fn attempt(&self, call: &Call, patience: &Patience) -> impl Future<Output = Attempted> + Send;
}

/// The outcome of one attempt.
#[derive(Debug, Clone)]
pub struct Attempted {
    /// The answer, or why there is none.
    pub result: Result<Answer, Failed>,
    /// What the response said about the server's limits: a success tells them too.
    pub limits: RateLimits,
}

impl From<Result<Answer, Failed>> for Attempted {
    fn from(result: Result<Answer, Failed>) -> Self {
        Self { result, limits: RateLimits::default() }
    }
}

/// How an attempt failed.
#[derive(Debug, Clone, PartialEq)]
pub enum Failed {
    /// A request was sent, or could not be.
    Attempt {
        /// Why there is no reply; its own `attempts` are empty.
        error: CellError,
        /// What is kept of it.
        attempt: Attempt,
        /// What the server said about trying again.
        advice: Advice,
    },
    /// Nothing was sent, and nothing will be.
    Refused(CellError),
    /// Nothing was sent: waiting for a permit ended first.
    GaveUp(GaveUp),
    /// Nothing was sent: the endpoint turned out to be silent while the call stood in line. It comes again when the endpoint is heard.
    Held,
}

/// What a server says about trying again (wire reference, 2.2).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Advice {
    /// `retry-after-ms`, else `retry-after`; not capped yet. A zero counts as absent, as in the official clients.
    pub after: Option<Duration>,
    /// `x-should-retry`.
    pub should_retry: Option<bool>,
    /// The reply was whole, and what the server made is no text: nothing on the way does that, so it comes in the same way again, and is paid
    /// each time.
    pub no_text: bool,
}
