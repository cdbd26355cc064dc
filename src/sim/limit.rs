//! Rate limits: what do the headers say, and when is a request too much?

use std::cell::RefCell;
use std::sync::Mutex;
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use hyper::HeaderMap;
use hyper::header::{HeaderName, HeaderValue};
use tokio::time::Instant;

/// What the headers show where nothing is enforced: no client shall slow down for it.
const UNENFORCED_REQUESTS: u64 = 1_000_000;
const UNENFORCED_TOKENS: u64 = 1_000_000_000;

/// The requests-per-minute limit, if one is enforced: a bucket that refills all the time (docs/wire-reference.md 2.3).
#[derive(Debug)]
pub(super) struct Limit {
    bucket: Option<Bucket>,
    unenforced: [(HeaderName, HeaderValue); 8],
}

#[derive(Debug)]
struct Bucket {
    per_minute: u32,
    /// So many may come at once.
    burst: f64,
    state: Mutex<(f64, Instant)>,
}

/// What a request took from the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Taken {
    /// Nothing is enforced.
    Unlimited,
    /// It may pass; so many are left, and all are back after this time.
    Allowed { remaining: u64, full_in: Duration },
    /// It may not; the next may after this time.
    TooMany { retry_after: u64, full_in: Duration },
}

impl Limit {
    /// Without a burst a whole minute's worth may come at once.
    pub(super) fn new(per_minute: Option<u32>, burst: Option<u32>) -> Self {
        let requests = HeaderValue::from(UNENFORCED_REQUESTS);
        let tokens = HeaderValue::from(UNENFORCED_TOKENS);
        Self {
            bucket: per_minute.map(|per_minute| {
                let burst = f64::from(burst.unwrap_or(per_minute).max(1));
                Bucket { per_minute, burst, state: Mutex::new((burst, Instant::now())) }
            }),
            unenforced: [
                (HeaderName::from_static("anthropic-ratelimit-requests-limit"), requests.clone()),
                (HeaderName::from_static("anthropic-ratelimit-requests-remaining"), requests),
                (HeaderName::from_static("anthropic-ratelimit-tokens-limit"), tokens.clone()),
                (HeaderName::from_static("anthropic-ratelimit-tokens-remaining"), tokens.clone()),
                (HeaderName::from_static("anthropic-ratelimit-input-tokens-limit"), tokens.clone()),
                (HeaderName::from_static("anthropic-ratelimit-input-tokens-remaining"), tokens.clone()),
                (HeaderName::from_static("anthropic-ratelimit-output-tokens-limit"), tokens.clone()),
                (HeaderName::from_static("anthropic-ratelimit-output-tokens-remaining"), tokens),
            ],
        }
    }

    /// Takes one request.
    pub(super) fn take(&self) -> Taken {
        let Some(bucket) = &self.bucket else { return Taken::Unlimited };
        let per_second = f64::from(bucket.per_minute) / 60.0;
        let mut state = bucket.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let now = Instant::now();
        let filled = (state.0 + now.duration_since(state.1).as_secs_f64() * per_second).min(bucket.burst);
        let allowed = filled >= 1.0;
        let left = if allowed { filled - 1.0 } else { filled };
        *state = (left, now);
        let full_in = Duration::from_secs_f64((bucket.burst - left) / per_second);
        if allowed {
            Taken::Allowed { remaining: left as u64, full_in }
        } else {
            Taken::TooMany { retry_after: ((1.0 - left) / per_second).ceil().max(1.0) as u64, full_in }
        }
    }

    /// Writes the headers of section 2.2; resets are RFC 3339 times.
    pub(super) fn headers(&self, taken: Taken, headers: &mut HeaderMap) {
        for (name, value) in &self.unenforced {
            headers.insert(name.clone(), value.clone());
        }
        let now = now();
        headers.insert("anthropic-ratelimit-tokens-reset", now.clone());
        headers.insert("anthropic-ratelimit-input-tokens-reset", now.clone());
        headers.insert("anthropic-ratelimit-output-tokens-reset", now.clone());
        let (remaining, full_in) = match taken {
            Taken::Unlimited => {
                headers.insert("anthropic-ratelimit-requests-reset", now);
                return;
            }
            Taken::Allowed { remaining, full_in } => (remaining, full_in),
            Taken::TooMany { full_in, .. } => (0, full_in),
        };
        let limit = self.bucket.as_ref().map_or(0, |bucket| u64::from(bucket.per_minute));
        headers.insert("anthropic-ratelimit-requests-limit", limit.into());
        headers.insert("anthropic-ratelimit-requests-remaining", remaining.into());
        headers.insert("anthropic-ratelimit-requests-reset", time(clock() + full_in));
    }
}

/// The time of this second; written once a second and thread, because every answer has it.
fn now() -> HeaderValue {
    thread_local! {
        static WRITTEN: RefCell<(i64, HeaderValue)> = const { RefCell::new((i64::MIN, HeaderValue::from_static(""))) };
    }
    let now = clock();
    WRITTEN.with_borrow_mut(|(second, value)| {
        if *second != now.timestamp() {
            *second = now.timestamp();
            *value = time(now);
        }
        value.clone()
    })
}

#[expect(clippy::disallowed_methods, reason = "a server's headers carry the machine's own time; nothing is judged by it")]
fn clock() -> DateTime<Utc> {
    Utc::now()
}

fn time(time: DateTime<Utc>) -> HeaderValue {
    HeaderValue::from_str(&time.to_rfc3339_opts(SecondsFormat::Secs, true)).expect("digits and punctuation are a header value")
}
