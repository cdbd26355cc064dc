//! How many requests a second does a server take, as far as its refusals tell? The adaptive half of the limits, without any waiting.
//!
//! A lane has no pace until the server refuses a request (429) or tells in its headers that half of a limit is used up. From then on requests
//! begin evenly, so that a server whose limit has no burst is not run into either.
//!
//! - **Shrink.** A refusal sets the pace to what the server let pass since the refusal before, counted; at most to nine tenths of the pace that was
//!   refused, and to no less than a share of it that gets larger with each shrink (0, 1/2, 2/3, 3/4, 4/5): the more is known, the less one
//!   refusal says. Requests that were under way then belong to the same burst: their refusals only correct the count.
//! - **Grow.** Successes of requests that the pace held back let it grow, slowly near what was refused and faster the longer nothing is
//!   (2 to the power of the square of time). The time to double starts at one second, gets four times as long with each shrink, up to a minute.
//! - **Trouble** of the server (5xx, 529) lets growth pause.
//! - **What headers say** about the limit of requests is the ceiling, a fiftieth below it so that the server's bucket fills up again, and never below
//!   the slowest pace: what a server means it also refuses.
//! - **Refusals that no pace avoids**, such as faults at random: where several shrinks in a row change nothing, they are taken back, and for half a
//!   minute a refusal only cools down; so it is also where headers say that plenty is left. Once half of the requests are refused, it is the pace.
//!
//! Warm-up is the time up to the third shrink: by then what passes was counted once over a time without a burst.

use std::time::Duration;

use tokio::time::Instant;

use crate::endpoint::rate_limits::Standing;

/// So much earlier than its turn may a request begin, so that one that was woken too late does not hold up all that follow.
const AHEAD: Duration = Duration::from_millis(100);
/// Of a limit that headers tell.
const SHARE_OF_LIMIT: f64 = 0.98;
/// A pace grows no faster than in this time, at first, and with each shrink this many times slower.
const FIRST_DOUBLING: f64 = 1.0;
const SLOWER: f64 = 4.0;
const SLOWEST_DOUBLING: f64 = 60.0;
/// How long trouble keeps a pace from growing.
const TROUBLE: Duration = Duration::from_secs(5);
/// So many shrinks in a row that change nothing are taken back, and for so long none follows.
const IN_VAIN: u32 = 4;
const DEAF: Duration = Duration::from_secs(30);
/// Of the last requests, roughly ten: from here on refusals are no accident.
const NO_ACCIDENT: f64 = 0.5;
/// Never slower than this, a second: a place comes free sooner than the longest wait that servers ask for.
const SLOWEST: f64 = 0.2;

/// The pace of one lane.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    /// A second; `None` while nothing asked to slow down.
    rate: Option<f64>,
    /// The rate from which growth began.
    base: f64,
    ceiling: Option<f64>,
    spent: Option<Instant>,
    /// Counts shrinks; a request belongs to the epoch in which it began.
    epoch: u64,
    /// Requests of this epoch that were not refused so far, and since when they count.
    accepted: i64,
    since: Option<Instant>,
    /// How much is known: the number of shrinks, as far as it matters.
    known: u32,
    doubling: f64,
    grown: f64,
    last_success: Option<Instant>,
    trouble_until: Option<Instant>,
    last_shrink: Option<Shrink>,
    in_vain: u32,
    before: Option<f64>,
    deaf_until: Option<Instant>,
    refused_share: f64,
    meter: Meter,
}

/// What the last shrink was computed from.
#[derive(Debug, Clone, Copy)]
struct Shrink {
    refused_at: Option<f64>,
    accepted: i64,
    seconds: f64,
    least: f64,
}

/// One request that began.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Begun {
    at: Instant,
    epoch: u64,
    /// The pace held it back.
    pressed: bool,
    /// The state before it, should it be given back at once.
    spent: (Option<Instant>, Option<Instant>),
}

impl Pace {
    /// From when on a request may begin; in the past where it may at once.
    pub(crate) fn ready_at(&self, now: Instant) -> Instant {
        self.spent.and_then(|spent| spent.checked_sub(AHEAD)).unwrap_or(now)
    }

    fn interval(&self) -> f64 {
        self.rate.map_or(0.0, |rate| 1.0 / rate)
    }

    /// A request begins.
    pub(crate) fn begin(&mut self, now: Instant) -> Begun {
        let before = self.spent;
        let pressed = self.rate.is_some() && self.spent.is_some_and(|spent| spent + Duration::from_millis(5) > now);
        if self.rate.is_some() {
            self.spent = Some(self.spent.map_or(now, |spent| spent.max(now)) + Duration::from_secs_f64(self.interval()));
        }
        self.since.get_or_insert(now);
        self.accepted += 1;
        self.meter.count(now);
        Begun { at: now, epoch: self.epoch, pressed, spent: (before, self.spent) }
    }

