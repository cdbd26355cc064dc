//! How do the calls of an endpoint wait while it is silent, and which of them asks next?
//!
//! They stand in one fair line. Its first one asks when the [`Circuit`] says so, and goes to the end if that failed. With the first sign of
//! life all of them go on; when the endpoint is given up, all of them end, wherever they wait. What is on the wire then is not torn down: its
//! answer is kept.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::endpoint::circuit::{Circuit, Failure, Next, PROBE_TIME, StreakId};
use crate::endpoint::{Call, CallEvent, EndpointConfig};
use crate::model::verdict::{CellError, ErrorKind};

/// The circuit of one endpoint, and those who wait for it.
#[derive(Debug)]
pub(crate) struct Breaker {
    endpoint: String,
    status_page: Option<String>,
    give_up_after: Duration,
    circuit: Mutex<Circuit>,
    calls: AtomicU64,
    /// One permit: whoever has it asks next. Tokio's semaphore is fair.
    line: Arc<Semaphore>,
    closed: watch::Sender<()>,
    given_up: CancellationToken,
    /// The latest failure.
    last: Mutex<Option<CellError>>,
    /// Why it was given up.
    reason: OnceLock<CellError>,
}

/// The right to find out whether the endpoint is back: the next one waits until this is dropped.
#[derive(Debug)]
pub(crate) struct ProbeTurn(#[expect(dead_code, reason = "what counts is when it is dropped")] OwnedSemaphorePermit);

impl Breaker {
    /// Closed.
    pub(crate) fn new(config: &EndpointConfig) -> Self {
        Self {
            endpoint: config.name.clone(),
            status_page: config.status_page.clone(),
            give_up_after: config.give_up_after,
            circuit: Mutex::new(Circuit::new(config.max_concurrency, config.give_up_after)),
            calls: AtomicU64::new(0),
            line: Arc::new(Semaphore::new(1)),
            closed: watch::Sender::new(()),
            given_up: CancellationToken::new(),
            last: Mutex::default(),
            reason: OnceLock::new(),
        }
    }

    /// A number for a call, by which its failures are told from those of others.
    pub(crate) fn number(&self) -> u64 {
        self.calls.fetch_add(1, Ordering::Relaxed)
    }

    /// Waits until a call may send: as everybody may, or alone, as a probe. Never ends once the endpoint is given up: [`Breaker::given_up`]
    /// says so.
    pub(crate) async fn admit(&self) -> Option<ProbeTurn> {
        let mut closed = self.closed.subscribe();
        if self.next() == Next::Now {
            return None;
        }
        let turn = tokio::select! {
            biased;
            _ = closed.changed() => return None,
            turn = Arc::clone(&self.line).acquire_owned() => turn.expect("the line is never closed"),
        };
        match self.next() {
            Next::Now => None,
            Next::Probe(when) => tokio::select! {
                biased;
                _ = closed.changed() => None,
                () = tokio::time::sleep_until(when) => Some(ProbeTurn(turn)),
            },
            Next::Never => std::future::pending().await,
        }
    }

    /// The API answered: everybody goes on.
    pub(crate) fn alive(&self) {
        if self.circuit().alive() {
            self.closed.send_replace(());
        }
    }

    /// An attempt of this call failed in a way that may be the endpoint's. Says which streak it belongs to.
    pub(crate) fn failed(self: &Arc<Self>, call: &Call, failure: Failure, error: &CellError) -> StreakId {
        let now = Instant::now();
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.clone());
        let mut circuit = self.circuit();
        let before = circuit.next();
        let streak = circuit.failed(now, failure);
        if circuit.next() == Next::Never {
            self.give_up(&circuit, now);
        } else if before == Next::Now && circuit.next() != Next::Now {
            drop(circuit);
            call.observer.tell(CallEvent::Silent { give_up_after: self.give_up_after });
            tokio::spawn(Arc::clone(self).watch());
        }
        streak
    }

    /// Gives the endpoint up when its time is over, whether or not a probe came back by then, or could be sent at all.
    async fn watch(self: Arc<Self>) {
        let mut closed = self.closed.subscribe();
        let mut wake = self.circuit().deadline();
        while let Some(deadline) = wake {
            tokio::select! {
                _ = closed.changed() => {}
                () = self.given_up.cancelled() => {}
                () = tokio::time::sleep_until(deadline) => {
                    let (now, mut circuit) = (Instant::now(), self.circuit());
                    if circuit.expire(now) {
                        self.give_up(&circuit, now);
                    }
                }
            }
            // Over, or a probe is just being answered, or the next outage has begun.
            wake = self.circuit().deadline().map(|deadline| deadline.max(Instant::now() + PROBE_TIME));
        }
    }

    fn give_up(&self, circuit: &Circuit, now: Instant) {
        let (silent, attempts) = circuit.silence(now);
        if let Some(last) = &*self.last.lock().unwrap_or_else(PoisonError::into_inner) {
            self.reason.get_or_init(|| self.unavailable(silent, attempts, last));
        }
        self.given_up.cancel();
    }

    /// The probe is being answered.
    pub(crate) fn heard(&self) {
        self.circuit().heard();
    }

    /// The probe is being answered.
    pub(crate) fn is_heard(&self) -> bool {
        self.circuit().is_heard()
    }

    /// The call must not send now, unless it is the probe.
    pub(crate) fn holds(&self) -> bool {
        self.next() != Next::Now
    }

    /// Until the next probe; `None` while nothing is held back.
    pub(crate) fn pause(&self) -> Option<Duration> {
        match self.next() {
            Next::Now => None,
            Next::Probe(when) => Some(when.saturating_duration_since(Instant::now())),
            Next::Never => Some(Duration::ZERO),
        }
    }

    /// This streak was an outage: its failures were no request's own.
    pub(crate) fn is_outage(&self, streak: StreakId) -> bool {
        self.circuit().is_outage(streak)
    }

    /// Cancelled when the endpoint is given up.
    pub(crate) const fn given_up(&self) -> &CancellationToken {
        &self.given_up
    }

    /// Why the endpoint was given up.
    pub(crate) fn reason(&self) -> Option<&CellError> {
        self.reason.get()
    }

    fn unavailable(&self, silent: Duration, attempts: u32, last: &CellError) -> CellError {
        let silent = Duration::from_secs(silent.as_secs().max(1));
        let cause = last.hint.as_ref().filter(|_| !matches!(last.kind, ErrorKind::Overloaded | ErrorKind::Server));
        let cause = cause.map(|hint| format!("{hint}; or ")).unwrap_or_default();
        let page = self.status_page.as_ref().map(|page| format!("look at its status page, {page}, and ")).unwrap_or_default();
        CellError {
            kind: ErrorKind::Unavailable,
            message: format!(
                "endpoint `{}` has given no usable answer for {} ({attempts} requests); the last one: {}",
                self.endpoint,
                humantime::format_duration(silent),
                last.message
            ),
            hint: Some(format!("{cause}{page}run again later: what was answered is stored")),
            attempts: Vec::new(),
        }
    }

    fn next(&self) -> Next {
        self.circuit().next()
    }

    fn circuit(&self) -> MutexGuard<'_, Circuit> {
        // What is behind this lock is whole between any two statements.
        self.circuit.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
#[path = "breaker_tests.rs"]
mod tests;
