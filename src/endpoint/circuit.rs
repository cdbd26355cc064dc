//! Does this endpoint answer anybody at all? A pure state machine, fed with what came of attempts and with the time.
//!
//! ```text
//! closed --(nothing but failures)--> tripped --(any sign of life)--> closed
//!                                    tripped --(silent for so long, and the last probe failed or hangs too)--> given up
//! ```
//!
//! Failures of one request say nothing about its endpoint; an unbroken streak of them over all requests does. Anything that an API
//! answers (a reply, a 429, a refusal) breaks the streak. While the circuit is tripped, one request at a time goes out as a probe.

use std::time::Duration;

use tokio::time::Instant;

use crate::model::verdict::ErrorKind;

/// So many failures in a row are no accident: where a third of all requests fail at random, eight in a row are one in 6,561.
const LEAST_STREAK: u32 = 8;

/// A call that would end for good trips the circuit earlier, if not even the head of a response has come for so many attempts.
const SILENT_STREAK: u32 = 3;

/// Before the first probe; twice as much before each further one.
const FIRST_PROBE: Duration = Duration::from_millis(500);

/// At most so long between two probes.
const LONGEST_INTERVAL: Duration = Duration::from_secs(4);

/// A probe that has heard nothing for so long leaves its turn to the next one, and the last one is awaited no longer.
pub(crate) const PROBE_TIME: Duration = Duration::from_secs(10);

/// What an attempt says about its endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sign {
    /// The API is there, whatever it said.
    Alive,
    /// It may be down.
    Down,
    /// Nothing: the trouble is ours.
    Silent,
}

/// What a failure of this kind says about the endpoint.
pub(crate) const fn sign(kind: ErrorKind) -> Sign {
    match kind {
        ErrorKind::Connection | ErrorKind::Timeout | ErrorKind::Overloaded | ErrorKind::Server | ErrorKind::MalformedReply => Sign::Down,
        ErrorKind::RateLimited | ErrorKind::SpendLimit | ErrorKind::Denied | ErrorKind::NotFound | ErrorKind::InvalidRequest => Sign::Alive,
        ErrorKind::Budget
        | ErrorKind::Unavailable
        | ErrorKind::Batch
        | ErrorKind::CacheMiss
        | ErrorKind::Store
        | ErrorKind::Judging
        | ErrorKind::Template => Sign::Silent,
    }
}

/// An attempt that failed in a way that may be the endpoint's.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Failure {
    /// Whose attempt it was.
    pub(crate) call: u64,
    /// Not even the head of a response came.
    pub(crate) headless: bool,
    /// Nothing at all came until its time was over.
    pub(crate) hung: bool,
    /// Its call has no attempt left.
    pub(crate) last_try: bool,
    /// It was sent to find out whether the endpoint is back.
    pub(crate) probe: bool,
}

/// When a call may send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// At once.
    Now,
    /// One call, as a probe, from this moment on.
    Probe(Instant),
    /// Not any more.
    Never,
}

/// Which streak of failures an attempt belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct StreakId(u64);

/// The state of one endpoint.
#[derive(Debug)]
pub(crate) struct Circuit {
    /// So many failures in a row trip it.
    most: u32,
    /// So many where each took the whole time of an attempt: one round of what a model has under way.
    most_hung: u32,
    give_up_after: Duration,
    phase: Phase,
    streak: Streak,
    /// Streaks that tripped it, in order.
    outages: Vec<StreakId>,
}

#[derive(Debug, Clone, Copy)]
enum Phase {
    Closed,
    Tripped { since: Instant, next_probe: Instant, failed_probes: u32, heard: bool },
    GivenUp,
}

/// Failures since the last sign of life.
#[derive(Debug)]
struct Streak {
    id: StreakId,
    begun: Option<Instant>,
    failures: u32,
    /// Whose failure began it.
    first: Option<u64>,
    /// Other calls failed too. One request that fails again and again is no outage.
    several: bool,
    headless: bool,
    hung: bool,
}

impl Streak {
    const fn new(id: StreakId) -> Self {
        Self { id, begun: None, failures: 0, first: None, several: false, headless: true, hung: true }
    }
}

