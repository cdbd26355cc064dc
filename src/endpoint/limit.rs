//! When may an attempt begin? A line per model with its limits, one cool-down for the whole endpoint.
//!
//! Whoever has the turn looks once more whether somebody else has stored the answer. Where another process is asking for it, it steps back
//! and looks again later.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::endpoint::lane::{Lane, Outcome};
use crate::endpoint::patience::{Patience, Recheck};
use crate::endpoint::retry::{Class, class};
use crate::endpoint::tokens::{Size, until_reset};
use crate::endpoint::wire::{Attempted, Failed, Wire};
use crate::endpoint::{Call, CallEvent, EndpointConfig};
use crate::model::reply::{Answer, Served};
use crate::model::verdict::{CellError, ErrorKind};

/// Before the next look at an answer that another process is asking for: short beside any reply, long beside a look.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// The limits of one endpoint, around its wire.
#[derive(Debug)]
pub struct Limited<W> {
    inner: W,
    config: EndpointConfig,
    lanes: Mutex<HashMap<String, Arc<Lane>>>,
    cool_until: Mutex<Option<Instant>>,
}

impl<W> Limited<W> {
    /// The limits that these settings name.
    pub fn new(inner: W, config: &EndpointConfig) -> Self {
        Self { inner, config: config.clone(), lanes: Mutex::default(), cool_until: Mutex::default() }
    }

    /// What is limited.
    pub const fn inner(&self) -> &W {
        &self.inner
    }

    fn lane(&self, model: &str) -> Arc<Lane> {
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lane) = lanes.get(model) {
            return Arc::clone(lane);
        }
        let lane = Arc::new(Lane::new(&self.config));
        lanes.insert(model.to_owned(), Arc::clone(&lane));
        lane
    }

    fn cool_until(&self) -> Option<Instant> {
        *self.cool_until.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Every cell of this endpoint waits; the longest wish counts.
    fn cool_down(&self, call: &Call, delay: Duration) {
        let delay = delay.min(self.config.max_retry_after);
        let Some(until) = Instant::now().checked_add(delay) else { return };
        let mut cool_until = self.cool_until.lock().unwrap_or_else(PoisonError::into_inner);
        if cool_until.is_none_or(|known| known < until) {
            *cool_until = Some(until);
            drop(cool_until);
            call.observer.tell(CallEvent::CoolingDown { delay });
        }
    }
}

impl<W: Wire> Wire for Limited<W> {
    async fn attempt(&self, call: &Call, patience: &Patience) -> Attempted {
        match self.begun(call, patience).await {
            Ok(attempted) => attempted,
            Err(unsent) => Err(unsent).into(),
        }
    }
}

impl<W: Wire> Limited<W> {
    /// The attempt once it may begin, or what came of waiting for that.
    async fn begun(&self, call: &Call, patience: &Patience) -> Result<Attempted, Failed> {
        let lane = self.lane(&call.request.model);
        if let Some(error) = lane.stopped.get() {
            return Err(Failed::Refused(error.clone()));
        }
        call.observer.tell(CallEvent::Queued);
        let size = Size::of(&call.request);
        let permit = loop {
            let permit = lane.turn(size, patience, || self.cool_until()).await.map_err(Failed::GaveUp)?;
            // Before the last look: that one may claim the answer, which nobody must who does not ask for it.
            let unsent = if let Some(error) = lane.stopped.get() {
                Err(Failed::Refused(error.clone()))
            } else if patience.is_held() {
                Err(Failed::Held)
            } else {
                match call.flight.recheck() {
                    Recheck::Ask => break permit,
                    Recheck::Found(reply) => Ok(Ok(Answer { reply, served: Served::Shared }).into()),
                    Recheck::Stop(error) => Err(Failed::Refused(error)),
                    Recheck::Busy => {
                        // Others may go first meanwhile.
                        permit.give_back();
                        patience.wait(tokio::time::sleep(LOOK_AGAIN)).await.map_err(Failed::GaveUp)?;
                        continue;
                    }
                }
            };
            permit.give_back();
            return unsent;
        };
        let attempted = self.inner.attempt(call, patience).await;
        let limits = &attempted.limits;
        let outcome = match &attempted.result {
            Ok(answer) => Outcome::Answered(&answer.reply.usage),
            Err(Failed::Attempt { error, .. }) => match error.kind {
                ErrorKind::RateLimited => Outcome::Refused,
                ErrorKind::Overloaded | ErrorKind::Server => Outcome::Trouble,
                ErrorKind::Connection
                | ErrorKind::Timeout
                | ErrorKind::SpendLimit
                | ErrorKind::Denied
                | ErrorKind::NotFound
                | ErrorKind::InvalidRequest
                | ErrorKind::MalformedReply
                | ErrorKind::Budget
                | ErrorKind::Unavailable
                | ErrorKind::Batch
                | ErrorKind::CacheMiss
                | ErrorKind::Store
                | ErrorKind::Judging
                | ErrorKind::Template => Outcome::Other,
            },
            Err(Failed::Refused(_) | Failed::GaveUp(_) | Failed::Held) => Outcome::Other,
        };
        let default = permit.ended(&outcome, limits);
        if let Some(time) = until_reset(limits) {
            permit.hold(time.min(self.config.max_retry_after));
        }
        if let Err(Failed::Attempt { error, advice, .. }) = &attempted.result {
            match class(error.kind) {
                Class::Retry => {
                    if let Some(delay) = advice.after.or(default) {
                        self.cool_down(call, delay);
                    }
                }
                Class::StopModel => {
                    let hint = error.hint.clone();
                    let message = format!("not asked, because the model `{}` was refused before: {}", call.request.model, error.message);
                    // Several attempts may have been under way: the first one speaks.
                    let _ = lane.stopped.set(CellError { kind: error.kind, message, hint, attempts: Vec::new() });
                }
                Class::Never => {}
            }
        }
        if attempted.result.is_ok() {
            // What is paid stays in flight until it is stored: a process that is killed never loses more than may be under way.
            call.flight.keep(permit.seat());
        }
        Ok(attempted)
    }
}

#[cfg(test)]
#[path = "limit_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "limit_simulation.rs"]
mod simulation;
