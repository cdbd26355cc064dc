//! Is a failure worth another attempt, and when? One exhaustive match, full jitter, and what the server asks for
//! (wire reference, 3.1 to 3.3).

use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::endpoint::breaker::Breaker;
use crate::endpoint::circuit::{Failure, PROBE_TIME, Sign, StreakId, sign};
use crate::endpoint::patience::{GaveUp, Patience};
use crate::endpoint::wire::{Advice, Attempted, Failed, Wire};
use crate::endpoint::{Call, CallEvent, Endpoint, EndpointConfig};
use crate::model::reply::{Answer, Attempt};
use crate::model::verdict::{CellError, ErrorKind};

/// Before the first retry at most this, and twice as much before each further one.
const BASE: Duration = Duration::from_millis(500);

/// Never more than this without the server's asking.
const CAP: Duration = Duration::from_secs(8);

/// Before a call that was held stands in line again.
const LINE_UP_AGAIN: Duration = Duration::from_millis(50);

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
        | ErrorKind::Unavailable
        | ErrorKind::Batch
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
    breaker: Arc<Breaker>,
}

impl<W> Retrying<W> {
    /// With the attempts, the pauses and the circuit that these settings name. The seed decides the jitter.
    pub fn new(inner: W, config: &EndpointConfig, seed: u64) -> Self {
        Self {
            inner,
            max_attempts: config.max_attempts.max(1),
            max_retry_after: config.max_retry_after,
            jitter: Mutex::new(fastrand::Rng::with_seed(seed)),
            breaker: Arc::new(Breaker::new(config)),
        }
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
        let breaker = &*self.breaker;
        let patience = Patience::of(&call).guarded(&self.breaker);
        let mut attempts: Vec<Attempt> = Vec::new();
        let mut tally = Tally { call: breaker.number(), ..Tally::default() };
        let mut last: Option<CellError> = None;
        let reason = loop {
            match patience.wait(breaker.admit()).await {
                Ok(turn) => patience.set_probing(turn),
                Err(reason) => break reason,
            }
            match self.attempt(&call, &patience).await.result {
                Ok(answer) => {
                    // What somebody else asked for says nothing about the endpoint as it is now.
                    if answer.served.is_paid() {
                        breaker.alive();
                    }
                    return Ok(with_earlier(answer, attempts));
                }
                // Between the line of its model and the line of its endpoint nobody goes round without time passing: those who are ready leave
                // the first one meanwhile, so that the next probe finds it empty.
                Err(Failed::Held) => {
                    if let Err(reason) = patience.wait(tokio::time::sleep(LINE_UP_AGAIN)).await {
                        break reason;
                    }
                }
                Err(Failed::Refused(error)) => return Err(CellError { attempts, ..error }),
                Err(Failed::GaveUp(reason)) => break reason,
                Err(Failed::Attempt { error, attempt, advice }) => {
                    // A request that takes too long may be alone with it.
                    let headless = error.kind == ErrorKind::Connection && attempt.status.is_none();
                    let hung = error.kind == ErrorKind::Timeout && attempt.status.is_none();
                    attempts.push(attempt);
                    // The API was still answering when the time was over: nothing is silent there.
                    let answering = error.kind == ErrorKind::Timeout && advice.should_retry == Some(false);
                    let sign = if answering { Sign::Alive } else { sign(error.kind) };
                    let last_try = tally.made(breaker) + 1 >= self.max_attempts;
                    let failure = Failure { call: tally.call, headless, hung, last_try, probe: patience.is_probing() };
                    self.count(&call, &mut tally, sign, &error, failure);
                    // Whoever stands in line behind a probe takes the next turn.
                    patience.let_others_probe();
                    let came_again = advice.no_text && tally.was_no_text;
                    tally.was_no_text |= advice.no_text;
                    if came_again || !worth_retrying(error.kind, advice) || tally.made(breaker) >= self.max_attempts {
                        return Err(CellError { message: after_attempts(error.message, attempts.len()), attempts, ..error });
                    }
                    let attempt = u32::try_from(attempts.len()).unwrap_or(u32::MAX);
                    let held = breaker.pause();
                    let delay = held.unwrap_or_else(|| self.delay(advice, attempt));
                    call.observer.tell(CallEvent::Retrying { message: error.message.clone(), delay, attempt: attempt.saturating_add(1) });
                    last = Some(error);
                    // A silent endpoint has a line of its own to wait in, until somebody hears of it.
                    if held.is_none()
                        && let Err(reason) = patience.sleep(delay).await
                    {
                        break reason;
                    }
                }
            }
        };
        Err(match (reason, breaker.reason()) {
            (GaveUp::Unavailable, Some(reason)) => CellError { attempts, ..reason.clone() },
            _ => without_patience(reason, call.deadline, last, attempts),
        })
    }
}

