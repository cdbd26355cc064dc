//! How close to a server's limit does a burst of cells get, and how often is it refused? Under a paused clock: the figures are exact.
//!
//! The server is a token bucket of one second's worth that refills all the time. Warm-up is the first ten seconds.

use std::collections::HashMap;

use futures_util::future::join_all;

use super::*;
use crate::endpoint::Endpoint;
use crate::endpoint::rate_limits::{RateLimits, Standing};
use crate::endpoint::retry::Retrying;
use crate::endpoint::testing::{call, call_to, config, failed, fresh};
use crate::endpoint::wire::Advice;

const WARM_UP: Duration = Duration::from_secs(10);

/// What a refusal tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tells {
    /// `retry-after` and the rate-limit headers, with success too.
    Headers,
    RetryAfter,
    Nothing,
}

struct Server {
    per_second: f64,
    /// The bucket: what is left, and when that was so.
    left: Mutex<(f64, Instant)>,
    capacity: f64,
    latency: Duration,
    tells: Tells,
    begun: Mutex<Vec<(Instant, String)>>,
    refused: Mutex<Vec<Instant>>,
    /// Nobody may begin before; set by refusals that tell it.
    forbidden_until: Mutex<Option<Instant>>,
    /// Refuses every n-th request whatever the bucket says.
    accident: Option<usize>,
}

impl Server {
    fn new(per_second: f64, latency: Duration, tells: Tells) -> Arc<Self> {
        Arc::new(Self::with_capacity(per_second, per_second, latency, tells))
    }

    fn with_capacity(per_second: f64, capacity: f64, latency: Duration, tells: Tells) -> Self {
        Self {
            per_second,
            left: Mutex::new((capacity, Instant::now())),
            capacity,
            latency,
            tells,
            begun: Mutex::default(),
            refused: Mutex::default(),
            forbidden_until: Mutex::default(),
            accident: None,
        }
    }

    fn take(&self) -> (bool, f64) {
        let mut state = self.left.lock().unwrap();
        let now = Instant::now();
        let left = (state.0 + (now - state.1).as_secs_f64() * self.per_second).min(self.capacity);
        let allowed = left >= 1.0 - 1e-9;
        *state = (if allowed { left - 1.0 } else { left }, now);
        (allowed, state.0.max(0.0))
    }
}

impl Wire for Arc<Server> {
    async fn attempt(&self, call: &Call, patience: &Patience) -> Attempted {
        patience.begin();
        let number = {
            let now = Instant::now();
            let forbidden = self.forbidden_until.lock().unwrap();
            assert!(forbidden.is_none_or(|until| until <= now), "a request begins while the endpoint cools down");
            let mut begun = self.begun.lock().unwrap();
            begun.push((now, call.request.model.clone()));
            begun.len()
        };
        // On its way.
        tokio::time::sleep(Duration::from_millis(1)).await;
        let (allowed, left) = self.take();
        let limits = match self.tells {
            Tells::Headers => RateLimits {
                requests: Standing {
                    limit: Some((self.per_second * 60.0) as u64),
                    remaining: Some(left as u64),
                    reset: (left < 1.0).then(|| Duration::from_secs_f64(self.capacity / self.per_second)),
                },
                ..RateLimits::default()
            },
            Tells::RetryAfter | Tells::Nothing => RateLimits::default(),
        };
        if allowed && self.accident.is_none_or(|every| number % every != 0) {
            tokio::time::sleep(self.latency).await;
            return Attempted { result: Ok(fresh("ok")), limits };
        }
        // Refusing takes no model's time.
        tokio::time::sleep(self.latency.min(Duration::from_millis(50))).await;
        let now = Instant::now();
        self.refused.lock().unwrap().push(now);
        let after = (self.tells != Tells::Nothing).then_some(Duration::from_secs(1));
        if let Some(after) = after {
            *self.forbidden_until.lock().unwrap() = Some(now + after);
        }
        Attempted { result: Err(failed(ErrorKind::RateLimited, Advice { after, ..Advice::default() })), limits }
    }
}

struct Measured {
    /// Time by cells / rate.
    ratio: f64,
    /// Refused by sent, after the warm-up.
    refused: f64,
    refused_in_all: usize,
    most_attempts: usize,
}

