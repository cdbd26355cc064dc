//! Whose turn is it in the line of one model, and when?
//!
//! The head of the line alone watches the clock; whoever leaves or begins wakes the next head and nobody else, and whatever lets it begin earlier
//! than its clock says wakes the head itself. A call that was sent before goes before those that were not: its case's time limit is running.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::endpoint::EndpointConfig;
use crate::endpoint::bucket::Bucket;
use crate::endpoint::pace::{Begun, Pace};
use crate::endpoint::patience::{GaveUp, Patience};
use crate::endpoint::rate_limits::RateLimits;
use crate::endpoint::tokens::{self, Size, TokenLimits, Tokens};
use crate::model::reply::Usage;
use crate::model::verdict::CellError;

/// The pause after a refusal that asks for none; twice as long after each further burst of refusals without a success.
const COOL_DOWN: Duration = Duration::from_millis(250);
const LONGEST_COOL_DOWN: Duration = Duration::from_secs(8);

/// One model of one endpoint.
pub(crate) struct Lane {
    state: Mutex<State>,
    /// The model or its key was refused: nothing more is asked.
    pub(crate) stopped: OnceLock<CellError>,
}

struct State {
    most: usize,
    under_way: usize,
    requests: Bucket,
    tokens: TokenLimits,
    pace: Pace,
    /// Nothing is left of a limit until then, and nothing more is known about it.
    spent_until: Option<Instant>,
    /// Bursts of refusals since the last success.
    bursts: u32,
    lines: [VecDeque<Waiting>; 2],
    number: u64,
    /// Who has set a clock by this state, and need not be woken before it rings.
    watching: Option<u64>,
}

struct Waiting {
    number: u64,
    wake: Arc<Notify>,
}

/// What came of a request, as far as limits go.
pub(crate) enum Outcome<'a> {
    Answered(&'a Usage),
    /// 429.
    Refused,
    /// 5xx, 529.
    Trouble,
    /// Anything else: it took its place, and more is not known.
    Other,
}

/// The right to send one request.
pub(crate) struct Permit {
    seat: Seat,
    size: Size,
    tokens: Tokens,
    begun: Begun,
    requests: (Option<Instant>, Option<Instant>),
}

/// A place among those that are under way; dropping it gives the place to the next one.
pub(crate) struct Seat(Arc<Lane>);

impl Lane {
    pub(crate) fn new(config: &EndpointConfig) -> Self {
        Self {
            state: Mutex::new(State {
                most: config.max_concurrency.max(1),
                under_way: 0,
                requests: Bucket::per_minute(config.requests_per_minute.map(u64::from)),
                tokens: TokenLimits::new(config.input_tokens_per_minute, config.output_tokens_per_minute),
                pace: Pace::default(),
                spent_until: None,
                bursts: 0,
                lines: Default::default(),
                number: 0,
                watching: None,
            }),
            stopped: OnceLock::new(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the turn of a request of this size: a place, every limit, and the end of the cool-down, which may move meanwhile.
    ///
    /// # Errors
    /// If patience ends first.
    pub(crate) async fn turn(
        self: &Arc<Self>,
        size: Size,
        patience: &Patience,
        cool_until: impl Fn() -> Option<Instant>,
    ) -> Result<Permit, GaveUp> {
        let before_others = patience.has_begun();
        let waiting = {
            let mut state = self.state();
            let head = state.head().is_none() || (before_others && state.lines[0].is_empty());
            if head && let Turn::Now(permit) = state.turn(self, size, cool_until()) {
                return Ok(permit);
            }
            state.join(self, before_others)
        };
        loop {
            let ready = {
                let mut state = self.state();
                state.forget_clock_of(waiting.number);
                if state.head() == Some(waiting.number) {
                    match state.turn(self, size, cool_until()) {
                        Turn::Now(permit) => {
                            drop(state);
                            // Leaves the line, and wakes the next one.
                            drop(waiting);
                            return Ok(permit);
                        }
                        Turn::At(ready) => {
                            state.watching = Some(waiting.number);
                            Some(ready)
                        }
                        Turn::NoPlace => None,
                    }
                } else {
                    None
                }
            };
            match ready {
                Some(ready) => {
                    // Either way it looks again.
                    let _ = patience.wait(tokio::time::timeout_at(ready, waiting.wake.notified())).await?;
                }
                None => patience.wait(waiting.wake.notified()).await?,
            }
        }
    }
}

/// Whether a request may begin.
enum Turn {
    Now(Permit),
    At(Instant),
    NoPlace,
}

impl State {
    fn head(&self) -> Option<u64> {
        self.lines.iter().find_map(VecDeque::front).map(|waiting| waiting.number)
    }

    fn turn(&mut self, lane: &Arc<Lane>, size: Size, cool_until: Option<Instant>) -> Turn {
        if self.under_way >= self.most {
            return Turn::NoPlace;
        }
        let now = Instant::now();
        let tokens = self.tokens.estimate(size);
        let ready = self.requests.ready_at(now, 1.0).max(self.pace.ready_at(now)).max(self.tokens.ready_at(now, tokens));
        let ready = ready.max(cool_until.unwrap_or(now)).max(self.spent_until.unwrap_or(now));
        if ready > now {
            return Turn::At(ready);
        }
        self.under_way += 1;
        let before = self.requests.spent();
        self.requests.take(now, 1.0);
        self.tokens.take(now, tokens);
        let begun = self.pace.begin(now);
        Turn::Now(Permit { seat: Seat(Arc::clone(lane)), size, tokens, begun, requests: (before, self.requests.spent()) })
    }

    fn join<'a>(&mut self, lane: &'a Lane, before_others: bool) -> Place<'a> {
        self.number += 1;
        let wake = Arc::new(Notify::new());
        let line = usize::from(!before_others);
        self.lines[line].push_back(Waiting { number: self.number, wake: Arc::clone(&wake) });
        Place { lane, line, number: self.number, wake }
    }

    fn forget_clock_of(&mut self, number: u64) {
        if self.watching == Some(number) {
            self.watching = None;
        }
    }

    /// There may be something to do for the head of the line.
    fn wake_head(&self) {
        if self.under_way < self.most
            && let Some(head) = self.lines.iter().find_map(VecDeque::front)
            && self.watching != Some(head.number)
        {
            head.wake.notify_one();
        }
    }
}

/// A place in the line; dropping it leaves the line.
struct Place<'a> {
    lane: &'a Lane,
    line: usize,
    number: u64,
    wake: Arc<Notify>,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut state = self.lane.state();
        state.forget_clock_of(self.number);
        // Each line is in the order of its numbers.
        if let Ok(index) = state.lines[self.line].binary_search_by_key(&self.number, |waiting| waiting.number) {
            state.lines[self.line].remove(index);
        }
        state.wake_head();
    }
}

