//! How many tokens does a request take, before and after its reply is there, and may it begin?
//!
//! Input tokens a minute count what no prompt cache served: `input_tokens` and cache writes, not cache reads; output tokens count what was really
//! written, whatever `max_tokens` allows (wire reference, 2.3). A request is estimated when it begins and corrected when its reply tells.
//!
//! The estimate: a token per four bytes of text, tools and system prompt included, and 1,600 for an image, times what the lane's replies so
//! far took in proportion to that; for the output the mean of the lane's replies so far, before the first one 256 or `max_tokens`, if that is less.

use std::time::Duration;

use tokio::time::Instant;

use crate::endpoint::bucket::Bucket;
use crate::endpoint::rate_limits::{RateLimits, Standing};
use crate::model::reply::Usage;
use crate::model::request::{Block, Request};
use crate::model::size::bytes;

/// Of a limit that headers tell: as for requests.
const SHARE_OF_LIMIT: f64 = 0.98;
/// No told limit counts as less, a minute: a request takes hundreds of tokens, and below this it is the refusals that say how many requests pass.
const LEAST_TOLD: u64 = 10_000;
const BYTES_PER_TOKEN: u64 = 4;
const IMAGE: u64 = 1600;
/// What a request has beside its text.
const FRAME: u64 = 8;
const FIRST_OUTPUT: f64 = 256.0;

/// What one request takes, in tokens.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Tokens {
    input: f64,
    output: f64,
}

/// What is known of a request before it is sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Size {
    input: u64,
    max_output: u64,
}

impl Size {
    /// Of this request.
    pub(crate) fn of(request: &Request) -> Self {
        let system: u64 = request.system.iter().map(block).sum();
        let turns: u64 = request.turns.iter().flat_map(|turn| &turn.content).map(block).sum();
        let tools: u64 = request.params.tools.iter().flatten().map(bytes).sum();
        let input = (system + turns + tools / BYTES_PER_TOKEN).saturating_add(FRAME);
        Self { input, max_output: request.params.max_tokens.unwrap_or(u64::MAX) }
    }
}

fn block(block: &Block) -> u64 {
    match block.kind() {
        "image" => IMAGE,
        _ => block.0.values().map(bytes).sum::<u64>() / BYTES_PER_TOKEN,
    }
}

/// The token limits of one lane.
#[derive(Debug)]
pub(crate) struct TokenLimits {
    input: Limit,
    output: Limit,
    /// Both together, where headers tell of nothing finer.
    all: Limit,
    /// Replies took so many input tokens for each that was estimated from the size.
    proportion: f64,
    mean_output: Option<f64>,
}

/// A limit of the settings, and one that headers told.
#[derive(Debug)]
struct Limit {
    set: Option<Bucket>,
    told: Option<Bucket>,
}

impl Limit {
    fn new(per_minute: Option<u64>) -> Self {
        Self { set: per_minute.map(|tokens| Bucket::per_minute(Some(tokens))), told: None }
    }

    fn buckets(&mut self) -> impl Iterator<Item = &mut Bucket> {
        self.set.iter_mut().chain(&mut self.told)
    }

    fn ready_at(&self, now: Instant, tokens: f64) -> Instant {
        self.set.iter().chain(&self.told).map(|bucket| bucket.ready_at(now, tokens)).max().unwrap_or(now)
    }

    /// Kept to once half of it is used up. Says how long to wait where nothing is left of a limit that is not told.
    fn told(&mut self, standing: Standing, now: Instant) {
        let Some(limit) = standing.limit else { return };
        let paced = ((limit as f64 * SHARE_OF_LIMIT) as u64).max(LEAST_TOLD);
        match &mut self.told {
            Some(bucket) => bucket.set_per_minute(paced),
            None if standing.remaining.is_some_and(|remaining| remaining <= limit / 2) => {
                let mut bucket = Bucket::told(paced);
                bucket.empty(now);
                self.told = Some(bucket);
            }
            None => {}
        }
    }
}

impl TokenLimits {
    pub(crate) fn new(input_per_minute: Option<u64>, output_per_minute: Option<u64>) -> Self {
        let (input, output) = (Limit::new(input_per_minute), Limit::new(output_per_minute));
        Self { input, output, all: Limit::new(None), proportion: 1.0, mean_output: None }
    }

    /// What a request of this size will take, as far as this lane knows.
    pub(crate) fn estimate(&self, size: Size) -> Tokens {
        let most = size.max_output as f64;
        Tokens { input: size.input as f64 * self.proportion, output: self.mean_output.unwrap_or(FIRST_OUTPUT).min(most) }
    }

    /// From when on it may begin; in the past where it may at once.
    pub(crate) fn ready_at(&self, now: Instant, tokens: Tokens) -> Instant {
        let input = self.input.ready_at(now, tokens.input);
        input.max(self.output.ready_at(now, tokens.output)).max(self.all.ready_at(now, tokens.input + tokens.output))
    }

    /// It begins.
    pub(crate) fn take(&mut self, now: Instant, tokens: Tokens) {
        self.correct(now, tokens.input, tokens.output);
    }

    /// Its reply tells what it took.
    pub(crate) fn answered(&mut self, now: Instant, size: Size, estimate: Tokens, usage: &Usage) {
        let input = usage.input_tokens.saturating_add(usage.cache_write_5m_tokens).saturating_add(usage.cache_write_1h_tokens) as f64;
        let output = usage.output_tokens as f64;
        self.correct(now, input - estimate.input, output - estimate.output);
        let proportion = (input / size.input.max(1) as f64).clamp(0.01, 20.0);
        self.proportion += (proportion - self.proportion) / 8.0;
        self.mean_output = Some(self.mean_output.map_or(output, |mean| mean + (output - mean) / 8.0));
    }

