//! When may the next request of a lane begin? A token bucket as one instant (generic cell rate algorithm).
//!
//! `spent` is the moment up to which the rate is used up: each request moves it on by the interval that the rate leaves between requests.
//! It may run ahead of the clock by the burst. Nothing is ever given back, so the promise is simple: in any span of time never more than
//! rate x span + burst. (Tokio's clock, because tests pause it; governor waits on a clock of its own.)

use std::time::Duration;

use tokio::time::Instant;

#[derive(Debug)]
pub(crate) struct Bucket {
    interval: Duration,
    ahead: Duration,
    spent: Option<Instant>,
}

impl Bucket {
    /// So many a minute; `None` means no limit. The burst is what one second brings: the API enforces its limits in such slices
    /// (wire reference, 2.3).
    pub(crate) fn per_minute(requests: Option<u32>) -> Self {
        let interval = requests.map_or(Duration::ZERO, |requests| Duration::from_secs(60) / requests.max(1));
        Self { interval, ahead: Duration::from_secs(1).saturating_sub(interval), spent: None }
    }

    /// From when on a request may begin; in the past where it may at once.
    pub(crate) fn ready_at(&self, now: Instant) -> Instant {
        self.spent.and_then(|spent| spent.checked_sub(self.ahead)).unwrap_or(now)
    }

    /// A request begins.
    pub(crate) fn take(&mut self, now: Instant) {
        self.spent = Some(self.spent.map_or(now, |spent| spent.max(now)) + self.interval);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// However callers come, no window holds more requests than rate x window + burst.
        #[test]
        fn no_window_holds_more_than_the_rate_and_the_burst(rate in 1u32..6000, gaps in proptest::collection::vec(0u64..400, 1..200)) {
            let mut bucket = Bucket::per_minute(Some(rate));
            let start = Instant::now();
            let mut now = start;
            let mut begun: Vec<Duration> = Vec::new();
            for gap in gaps {
                now += Duration::from_millis(gap);
                now = now.max(bucket.ready_at(now));
                bucket.take(now);
                begun.push(now - start);
            }
            let burst = (f64::from(rate) / 60.0).max(1.0);
            for (index, from) in begun.iter().enumerate() {
                for (count, to) in begun[index..].iter().enumerate() {
                    let allowed = (*to - *from).as_secs_f64() * f64::from(rate) / 60.0 + burst;
                    prop_assert!((count + 1) as f64 <= allowed + 1e-3, "{} requests within {:?} at {rate} a minute", count + 1, *to - *from);
                }
            }
        }

        /// And it gives what it promises: a caller that is always there gets the whole rate.
        #[test]
        fn a_busy_lane_gets_its_whole_rate(rate in 1u32..6000) {
            let mut bucket = Bucket::per_minute(Some(rate));
            let start = Instant::now();
            let mut now = start;
            for _ in 0..=rate {
                now = now.max(bucket.ready_at(now));
                bucket.take(now);
            }
            prop_assert!(now - start <= Duration::from_secs(60));
        }
    }

    #[test]
    fn without_a_limit_nothing_waits() {
        let mut bucket = Bucket::per_minute(None);
        let now = Instant::now();
        for _ in 0..1000 {
            assert!(bucket.ready_at(now) <= now);
            bucket.take(now);
        }
    }
}