impl Circuit {
    /// Closed. What one model has in flight at once fails at once when a connection breaks: that alone, one failure for each, trips nothing.
    /// Where several models share the endpoint, more than that may fail together and trip it; the first probe then ends that.
    pub(crate) fn new(max_concurrency: usize, give_up_after: Duration) -> Self {
        let in_flight = u32::try_from(max_concurrency).unwrap_or(u32::MAX);
        Self {
            most: in_flight.saturating_add(1).max(LEAST_STREAK),
            most_hung: in_flight.max(SILENT_STREAK),
            give_up_after,
            phase: Phase::Closed,
            streak: Streak::new(StreakId(0)),
            outages: Vec::new(),
        }
    }

    /// The API answered. Says whether that ended an outage.
    pub(crate) const fn alive(&mut self) -> bool {
        if self.streak.failures > 0 {
            self.streak = Streak::new(StreakId(self.streak.id.0 + 1));
        }
        match self.phase {
            Phase::Tripped { .. } => {
                self.phase = Phase::Closed;
                true
            }
            // What waited is gone already: an answer that was under way then cannot bring it back.
            Phase::Closed | Phase::GivenUp => false,
        }
    }

    /// An attempt failed. Says which streak it belongs to.
    pub(crate) fn failed(&mut self, now: Instant, failure: Failure) -> StreakId {
        self.streak.begun.get_or_insert(now);
        self.streak.failures = self.streak.failures.saturating_add(1);
        self.streak.several |= *self.streak.first.get_or_insert(failure.call) != failure.call;
        self.streak.headless &= failure.headless;
        self.streak.hung &= failure.hung;
        match &mut self.phase {
            Phase::Closed => {
                let silent = failure.last_try && self.streak.headless && self.streak.failures >= SILENT_STREAK;
                let most = if self.streak.hung { self.most_hung } else { self.most };
                if silent || (self.streak.several && self.streak.failures >= most) {
                    self.outages.push(self.streak.id);
                    let next_probe = now + FIRST_PROBE.min(self.give_up_after);
                    self.phase = Phase::Tripped { since: now, next_probe, failed_probes: 0, heard: false };
                }
            }
            Phase::Tripped { since, next_probe, failed_probes, heard } if failure.probe => {
                *failed_probes += 1;
                *heard = false;
                let silent_for = now.saturating_duration_since(*since);
                if silent_for >= self.give_up_after {
                    self.phase = Phase::GivenUp;
                } else {
                    let interval = FIRST_PROBE.saturating_mul(1 << (*failed_probes).min(8)).min(LONGEST_INTERVAL);
                    // The last probe goes out right before the end: whoever came back within the time is found.
                    *next_probe = now + interval.min(self.give_up_after - silent_for);
                }
            }
            Phase::Tripped { .. } | Phase::GivenUp => {}
        }
        self.streak.id
    }

    /// When it is given up, whatever the probes do; `None` where it is not tripped, or that is beyond all time.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        match self.phase {
            Phase::Tripped { since, .. } => since.checked_add(self.give_up_after)?.checked_add(PROBE_TIME),
            Phase::Closed | Phase::GivenUp => None,
        }
    }

    /// Gives up if the time is over and no probe is being answered. Says whether it did.
    pub(crate) fn expire(&mut self, now: Instant) -> bool {
        let over = !self.is_heard() && self.deadline().is_some_and(|deadline| now >= deadline);
        if over {
            self.phase = Phase::GivenUp;
        }
        over
    }

    /// A probe is being answered: its end decides.
    pub(crate) const fn heard(&mut self) {
        if let Phase::Tripped { heard, .. } = &mut self.phase {
            *heard = true;
        }
    }

    /// A probe is being answered.
    pub(crate) const fn is_heard(&self) -> bool {
        matches!(self.phase, Phase::Tripped { heard: true, .. })
    }

    /// When a call may send.
    pub(crate) const fn next(&self) -> Next {
        match self.phase {
            Phase::Closed => Next::Now,
            Phase::Tripped { next_probe, .. } => Next::Probe(next_probe),
            Phase::GivenUp => Next::Never,
        }
    }

    /// This streak was an outage: its failures were no request's own.
    pub(crate) fn is_outage(&self, streak: StreakId) -> bool {
        self.outages.binary_search(&streak).is_ok()
    }

    /// How long there has been no sign of life, and how many attempts that took.
    pub(crate) fn silence(&self, now: Instant) -> (Duration, u32) {
        (self.streak.begun.map_or(Duration::ZERO, |begun| now.saturating_duration_since(begun)), self.streak.failures)
    }
}

#[cfg(test)]
#[path = "circuit_tests.rs"]
mod tests;
