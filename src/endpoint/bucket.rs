//! When may the next request of a lane begin? A token bucket as one instant (generic cell rate algorithm).
//!
//! `spent` is the moment up to which the rate is used up: each request moves it on by the time that the rate needs to bring back what it
//! takes. It may run ahead of the clock by the burst. The promise: whenever something begins, what was taken in any span of time before is
//! at most rate x span + burst. (Tokio's clock, because tests pause it; governor waits on a clock of its own.)

use std::time::Duration;

use tokio::time::Instant;

/// Nothing keeps a lane waiting longer than this, however much its requests say that they took.
const LONGEST_DEBT: f64 = 600.0;
/// The same for a limit that only the server tells: if it means it, it refuses.
const LONGEST_TOLD_DEBT: f64 = 120.0;

#[derive(Debug)]
pub(crate) struct Bucket {
    /// Seconds that bring back one unit; zero means no limit.
    unit: f64,
    /// Seconds whose worth may go at once.
    burst: f64,
    /// Seconds that it may run ahead of the clock.
    longest: f64,
    spent: Option<Instant>,
}

impl Bucket {
    /// So many a minute; `None` means no limit. The burst is what one second brings: the API enforces its limits in such slices
    /// (wire reference, 2.3).
    pub(crate) fn per_minute(units: Option<u64>) -> Self {
        Self { unit: units.map_or(0.0, |units| 60.0 / units.max(1) as f64), burst: 1.0, longest: LONGEST_DEBT, spent: None }
    }

    /// So many a minute, as headers tell.
    pub(crate) fn told(units: u64) -> Self {
        Self { longest: LONGEST_TOLD_DEBT, ..Self::per_minute(Some(units)) }
    }

    /// Another rate from now on.
    pub(crate) fn set_per_minute(&mut self, units: u64) {
        self.unit = 60.0 / units.max(1) as f64;
    }

    /// From when on something that takes so much may begin; in the past where it may at once. What is larger than the burst may begin when
    /// the bucket is full, and is paid off afterwards.
    pub(crate) fn ready_at(&self, now: Instant, units: f64) -> Instant {
        let needed = (units * self.unit).min(self.burst.max(self.unit));
        let ahead = Duration::from_secs_f64((self.burst - needed).max(0.0));
        self.spent.and_then(|spent| spent.checked_sub(ahead)).unwrap_or(now)
    }

    /// It begins.
    pub(crate) fn take(&mut self, now: Instant, units: f64) {
        if self.unit > 0.0 {
            let spent = self.spent.map_or(now, |spent| spent.max(now));
            self.spent = Some((spent + self.time(units)).min(now + seconds(self.longest)));
        }
    }

    /// It took so much more, or less where this is negative, than was thought when it began.
    pub(crate) fn correct(&mut self, now: Instant, units: f64) {
        if units >= 0.0 {
            self.take(now, units);
        } else if let Some(spent) = self.spent {
            // An instant in the past is a full bucket: what is given back never makes more than the burst.
            self.spent = Some(spent.checked_sub(self.time(-units)).unwrap_or(now));
        }
    }

    /// What brings so much back, as far as it may count.
    fn time(&self, units: f64) -> Duration {
        seconds((units * self.unit).min(self.longest))
    }

    /// Nothing is left.
    pub(crate) fn empty(&mut self, now: Instant) {
        let empty = now + seconds(self.burst);
        self.spent = Some(self.spent.map_or(empty, |spent| spent.max(empty)));
    }

    /// The state, to be put back by [`Bucket::restore`].
    pub(crate) const fn spent(&self) -> Option<Instant> {
        self.spent
    }

    /// As if nothing had been taken since `spent` was read; for a request that did not begin after all.
    pub(crate) const fn restore(&mut self, spent: Option<Instant>) {
        self.spent = spent;
    }
}

