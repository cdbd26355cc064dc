//! Is a failure worth another attempt, and when? One exhaustive match, full jitter, and what the server asks for
//! (wire reference, 3.1 to 3.3).

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::endpoint::patience::{GaveUp, Patience};
use crate::endpoint::wire::{Advice, Failed, Wire};
use crate::endpoint::{Call, CallEvent, Endpoint};
use crate::model::reply::{Answer, Attempt};
use crate::model::verdict::{CellError, ErrorKind};

/// Before the first retry at most this, and twice as much before each further one.
const BASE: Duration = Duration::from_millis(500);

/// Never more than this without the server's asking.
const CAP: Duration = Duration::from_secs(8);

/// What a failure means for the calls that follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Another attempt may succeed.
    Retry,
    /// The same request would fail again.
    Never,
    /// Every request for this model would fail again.
    StopModel,
}

/// The class of a failure.
#[must_use]
pub const fn class(kind: ErrorKind) -> Class {
    match kind {
        ErrorKind::Connection
        | ErrorKind::Timeout
        | ErrorKind::RateLimited
        | ErrorKind::Overloaded
        | ErrorKind::Server
        | ErrorKind::MalformedReply => Class::Retry,
        ErrorKind::Denied | ErrorKind::NotFound | ErrorKind::SpendLimit => Class::StopModel,
        ErrorKind::InvalidRequest
        | ErrorKind::Budget
        | ErrorKind::CacheMiss
        | ErrorKind::Store
        | ErrorKind::Judging
        | ErrorKind::Template => Class::Never,
    }
}

/// Whether to try again. The server's own word outweighs ours, as in the official clients, except where money or access is refused:
/// that ends the model whatever a header says.
fn worth_retrying(kind: ErrorKind, advice: Advice) -> bool {
    match class(kind) {
        Class::Retry => advice.should_retry.unwrap_or(true),
        Class::Never => advice.should_retry.unwrap_or(false),
        Class::StopModel => false,
    }
}

/// Makes an answer out of attempts.
#[derive(Debug)]
pub struct Retrying<W> {
    inner: W,
    max_attempts: u32,
    max_retry_after: Duration,
    jitter: Mutex<fastrand::Rng>,
}

impl<W> Retrying<W> {
    /// At most so many attempts a call, the first included. A longer wish of the server than `max_retry_after` is cut to it.
    pub fn new(inner: W, max_attempts: u32, max_retry_after: Duration, seed: u64) -> Self {
        Self { inner, max_attempts: max_attempts.max(1), max_retry_after, jitter: Mutex::new(fastrand::Rng::with_seed(seed)) }
    }

    /// What is retried.
    pub const fn inner(&self) -> &W {
        &self.inner
    }

    /// The wait after so many failed attempts.
    fn delay(&self, advice: Advice, failed: u32) -> Duration {
        let share = self.jitter.lock().unwrap_or_else(PoisonError::into_inner).f64();
        match advice.after {
            // At least what was asked for, and a little apart from the others that were asked the same.
            Some(after) => {
                let after = after.min(self.max_retry_after);
                after + (after / 10).min(Duration::from_secs(1)).mul_f64(share)
            }
            None => BASE.saturating_mul(1 << failed.saturating_sub(1).min(10)).min(CAP).mul_f64(share),
        }
    }
}

impl<W: Wire> Endpoint for Retrying<W> {
    async fn ask(&self, call: Call) -> Result<Answer, CellError> {
        let patience = Patience::of(&call);
        let mut attempts: Vec<Attempt> = Vec::new();
        let mut last: Option<CellError> = None;
        loop {
            let gave_up = match self.inner.attempt(&call, &patience).await.result {
                Ok(answer) => return Ok(with_earlier(answer, attempts)),
                Err(Failed::Refused(error)) => return Err(CellError { attempts, ..error }),
                Err(Failed::GaveUp(reason)) => Err(reason),
                Err(Failed::Attempt { error, attempt, advice }) => {
                    attempts.push(attempt);
                    let made = u32::try_from(attempts.len()).unwrap_or(u32::MAX);
                    if !worth_retrying(error.kind, advice) || made >= self.max_attempts {
                        return Err(CellError { message: after_attempts(error.message, made), attempts, ..error });
                    }
                    let delay = self.delay(advice, made);
                    call.observer.tell(CallEvent::Retrying { message: error.message.clone(), delay, attempt: made + 1 });
                    last = Some(error);
                    patience.sleep(delay).await
                }
            };
            if let Err(reason) = gave_up {
                return Err(without_patience(reason, call.deadline, last, attempts));
            }
        }
    }
}

/// A reply tells of every attempt that led to it. One that somebody else paid for keeps its own story.
fn with_earlier(answer: Answer, mut earlier: Vec<Attempt>) -> Answer {
    if earlier.is_empty() || !answer.served.is_paid() {
        return answer;
    }
    let mut reply = answer.reply;
    let whole = Arc::make_mut(&mut reply);
    earlier.append(&mut whole.attempts);
    whole.attempts = earlier;
    Answer { reply, served: answer.served }
}

fn after_attempts(message: String, made: u32) -> String {
    if made > 1 { format!("{message} (after {made} attempts)") } else { message }
}

fn without_patience(reason: GaveUp, limit: Duration, last: Option<CellError>, attempts: Vec<Attempt>) -> CellError {
    let because = last.map(|error| format!("; the last attempt: {}", error.message)).unwrap_or_default();
    let (message, hint) = match reason {
        GaveUp::Deadline => (
            format!("the case's time limit of {limit:?} leaves no time for another attempt{because}"),
            Some("raise `case_timeout`".to_owned()),
        ),
        GaveUp::Abandoned => (format!("the run was stopped, or nobody waited any longer{because}"), None),
    };
    CellError { kind: ErrorKind::Timeout, message, hint, attempts }
}

#[cfg(test)]
#[path = "retry_tests.rs"]
mod tests;