impl<W> Retrying<W> {
    fn count(&self, call: &Call, tally: &mut Tally, sign: Sign, error: &CellError, failure: Failure) {
        match sign {
            Sign::Down => {
                let streak = self.breaker.failed(call, failure, error);
                tally.failed_in(streak, &self.breaker);
            }
            Sign::Alive => {
                self.breaker.alive();
                tally.own += 1;
            }
            Sign::Silent => tally.own += 1,
        }
    }
}

impl<W: Wire> Retrying<W> {
    /// One attempt. A probe that hears nothing for a while lets others find out, and goes on: it may be paid for.
    async fn attempt(&self, call: &Call, patience: &Patience) -> Attempted {
        let mut attempt = pin!(self.inner.attempt(call, patience));
        if patience.is_probing() {
            match tokio::time::timeout(PROBE_TIME, &mut attempt).await {
                Ok(attempted) => return attempted,
                Err(_) if self.breaker.is_heard() => {}
                Err(_) => patience.let_others_probe(),
            }
        }
        attempt.await
    }
}

/// How many of its attempts a call has used up. What failed because its endpoint was silent was not its fault: those attempts are told of,
/// and not counted. In [`FORGIVEN`] outages, that is, so that an endpoint which goes up and down ends every call at last.
#[derive(Debug, Default)]
struct Tally {
    call: u64,
    own: u32,
    /// The latest streak of failures over all calls that this call has a part in, and how large a part.
    streak: Option<(StreakId, u32)>,
    outages: u32,
    /// One of its replies was whole and no text.
    was_no_text: bool,
}

/// Outages of which no attempt is counted, for one call.
const FORGIVEN: u32 = 3;

impl Tally {
    fn failed_in(&mut self, streak: StreakId, breaker: &Breaker) {
        match &mut self.streak {
            Some((known, part)) if *known == streak => *part += 1,
            _ => {
                self.own = self.made(breaker);
                self.outages += u32::from(self.streak.is_some_and(|(earlier, _)| breaker.is_outage(earlier)));
                self.streak = Some((streak, 1));
            }
        }
    }

    /// The attempts that count.
    fn made(&self, breaker: &Breaker) -> u32 {
        let part = match self.streak {
            Some((streak, _)) if self.outages < FORGIVEN && breaker.is_outage(streak) => 0,
            Some((_, part)) => part,
            None => 0,
        };
        self.own + part
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

fn after_attempts(message: String, made: usize) -> String {
    if made > 1 { format!("{message} (after {made} attempts)") } else { message }
}

fn without_patience(reason: GaveUp, limit: Duration, last: Option<CellError>, attempts: Vec<Attempt>) -> CellError {
    let because = last.map(|error| format!("; the last attempt: {}", error.message)).unwrap_or_default();
    let (message, hint) = match reason {
        GaveUp::Deadline => (
            format!("the case's time limit of {limit:?} leaves no time for another attempt{because}"),
            Some("raise `case_timeout`".to_owned()),
        ),
        GaveUp::Abandoned => (format!("the run was stopped before another attempt{because}"), None),
        // Only where the endpoint's own reason is missing, which it never is.
        GaveUp::Unavailable => (format!("the endpoint was given up{because}"), None),
    };
    CellError { kind: ErrorKind::Timeout, message, hint, attempts }
}

#[cfg(test)]
#[path = "retry_tests.rs"]
mod tests;