    /// It was not sent after all.
    pub(crate) fn give_back(&mut self, begun: &Begun) {
        if begun.epoch == self.epoch {
            self.accepted -= 1;
            if self.epoch == 0 && self.accepted == 0 {
                // Nothing was sent so far.
                self.since = None;
            }
        }
        self.meter.give_back(begun.at);
        // Only where nobody has begun since: what others built upon cannot be given back.
        if self.spent == begun.spent.1 {
            self.spent = begun.spent.0;
        }
    }

    /// It was answered.
    pub(crate) fn success(&mut self, begun: &Begun, now: Instant) {
        self.refused_share *= 0.9;
        if self.rate.is_none() {
            return;
        }
        let last = self.last_success.replace(now);
        let paused = self.trouble_until.is_some_and(|until| now < until);
        let Some(last) = last.filter(|_| begun.pressed && begun.epoch == self.epoch && !paused) else { return };
        self.grown += (now - last).as_secs_f64().min(2.0 * self.interval() + 0.05);
        let grown = self.base * ((self.grown / self.doubling).min(6.0).powi(2)).exp2();
        // Not further than twice what is really asked: what was never tried is not known to pass.
        let grown = grown.min(self.base.max(2.0 * self.meter.rate()));
        self.rate = Some(self.under_ceiling(grown));
    }

    /// The server has trouble of its own: no time to ask it for more.
    pub(crate) fn trouble(&mut self, now: Instant) {
        self.trouble_until = Some(now + TROUBLE);
    }

    /// It was refused for its rate. Says whether that is news: the first refusal of a burst.
    pub(crate) fn refused(&mut self, begun: &Begun, plenty_left: bool, now: Instant) -> bool {
        self.refused_share = self.refused_share.mul_add(0.9, 0.1);
        if begun.epoch != self.epoch {
            if begun.epoch + 1 == self.epoch {
                self.straggler();
            }
            return false;
        }
        let seconds = self.since.map_or(0.0, |since| (begun.at - since).as_secs_f64());
        let accepted = self.accepted - 1;
        let early = self.rate.is_some() && self.grown < 0.25 * self.doubling;
        self.epoch += 1;
        self.accepted = 0;
        self.since = Some(begun.at);
        self.last_success = None;
        let deaf = plenty_left || self.deaf_until.is_some_and(|until| now < until);
        if deaf && self.refused_share < NO_ACCIDENT {
            self.last_shrink = None;
            if let (None, Some(ceiling)) = (self.rate, self.ceiling) {
                self.keep_to(ceiling);
            }
            return true;
        }
        if deaf {
            // It was no accident: what was learned before does not hold.
            self.known = 0;
        }
        self.deaf_until = None;
        self.in_vain = if early { self.in_vain + 1 } else { 0 };
        if self.in_vain == 0 && (self.before.is_none() || self.known >= 4) {
            self.before = self.rate.or(Some(self.meter.rate()));
        }
        if self.in_vain >= IN_VAIN && self.refused_share < NO_ACCIDENT {
            self.in_vain = 0;
            self.deaf_until = Some(now + DEAF);
            self.last_shrink = None;
            self.base = self.before.unwrap_or(self.base).max(self.base);
            self.rate = Some(self.under_ceiling(self.base));
        } else {
            self.known += 1;
            if self.ceiling.is_some() {
                // The headers told more than two shrinks would.
                self.known = self.known.max(3);
            }
            let refused_at = match (self.rate, self.in_vain) {
                (Some(rate), 0) => Some(rate.min(self.meter.rate())),
                (rate, _) => rate,
            };
            let least = if self.in_vain < 2 { 1.0 - 1.0 / f64::from(self.known.clamp(1, 5)) } else { 0.0 };
            // The first burst is measured over a second at least: no server's limit is for less.
            let shortest = if refused_at.is_none() { 1.0 } else { 0.001 };
            self.last_shrink = Some(Shrink { refused_at, accepted, seconds: seconds.max(shortest), least });
            self.shrink();
        }
        let lag = 4.0 * (now - begun.at).as_secs_f64();
        let known = i32::try_from(self.known.saturating_sub(1)).unwrap_or(i32::MAX);
        self.doubling = (FIRST_DOUBLING * SLOWER.powi(known)).min(SLOWEST_DOUBLING) * lag.max(1.0);
        self.grown = 0.0;
        true
    }

    /// A refusal of the burst that the last shrink was for: what counted as accepted was not.
    fn straggler(&mut self) {
        if let Some(shrink) = &mut self.last_shrink {
            shrink.accepted -= 1;
            self.shrink();
        }
    }

    fn shrink(&mut self) {
        let Some(shrink) = self.last_shrink else { return };
        let passed = (shrink.accepted as f64).max(0.5) / shrink.seconds;
        let rate = match (shrink.refused_at, self.ceiling) {
            (None, Some(ceiling)) => ceiling,
            (None, None) => passed * 0.95,
            (Some(refused_at), _) => passed.max(shrink.least * refused_at).min(0.9 * refused_at),
        };
        self.base = self.under_ceiling(rate.max(SLOWEST));
        self.rate = Some(self.base);
    }

