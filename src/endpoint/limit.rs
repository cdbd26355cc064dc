//! When may an attempt begin? Permits and a rate per model, one cool-down for the whole endpoint.
//!
//! Whoever has a permit stands in the lane's second line, first come first served, until the rate and the cool-down let it go; then it
//! looks once more whether somebody else has stored the answer. Where another process is asking for it, it steps back and looks again
//! later. Adaptive limits will move the number of permits.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::endpoint::bucket::Bucket;
use crate::endpoint::patience::{GaveUp, Patience, Recheck};
use crate::endpoint::retry::{Class, class};
use crate::endpoint::wire::{Attempted, Failed, Wire};
use crate::endpoint::{Call, CallEvent, EndpointConfig};
use crate::model::reply::{Answer, Served};
use crate::model::verdict::CellError;

/// Before the next look at an answer that another process is asking for: short beside any reply, long beside a look.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// The limits of one endpoint, around its wire.
#[derive(Debug)]
pub struct Limited<W> {
    inner: W,
    max_concurrency: usize,
    requests_per_minute: Option<u32>,
    longest_cool_down: Duration,
    lanes: Mutex<HashMap<String, Arc<Lane>>>,
    cool_until: Mutex<Option<Instant>>,
}

/// One model of one endpoint.
#[derive(Debug)]
struct Lane {
    permits: Semaphore,
    /// Held while waiting for the turn: it is the second line, and tokio's mutex is fair.
    turn: tokio::sync::Mutex<Bucket>,
    /// The model or its key was refused: nothing more is asked.
    stopped: OnceLock<CellError>,
}

impl<W> Limited<W> {
    /// The limits that these settings name.
    pub fn new(inner: W, config: &EndpointConfig) -> Self {
        Self {
            inner,
            max_concurrency: config.max_concurrency.clamp(1, Semaphore::MAX_PERMITS),
            requests_per_minute: config.requests_per_minute,
            longest_cool_down: config.max_retry_after,
            lanes: Mutex::default(),
            cool_until: Mutex::default(),
        }
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
        let lane = Arc::new(Lane {
            permits: Semaphore::new(self.max_concurrency),
            turn: tokio::sync::Mutex::new(Bucket::per_minute(self.requests_per_minute)),
            stopped: OnceLock::new(),
        });
        lanes.insert(model.to_owned(), Arc::clone(&lane));
        lane
    }

    fn cool_until(&self) -> Option<Instant> {
        *self.cool_until.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Every cell of this endpoint waits; the longest wish counts.
    fn cool_down(&self, call: &Call, delay: Duration) {
        let delay = delay.min(self.longest_cool_down);
        let Some(until) = Instant::now().checked_add(delay) else { return };
        let mut cool_until = self.cool_until.lock().unwrap_or_else(PoisonError::into_inner);
        if cool_until.is_none_or(|known| known < until) {
            *cool_until = Some(until);
            drop(cool_until);
            call.observer.tell(CallEvent::CoolingDown { delay });
        }
    }

    /// Waits until rate and cool-down let the next request begin; the guard keeps the others in line until it is taken or dropped.
    async fn turn<'a>(&self, lane: &'a Lane, patience: &Patience) -> Result<tokio::sync::MutexGuard<'a, Bucket>, GaveUp> {
        let bucket = patience.wait(lane.turn.lock()).await?;
        loop {
            let now = Instant::now();
            let ready = bucket.ready_at(now).max(self.cool_until().unwrap_or(now));
            if ready <= now {
                return Ok(bucket);
            }
            patience.wait(tokio::time::sleep_until(ready)).await?;
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
        let (permit, mut bucket) = loop {
            let permit = patience.wait(lane.permits.acquire()).await.map_err(Failed::GaveUp)?.expect("a lane's semaphore is never closed");
            let bucket = self.turn(&lane, patience).await.map_err(Failed::GaveUp)?;
            if let Some(error) = lane.stopped.get() {
                return Err(Failed::Refused(error.clone()));
            }
            // Before the last look: that one may claim the answer, which nobody must who does not ask for it.
            if patience.is_held() {
                return Err(Failed::Held);
            }
            match call.flight.recheck() {
                Recheck::Ask => break (permit, bucket),
                Recheck::Found(reply) => return Ok(Ok(Answer { reply, served: Served::Shared }).into()),
                Recheck::Stop(error) => return Err(Failed::Refused(error)),
                Recheck::Busy => patience.let_others_probe(),
            }
            // Others may go first meanwhile.
            drop((bucket, permit));
            patience.wait(tokio::time::sleep(LOOK_AGAIN)).await.map_err(Failed::GaveUp)?;
        };
        bucket.take(Instant::now());
        drop(bucket);
        patience.begin();
        let attempted = self.inner.attempt(call, patience).await;
        if let Err(Failed::Attempt { error, advice, .. }) = &attempted.result {
            match class(error.kind) {
                Class::Retry => {
                    if let Some(delay) = advice.after {
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
        drop(permit);
        Ok(attempted)
    }
}

#[cfg(test)]
#[path = "limit_tests.rs"]
mod tests;
