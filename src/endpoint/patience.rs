//! How long does a call wait, and who still waits for it?
//!
//! Three things end waiting and sleeping: the case's time limit, which runs from its first attempt, the departure of everybody who
//! waited for the answer, and the end of hope for the endpoint. None ends an attempt under way: it is paid for.

use std::convert::Infallible;
use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::endpoint::Call;
use crate::endpoint::breaker::{Breaker, ProbeTurn};
use crate::endpoint::lane::Seat;
use crate::model::reply::Reply;
use crate::model::verdict::CellError;

/// What the store hangs on a call: who waits for it, and a last look before money is spent.
#[derive(Clone, Default)]
pub struct Flight {
    abandoned: CancellationToken,
    /// Holds the claim on the answer too, which is given up before the place is: in the order of these fields.
    recheck: Option<Arc<dyn Fn() -> Recheck + Send + Sync>>,
    kept: Arc<Mutex<Option<Seat>>>,
}

/// What the last look says.
#[derive(Debug, Clone)]
pub enum Recheck {
    /// Nobody has answered it yet: ask.
    Ask,
    /// Another process has stored the answer meanwhile.
    Found(Arc<Reply>),
    /// Another process is asking for this very answer: give the permit and the turn back, and look again in a moment.
    Busy,
    /// Nothing more is asked in this run.
    Stop(CellError),
}

impl Flight {
    /// A flight that is abandoned with this token and looks again with this function, which must be quick.
    pub fn new(abandoned: CancellationToken, recheck: impl Fn() -> Recheck + Send + Sync + 'static) -> Self {
        Self { abandoned, recheck: Some(Arc::new(recheck)), kept: Arc::default() }
    }

    /// The last look, with the permit in hand.
    #[must_use]
    pub fn recheck(&self) -> Recheck {
        self.recheck.as_ref().map_or(Recheck::Ask, |look| look())
    }

    /// The same flight, which looks at this first; only where that says to ask, it looks as before.
    #[must_use]
    pub(crate) fn looking_first(&self, first: impl Fn() -> Recheck + Send + Sync + 'static) -> Self {
        let then = self.clone();
        let look = move || match first() {
            Recheck::Ask => then.recheck(),
            other => other,
        };
        Self { abandoned: self.abandoned.clone(), recheck: Some(Arc::new(look)), kept: Arc::clone(&self.kept) }
    }

    /// Cancelled when nobody waits for the answer any more.
    pub(crate) const fn abandoned(&self) -> &CancellationToken {
        &self.abandoned
    }

    /// Keeps a place until the flight is over: until its last copy is gone.
    pub(crate) fn keep(&self, seat: Seat) {
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = Some(seat);
    }
}

impl fmt::Debug for Flight {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Flight").field("abandoned", &self.abandoned.is_cancelled()).finish_non_exhaustive()
    }
}

/// Why waiting ended without what was waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GaveUp {
    /// Nobody waits for the answer any more.
    Abandoned,
    /// The case's time limit passed.
    Deadline,
    /// The endpoint was given up.
    Unavailable,
}

/// The patience of one call over all of its attempts.
#[derive(Debug)]
pub struct Patience {
    abandoned: CancellationToken,
    limit: Duration,
    deadline: OnceLock<Option<Instant>>,
    breaker: Option<Arc<Breaker>>,
    given_up: CancellationToken,
    /// The next attempt is the probe of an endpoint that is silent.
    probing: Mutex<Option<ProbeTurn>>,
}

impl Patience {
    /// Of this call, before its first attempt.
    #[must_use]
    pub fn of(call: &Call) -> Self {
        Self {
            abandoned: call.flight.abandoned.clone(),
            limit: call.deadline,
            deadline: OnceLock::new(),
            breaker: None,
            given_up: CancellationToken::new(),
            probing: Mutex::default(),
        }
    }

    /// The same, and no longer than this endpoint is not given up.
    pub(crate) fn guarded(self, breaker: &Arc<Breaker>) -> Self {
        Self { given_up: breaker.given_up().clone(), breaker: Some(Arc::clone(breaker)), ..self }
    }

    /// The next attempt is the probe of an endpoint that is silent, or is none.
    pub(crate) fn set_probing(&self, turn: Option<ProbeTurn>) {
        *self.probing.lock().unwrap_or_else(PoisonError::into_inner) = turn;
    }

    pub(crate) fn is_probing(&self) -> bool {
        self.probing.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// The head of a success is there: a probe that is being answered may take its time.
    pub(crate) fn heard(&self) {
        if let Some(breaker) = self.breaker.as_ref().filter(|_| self.is_probing()) {
            breaker.heard();
        }
    }

    /// The endpoint is silent, and this call must leave the line and come again when it is heard: what is sent now would be lost.
    #[must_use]
    pub fn is_held(&self) -> bool {
        !self.is_probing() && self.breaker.as_ref().is_some_and(|breaker| breaker.holds())
    }

    /// If this call was to find out whether the endpoint is back, another one does from now on.
    pub fn let_others_probe(&self) {
        self.set_probing(None);
    }

    /// The first attempt goes out: from here on the case's time limit runs. Later calls change nothing.
    pub fn begin(&self) {
        // A limit beyond what an `Instant` can hold is no limit.
        self.deadline.get_or_init(|| Instant::now().checked_add(self.limit));
    }

    /// An attempt began before: the case's time limit is running.
    pub(crate) fn has_begun(&self) -> bool {
        self.deadline.get().is_some()
    }

    /// Waits for this, unless patience ends first. Who has to wait (for a place, a limit, money) is no probe any more: another call may be
    /// able to send at once.
    ///
    /// # Errors
    /// Says which end it was.
    pub async fn wait<F: Future>(&self, future: F) -> Result<F::Output, GaveUp> {
        let deadline = self.deadline.get().copied().flatten();
        // Comes after `future`: it runs only where that is not there yet.
        let others_probe = async {
            self.let_others_probe();
            std::future::pending::<Infallible>().await
        };
        tokio::select! {
            biased;
            () = self.abandoned.cancelled() => Err(GaveUp::Abandoned),
            () = self.given_up.cancelled() => Err(GaveUp::Unavailable),
            output = future => Ok(output),
            never = others_probe => match never {},
            () = sleep_until(deadline), if deadline.is_some() => Err(GaveUp::Deadline),
        }
    }

    /// Sleeps, unless patience would end first: then it does not even begin.
    ///
    /// # Errors
    /// Says which end it is.
    pub async fn sleep(&self, delay: Duration) -> Result<(), GaveUp> {
        if let Some(Some(deadline)) = self.deadline.get()
            && Instant::now().checked_add(delay).is_none_or(|wake| wake >= *deadline)
        {
            return Err(GaveUp::Deadline);
        }
        self.wait(tokio::time::sleep(delay)).await
    }
}

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