    fn keep_to(&mut self, ceiling: f64) {
        self.base = ceiling;
        self.rate = Some(ceiling);
        self.doubling = FIRST_DOUBLING;
    }

    fn under_ceiling(&self, rate: f64) -> f64 {
        self.ceiling.map_or(rate, |ceiling| rate.min(ceiling))
    }

    /// What headers say about the limit of requests. It is kept to from the first refusal on, or once half of it is used up.
    pub(crate) fn told(&mut self, standing: Standing, refused: bool, now: Instant) {
        let Some(limit) = standing.limit else { return };
        let ceiling = (limit as f64 * SHARE_OF_LIMIT / 60.0).max(SLOWEST);
        self.ceiling = Some(ceiling);
        let low = standing.remaining.is_some_and(|remaining| remaining <= limit / 2);
        match self.rate {
            None if low && !refused => {
                self.keep_to(ceiling);
                self.spent = Some(now + Duration::from_secs_f64(1.0 / ceiling));
            }
            None => {}
            Some(_) if self.known == 0 => self.keep_to(ceiling),
            Some(rate) => self.rate = Some(rate.min(ceiling)),
        }
    }
}

/// Requests begun in a second, roughly.
#[derive(Debug, Default)]
struct Meter {
    second: Option<Instant>,
    count: u32,
    previous: u32,
}

impl Meter {
    fn count(&mut self, now: Instant) {
        let age = self.second.map_or(Duration::MAX, |second| now - second);
        if age >= Duration::from_secs(1) {
            self.previous = if age < Duration::from_secs(2) { self.count } else { 0 };
            self.count = 0;
            self.second = Some(now);
        }
        self.count += 1;
    }

    fn give_back(&mut self, at: Instant) {
        let this = self.second.is_some_and(|second| second <= at);
        let count = if this { &mut self.count } else { &mut self.previous };
        *count = count.saturating_sub(1);
    }

    fn rate(&self) -> f64 {
        f64::from(self.count.max(self.previous)) + 1.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(start: Instant, seconds: f64) -> Instant {
        start + Duration::from_secs_f64(seconds)
    }

    /// A pace that was refused at once, of which five of ten passed.
    fn shrunk(start: Instant) -> Pace {
        let mut pace = Pace::default();
        let begun: Vec<Begun> = (0..10).map(|_| pace.begin(start)).collect();
        let news: Vec<bool> = begun[5..].iter().map(|begun| pace.refused(begun, false, after(start, 0.1))).collect();
        assert_eq!(news, [true, false, false, false, false], "one burst shrinks once");
        pace
    }

    #[test]
    fn the_first_burst_sets_the_pace_to_what_passed_in_a_second() {
        let pace = shrunk(Instant::now());
        assert!((pace.rate.unwrap() - 4.75).abs() < 1e-9, "{pace:?}");
    }

    #[test]
    fn what_was_not_sent_after_all_counts_nowhere() {
        let mut pace = Pace::default();
        let start = Instant::now();
        // A call that looks every 50 ms whether another process has its answer.
        for look in 0..100 {
            let begun = pace.begin(after(start, f64::from(look) * 0.05));
            pace.give_back(&begun);
        }
        assert!(pace.meter.rate() <= 1.0, "{pace:?}");
        // What passes is counted from the first request that was sent: ten in a second, of which five passed.
        let begun: Vec<Begun> = (0..10).map(|_| pace.begin(after(start, 60.0))).collect();
        begun[5..].iter().for_each(|begun| {
            pace.refused(begun, false, after(start, 60.1));
        });
        assert!((pace.rate.unwrap() - 4.75).abs() < 1e-9, "{pace:?}");
    }

    #[test]
    fn a_told_limit_makes_no_pace_slower_than_the_slowest() {
        let mut pace = Pace::default();
        pace.told(Standing { limit: Some(1), remaining: Some(0), reset: None }, false, Instant::now());
        assert_eq!(pace.rate, Some(SLOWEST));
    }

    #[test]
    fn a_limit_in_the_headers_is_kept_to_once_half_of_it_is_gone() {
        let mut pace = Pace::default();
        let now = Instant::now();
        let standing = |remaining| Standing { limit: Some(600), remaining: Some(remaining), reset: None };
        pace.told(standing(301), false, now);
        assert_eq!(pace.rate, None);
        pace.told(standing(300), false, now);
        assert!((pace.rate.unwrap() - 9.8).abs() < 1e-9);
        // Garbage is no limit.
        pace.told(Standing { limit: None, remaining: Some(0), reset: None }, false, now);
        assert!((pace.rate.unwrap() - 9.8).abs() < 1e-9);
    }
}