    /// The server did not take it, or it was not sent.
    pub(crate) fn give_back(&mut self, now: Instant, estimate: Tokens) {
        self.correct(now, -estimate.input, -estimate.output);
    }

    fn correct(&mut self, now: Instant, input: f64, output: f64) {
        self.input.buckets().for_each(|bucket| bucket.correct(now, input));
        self.output.buckets().for_each(|bucket| bucket.correct(now, output));
        self.all.buckets().for_each(|bucket| bucket.correct(now, input + output));
    }

    /// What headers say.
    pub(crate) fn told(&mut self, limits: &RateLimits, now: Instant) {
        self.input.told(limits.input_tokens, now);
        self.output.told(limits.output_tokens, now);
        // The most restrictive limit in force is one of the others where they are told.
        if limits.input_tokens.limit.is_none() && limits.output_tokens.limit.is_none() {
            self.all.told(limits.tokens, now);
        }
    }
}

/// How long nothing is left of a limit whose rate is not told: then its reset is all that is known.
pub(crate) fn until_reset(limits: &RateLimits) -> Option<Duration> {
    let RateLimits { requests, tokens, input_tokens, output_tokens } = limits;
    [requests, tokens, input_tokens, output_tokens]
        .into_iter()
        .filter(|standing| standing.limit.is_none() && standing.remaining == Some(0))
        .filter_map(|standing| standing.reset)
        .max()
}

/// A refusal is not about these limits: more than half is left of each that was told.
pub(crate) fn plenty_left(limits: &RateLimits) -> bool {
    let RateLimits { requests, tokens, input_tokens, output_tokens } = limits;
    let told =
        [requests, tokens, input_tokens, output_tokens].into_iter().filter_map(|standing| Some((standing.limit?, standing.remaining?)));
    let (mut any, mut all) = (false, true);
    for (limit, remaining) in told {
        any = true;
        all &= remaining > limit / 2;
    }
    any && all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoint::testing::request;
    use serde_json::Value;

    fn seconds(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    #[test]
    fn the_estimate_follows_what_the_lanes_replies_took() {
        let mut limits = TokenLimits::new(Some(60_000), Some(6_000));
        let size = Size::of(&request("m", &"word ".repeat(800)));
        let first = limits.estimate(size);
        assert!((1000.0..1020.0).contains(&first.input), "{first:?}");
        assert_eq!(first.output, 64.0, "no more than `max_tokens`");
        let now = Instant::now();
        let usage =
            Usage { input_tokens: 300, cache_write_5m_tokens: 200, cache_read_tokens: 9_000, output_tokens: 20, ..Usage::default() };
        for _ in 0..60 {
            let estimate = limits.estimate(size);
            limits.take(now, estimate);
            limits.answered(now, size, estimate, &usage);
        }
        let learned = limits.estimate(size);
        assert!((499.0..502.0).contains(&learned.input) && learned.output == 20.0, "cache reads count nothing: {learned:?}");
    }

    #[test]
    fn what_the_replies_took_is_charged_whatever_was_estimated() {
        let mut limits = TokenLimits::new(None, Some(6_000));
        let (now, size) = (Instant::now(), Size { input: 10, max_output: 100_000 });
        let estimate = limits.estimate(size);
        limits.take(now, estimate);
        limits.answered(now, size, estimate, &Usage { output_tokens: 1_000, ..Usage::default() });
        // A thousand tokens are ten seconds of this limit, and one second's worth may go at once.
        let wait = limits.ready_at(now, Tokens { input: 0.0, output: 0.1 }) - now;
        assert!((seconds(8.99)..seconds(9.01)).contains(&wait), "{wait:?}");
    }

    #[test]
    fn a_request_that_the_server_refused_took_nothing() {
        let mut limits = TokenLimits::new(Some(6_000), None);
        let (now, tokens) = (Instant::now(), Tokens { input: 5_000.0, output: 0.0 });
        limits.take(now, tokens);
        assert!(limits.ready_at(now, tokens) > now + seconds(40.0));
        limits.give_back(now, tokens);
        assert!(limits.ready_at(now, tokens) <= now);
    }

    #[test]
    fn a_limit_from_the_headers_is_kept_to_once_half_of_it_is_gone() {
        let standing = |remaining| Standing { limit: Some(60_000), remaining: Some(remaining), reset: None };
        let told = |remaining| RateLimits { input_tokens: standing(remaining), ..RateLimits::default() };
        let mut limits = TokenLimits::new(None, None);
        let (now, tokens) = (Instant::now(), Tokens { input: 980.0, output: 0.0 });
        limits.told(&told(40_000), now);
        assert!(limits.ready_at(now, tokens) <= now);
        limits.told(&told(20_000), now);
        let wait = limits.ready_at(now, tokens) - now;
        assert!((seconds(0.99)..seconds(1.01)).contains(&wait), "{wait:?}");
    }

    #[test]
    fn a_picture_is_not_estimated_by_its_bytes() {
        let mut request = request("m", "hi");
        let image = serde_json::json!({"type": "image", "source": {"type": "base64", "data": "A".repeat(1 << 20)}});
        let Value::Object(image) = image else { panic!("an object") };
        request.turns[0].content.push(Block(image));
        assert!(Size::of(&request).input < 2_000);
    }
}