impl Permit {
    /// Nothing is sent: what it took is given back.
    pub(crate) fn give_back(self) {
        let mut state = self.seat.0.state();
        let now = Instant::now();
        // Only where nobody has begun since: what others built upon cannot be given back.
        if state.requests.spent() == self.requests.1 {
            state.requests.restore(self.requests.0);
        }
        state.tokens.give_back(now, self.tokens);
        state.pace.give_back(&self.begun);
        state.watching = None;
        // The place goes back with the permit, which needs the lock and wakes the head.
        drop(state);
    }

    /// The request ended like this. Says how long everybody shall wait, where the server does not say it. The head of the line is woken when
    /// the permit goes: whoever ends a request may have to say more first.
    pub(crate) fn ended(&self, outcome: &Outcome<'_>, limits: &RateLimits) -> Option<Duration> {
        let mut state = self.seat.0.state();
        let now = Instant::now();
        state.watching = None;
        if *limits != RateLimits::default() {
            state.pace.told(limits.requests, matches!(outcome, Outcome::Refused), now);
            state.tokens.told(limits, now);
        }
        match outcome {
            Outcome::Answered(usage) => {
                state.bursts = 0;
                state.pace.success(&self.begun, now);
                state.tokens.answered(now, self.size, self.tokens, usage);
            }
            Outcome::Refused => {
                state.tokens.give_back(now, self.tokens);
                if state.pace.refused(&self.begun, tokens::plenty_left(limits), now) {
                    let delay = COOL_DOWN.saturating_mul(1 << state.bursts.min(10)).min(LONGEST_COOL_DOWN);
                    state.bursts = state.bursts.saturating_add(1);
                    return Some(delay);
                }
            }
            Outcome::Trouble => state.pace.trouble(now),
            Outcome::Other => {}
        }
        None
    }

    /// The place alone, for as long as its answer is not in safety.
    pub(crate) fn seat(self) -> Seat {
        // What the reply told may let the head begin, if there is another place.
        self.seat.0.state().wake_head();
        self.seat
    }

    /// Nothing is left of a limit for so long.
    pub(crate) fn hold(&self, time: Duration) {
        let mut state = self.seat.0.state();
        let until = Instant::now().checked_add(time);
        state.spent_until = state.spent_until.max(until);
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.under_way -= 1;
        state.wake_head();
    }
}

impl fmt::Debug for Lane {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        formatter.debug_struct("Lane").field("under_way", &state.under_way).field("pace", &state.pace).finish_non_exhaustive()
    }
}