fn seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// However callers come, no window holds more requests than rate x window + burst.
        #[test]
        fn no_window_holds_more_than_the_rate_and_the_burst(rate in 1u64..6000, gaps in proptest::collection::vec(0u64..400, 1..200)) {
            let mut bucket = Bucket::per_minute(Some(rate));
            let start = Instant::now();
            let mut now = start;
            let mut begun: Vec<Duration> = Vec::new();
            for gap in gaps {
                now += Duration::from_millis(gap);
                now = now.max(bucket.ready_at(now, 1.0));
                bucket.take(now, 1.0);
                begun.push(now - start);
            }
            let burst = (rate as f64 / 60.0).max(1.0);
            for (index, from) in begun.iter().enumerate() {
                for (count, to) in begun[index..].iter().enumerate() {
                    let allowed = (*to - *from).as_secs_f64() * rate as f64 / 60.0 + burst;
                    prop_assert!((count + 1) as f64 <= allowed + 1e-3, "{} requests within {:?} at {rate} a minute", count + 1, *to - *from);
                }
            }
        }

        /// The same for tokens, whose number is estimated first and known later: whenever a request begins, what was charged in any window
        /// before it, corrections included, is within the limit.
        #[test]
        fn no_request_begins_while_a_window_before_it_holds_too_many_tokens(
            // So that all of them together stay below the longest debt.
            rate in 3600u64..600_000,
            requests in proptest::collection::vec((0u64..3000, 1u32..500, 1u32..500, 0u64..20_000), 1..60),
        ) {
            let mut bucket = Bucket::per_minute(Some(rate));
            let start = Instant::now();
            let mut now = start;
            let mut charges: Vec<(Instant, f64)> = Vec::new();
            let mut open: Vec<(Instant, f64)> = Vec::new();
            let per_second = rate as f64 / 60.0;
            for (gap, estimate, actual, takes) in requests {
                now += Duration::from_millis(gap);
                let mut ready = now.max(bucket.ready_at(now, f64::from(estimate)));
                // Corrections that come while it waits move the moment on.
                open.sort_by_key(|(ends, _)| *ends);
                while let Some((ends, difference)) = open.first().copied().filter(|(ends, _)| *ends <= ready) {
                    open.remove(0);
                    bucket.correct(ends.max(start), difference);
                    charges.push((ends, difference));
                    ready = now.max(ends).max(bucket.ready_at(ends.max(now), f64::from(estimate)));
                }
                now = ready;
                for (index, (from, _)) in charges.iter().enumerate() {
                    let charged: f64 = charges[index..].iter().map(|(_, tokens)| tokens).sum();
                    let allowed = (now - *from).as_secs_f64() * per_second + per_second;
                    prop_assert!(charged <= allowed + 1.0, "{charged} tokens charged within {:?} at {rate} a minute", now - *from);
                }
                bucket.take(now, f64::from(estimate));
                charges.push((now, f64::from(estimate)));
                open.push((now + Duration::from_millis(takes), f64::from(actual) - f64::from(estimate)));
            }
        }

        /// And it gives what it promises: a caller that is always there gets the whole rate.
        #[test]
        fn a_busy_lane_gets_its_whole_rate(rate in 1u64..6000) {
            let mut bucket = Bucket::per_minute(Some(rate));
            let start = Instant::now();
            let mut now = start;
            for _ in 0..=rate {
                now = now.max(bucket.ready_at(now, 1.0));
                bucket.take(now, 1.0);
            }
            prop_assert!(now - start <= Duration::from_millis(60_001));
        }
    }

    #[test]
    fn without_a_limit_nothing_waits() {
        let mut bucket = Bucket::per_minute(None);
        let now = Instant::now();
        for _ in 0..1000 {
            assert!(bucket.ready_at(now, 1.0) <= now);
            bucket.take(now, 1.0);
        }
    }

    #[test]
    fn no_replies_can_claim_so_much_that_their_lane_never_goes_on() {
        for (mut bucket, longest) in [(Bucket::per_minute(Some(60)), 600), (Bucket::told(60), 120)] {
            let now = Instant::now();
            (0..8).for_each(|_| bucket.correct(now, u64::MAX as f64));
            assert_eq!(bucket.ready_at(now, 1.0), now + Duration::from_secs(longest));
        }
    }
}