async fn burst(server: &Arc<Server>, concurrency: usize, calls: Vec<Call>) -> Measured {
    let mut config = config("http://127.0.0.1");
    (config.max_concurrency, config.max_attempts) = (concurrency, 5);
    let stack = Retrying::new(Limited::new(Arc::clone(server), &config), &config, 1);
    let cells = calls.len();
    let started = Instant::now();
    let results = join_all(calls.into_iter().map(|call| stack.ask(call))).await;
    let taken = started.elapsed();
    let attempts = results.iter().map(|result| result.as_ref().unwrap().reply.attempts.len());
    let late = |moment: &Instant| *moment > started + WARM_UP;
    let refused = server.refused.lock().unwrap();
    let sent = server.begun.lock().unwrap().iter().filter(|(moment, _)| late(moment)).count();
    Measured {
        ratio: taken.as_secs_f64() * server.per_second / cells as f64,
        refused: refused.iter().filter(|moment| late(moment)).count() as f64 / sent.max(1) as f64,
        refused_in_all: refused.len(),
        most_attempts: attempts.max().unwrap(),
    }
}

#[tokio::test(start_paused = true)]
async fn a_burst_ends_within_115_percent_of_its_time_with_at_most_2_percent_refused_after_the_warm_up() {
    for tells in [Tells::Headers, Tells::RetryAfter, Tells::Nothing] {
        for (per_second, lengths) in [(5.0, &[30, 120][..]), (50.0, &[30]), (200.0, &[30])] {
            for (latency, concurrency) in [(50, 64), (50, 500), (2000, 500)] {
                for &seconds in lengths {
                    let server = Server::new(per_second, Duration::from_millis(latency), tells);
                    let cells = per_second as usize * seconds;
                    let measured = burst(&server, concurrency, (0..cells).map(call).collect()).await;
                    let Measured { ratio, refused, refused_in_all, most_attempts } = measured;
                    let scenario = format!("{tells:?}: {per_second}/s, {cells} cells, {latency} ms, concurrency {concurrency}");
                    println!("{scenario}: {ratio:.3}, {:.2} % refused, {refused_in_all} in all, {most_attempts} attempts", refused * 100.0);
                    assert!(ratio <= 1.15, "{scenario}: {ratio:.3}");
                    assert!(refused <= 0.02, "{scenario}: {:.2} % refused", refused * 100.0);
                }
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_limit_of_a_whole_minute_that_comes_as_a_wall_is_found_in_a_few_pauses() {
    for tells in [Tells::RetryAfter, Tells::Nothing] {
        let server = Arc::new(Server::with_capacity(5.0, 300.0, Duration::from_millis(50), tells));
        let measured = burst(&server, 200, (0..900).map(call).collect()).await;
        assert!(measured.ratio <= 1.0 && measured.most_attempts <= 4, "{} {}", measured.ratio, measured.most_attempts);
        assert!(measured.refused <= 0.02, "{tells:?} {}", measured.refused);
    }
}

#[tokio::test(start_paused = true)]
async fn no_model_starves_where_models_share_one_limit() {
    for tells in [Tells::RetryAfter, Tells::Nothing] {
        let server = Server::new(20.0, Duration::from_millis(300), tells);
        let calls = (0..600).flat_map(|number| ["one", "two", "three"].map(|model| call_to(model, number)));
        burst(&server, 100, calls.collect()).await;
        let begun = server.begun.lock().unwrap();
        let (first, last) = (begun[0].0, begun.last().unwrap().0);
        // While all three have work, each gets a fair part of what the server takes.
        let half = first + (last - first) / 2;
        let mut shares: HashMap<&str, usize> = HashMap::new();
        for (moment, model) in begun.iter() {
            if (first + WARM_UP..half).contains(moment) {
                *shares.entry(model).or_default() += 1;
            }
        }
        let sum: usize = shares.values().sum();
        assert!(shares.len() == 3 && shares.values().all(|share| share * 8 > sum), "{tells:?}: {shares:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn refusals_by_accident_do_not_slow_a_lane_down_for_long() {
    let server = Arc::new(Server { accident: Some(17), ..Server::with_capacity(1e6, 1e6, Duration::from_millis(20), Tells::RetryAfter) });
    let started = Instant::now();
    let measured = burst(&server, 8, (0..600).map(call).collect()).await;
    let pauses = measured.refused_in_all as u64;
    assert!(started.elapsed() < Duration::from_secs(3 * pauses), "{:?} for {pauses} pauses of a second", started.elapsed());
}
